"""What models put around an answer, taken off layer by layer, for our own strict scores.

Official scorers do not come here: what they make of a wrapped answer is part of them.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Iterator

_TAG = re.compile(r"<(answer|final_answer|final|response|result|output)>(.*?)</\1>", re.I | re.S)
_FENCE = re.compile(r"```\w*\n?(.*?)```", re.S)
_BOXED = re.compile(r"\\(?:boxed|fbox)\s*\{")
_LATEX = re.compile(r"\\(?:text|textbf|mathbf|mathrm|rm|bf)\s*\{([^{}]*)\}")
_MATHS = (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]"))
_PAIRS = (
    *_MATHS, ('"', '"'), ("'", "'"), ("“", "”"), ("‘", "’"), ("«", "»"), ("「", "」"), ("『", "』"),
    ("《", "》"), ("【", "】"), ("[", "]"), ("{", "}"),
)  # fmt: skip
_LEADS = (
    r"(?:\b(?:so|and|thus|therefore|the|my|final|correct|right|best),?\s+)*"
    r"\b(?:answer|option|choice)\b(?:\s+\w+){0,3}?\s*(?:\b(?:is|would be|should be)\b|[:=])[\s:]*",
    r"(?:正确)?(?:答案|选项|答え|正解)\s*(?:应该?是|是|为|就是|は|[:])\s*[:]?\s*",
    r"(?:정답|답)\s*(?:은|는|[:])\s*[:]?\s*",
)
"""How an answer is announced; to add a language, add a line. Colons have one width here."""
_LEAD = re.compile("|".join(_LEADS), re.I)
_NAMED = re.compile(r"(?:the\s+)?(?:option|choice|选择|选项|我选|选|옵션)\s*(?=\S)", re.I)


def _one_width(text: str) -> str | None:
    """Full-width letters, digits and marks as plain ones."""
    return unicodedata.normalize("NFKC", text).replace("。", ".")


def _tagged(text: str) -> str | None:
    return _the_one([m[2] for m in _TAG.finditer(text)])


def _fenced(text: str) -> str | None:
    return _the_one([m[1] for m in _FENCE.finditer(text)])


def _boxed(text: str) -> str | None:
    """The content of \\boxed{...}, whose braces may be nested."""
    found: list[str] = []
    for match in _BOXED.finditer(text):
        depth, at = 1, match.end()
        while at < len(text) and depth:
            depth += {"{": 1, "}": -1}.get(text[at], 0)
            at += 1
        found.append(text[match.end() : at - 1])
    inner = _the_one(found)
    return None if inner is None else _LATEX.sub(r"\1", inner)


def _in_json(text: str) -> str | None:
    """The field "answer" of an object."""
    if not text.startswith("{"):
        return None
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return None
    fields = {str(k).lower(): v for k, v in data.items()}
    found = next((fields[k] for k in ("answer", "final_answer", "choice") if k in fields), None)
    return str(found) if isinstance(found, str | int | float) else None


def _announced(text: str) -> str | None:
    """What follows "the answer is" to the end; of several announcements all must say the same."""
    parts = _LEAD.split(text)[1:]
    return _the_one(parts) if parts else None


def _named(text: str) -> str | None:
    """What follows "Option" at the start."""
    match = _NAMED.match(text)
    return text[match.end() :] if match else None


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
    _one_width, _fenced, _tagged, _in_json, _boxed, _announced, _named, _paired,
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
