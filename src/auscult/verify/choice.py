"""Which of several replies does the sound bear out best?"""

from collections.abc import Sequence

from auscult.types import Reply
from auscult.verify.claims import Finding
from auscult.verify.grounded import grounding
from auscult.verify.scores import Scores, score
from auscult.verify.verify import Ears


def best(
    replies: Sequence[Reply], ears: Ears, *, question: str = "", options: tuple[str, ...] = ()
) -> tuple[int, Scores, list[Finding]]:
    """(its number, its scores, what was found in its thought). Of equal ones the one whose answer
    most replies give, then the first. Raises `ValueError` without any reply."""
    if not replies:
        raise ValueError("there is no reply to choose from")
    votes = [sum(other.answer == reply.answer for other in replies) for reply in replies]
    checked = [
        score(r.thought, ears, answer=r.answer, options=options, question=question) for r in replies
    ]
    at = max(range(len(replies)), key=lambda i: (grounding(checked[i][0]), votes[i], -i))
    return at, *checked[at]
