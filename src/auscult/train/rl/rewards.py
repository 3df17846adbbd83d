"""Rewards of the reinforcement-learning stages: functions of one rollout, in one table. Pure.

What is paid is written here and nowhere else; `tests/test_rewards.py` tries to be paid for nothing.
"""

import re
from dataclasses import replace
from functools import lru_cache

from auscult.gym.render import question_text
from auscult.gym.score import normalise, score_answer
from auscult.train.feed.awareness import denies
from auscult.types import Item, Reward, Rollout
from auscult.verify.read.extract import extract
from auscult.verify.scores import surrogate

LEAST_WORDS = 4
"""Words and signs, of them as many different ones, below which a thought is no reasoning."""

_TAG = re.compile(r"<\s*/?\s*think|think\s*>", re.I)


def right(rollout: Rollout) -> float:
    """1 for a finished reply whose answer is the true one (paper eq. 2)."""
    reply = rollout.reply
    finished = reply.stop == "end" and reply.closed != "open" and not _TAG.search(reply.answer)
    return rollout.score if finished else 0.0


def _sentences(text: str) -> list[str]:
    return [s for s in re.split(r"(?<=[.!?。！？])\s+", text.strip()) if s]


def repeats(words: list[str]) -> bool:
    """Is most of it said before? Fewer than half of the three-word runs differ."""
    runs = [tuple(words[i : i + 3]) for i in range(len(words) - 2)]
    return len(runs) > 8 and len(set(runs)) < 0.5 * len(runs)


def _given(item: Item, answer: str) -> str:
    """The option or number that an answer gives, in whatever dress ("B", "The answer is 4."); ""
    for what is no answer to this question: two options, a range, a hedge."""
    for option in item.options:
        if score_answer(replace(item, answer=option), answer) == 1.0:
            return option
    given = normalise(answer)
    counted = normalise(item.answer).isdecimal()
    short = 0 < len(given.split()) <= 8 and len(given) <= 80
    return given if not item.options and short and (given.isdecimal() or not counted) else ""


_POLAR = {"yes": True, "same": True, "true": True, "no": False, "different": False, "false": False}
"""Answers that a conclusion need not name ("The horn is not in the list."): does it affirm?"""
_NEGATION = re.compile(r"\b(?:no|not|never|neither|differ\w*|false|missing|absent)\b|n't\b", re.I)
_ASIDE = re.compile(r"\b(?:(?:rather |other )?than|instead of|unlike|not|no|nor)\b[^,;]*", re.I)
_OPEN = re.compile(r"\b(?:or|either|maybe|perhaps|possibly|may|might|could)\b|\?$", re.I)
_SO = re.compile(r"=|:|\b(?:so|therefore|thus|hence)\b", re.I)
_TERM = re.compile(r"[a-g]#?\d|\d+|(?<!\w)[b-h](?!\w)|[a-z]{4,}|(?<=\d )[-+](?= ?\d)")
"""Words that mean something: notes, numbers, letters of a problem, longer words, signs."""
_EMPTY = {"this", "that", "what", "which", "there", "sound", "answer", "with", "many"}
"""Longer words that mean little."""


def _named(text: str, options: tuple[str, ...]) -> set[str]:
    """The options that a text names; of "rising" and "rising then falling" the longer one."""
    found: set[str] = set()
    for option in sorted(options, key=len, reverse=True):
        word = rf"(?<![\w#.]){re.escape(option)}(?:e?s)?(?![\w#]|\.\d)"
        text, n = re.subn(word, ";", text, flags=re.I)
        found |= {option} if n else set()
    return found


def _parted(thought: str) -> tuple[str, str]:
    """(what leads to the conclusion, the conclusion): the last sentence, or what follows its last
    "so", ":" or "="."""
    last = _sentences(thought)[-1]
    cuts = [m.end() for m in _SO.finditer(last) if last[m.end() :].strip(" .")]
    place = len(thought) - len(last) + (cuts[-1] if cuts else 0)
    return thought[:place], thought[place:].strip()


def _affirms(before: str, end: str) -> bool | None:
    """Does the conclusion affirm or deny? None if it says nothing of what was asked or said."""
    said = re.findall(r"\w+", end.lower()) or [""]
    if any({*pair} <= {*said} for pair in (("yes", "no"), ("same", "different"))):
        return None
    word = said[-1]
    if word in _POLAR and not re.search(rf"(?:\bnot|n't) (?:the )?{word}\b", end, re.I):
        return _POLAR[word]
    end = re.sub(r"^\W*(?:yes|no)\b", "", end, flags=re.I)
    shared = {*_TERM.findall(before.lower())} & {*_TERM.findall(end.lower())} - _EMPTY
    if all(term.isdecimal() for term in shared):
        return None
    return len(_NEGATION.findall(end)) % 2 == 0


