"""Tables in which packages say what is spoken: Lua dialogs, XML, lists of prompts, stamps."""

import gzip
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import NamedTuple

from auscult.real.recording import RealSoundError

_STRING = r'"((?:[^"\\]|\\.)*)"'
_DIALOG = re.compile(
    rf"dialogId\(\s*{_STRING}\s*,\s*{_STRING}\s*,\s*{_STRING}\s*\)"
    rf"(?:\s*dialogStr\(\s*{_STRING}\s*\))?"
)
_AMPERSAND = re.compile(r"&(?!\w+;|#)")


class Dialog(NamedTuple):
    """A line of a game: who says it, in the language of the table, and in English."""

    font: str  # "font_small": the colour of the words names the role
    text: str
    english: str


def _plain(text: str) -> str:
    """A Lua string without its escapes."""
    return re.sub(r"\\(.)", lambda m: " " if m[1] == "n" else m[1], text)


def lua_dialogs(path: Path) -> dict[str, Dialog]:
    """The dialogs of a Lua file by their id; empty where there is no such file.

    Read are `dialogId("id", "font_ROLE", "English")` and the `dialogStr("text")` behind it.
    """
    if not path.is_file():
        return {}
    text = path.read_text(encoding="utf-8", errors="replace")
    return {m[1]: Dialog(m[2], _plain(m[4] or ""), _plain(m[3])) for m in _DIALOG.finditer(text)}


def xml_sounds(path: Path) -> list[tuple[str, str]]:
    """Name and file of every `<sound name= file= />`, in order; the same table in both programs.

    Raises `RealSoundError` for a file that is no XML.
    """
    try:
        # Some tables write a bare & in labels.
        root = ElementTree.fromstring(_AMPERSAND.sub("&amp;", path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, ElementTree.ParseError) as error:
        raise RealSoundError(f"{path} cannot be read ({error}); fetch its package again") from error
    return [(s.get("name", ""), s.get("file", "")) for s in root.iter("sound")]


def prompts(path: Path) -> dict[str, str]:
    """What each prompt says, by its id, from lines `id: text`; the first line of an id counts.

    Remarks in brackets are taken out, so that what is only a remark ("[this is a beep]") is empty.
    """
    lines = gzip.decompress(path.read_bytes()).decode("utf-8-sig").splitlines()
    found: dict[str, str] = {}
    for line in lines:
        name, colon, text = line.partition(":")
        if colon and not line.startswith(";"):
            found.setdefault(name.strip(), text.strip())
    return found


def spoken(text: str) -> str:
    """A prompt without remarks in brackets and without dots that stand for what comes before."""
    return re.sub(r"\s*[\[<(][^\]>)]*[\]>)]", "", text).strip().removeprefix("...").strip()


def stamp_texts(path: Path) -> dict[str, str]:
    """What a stamp is called, by language: "en" (the first line), "fr", "pt_BR", ..."""
    if not path.is_file():
        return {}
    lines = path.read_bytes().decode("utf-8", errors="replace").splitlines()
    found = {"en": lines[0].strip()} if lines else {}
    for line in lines[1:]:
        language, equals, text = line.partition(".utf8=")
        if equals:
            found[language.strip()] = text.strip()
    return found


def transcriptions(path: Path) -> dict[str, str]:
    """Sphinx's `<s> words </s> (name)` by name."""
    found: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if match := re.fullmatch(r"\s*<s>\s*(.*?)\s*</s>\s*\((.+)\)\s*", line):
            found[match[2]] = match[1]
    return found
