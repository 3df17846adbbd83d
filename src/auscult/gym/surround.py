"""Where a sound lies in its recording: silence, room tone or a scene around it, its level, and from
level 2 on what it went through on its way.

`gym.make` does this to every item after its task, with a generator of its own: no task can forget
it, and the same item can be had bare. The question stays answerable: what an item asks about (its
features) says what may be added to its clips.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from auscult.audio import corrupt
from auscult.audio.masking import pink, white
from auscult.audio.synth import BACKGROUNDS, NOISE_FLOOR_DB, SAMPLE_RATE, gain, to_level
from auscult.gym.base import pick
from auscult.types import Audio, Item

REST_S = 3.0
"""Longest silence on either side, but for the few clips that are made long."""

LONG_SHARE = 0.02
LONGEST_S = 30.0

GAIN_DB = (-20.0, 6.0)

BARE = frozenset(
    {"background", "noise", "reverberation", "breath", "voicing", "level", "brightness"}
)
"""Features that added noise would change: around such clips lies silence alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """The silence on both sides of one clip. Example: Around(before_s=1.5, after_s=0.25)."""

    before_s: float = 0.0
    after_s: float = 0.0

    def put(self, x: Audio) -> Audio:
        """x with zeros on both sides."""
        before, after = (round(s * SAMPLE_RATE) for s in (self.before_s, self.after_s))
        return np.pad(x, (before, after))


def _rest_s(rng: np.random.Generator) -> float:
    """None for one in seven, short for a quarter, up to three seconds for the rest."""
    kind = rng.random()
    return 0.0 if kind < 0.15 else float(rng.uniform(0, 0.5 if kind < 0.4 else REST_S))


def _around(rng: np.random.Generator, seconds: float) -> Around:
    """Silence for a clip of this length; rarely so much that half a minute is reached."""
    if rng.random() < LONG_SHARE and seconds < 10:
        rest = float(rng.uniform(10, LONGEST_S)) - seconds
        before = float(rng.uniform(0, rest))
        return Around(before_s=before, after_s=rest - before)
    return Around(before_s=_rest_s(rng), after_s=_rest_s(rng))


# ---------------------------------------------------------------------------- what lies behind


Behind = Callable[[np.random.Generator, int, int], Audio]
"""(generator, samples, level of difficulty) -> what lies under the clip, at its RMS level re a
clip of -20 dB."""


def _nothing(rng: np.random.Generator, n: int, level: int) -> Audio:
    return np.zeros(n, dtype=np.float32)


def _floor(rng: np.random.Generator, n: int, level: int) -> Audio:
    """The noise that lies under the clip itself goes on around it."""
    return gain(white(rng, n), NOISE_FLOOR_DB[min(level, 3)])


def _room_tone(rng: np.random.Generator, n: int, level: int) -> Audio:
    return _floor(rng, n, level) + to_level(pink(rng, n), -20.0 - float(rng.uniform(38, 54)))


def _scene(rng: np.random.Generator, n: int, level: int) -> Audio:
    x = BACKGROUNDS[pick(rng, list(BACKGROUNDS))](rng, n / SAMPLE_RATE + 0.01)[:n]
    return _floor(rng, n, level) + to_level(x, -20.0 - float(rng.uniform(38, 50)))


BEHIND: dict[str, Behind] = {
    "nothing": _nothing,
    "floor": _floor,
    "room tone": _room_tone,
    "scene": _scene,
}
"""What lies under a clip and around it, each as often as the others."""


# ---------------------------------------------------------------------------- the way it came


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One thing that sound goes through. `spoils`: features that cannot be told after it."""

    change: corrupt.Change
    spoils: frozenset[str]


def _noise(x: Audio, rng: np.random.Generator) -> Audio:
    source = pick(rng, (white, pink))
    return corrupt.mix(x, source(rng, len(x)), float(rng.uniform(24, 32)))


def _room(x: Audio, rng: np.random.Generator) -> Audio:
    return corrupt.room(x, rng, float(rng.uniform(0.08, 0.18)))


def _codec(x: Audio, rng: np.random.Generator) -> Audio:
    return corrupt.through(x, corrupt.CODECS[pick(rng, ("mp3_16k", "opus_16k", "vorbis_q0"))])


def _band(x: Audio, rng: np.random.Generator) -> Audio:
    return corrupt.lowpass(x, float(rng.uniform(5000, 7000)))


WAYS: dict[str, Way] = {
    "noise": Way(change=_noise, spoils=BARE | {"timbre"}),
    "room": Way(change=_room, spoils=BARE | {"timbre", "time", "duration"}),
    "codec": Way(change=_codec, spoils=BARE - {"level", "brightness"} | {"timbre"}),
    "band": Way(change=_band, spoils=frozenset({"timbre", "breath", "noise", "background"})),
}
"""From level 2 on, half of the items went through one of these, if what they ask for survives."""


# ---------------------------------------------------------------------------- the whole


def one_gain(clips: tuple[Audio, ...], db: float) -> tuple[Audio, ...]:
    """All clips of an item changed by the same `db`, less where a peak would pass 0.99."""
    peak = max(float(np.abs(x).max(initial=0.0)) for x in clips)
    factor = np.float32(min(10 ** (db / 20), 0.99 / max(peak, 1e-9)))
    return tuple(x * factor for x in clips)


def travelled(rng: np.random.Generator, level: int, features: frozenset[str]) -> Way | None:
    """What a sound of this level went through, if what is asked of it (`features`) survives it."""
    fit = [way for way in WAYS.values() if not way.spoils & features]
    return pick(rng, fit) if fit and level > 1 and rng.random() < 0.5 else None


def surround(rng: np.random.Generator, item: Item) -> Item:
    """The item with its clips somewhere in longer recordings, at a level drawn for all of them.

    Pure: the same generator state gives the same samples. Peaks stay below full scale.
    """
    asks = frozenset(item.features)
    way = travelled(rng, item.level, asks)
    # A codec makes something of every silence but the perfect one, which no microphone hears.
    kinds = [kind for kind in BEHIND if way is None or kind != "nothing"]
    behind = BEHIND["nothing" if asks & BARE else pick(rng, kinds)]
    clips: list[Audio] = []
    for clip in item.clips:
        x = _around(rng, len(clip) / SAMPLE_RATE).put(clip)
        x = x + behind(rng, len(x), item.level)
        clips.append(way.change(x, rng) if way else x)
    return replace(item, clips=one_gain(tuple(clips), float(rng.uniform(*GAIN_DB))))
