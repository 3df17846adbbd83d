"""Answers about sound events and scenes, found again in the samples.

Classes are told apart by linear discriminants that are fitted to sounds of our own fixed seeds;
no item of the gym is ever looked at for that.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float

from auscult.audio.hear import measure
from auscult.audio.synth import BACKGROUNDS, PLURAL, finish, to_level
from auscult.gym.base import ORDINALS
from auscult.gym.proof.music import notes, slope
from auscult.gym.surround import travelled
from auscult.gym.tasks.events import NAMES, NOISE_ALONE, NOTHING, sequence
from auscult.types import Audio, Item

OWN_SEED = 20_260_101
"""Far from the gym's seeds, which all begin with its version number."""


@dataclass(frozen=True, slots=True)
class Discriminant:
    """Nearest class mean after whitening by the covariance within the classes (LDA).

    Example: fitted on mel spectra of 10 event classes; `name(features)` gives "knock".
    """

    labels: tuple[str, ...]
    means: Float[np.ndarray, "classes f"]
    whiten: Float[np.ndarray, "f f"]

    def name(self, features: Float[np.ndarray, " f"]) -> str:
        """The nearest class."""
        distance = np.sum(((features - self.means) @ self.whiten) ** 2, axis=1)
        return self.labels[int(np.argmin(distance))]


def fit(rows: Sequence[Float[np.ndarray, " f"]], labels: Sequence[str]) -> Discriminant:
    """LDA with a ridge: bands that are empty in a class would make its covariance singular."""
    x, y = np.stack(rows), np.array(labels)
    classes = tuple(sorted(set(labels)))
    means = np.stack([x[y == c].mean(axis=0) for c in classes])
    rest = x - means[[classes.index(str(c)) for c in y]]
    scatter = rest.T @ rest / len(rest) + 2.0 * np.eye(x.shape[1])
    return Discriminant(classes, means, np.linalg.cholesky(np.linalg.inv(scatter)))


