"""What the facts of an item allow to be said, true and false: one maker per kind of fact."""

import itertools
from collections.abc import Callable, Iterator

import numpy as np

from auscult.audio.synth import EVENTS, PLURAL, note_name
from auscult.gym.base import ORDINALS, pick
from auscult.gym.proof.music import midi
from auscult.types import Item
from auscult.verify.claims import REST, Claim, Part, Value

Made = tuple[str, dict[str, str], Claim, bool]


def stated(
    kind: str, attribute: str, value: Value, about: Part | None = None, **more: object
) -> Claim:
    """A claim by position."""
    return Claim(kind=kind, attribute=attribute, value=value, about=about or Part(), **more)  # pyright: ignore[reportArgumentType]


def _name(subject: str) -> dict[str, str]:
    if subject == "glass":
        return {"subject": "glass break", "subjects": "glass breaks", "a_subject": "breaking glass"}
    article = "an" if subject[0] in "aeiou" else "a"
    return {
        "subject": subject, "subjects": PLURAL.get(subject, subject),
        "a_subject": f"{article} {subject}",
    }  # fmt: skip


_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def _count_word(rng: np.random.Generator, n: int) -> str:
    return _WORDS[n] if n < len(_WORDS) and rng.random() < 0.5 else str(n)


def listed(
    rng: np.random.Generator, key: str, name: str, words: tuple[str, ...], true: str
) -> Iterator[Made]:
    """A closed quality: the true word, and one of the others."""
    for word, right in ((true, True), (pick(rng, [w for w in words if w != true]), False)):
        full = f"{key}.{word}"
        yield full, {}, stated(name.split(".")[0], name.split(".")[1], word), right


def near(rng: np.random.Generator, values: tuple[float, ...], true: float) -> float:
    """The true value times one of the factors: a falsehood with a margin."""
    return true * pick(rng, values)


def notes(item: Item, rng: np.random.Generator) -> Iterator[Made]:
    """Name, pitch, count, interval, order and contour of the notes of a melody."""
    hz = [float(v) for k, v in item.facts.items() if k.startswith("note_") and k.endswith("_hz")]
    midis = [round(midi(f)) for f in hz]
    at = int(rng.integers(len(hz)))
    where, ordinal = Part(place=at + 1), {"ordinal": ORDINALS[at]}
    shift = int(pick(rng, (-5, -4, -3, 3, 4, 5)))
    for move, right in ((0, True), (shift, False)):
        name, value = note_name(midis[at] + move), round(hz[at] * 2 ** (move / 12))
        yield "value.note", {"note": name, **ordinal}, stated("value", "note", name, where), right
        said = {"value": str(value), **ordinal}
        yield "value.pitch", said, stated("value", "pitch", float(value), where), right
    n = len(hz)
    for count in (n, n + int(pick(rng, (-1, 1, 2))) or n + 1):
        said = {"n": _count_word(rng, count)}
        yield (
            "count.note",
            said,
            stated("count", "count", float(count), Part(subject="note")),
            count == n,
        )
    if n == 2:
        size = abs(midis[1] - midis[0])
        for st in (size, size + int(pick(rng, (2, 3)))):
            yield (
                "value.interval",
                {"value": str(st)},
                stated("value", "interval", float(st)),
                st == size,
            )
    if n >= 2:
        yield from _pairs(rng, "pitch", [float(m) for m in midis], 1.5)
    if n >= 3:
        yield from _contour(rng, midis)
        yield from _extremes("pitch", [float(m) for m in midis], rng)


def _contour(rng: np.random.Generator, midis: list[int]) -> Iterator[Made]:
    steps = ["up" if b > a else "down" for a, b in itertools.pairwise(midis)]
    wrong = list(steps)
    at = int(rng.integers(len(steps)))
    wrong[at] = "down" if steps[at] == "up" else "up"
    for said, right in ((steps, True), (wrong, False)):
        claim = stated("direction", "contour", tuple(said))
        yield "direction.contour", {"steps": ", ".join(said)}, claim, right


