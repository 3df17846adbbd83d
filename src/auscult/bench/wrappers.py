"""What models put around an answer, taken off layer by layer, for our own strict scores.

Official scorers do not come here: what they make of a wrapped answer is part of them.
"""

import ast
import json
import re
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import suppress

from auscult.bench.announced import LEAD, answers_announced, tentative, withdrawn

_TAG = re.compile(
    r"[<\[](answer|final_answer|final|response|result|output|choice|option)[>\]](.*?)[<\[]/\1[>\]]",
    re.I | re.S,
)
_OPEN_TAG = re.compile(r"^[^<]*<(?:final_)?answer>([^<]*)$", re.I)
_CLOSE_TAG = re.compile(r"^([^<]*)</(?:final_)?answer>\W*$", re.I)
_FENCE = re.compile(r"```\w*\n?(.*?)```(?=\s*$)", re.S)
_BOXED = re.compile(r"\\(?:boxed|fbox)\s*\{")
_LATEX = re.compile(r"\\(?:text|textbf|mathbf|mathrm|rm|bf)\s*\{([^{}]*)\}")
_MATHS = (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]"))
_PAIRS = (
    *_MATHS, ('"', '"'), ("'", "'"), ("“", "”"), ("„", "“"), ("„", "”"), ("‘", "’"), ("«", "»"),
    ("‹", "›"), ("「", "」"), ("『", "』"), ("《", "》"), ("【", "】"), ("[", "]"), ("{", "}"),
    ("__", "__"), ("_", "_"), ("<b>", "</b>"),
)  # fmt: skip
_NAMED = re.compile(
    r"(?:I(?:['’]d|['’]ll| would| will)? (?:choose|pick|select|go with|say|answer)\s*:?\s*)?"
    r"(?:the\s+)?(?:answer(?=\s+\(?[A-J]\)?\W*$)|option|choice|选择|选项|我选|选|옵션)\s*(?=\S)"
    r"|I(?:['’]d|['’]ll| would| will)? (?:choose|pick|select|go with|say|answer)\s*:?\s*(?=\S)",
    re.I,
)
_PRAISED = re.compile(
    r"(.{1,80}?)\s+(?:is|would be)\s+(?:the\s+)?(?:most likely\s+)?(?:correct|right|best)"
    r"(?:\s+(?:answer|option|choice|one))?\.?",
    re.I,
)
_COPULA = re.compile(r"\s*(?:です|である|입니다|이다|이에요|예요)\.?$")
_INVISIBLE = re.compile("[\u200b-\u200f\u2060\ufeff\u00ad]")
_TOKEN = re.compile(r"<\|[^|<>]*\|>|</?s>|<eos>")
_FIELDS = ("answer", "final_answer", "choice", "option")


def _cleaned(text: str) -> str | None:
    """Without what a tokenizer or an editor left: the end of a thought, end signs, marks that
    nobody sees."""
    return _TOKEN.sub("", _INVISIBLE.sub("", text)).rpartition("</think>")[2]


def _one_width(text: str) -> str | None:
    """Full-width letters, digits and marks as plain ones; no space before the last of them."""
    return re.sub(r"\s+(?=[.)]+$)", "", unicodedata.normalize("NFKC", text).replace("。", "."))


def _tagged(text: str) -> str | None:
    found = [(m.start(), m[2], m.end()) for m in _TAG.finditer(text)]
    if not found and (half := _OPEN_TAG.match(text) or _CLOSE_TAG.match(text)):
        return half[1]
    return _standing(text, found)


def _fenced(text: str) -> str | None:
    return _the_one([m[1] for m in _FENCE.finditer(text)])


def _boxed(text: str) -> str | None:
    """The content of \\boxed{...}, whose braces may be nested."""
    found: list[tuple[int, str, int]] = []
    for match in _BOXED.finditer(text):
        depth, at = 1, match.end()
        while at < len(text) and depth:
            depth += {"{": 1, "}": -1}.get(text[at], 0)
            at += 1
        found.append((match.start(), text[match.end() : at - 1], at))
    return _standing(text, found)


