"""Readers of speech: prompts, dialogue, names, letters, syllables, digits.

Each returns a `Reader`: from the folder of unpacked packages to the clips of one source. Its
traps, with what they rest on, are in `docs/real_sound.md`.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from auscult.real.read.labels import labelled
from auscult.real.read.texts import (
    Dialog,
    lua_dialogs,
    prompts,
    spoken,
    stamp_texts,
    transcriptions,
    xml_sounds,
)
from auscult.real.recording import Clip, Found, Reader, RealSoundError, Skip

DIGIT_WORDS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
)  # fmt: skip
FSDD_SPEAKERS = ("george", "jackson", "nicolas")
"""The only ones that are ever read: the others measure models from outside."""


def files(folder: Path, suffix: str) -> Iterator[tuple[str, Path]]:
    """Path below `folder` without suffix, and the file, in order; `suffix` is such as "*.ogg"."""
    for path in sorted(folder.rglob(suffix)):
        if path.is_file():
            yield path.relative_to(folder).with_suffix("").as_posix(), path


def one(folder: Path, pattern: str) -> Path:
    """The first path below `folder` that fits. Raises `RealSoundError` where none does."""
    found = sorted(folder.glob(pattern))
    if not found:
        raise RealSoundError(f"{folder} holds no {pattern}; the package is of another version")
    return found[0]


def _language(code: str) -> str:
    """ISO 639 of a locale: "pt_BR" and "sr@latin" are "pt" and "sr"."""
    return re.split(r"[_@]", code)[0]


_SHARED = "a tone that the prompts of all languages share"


def _prompt(clip: Clip, note: str | None) -> Found:
    """`clip` with what the list of prompts notes about it; what is only a remark is no speech.

    Tones are read from the English prompts alone: the others repeat them, on both sides.
    """
    if note is None:
        return clip
    text = spoken(note)
    if text:
        doubtful = re.search(r"[\[(<]\s*\w\w", note) is not None  # "[that]": said or not
        return replace(clip, text=text, exact=not doubtful)
    if clip.language != "en":
        return Skip(clip.name, _SHARED)
    tone = re.search(r"beep|tone", note) is not None
    # Its voice and language are those of the folder, not of this clip.
    return replace(
        clip, kind="effect", speaker="", language="", label="beep" if tone else "",
        family="signal" if tone else "",
    )  # fmt: skip


def asterisk(language: str, speaker: str) -> Reader:
    """Core prompts in G.722 with their texts; digits are those of the folder digits."""

    def read(folder: Path) -> Iterator[Found]:
        base = folder / f"asterisk-core-sounds-{language}"
        texts = prompts(one(base, f"**/core-sounds-{language}.txt.gz"))
        voice = one(
            folder / f"asterisk-core-sounds-{language}-g722", "usr/share/asterisk/sounds/*/"
        )
        for name, path in files(voice, "*.g722"):
            digit = re.fullmatch(r"digits/(\d)", name)
            clip = Clip(
                name=name, sound=path, code="g722", kind="speech", speaker=speaker,
                language=language, digit=digit[1] if digit else "",
            )  # fmt: skip
            yield _prompt(clip, texts.get(name))

    return read


def old_prompts(package: str, language: str, speaker: str) -> Reader:
    """Prompts of 8 kHz without a list of texts; the digits are known by their names."""

    def read(folder: Path) -> Iterator[Found]:
        voice = one(folder / package, "usr/share/asterisk/sounds/*/")
        for suffix, code in (("*.gsm", "gsm"), ("*.wav", "")):
            for name, path in files(voice, suffix):
                digit = re.fullmatch(r"digits/(\d)", name)
                if re.fullmatch(r"beep|beeperr|(a|de)scending-2tone", name):
                    yield Skip(name, _SHARED)
                    continue
                yield Clip(
                    name=name, sound=path, code=code, kind="speech", speaker=speaker,
                    language=language, digit=digit[1] if digit else "",
                )  # fmt: skip

    return read


def _fillets_dialogs(script: Path, language: str) -> dict[tuple[str, str], Dialog]:
    """All dialogs of a language by (level, id)."""
    found: dict[tuple[str, str], Dialog] = {}
    for path in sorted(script.glob(f"*/*dialogs_{language}.lua")):
        for name, dialog in lua_dialogs(path).items():
            found.setdefault((path.parent.name, name), dialog)
    return found


def fillets(language: str, package: str) -> Reader:
    """Acted dialogue of a game. Two roles are one voice each; all others may share one."""

    def read(folder: Path) -> Iterator[Found]:
        data = "usr/share/games/fillets-ng"
        dialogs = _fillets_dialogs(folder / "fillets-ng-data" / data / "script", language)
        for name, path in files(folder / package / data / "sound", "*.ogg"):
            level, id_ = name.split("/")[0], path.stem
            dialog = dialogs.get((level, id_)) or dialogs.get(("share", id_))
            role = re.fullmatch(r"font_(small|big)", dialog.font) if dialog else None
            text = dialog.text if dialog else ""
            yield Clip(
                name=name, sound=path, kind="speech", language=language, text=text,
                exact=bool(text) and "%" not in text,
                speaker=f"fillets-{language}-{role[1]}" if role else "",
            )  # fmt: skip

    return read


_ELK = (("deu-l-", "ru"), ("deu-p-", "de"))


def fillets_english(folder: Path) -> Iterator[Found]:
    """What all languages of the game share: noises, a few cries, a Russian elk, a German parrot."""
    data = folder / "fillets-ng-data/usr/share/games/fillets-ng"
    dialogs = _fillets_dialogs(data / "script", "en")
    for name, path in files(data / "sound", "*.ogg"):
        parts = name.split("/")
        dialog = dialogs.get((parts[0], parts[-1]))
        tongue = [code for start, code in _ELK if parts[-1].startswith(start)]
        if tongue:
            # The elk's Russian is written in Latin letters.
            text = dialog.english if dialog and tongue == ["de"] else ""
            yield Clip(name=name, sound=path, kind="speech", language=tongue[0], text=text)
        else:
            yield labelled("fillets-en", Clip(name=name, sound=path, kind="effect"))


def klettres(code: str) -> Reader:
    """Letters and syllables; a file that the table does not name is left out."""

    def read(folder: Path) -> Iterator[Found]:
        base = folder / "klettres-data/usr/share/klettres"
        named = {file: name for name, file in xml_sounds(base / code / "sounds.xml")}
        for name, path in files(base / code, "*.ogg"):
            text = named.get(f"{code}/{name}.ogg", "")
            if not text:
                yield Skip(name, "not in the package's table")
                continue
            yield Clip(
                name=name, sound=path, kind="speech", text=text, exact=True,
                speaker=f"klettres-{code}", language=_language(code),
            )  # fmt: skip

    return read


_PLACES = re.compile(r"^(egypt|moon|pizzeria|tv|xmas|robot_workshop|butterflies)_")


def ktuberling(code: str, *, speaker: str | None = None) -> Reader:
    """Names of things; only of the English ones is the spelling known, by the key."""

    def read(folder: Path) -> Iterator[Found]:
        base = folder / "ktuberling-data/usr/share/ktuberling/sounds"
        seen: set[str] = set()
        for key, file in xml_sounds(base / f"{code}.soundtheme"):
            path = base / file
            name = Path(file).with_suffix("").as_posix().removeprefix(f"{code}/")
            if name in seen:
                continue
            seen.add(name)
            if not path.is_file():
                yield Skip(name, "named in the table but not in the package")
                continue
            # The key of its first row: some recordings serve for two things.
            text = _PLACES.sub("", key).replace("_", " ") if code == "en" else ""
            yield Clip(
                name=name, sound=path, kind="speech", text=text, exact=bool(text),
                speaker=f"ktuberling-{_language(code)}" if speaker is None else speaker,
                language=_language(code),
            )  # fmt: skip

    return read


_STAMPS = "tuxpaint-stamps-default/usr/share/tuxpaint/stamps"
_NAME = re.compile(r"^(?P<stem>.+)_desc(?:_(?P<code>[a-z]{2}(?:_[A-Z]{2})?))?(?:\.ogg)?$")
_ARTICLE = re.compile(r"^(An?|The) ")


def _bare(text: str) -> str:
    """A name as it is spoken alone: without article and full stop."""
    return _ARTICLE.sub("", text).rstrip(".。!！।").strip()


_OTHERWISE = frozenset({"en/chimp", "en/hen", "en/nandou"})
"""Names whose text is not what is said: "chimp" for chimpanzee, "hen" for brown hen, "nandu"."""


def tuxpaint_names(code: str, *, exact: bool) -> Reader:
    """Names of stamps in one language; English says the bare noun where the text has an article.

    What stands in parentheses is said or not: such a text is not exact.
    """

    def read(folder: Path) -> Iterator[Found]:
        base = folder / _STAMPS
        for suffix in ("*.ogg", "*.wav"):
            for name, path in files(base, suffix):
                match = _NAME.match(name)
                if match is None or (match["code"] or "en") != code:
                    continue
                text = stamp_texts(base / f"{match['stem']}.txt").get(code, "")
                digit = re.fullmatch(r"symbols/math/(\d)", match["stem"])
                known = (
                    exact
                    and "(" not in text
                    and f"{code}/{Path(match['stem']).name}" not in _OTHERWISE
                )
                yield Clip(
                    name=name, sound=path, kind="speech", language=_language(code),
                    text=_bare(text) if code == "en" or digit else text,
                    exact=bool(text) and (known or digit is not None),
                    digit=digit[1] if digit else "", speaker=f"tuxpaint-{code}",
                )  # fmt: skip

    return read


_SYMBOL = re.compile(
    r"^symbols/(?:math/(?P<digit>\d)(?:_(?P<code>[a-z]{2}(?:_[A-Za-z]{2})?))?"
    r"|alphabets/english/\w+/\w+/(?P<letter>[A-Za-z])_(?:filled|outline)_en_GB"
    r"|alphabets/german/\w+/\w+/(?P<german>\w+)_(?:filled|outline))$"
)
_GERMAN = {"a_with_umlaut": "ä", "o_with_umlaut": "ö", "u_with_umlaut": "ü", "ss_eszett": "ß"}


def tuxpaint_symbols(folder: Path) -> Iterator[Found]:
    """Spoken digits in 21 languages and letters; who speaks them is not known."""
    base = folder / _STAMPS
    for name, path in files(base / "symbols", "*.ogg"):
        match = _SYMBOL.match(f"symbols/{name}")
        if match is None:
            continue  # names and faces: read elsewhere
        if match["digit"]:
            code = match["code"] or "en"
            texts = stamp_texts(base / f"symbols/math/{match['digit']}.txt")
            text = texts.get("zh_TW" if code == "zh_tw" else code, "")
            yield Clip(
                name=f"symbols/{name}", sound=path, kind="speech", digit=match["digit"],
                text=_bare(text), exact=bool(text), language=_language(code),
            )  # fmt: skip
        else:
            letter = match["letter"] or _GERMAN[match["german"].lower()]
            yield Clip(
                name=f"symbols/{name}", sound=path, kind="speech", text=letter, exact=True,
                language="en" if match["letter"] else "de",
            )  # fmt: skip


def gcin(voice: str) -> Reader:
    """Mandarin syllables in Zhuyin with the number of the tone; one speaker per file number."""

    def read(folder: Path) -> Iterator[Found]:
        for name, path in files(folder / "gcin-voice/usr/share/gcin-voice/ogg", f"{voice}.ogg"):
            yield Clip(
                name=name, sound=path, kind="speech", text=path.parent.name, exact=True,
                speaker=f"gcin-{voice}", language="zh",
            )  # fmt: skip

    return read


def pocketsphinx(folder: Path) -> Iterator[Found]:
    """Sentences of a book and of a card game, with transcripts."""
    base = folder / "pocketsphinx-testdata/usr/share/pocketsphinx/test/data"
    for part, table in (("librivox", "transcription"), ("cards", "cards.transcription")):
        texts = transcriptions(base / part / table)
        for name, path in files(base / part, "*.wav"):
            yield Clip(
                name=f"{part}/{name}", sound=path, kind="speech", text=texts.get(name, ""),
                exact=name in texts, speaker=f"pocketsphinx-{part}", language="en",
            )  # fmt: skip


def fsdd(folder: Path) -> Iterator[Found]:
    """Spoken digits `{digit}_{speaker}_{take}.wav` of three speakers, and of no other."""
    for name, path in files(folder / "fsdd", "*.wav"):
        match = re.fullmatch(r"(\d)_(\w+)_(\d+)", path.stem)
        if match is None or match[2] not in FSDD_SPEAKERS:
            continue  # never copied here in the first place
        yield Clip(
            name=name, sound=path, kind="speech", text=DIGIT_WORDS[int(match[1])], exact=True,
            digit=match[1], speaker=f"fsdd-{match[2]}", language="en",
        )  # fmt: skip