def _pairs(
    rng: np.random.Generator, name: str, values: list[float], least: float
) -> Iterator[Made]:
    """ "the first is higher than the second" for a pair that differs clearly."""
    a, b = (int(i) for i in rng.permutation(len(values))[:2])
    if abs(values[a] - values[b]) < least:
        return
    for word in ("more", "less"):
        right = (values[a] > values[b]) == (word == "more")
        about, other = Part(place=a + 1), Part(place=b + 1)
        if name in ("noise", "reverberation"):
            about, other = Part(clip=a + 1), Part(clip=b + 1)
        claim = stated("comparison", name, word, about, other=other)
        yield f"comparison.{name}.{word}", {"a": ORDINALS[a], "b": ORDINALS[b]}, claim, right


def _extremes(name: str, values: list[float], rng: np.random.Generator) -> Iterator[Made]:
    for word, value, best in (
        ("most", "more", int(np.argmax(values))),
        ("least", "less", int(np.argmin(values))),
    ):
        others = [i for i in range(len(values)) if i != best]
        lead = min(abs(values[best] - values[i]) for i in others)
        if lead < {"pitch": 1.5, "level": 5.0, "duration": 0.35}[name]:
            continue
        for at in (best, pick(rng, others)):
            claim = stated("comparison", name, value, Part(place=at + 1), other=REST)
            yield f"superlative.{name}.{word}", {"ordinal": ORDINALS[at]}, claim, at == best


def events(item: Item, rng: np.random.Generator) -> Iterator[Made]:
    """Count, presence, place and order of events."""
    heard = item.heard[0].split("I hear ")[-1].rstrip(".").split(", ")
    names = [w.split()[-1] for w in heard if w.split()[-1] in EVENTS]
    if not names or len(names) != len(heard):
        return
    one = pick(rng, names)
    n = names.count(one)
    for count in (n, max(0, n + int(pick(rng, (-1, 1, 2)))) or n + 1):
        said = {"n": _count_word(rng, count), **_name(one)}
        if count == 1:
            continue  # every phrase is in the plural
        claim = stated("count", "count", float(count), Part(subject=one))
        yield "count.event", said, claim, count == n
    for total in (len(names), len(names) + int(pick(rng, (1, 2, 3)))):
        if total > 1:
            claim = stated("count", "count", float(total), Part(subject="sound"))
            yield "count.sound", {"n": _count_word(rng, total)}, claim, total == len(names)
    absent = pick(rng, [e for e in EVENTS if e not in names])
    for name in (one, absent):
        here = name in names
        claim = stated("presence", "presence", True, Part(subject=name))
        yield "presence.event", _name(name), claim, here
        denial = stated("presence", "presence", True, Part(subject=name), negated=True)
        yield "presence.event.absent", _name(name), denial, not here
    at = int(rng.integers(len(names)))
    for name in (names[at], pick(rng, [e for e in EVENTS if e != names[at]])):
        claim = stated("presence", "presence", True, Part(subject=name, place=at + 1))
        said = {"ordinal": ORDINALS[at], **_name(name)}
        yield "presence.at", said, claim, name == names[at]
    yield from _order(names, rng)


def _order(names: list[str], rng: np.random.Generator) -> Iterator[Made]:
    if len(set(names)) < 2:
        return
    if len(names) <= 4:
        wrong = names[::-1] if names[::-1] != names else [*names[1:], names[0]]
        for said, right in ((names, True), (wrong, names == wrong)):
            words = [_name(n)["a_subject"] for n in said]
            text = f"{', '.join(words[:-1])} and {words[-1]}"
            yield "order.sequence", {"list": text}, stated("order", "sequence", tuple(said)), right
    if len(names) == len(set(names)):
        a, b = sorted(int(i) for i in rng.permutation(len(names))[:2])
        for first, second, right in ((names[a], names[b], True), (names[b], names[a], False)):
            said = {"A": f"the {_name(first)['subject']}", "B": f"the {_name(second)['subject']}"}
            yield "order.before", said, stated("order", "before", (first, second)), right


