"""Rewards of the reinforcement-learning stages: functions of one rollout, in one table. Pure.

What is paid is written here and nowhere else; `tests/test_rewards.py` tries to be paid for nothing.
"""

import re
from functools import lru_cache

from auscult.train.awareness import denies
from auscult.types import Reward, Rollout
from auscult.verify.extract import extract
from auscult.verify.scores import surrogate

LEAST_WORDS = 4
"""Words, of them as many different ones, below which a thought is no reasoning."""


def right(rollout: Rollout) -> float:
    """1 for a finished reply whose answer is the true one (paper eq. 2)."""
    reply = rollout.reply
    finished = reply.stop == "end" and reply.closed != "open" and "think>" not in reply.answer
    return rollout.score if finished else 0.0


def _sentences(text: str) -> list[str]:
    return [s for s in re.split(r"(?<=[.!?。！？])\s+", text.strip()) if s]


def repeats(words: list[str]) -> bool:
    """Is most of it said before? Fewer than half of the three-word runs differ."""
    runs = [tuple(words[i : i + 3]) for i in range(len(words) - 2)]
    return len(runs) > 8 and len(set(runs)) < 0.5 * len(runs)


@lru_cache(maxsize=65_536)
def _claims(text: str) -> int:
    return len({c.key for c in extract(text)})


_OPEN_ENDED = frozenset(("yes", "no", "same", "different", "true", "false"))
"""Answers that a conclusion need not name: "The horn is not in the list." """


def _concludes(thought: str, answer: str, options: tuple[str, ...]) -> bool:
    """Does the thought arrive at the answer that was given, and at no other option?"""

    def names(word: str, text: str) -> bool:
        return re.search(rf"(?<![\w#.]){re.escape(word)}(?![\w#])", text, re.I) is not None

    last = _sentences(thought)[-1]
    if answer.lower() in _OPEN_ENDED:
        return len(_sentences(thought)) > 1
    if options and sum(names(o, last) for o in options) == len(options):
        return False  # every option named: nothing concluded
    return names(answer, last)


def reasoned(rollout: Rollout) -> float:
    """1 where reasoning is present (paper eq. 7), strictly:

    the thought was closed by the model itself, once; it has `LEAST_WORDS` different words and does
    not go round in circles; it does not deny hearing; it makes at least one acoustic claim that
    could be checked (a problem in words: has a step); and its last sentence arrives at the answer
    that is given. Whether the claims are *true* is not asked here: that is what the filter of the
    distillation and the reward `grounded` are for.
    """
    reply, item = rollout.reply, rollout.item
    thought, answer = reply.thought.strip(), reply.answer.strip()
    if reply.closed != "model" or reply.stop != "end" or "think>" in thought + answer:
        return 0.0
    words = re.findall(r"[\w#.]+", thought.lower())
    if len(set(words)) < LEAST_WORDS or repeats(words) or denies(thought) or denies(answer):
        return 0.0
    if not answer or len(answer.split()) > 8 or not _concludes(thought, answer, item.options):
        return 0.0
    if thought.lower() in item.question.lower():
        return 0.0
    has_step = _claims(thought) > 0 if item.clips else len(_sentences(thought)) > 0
    return float(has_step)


def audio(rollout: Rollout) -> float:
    """R = 0.8 right + 0.2 reasoned (paper eq. 7)."""
    return 0.8 * right(rollout) + 0.2 * reasoned(rollout)


def heard(rollout: Rollout) -> float:
    """0.8 right + 0.2 reasoned about the sound: no sentence reasons about a text in its place."""
    own = 1.0 if surrogate(rollout.reply.thought) == 0 else 0.0
    return 0.8 * right(rollout) + 0.2 * own * reasoned(rollout)


def grounded(rollout: Rollout) -> float:
    """0.8 right + 0.2 grounded: the verifier finds the thought borne out by this sound."""
    from auscult.train.filters import is_grounded

    paid = reasoned(rollout) and is_grounded(rollout).keep
    return 0.8 * right(rollout) + 0.2 * float(bool(paid))


REWARDS: dict[str, Reward] = {
    "right": right,
    "reasoned": reasoned,
    "audio": audio,
    "heard": heard,
    "grounded": grounded,
}
"""name -> reward. The paper's: "audio" for sound, "right" for text."""
