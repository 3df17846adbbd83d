"""Filters of the distillation (paper section 4.2): a rollout is kept, or rejected with a reason.

A filter sees one rollout and all rollouts of the same item. What is rejected is kept on file.
"""

from collections.abc import Sequence
from functools import lru_cache

from auscult.train.feed.awareness import acknowledges
from auscult.train.feed.items import fetch
from auscult.train.rl.rewards import reasoned, right
from auscult.types import Filter, Rollout, Verdict
from auscult.verify.grounded import grounded as verdict_of
from auscult.verify.read.extract import extract
from auscult.verify.scores import Scores, mentions, score
from auscult.verify.verify import Ears, listen

OTHERS = 3
"""Clips of the same task that a claim must tell apart from the item's own."""


@lru_cache(maxsize=512)
def ears(key: str) -> Ears:
    """The measured clips of an item, remembered."""
    return listen(fetch(key).clips)


def others(key: str, n: int = OTHERS) -> list[Ears]:
    """Clips of other items of the same task: the same few for all items, so that they are measured
    once. Only the gym can make them; elsewhere there are none."""
    parts = key.split("/")
    if len(parts) != 4 or ":" in key:
        return []
    pool = [f"{parts[0]}/{parts[1]}/{parts[2]}/{90_000_000 + i}" for i in range(n + 1)]
    return [ears(k) for k in pool if k != key][:n]


@lru_cache(maxsize=16_384)
def scored(key: str, thought: str, answer: str) -> Scores:
    """All scores of a thought about an item's sound."""
    item = fetch(key)
    found, _ = score(
        thought, ears(key), features=item.features, answer=answer, options=item.options,
        question=item.question, others=others(key),
    )  # fmt: skip
    return found


def is_grounded(rollout: Rollout) -> Verdict:
    """What the grounding verifier says of a rollout's thought."""
    if not rollout.item.clips:
        return Verdict(keep=False, why="there is no sound to be grounded in")
    reply = rollout.reply
    return verdict_of(scored(rollout.item.key, reply.thought, reply.answer))


def grounding(rollout: Rollout, others: Sequence[Rollout] = ()) -> Verdict:
    """(1) "explicitly mentions perceptual features rather than textual descriptions": here the
    sound must also bear them out. Questions that only ask for spoken words pass, since nothing here
    measures words."""
    features = rollout.item.features
    if features and set(features) <= {"words"}:
        return Verdict(keep=True, why="words are not measured")
    return is_grounded(rollout)


def coherence(rollout: Rollout, others: Sequence[Rollout] = ()) -> Verdict:
    """(2) "reasoning steps follow sound inferential structure": no false step, no contradiction,
    and the answer is what the thought arrives at."""
    if reasoned(rollout) == 0:
        return Verdict(keep=False, why="no reasoning that arrives at the answer")
    found = scored(rollout.item.key, rollout.reply.thought, rollout.reply.answer)
    why = found.why_incoherent.split(":")[0].split(" '")[0]
    return Verdict(keep=found.coherent, why=why or "coherent")


def correctness(rollout: Rollout, others: Sequence[Rollout] = ()) -> Verdict:
    """(3) "final answers align with ground truth"."""
    keep = right(rollout) == 1.0
    return Verdict(keep=keep, why="right" if keep else "the answer is wrong")


def mention(rollout: Rollout, others: Sequence[Rollout] = ()) -> Verdict:
    """The paper's filter (1) to the letter: acoustic words are mentioned, true or not. An ablation
    arm."""
    keep = mentions(rollout.reply.thought)[0] > 0 and bool(extract(rollout.reply.thought))
    return Verdict(keep=keep, why="mentions the sound" if keep else "no acoustic word")


def novelty(rollout: Rollout, others: Sequence[Rollout] = ()) -> Verdict:
    """Each thought of an item once: K equal samples are one example."""
    for other in others:
        if other is rollout:
            break
        same = other.reply.thought == rollout.reply.thought
        if same and other.reply.answer == rollout.reply.answer:
            return Verdict(keep=False, why="said before")
    return Verdict(keep=True, why="new")


def awareness(rollout: Rollout, others: Sequence[Rollout] = ()) -> Verdict:
    """Self-cognition (paper section 6.3): the reply acknowledges that it hears and uses it: of what
    it says of the sound, most is true."""
    reply = rollout.reply
    if reply.stop != "end" or not acknowledges(reply.thought, reply.answer):
        return Verdict(keep=False, why="does not say that it hears")
    found = scored(rollout.item.key, f"{reply.thought} {reply.answer}", "")
    if not found.claims or not found.precision > 0.5:  # nan: nothing that could be decided
        return Verdict(keep=False, why="says nothing true of the sound")
    return Verdict(keep=True, why="acknowledges hearing")


FILTERS: dict[str, Filter] = {
    "novelty": novelty,
    "correctness": correctness,
    "coherence": coherence,
    "grounding": grounding,
    "mention": mention,
    "awareness": awareness,
}
"""name -> filter. A distillation runs some of them in order; the first that rejects gives the
reason."""


def judge(rollout: Rollout, group: Sequence[Rollout], names: Sequence[str]) -> tuple[str, Verdict]:
    """(name of the filter that rejected, its verdict), or ("", the last verdict) when kept."""
    verdict = Verdict(keep=True, why="no filter")
    for name in names:
        verdict = FILTERS[name](rollout, group)
        if not verdict.keep:
            return name, verdict
    return "", verdict