def tempo(item: Item, rng: np.random.Generator) -> Iterator[Made]:
    """Beats per minute, and that they stay."""
    bpm = float(item.facts["tempo_bpm"])
    for value in (bpm, round(near(rng, (0.72, 0.8, 1.25, 1.4), bpm))):
        yield (
            "value.tempo",
            {"value": f"{value:.0f}"},
            stated("value", "tempo", float(value)),
            value == bpm,
        )
    yield from _course(rng, "tempo", "level")


def _course(rng: np.random.Generator, name: str, true: str) -> Iterator[Made]:
    words = ("rising", "falling", "level")
    for word in (true, pick(rng, [w for w in words if w != true])):
        yield f"direction.{name}.{word}", {}, stated("direction", name, word), word == true


def tempo_change(item: Item, rng: np.random.Generator) -> Iterator[Made]:
    """Whether the pulse speeds up, slows down or stays."""
    first, last = float(item.facts["first_gap_s"]), float(item.facts["last_gap_s"])
    true = "level" if abs(last / first - 1) < 0.02 else "rising" if last < first else "falling"
    yield from _course(rng, "tempo", true)


def meter(item: Item, rng: np.random.Generator) -> Iterator[Made]:
    """Beats in a bar."""
    n = int(item.facts["beats"])
    for count in (n, pick(rng, [b for b in (2, 3, 4, 5) if b != n])):
        claim = stated("count", "meter", float(count), Part(subject="beat"))
        yield "count.meter", {"n": _count_word(rng, count)}, claim, count == n


def dynamics(item: Item, rng: np.random.Generator) -> Iterator[Made]:
    """Where the loudness goes, and how far."""
    step = float(item.facts["step_db"])
    yield from _course(rng, "level", "level" if step == 0 else "rising" if step > 0 else "falling")
    total = abs(step) * 4
    if total:
        for value in (
            total,
            total + pick(rng, (8.0, 10.0)),
        ):
            claim = stated("value", "level_change", round(value, 1))
            yield "value.level_change", {"value": f"{value:.1f}"}, claim, value == total


def gaps_of(item: Item, rng: np.random.Generator) -> Iterator[Made]:
    """Length and comparison of two gaps, and when the last beep starts."""
    gaps = [float(item.facts["gap_1_s"]), float(item.facts["gap_2_s"])]
    at = int(rng.integers(2))
    for value in (gaps[at], near(rng, (0.5, 1.8), gaps[at])):
        claim = stated("value", "gap", round(value, 2), Part(place=at + 1))
        said = {"value": f"{value:.2f}", "ordinal": ORDINALS[at]}
        yield "value.gap", said, claim, value == gaps[at]
    yield from _pairs(rng, "gap", gaps, 0.05)
    last = 0.25 + sum(gaps)
    for value in (last, last + pick(rng, (0.4, 0.6))):
        claim = stated("time", "time", round(value, 2), Part(subject="beep"))
        yield "time.event", {"value": f"{value:.2f}", **_name("beep")}, claim, value == last


def lengths(item: Item, rng: np.random.Generator) -> Iterator[Made]:
    """Which tone is longer, longest, shortest."""
    seconds = [float(v) for k, v in item.facts.items() if k.startswith("length_")]
    logs = [float(np.log(s)) for s in seconds]
    yield from _pairs(rng, "duration", logs, 0.35)
    yield from _extremes("duration", logs, rng)


def levels_of(item: Item, rng: np.random.Generator) -> Iterator[Made]:
    """Which sound is louder, loudest."""
    levels = [float(v) for k, v in item.facts.items() if k.startswith("level_")]
    yield from _pairs(rng, "level", levels, 5.0)
    yield from _extremes("level", levels, rng)


