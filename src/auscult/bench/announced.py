"""How an answer is announced ("the answer is"), denied ("I doubt the answer is") and withdrawn
("Wait, that's wrong"): what our strict scores may take for an answer, and what not."""

import re

_LEADS = (
    r"(?:\b(?:so|and|thus|therefore|the|my|final|correct|right|best),?\s+)*"
    r"\b(?:answer|option|choice)\b(?:\s+(?!not\b|never\b|wrong\b|incorrect\b)\w+){0,3}?"
    r"\s*(?:\b(?:is|would be|should be)\b|[:=])[\s:]*",
    r"(?:^|\n)\W*(?:(?:the|final|correct)\s+)*answer\W*?\n+\s*|\bans\s*[:.]\s*",
    r"(?:正确)?(?:答案|选项|答え|正解)\s*(?:应该?是|是|为|就是|应?该?选择?|は|[:])\s*[:]?\s*",
    r"(?:故|因此|所以|应该?|本题|此题)\s*选择?\s*[:]?\s*",
    r"(?:정답|답)\s*(?:은|는|[:])\s*[:]?\s*",
)
"""How an answer is announced; to add a language, add a line. Colons have one width here."""
LEAD = re.compile("|".join(_LEADS), re.I)

_DENIALS = (
    r"\b(?:wrong|incorrect|false|untrue|impossible|unlikely|doubtful|worst|bad|opposite|initial"
    r"|previous|earlier|(?:least|less)\s+\w+|second(?:[- ](?:best|most\s+\w+))?)(?:\s+that)?",
    r"(?:\b(?:not|never|cannot|hardly|nobody|no one)\b|n['’]t\b)(?:\s+\w+){0,3}",
    r"\b(?:doubt|deny|if|unless|whether|which|what)(?:\s+that)?",
    r"\b(?:might|may|could)\s+(?:think|say|believe|assume|guess|argue)(?:\s+that)?",
    r"(?:错误|不正确|不对|不合适|不恰当|错|误|不|非|别|排除|如果|若|假如)的?",
    r"(?:오|틀린|間違った|誤った)",
)
"""What stands right before an announcement that does not give the answer."""
_DENIED = re.compile(f"(?:{'|'.join(_DENIALS)})\\s*$", re.I)

_TENTATIVE = re.compile(
    r"(?:\b(?:not|never|except)|n['’]t(?:\s+be)?"
    r"|\bI (?:first|initially|originally) (?:thought|said)"
    r"|\b(?:first|initially|originally),? I (?:thought|said|guessed))\b[^\w.!?\n]*$",
    re.I,
)
"""What stands right before a wrapper whose content is not the answer."""
_WITHDRAWALS = (
    r"^[^\w.!\n]*\?",
    r"^\W*but\b",
    r"^\W*(?:or|not|was|isn['’]t|cannot|is(?!\s+(?:(?:the|my)\s+)?(?:correct|right|best|final"
    r"|answer)))\b",
    r"(?:^|[.!?,\n]\s*)\W*(?:no\b\s*(?:[,.;:!]|$)|(?:wait|hmm+|actually|sorry|oops|correction"
    r"|on second thought|scratch that)\b)",
    r"\b(?:that|this|it|which)(?:['’]s|\s+is|\s+was)\s+(?:wrong|incorrect|not\s+(?:right|correct)"
    r"|a mistake)\b",
    r"\bI\s+meant\b|\bchange\s+my\b|不对|错了|等等|更正",
)
_WITHDRAWN = re.compile("|".join(_WITHDRAWALS), re.I)
_ANOTHER = re.compile(
    r"(?:^|[,:.!?\n]|\b(?:is|be|to|it['’]s|think|say|choose|pick|hmm))\W*\b([A-J])\b\W*$"
)
"""A letter of its own at the very end."""


def answers_announced(text: str) -> list[str]:
    """What follows each announcement that is not denied, up to the next one.

    Example: "The wrong answer is A. The right answer is B." gives ["B."].
    """
    found = list(LEAD.finditer(text))
    ends = [*(match.start() for match in found), len(text)][1:]
    return [
        text[match.end() : end]
        for match, end in zip(found, ends, strict=True)
        if not _DENIED.search(text[: match.start()])
    ]


def denies(text: str) -> bool:
    """Is an answer named that is said to be none: "the wrong answer is B"?"""
    return any(_DENIED.search(text[: match.start()]) for match in LEAD.finditer(text))


def tentative(before: str) -> bool:
    """Does this, right before a wrapper, say that its content is not the answer?"""
    return _TENTATIVE.search(before) is not None or (
        (last := list(LEAD.finditer(before))[-1:]) != []
        and not before[last[0].end() :].strip(" $*(\\[")
        and _DENIED.search(before[: last[0].start()]) is not None
    )


def withdrawn(answer: str, after: str) -> bool:
    """Does what follows an answer take it back, or end with another letter?"""
    other = _ANOTHER.search(after)
    if other is not None and not re.match(rf"\W*{other[1]}\b", answer, re.I):
        return True
    return _WITHDRAWN.search(after) is not None