def _concludes(item: Item, before: str, end: str, given: str) -> bool:
    """Does the end of the thought arrive at the answer that was given, and at no other?"""
    if _OPEN.search(end) or re.match(r"I (?:can )?hear\b", end, re.I):
        return False
    if given.lower() in _POLAR and all(o.lower() in _POLAR for o in item.options):
        return _affirms(f"{item.question} {before}", end) is _POLAR[given.lower()]
    end = _ASIDE.sub("", end)
    if not given.isdecimal() or item.options:
        return _named(end, item.options or (given,)) == {given}
    words = [normalise(w) for w in re.findall(r"(?<![\w#.])[\w.#]+", end)]
    numbers = [w for w in words if w.isdecimal()]
    one = len(set(numbers)) == 1 or numbers == [str(n + 1) for n in range(len(numbers))]
    return one and numbers[-1:] == [given]


@lru_cache(maxsize=65_536)
def _claims(text: str) -> int:
    return len({c.key for c in extract(text)})


_WORDS = re.compile(r"\bhear (?:the )?words? [\"“]\w[^\"”]*", re.I)
"""Speech that was heard; no measurement here could check it."""


def _has_step(item: Item, before: str) -> bool:
    """Does a step lead to the conclusion that is not the question said again? Of a sound: a claim
    that could be checked, or words heard. In words alone: a word of the question, or two of its
    numbers, letters and signs."""
    asked = question_text(item).lower()
    own = [s for s in _sentences(before) if s.lower() not in asked and not s.endswith("?")]
    text = " ".join(own)
    if item.clips:
        spoken = "words" in item.features and _WORDS.search(text) is not None
        return spoken or _claims(text) > 0
    shared = {*_TERM.findall(text.lower())} & {*_TERM.findall(asked)} - _EMPTY
    return len(shared) > 1 or any(len(t) > 1 and not t.isdecimal() for t in shared)


def _lists_options(item: Item, thought: str) -> bool:
    """ "I hear a bell. It is a drum.": several options or numbers, a sentence each."""
    start = r"^(?:(?:so|then|i hear|there is|it is|the answer is) )*(?:(?:an?|the) )?"
    bare = {normalise(re.sub(start, "", s.lower())) for s in _sentences(thought)}
    known = {normalise(o) for o in item.options}
    return len({b for b in bare if b in known or (not known and b.isdecimal())}) > 1


def reasoned(rollout: Rollout) -> float:
    """1 where reasoning is present (paper eq. 7), strictly:

    the thought was closed by the model itself, once; it has `LEAST_WORDS` different words and does
    not go round in circles; it does not deny hearing; it has a step of its own (`_has_step`); and
    then its end arrives at the one answer that is given. Whether the claims are *true* is not asked
    here: that is what the filter of the distillation and the reward `grounded` are for.
    """
    reply, item = rollout.reply, rollout.item
    thought, answer = reply.thought.strip(), reply.answer.strip()
    if reply.closed != "model" or reply.stop != "end" or _TAG.search(f"{thought} {answer}"):
        return 0.0
    words = re.findall(r"[\w#.]+|[-+=]", thought.lower())
    sentences = _sentences(thought.lower())
    circles = repeats(words) or any(sentences.count(s) > 2 for s in sentences)
    if len(set(words)) < LEAST_WORDS or circles or denies(thought) or denies(answer):
        return 0.0
    given = _given(item, answer)
    if not given or _lists_options(item, thought):
        return 0.0
    before, end = _parted(thought.replace("’", "'"))
    return float(_concludes(item, before, end, given) and _has_step(item, before))


def audio(rollout: Rollout) -> float:
    """R = 0.8 right + 0.2 reasoned (paper eq. 7)."""
    return 0.8 * right(rollout) + 0.2 * reasoned(rollout)


def heard(rollout: Rollout) -> float:
    """0.8 right + 0.2 reasoned about the sound: no sentence reasons about a text in its place."""
    own = 1.0 if surrogate(_WORDS.sub("hear speech", rollout.reply.thought)) == 0 else 0.0
    return 0.8 * right(rollout) + 0.2 * own * reasoned(rollout)


def grounded(rollout: Rollout) -> float:
    """0.8 right + 0.2 grounded: the verifier finds the thought borne out by this sound."""
    from auscult.train.rl.filters import is_grounded

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