def background(item: Item, rng: np.random.Generator) -> Iterator[Made]:
    """What is and what is not behind the other sounds."""
    true = str(item.facts["background"])
    kinds = ("rain", "wind", "engine", "crickets")
    for name in (true, pick(rng, [k for k in kinds if k != true])):
        if name == "silence":
            continue
        slots = {"subject": "engine noise" if name == "engine" else name}
        claim = stated("presence", "presence", True, Part(subject=name))
        yield "presence.background", slots, claim, name == true
        denial = stated("presence", "presence", True, Part(subject=name), negated=True)
        yield "presence.background.absent", slots, denial, name != true


def two_clips(name: str, prefix: str) -> Callable[[Item, np.random.Generator], Iterator[Made]]:
    """Which of two clips has more of it; of reverberation also how much."""

    def made(item: Item, rng: np.random.Generator) -> Iterator[Made]:
        values = [float(v) for k, v in item.facts.items() if k.startswith(prefix)]
        yield from _pairs(rng, name, [-v for v in values] if name == "noise" else values, 0.05)
        if name != "reverberation":
            return
        at = int(rng.integers(2))
        for value in (values[at], near(rng, (0.4, 2.2), values[at])):
            claim = stated("value", name, round(value, 2), Part(clip=at + 1))
            said = {"value": f"{value:.2f}", "ordinal": ORDINALS[at]}
            yield "value.reverberation", said, claim, value == values[at]

    return made


def approach(item: Item, rng: np.random.Generator) -> Iterator[Made]:
    """Where the loudness of a source goes."""
    change = float(item.facts["level_change_db"])
    yield from _course(
        rng, "level", "level" if change == 0 else "rising" if change > 0 else "falling"
    )


def intonation(item: Item, rng: np.random.Generator) -> Iterator[Made]:
    """Where the pitch of a voice goes."""
    names = {"rising then falling": "rising-falling"}
    true = names.get(str(item.facts["shape"]), str(item.facts["shape"]))
    shapes = ("rising", "falling", "level", "rising-falling")
    # One slope of a rise-fall is half true: the other shapes are clearly false.
    false = [s for s in shapes if s not in true.split("-") and true not in s.split("-")]
    for word in (true, pick(rng, [s for s in false if s != true])):
        yield f"direction.pitch.{word}", {}, stated("direction", "pitch", word), word == true


def quality(
    name: str, words: tuple[str, ...], truth: Callable[[Item], str]
) -> Callable[[Item, np.random.Generator], Iterator[Made]]:
    """A quality of two or three words, each with phrases of its own."""

    def made(item: Item, rng: np.random.Generator) -> Iterator[Made]:
        yield from listed(rng, f"quality.{name}", f"quality.{name}", words, truth(item))

    return made


def worded(
    key: str, words: tuple[str, ...], fact: str, n: int
) -> Callable[[Item, np.random.Generator], Iterator[Made]]:
    """A quality whose word is a slot, of one of n places or of the clip (n = 0)."""

    def made(item: Item, rng: np.random.Generator) -> Iterator[Made]:
        at = int(rng.integers(n)) if n else 0
        true = str(item.facts[f"{fact}_{at + 1}" if n else fact])
        for word in (true, pick(rng, [w for w in words if w != true])):
            where = Part(place=at + 1) if n else Part()
            said = {"value": word} | ({"ordinal": ORDINALS[at]} if n else {})
            yield f"quality.{key}", said, stated("quality", key, word, where), word == true

    return made


def higher_voice(item: Item, rng: np.random.Generator) -> Iterator[Made]:
    """Which of two voices is higher."""
    hz = [float(item.facts["voice_1_hz"]), float(item.facts["voice_2_hz"])]
    yield from _pairs(rng, "pitch", [12 * float(np.log2(f)) for f in hz], 1.0)
