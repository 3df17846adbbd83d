"""What in a text is no statement about the sound: blanked out, so that every place stays the same.

Markup, the answer behind a thought, step numbers, percentages, file formats, quotations, questions,
similes.
"""

import re
from collections.abc import Callable

from auscult.verify.read.lexicon import Lexicon

_QUOTED = re.compile(r"\"[^\"]*\"|“[^”]*”|«[^»]*»|「[^」]*」|『[^』]*』|(?<!\w)'[^']{1,80}'(?!\w)")
_SIMILE = re.compile(
    r"\b(?:as if|as though|the way (?:a|you|one|it|they|we)|reminds me of|just like|"
    r"(?<!sounds )(?<!sound )(?<!is )(?<!'s )(?<!shaped )(?<!echoes )like "
    r"(?:a|an|the|some|somebody|someone|when|in|at))\b[^.;,:()!?]*",
    re.IGNORECASE,
)
_ANSWER = re.compile(
    r"\b(?:the |my |final )?answer\s*(?:is|:|would be|must be)[^.!?\n]*", re.IGNORECASE
)
_BEHIND = re.compile(
    r"(?<=</think>).*|<(?P<tag>answer|response|conclusion)>.*?(?:</(?P=tag)>|\Z)",
    re.IGNORECASE | re.DOTALL,
)
_THOUGHT = re.compile(r"<think>\s*\w.*</think>|^(?!.*<think>).*\w.*</think>", re.I | re.DOTALL)
_TAG = re.compile(r"</?[A-Za-z_]{2,20}>")
_MARKDOWN = re.compile(
    r"\*\*|__|`+|^[ \t]*#{1,6}[ \t]|^[ \t]*(?:[-*•]|\(?\d{1,2}[.)])[ \t]+", re.MULTILINE
)
_STEP = re.compile(r"\b(?:step|point|section|stage|part)\s*\d+\s*[:.)]", re.IGNORECASE)
_PERCENT = re.compile(r"\d+(?:\.\d+)?\s*(?:%|percent\b)", re.IGNORECASE)
_FORMAT = re.compile(
    r"\b(?:(?:re|down|up)?sampled|sampling|sample[- ]rate|bit ?rate|encoded)\b[^.,;\n]{0,30}?"
    r"\d+(?:\.\d+)?\s*(?:k?hz|kbps|bits?)\b|"
    r"\b\d+(?:\.\d+)?\s*k?hz\s+(?:sampling|sample|mono|stereo|wav)\b|"
    r"\b\d+[- ]?(?:bits?|kbps)\b",
    re.IGNORECASE,
)


def mask(text: str, lexicon: Callable[[str], Lexicon]) -> str:
    """The text with blanks for what states nothing of the sound; as long as before. `lexicon`: of
    a quotation, by its language, for a quoted vowel is stated: "the vowel is 'oo'"."""

    def quoted(m: re.Match[str]) -> str:
        inner = m[0][1:-1]
        if lexicon(inner).meaning(inner.lower()).get("quality_vowel"):
            return f" {inner} "
        return _blank(m)

    out = _BEHIND.sub(_blank, text) if _THOUGHT.search(text) else text
    for pattern in (_TAG, _MARKDOWN, _STEP, _PERCENT, _FORMAT):
        out = pattern.sub(_blank, out)
    out = _QUOTED.sub(quoted, out)
    for pattern in (_SIMILE, _ANSWER):
        out = pattern.sub(_blank, out)
    return _without_questions(out)


def _blank(m: re.Match[str]) -> str:
    """Blanks for everything but ends of lines."""
    return re.sub(r"[^\n]", " ", m[0])


def _without_questions(text: str) -> str:
    """Sentences that end with a question mark as blanks."""
    parts = re.split(r"((?<=[.!?;。？！\n]))", text)
    return "".join(" " * len(p) if p.endswith(("?", "？")) else p for p in parts)