def _event_features(x: Audio) -> Float[np.ndarray, " f"]:
    """Colour of the whole event and of its first and second half, and its course in time, in dB."""
    mel = measure.mel_db(x, 20)
    power = 10 ** (mel / 10)
    half = max(1, len(power) // 2)
    loud = 10 * np.log10(power.mean())
    parts = [10 * np.log10(p.mean(axis=0) + 1e-12) for p in (power[:half], power[half:])]
    course = np.interp(np.arange(4) * 5 + 2, np.arange(len(power)), power.mean(axis=1))
    course = 10 * np.log10(course + 1e-12)
    return np.maximum(np.concatenate([*parts, course]) - loud, -35)


def _slices(x: Audio, after_s: float = 0.0) -> list[Audio]:
    """The events after a time: from each onset to the next, at most 0.3 s."""
    starts = [float(t) for t in measure.onsets(x) if t >= after_s]
    ends = [*starts[1:], len(x) / 16000]
    return [
        measure.cut(x, a - 0.005, min(b - 0.015, a + 0.3))
        for a, b in zip(starts, ends, strict=True)
    ]


@lru_cache(maxsize=1)
def _event_classes() -> Discriminant:
    rows: list[Float[np.ndarray, " f"]] = []
    labels: list[str] = []
    for k in range(300):
        rng = np.random.default_rng([OWN_SEED, k])
        names = [NAMES[int(i)] for i in rng.integers(len(NAMES), size=4)]
        x = sequence(rng, names, 1 + k % 3)
        way = travelled(rng, 1 + k % 3, frozenset({"event"}))
        parts = _slices(way.change(x, rng) if way else x)
        if len(parts) == len(names):
            rows += [_event_features(part) for part in parts]
            labels += names
    return fit(rows, labels)


def heard_events(x: Audio, after_s: float = 0.0) -> list[str]:
    """The class of each event, in order."""
    return [_event_classes().name(_event_features(part)) for part in _slices(x, after_s)]


_FORMS = {form: name for name in NAMES for form in (name, PLURAL[name])}
_NAME = re.compile(r"\b(" + "|".join(sorted(_FORMS, key=len, reverse=True)) + r")\b")


def asked(question: str) -> list[str]:
    """The event classes that a question names, in order."""
    return [_FORMS[form] for form in _NAME.findall(question)]


STEADY_DB = 12.0
"""Noise alone moves less than this from one moment to the next; an event ends."""


def anything_there(item: Item) -> str:
    """Silence by its samples, noise by a level that hardly moves, else the first event."""
    x = item.clips[0]
    if not x.any():
        return NOTHING
    level = measure.envelope_db(x[np.flatnonzero(x)[0] : np.flatnonzero(x)[-1]], 0.05, 0.02)
    if level.max() - np.percentile(level, 5) < STEADY_DB:
        return NOISE_ALONE
    return heard_events(x)[0]


def event_name(item: Item) -> str:
    """Class of the first event."""
    return heard_events(item.clips[0])[0]


def event_count(item: Item) -> str:
    """Number of onsets."""
    return str(len(measure.onsets(item.clips[0])))


def even_or_odd(item: Item) -> str:
    """Parity of the number of onsets."""
    return "odd" if len(measure.onsets(item.clips[0])) % 2 else "even"


def count_among(item: Item) -> str:
    """How many events fall into the asked class."""
    return str(heard_events(item.clips[0]).count(asked(item.question)[0]))


def event_order(item: Item) -> str:
    """Class at the asked place, or after the named class."""
    heard = heard_events(item.clips[0])
    before = asked(item.question)
    if before:
        return heard[(heard.index(before[0]) + 1) % len(heard)] if before[0] in heard else ""
    if "last" in item.question:
        return heard[-1]
    at = next(i for i, word in enumerate(ORDINALS) if word in item.question)
    return heard[at] if at < len(heard) else ""


def absent_sound(item: Item) -> str:
    """Is the asked class among the heard ones?"""
    return "yes" if asked(item.question)[0] in heard_events(item.clips[0]) else "no"


def event_arithmetic(item: Item) -> str:
    """The asked sum, difference or product of two class counts."""
    heard = heard_events(item.clips[0])
    n, m = (heard.count(name) for name in asked(item.question))
    return str(n + m if "plus" in item.question else n - m if "minus" in item.question else n * m)


def more_of_which(item: Item) -> str:
    """The offered class with more events."""
    heard = heard_events(item.clips[0])
    return max(item.options, key=heard.count)


def rule_following(item: Item) -> str:
    """Compares the two notes, then counts the class that the rule names."""
    x = item.clips[0]
    # The notes take 0.6 s from their start, then comes a rest.
    begin_s = measure.segments(x)[0][0]
    first, second = notes(measure.cut(x, begin_s - 0.05, begin_s + 0.65))[:2]
    a, b = asked(item.question)
    return str(heard_events(x, begin_s + 0.65).count(a if second > first else b))


def _rest_features(x: Audio) -> Float[np.ndarray, " bands"]:
    """What is heard where the foreground rests: per band, a low percentile of the level in time
    (minimum statistics), because speech rarely rests in all bands at once."""
    power = 10 ** (measure.mel_db(x) / 10)
    # 70 ms hold a whole period of the slowest crickets, whose pulses would else count as rests.
    smooth = np.lib.stride_tricks.sliding_window_view(power, 7, axis=0).mean(axis=2)[2:-3]
    return np.maximum(10 * np.log10(np.percentile(smooth, 20, axis=0)), -75)


@lru_cache(maxsize=3)
def _background_classes(level: int) -> Discriminant:
    rows: list[Float[np.ndarray, " f"]] = []
    labels: list[str] = []
    for k in range(40):
        for kind in (*BACKGROUNDS, "silence"):
            rng = np.random.default_rng([OWN_SEED, 1, k, len(labels)])
            x = np.zeros(16000, dtype=np.float32)
            if kind != "silence":
                x = to_level(
                    BACKGROUNDS[kind](rng, 1.0), float(rng.uniform(-34, -25)) - 5 * (level - 1)
                )
            rows.append(_rest_features(finish(rng, x, level)))
            labels.append(kind)
    return fit(rows, labels)


def background(item: Item) -> str:
    """Class of what is heard where the foreground rests."""
    return _background_classes(min(item.level, 3)).name(_rest_features(item.clips[0]))


def noisier_clip(item: Item) -> str:
    """The clip with the lower harmonics-to-noise ratio."""
    first, second = (measure.hnr_db(clip) for clip in item.clips)
    return "first" if first < second else "second"


def bigger_room(item: Item) -> str:
    """The clip that decays more slowly."""
    first, second = (measure.decay_time_s(clip) for clip in item.clips)
    return "first" if first > second else "second"


def approach(item: Item) -> str:
    """Slope of the level over the clip."""
    level = measure.envelope_db(item.clips[0], 0.1, 0.05)[1:-1]
    change = slope(level, np.linspace(0, 1, len(level)))
    return "stays" if abs(change) < 5 else "comes nearer" if change > 0 else "goes away"


def engine_speed(item: Item) -> str:
    """Slope of the pitch over the clip."""
    track = measure.f0_track(item.clips[0], high_hz=400).voiced()
    change = slope(measure.semitones(track.hz), track.times_s)
    return "stays steady" if abs(change) < 1.2 else "speeds up" if change > 0 else "slows down"