def _standing(text: str, found: list[tuple[int, str, int]]) -> str | None:
    """The one content of all wrappers (start, content, end), unless what stands around one of them
    says that it is not, or no longer, the answer."""
    ends = [*(start for start, _, _ in found), len(text)][1:]
    for (start, content, end), following in zip(found, ends, strict=True):
        after = text[end:following]
        said = answers_announced(after)
        if tentative(text[:start]) or withdrawn(content, after):
            return None
        if following == len(text) and said and _the_one([content, *said]) is None:
            return None
    return _the_one([content for _, content, _ in found])


def wrapped(text: str) -> bool:
    """Does a wrapper or an announcement stand anywhere in it?"""
    return any(pattern.search(text) for pattern in (_TAG, _BOXED, LEAD))


def _of_latex(text: str) -> str | None:
    return _LATEX.sub(r"\1", text)


def _in_json(text: str) -> str | None:
    """The field "answer" of an object, of JSON or as Python prints it."""
    text = text.rstrip(". ")
    if not (text.startswith("{") and text.endswith("}")):
        return None
    data = None
    for read in (json.loads, ast.literal_eval):
        with suppress(ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            data = read(text)
            break
    if not isinstance(data, dict):
        return None
    fields = {str(k).lower(): v for k, v in data.items()}
    found = next((fields[k] for k in _FIELDS if k in fields), None)
    return str(found) if isinstance(found, str | int | float) else None


def _announced(text: str) -> str | None:
    """What follows "the answer is" to the end; of several announcements all must say the same."""
    parts = answers_announced(text)
    if len(parts) > 1 and len({_first_words(part) for part in parts}) == 1:
        return parts[-1]
    return _the_one(parts) if parts else None


def _first_words(part: str) -> str:
    return re.split(r"[.!?,;]\s|\n|\s+(?:because|since)\b", part)[0].strip(" .!,;。").casefold()


def _named(text: str) -> str | None:
    """What follows "Option" or "I choose" at the start."""
    match = _NAMED.match(text)
    return text[match.end() :] if match else None


def _praised(text: str) -> str | None:
    """ "Option B is correct." """
    match = _PRAISED.fullmatch(text)
    return match[1] if match else None


def _closed(text: str) -> str | None:
    """Without the verb that ends a sentence in Japanese and Korean."""
    return _COPULA.sub("", text)


def _paired(text: str) -> str | None:
    for left, right in _PAIRS:
        inner = text.rstrip(".。")
        if len(inner) > len(left + right) and inner.startswith(left) and inner.endswith(right):
            return inner[len(left) : -len(right)]
    return None


def _the_one(found: list[str]) -> str | None:
    same = {part.strip().strip(".。,;").casefold() for part in found}
    return found[-1] if len(same) == 1 else None


PEELS: tuple[Callable[[str], str | None], ...] = (
    _cleaned, _one_width, _fenced, _tagged, _in_json, _boxed, _praised, _announced, _named, _closed,
    _of_latex, _paired,
)  # fmt: skip
"""What takes one layer off, or None where it is not there. To add a wrapper, add a function."""

_MOST_LAYERS = 8


def readings(text: str) -> Iterator[str]:
    """An answer as it stands, then with one layer after another taken off.

    Example: "**<answer>\\boxed{B}</answer>**" gives itself, "<answer>...", "\\boxed{B}" and "B".
    """
    text = text.strip()
    yield text
    for _ in range(_MOST_LAYERS):
        for peel in (_bare_of_stars, *PEELS):
            inner = peel(text)
            if inner is not None and (inner := inner.strip()) != text:
                text = inner
                yield text
                break
        else:
            return


def _bare_of_stars(text: str) -> str | None:
    return re.sub(r"\*+", "", text)
