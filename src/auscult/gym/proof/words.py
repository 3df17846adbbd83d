"""Answers about spoken words, found again in the samples (extra `[speech]`).

The item tells who speaks (voice, pitch, rate); the same engine then speaks every word that could
have been said, and the sequence that explains the spectrogram best wins.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float

from auscult.audio.hear import measure
from auscult.audio.speech import Manner
from auscult.gym.base import DIGITS
from auscult.gym.proof.sounds import background
from auscult.gym.tasks.speech import spoken, words_apart
from auscult.types import Audio, Item

SPEEDS = tuple(float(s) for s in np.arange(0.88, 1.121, 0.04))
"""Covers the up to 12 % by which the gym's channel changes the speed."""

HOP_S = 0.01
BANDS = 20
RANGE_DB = 32.0
"""Below this under the peak lies the room's echo, which must not count as speech."""


def speaker(item: Item) -> Manner:
    """The voice that the item names."""
    return Manner(
        voice=str(item.facts["voice"]),
        pitch=int(item.facts["voice_pitch"]),
        rate=int(item.facts["voice_rate_wpm"]),
    )


def _mel(x: Audio) -> Float[np.ndarray, "n bands"]:
    return measure.mel_db(x, BANDS, low_hz=100, high_hz=5000, hop_s=HOP_S)


def _colour(mel: Float[np.ndarray, "n bands"]) -> Float[np.ndarray, " bands"]:
    """Mean spectrum of the loud half: what microphone and telephone change."""
    total = mel.max(axis=1)
    return mel[total >= np.median(total[total > total.max() - RANGE_DB])].mean(axis=0)


def _tilt(change: Float[np.ndarray, " bands"]) -> Float[np.ndarray, " bands"]:
    """The straight part of a change of colour. Microphone and telephone tilt the spectrum; what is
    curved comes from the words themselves and must stay."""
    at = np.linspace(-1, 1, len(change))
    return np.polyval(np.polyfit(at, change, 1), at)


def _floored(mel: Float[np.ndarray, "n bands"]) -> Float[np.ndarray, "n bands"]:
    """Height over the floor, so that silence is 0."""
    return np.maximum(mel + RANGE_DB - 6, 0)


@lru_cache(maxsize=4096)
def _templates(word: str, who: Manner) -> tuple[Float[np.ndarray, "n bands"], ...]:
    """The word at every speed, in dB."""
    x = spoken(word, who)
    grid = np.arange(len(x))
    return tuple(
        _mel(np.interp(np.arange(0, len(x) - 1, s), grid, x).astype(np.float32)) for s in SPEEDS
    )


@dataclass(frozen=True, slots=True)
class _Best:
    """The best words so far, by the frame at which the last one ends."""

    gain: Float[np.ndarray, " n"]
    words: list[tuple[str, ...]]


def _gains(
    clip: Float[np.ndarray, "n bands"], word: Float[np.ndarray, "m bands"]
) -> Float[np.ndarray, " starts"]:
    """How much better than silence the word explains the clip, for every start frame."""
    n, m = len(clip), len(word)
    if m > n:
        return np.zeros(0)
    view = np.lib.stride_tricks.sliding_window_view(clip, m, axis=0)
    return 2 * np.einsum("tbm,mb->t", view, word) - float(np.sum(word**2))


def _extend(
    best: _Best, gains: dict[str, Float[np.ndarray, " s"]], lengths: dict[str, int], gap: int
) -> _Best:
    """One more word after a pause of at least `gap` frames."""
    n = len(best.gain)
    out = np.full(n, -np.inf)
    words: list[tuple[str, ...]] = [()] * n
    # The best of all ends so far: silence costs nothing, so the pause may be as long as it likes.
    ends = np.maximum.accumulate(best.gain)
    before = np.maximum.accumulate(np.where(best.gain == ends, np.arange(n), 0))
    for word, gain in gains.items():
        for start in range(gap, min(len(gain), n - lengths[word])):
            end = start + lengths[word]
            total = ends[start - gap] + gain[start]
            if total > out[end]:
                out[end] = total
                words[end] = (*best.words[int(before[start - gap])], word)
    return _Best(out, words)


def _decode(x: Audio, who: Manner, places: tuple[tuple[str, ...], ...]) -> tuple[str, ...]:
    """The most likely words; `places` gives the words possible at each place."""
    mel = _mel(x)
    mel_colour = _colour(mel)
    vocabulary = sorted({word for place in places for word in place})
    templates = {word: _templates(word, who) for word in vocabulary}
    found: list[tuple[float, tuple[str, ...]]] = []
    for k, speed in enumerate(SPEEDS):
        colour = _colour(np.concatenate([t[k] for t in templates.values()]))
        peak = float(colour.max())
        clip = _floored(mel - _tilt(mel_colour - colour) - peak)
        known = {word: _floored(t[k] - peak) for word, t in templates.items()}
        gains = {word: _gains(clip, t) for word, t in known.items()}
        lengths = {word: len(t) for word, t in known.items()}
        best = _Best(np.zeros(len(clip)), [()] * len(clip))
        for i, place in enumerate(places):
            # Two frames less: both ends of a word are rounded to frames.
            gap = round(0.08 / speed / HOP_S) - 2 if i else 0
            best = _extend(best, {w: gains[w] for w in place}, lengths, gap)
        at = int(np.argmax(best.gain))
        found.append((float(best.gain[at]) - float(np.sum(clip**2)), best.words[at]))
    return max(found)[1]


def _number(word: str) -> int:
    return DIGITS.index(word)


def spoken_digit(item: Item) -> str:
    """The digit that explains the spectrogram best."""
    (word,) = _decode(item.clips[0], speaker(item), (DIGITS,))
    return str(_number(word))


def largest_digit(item: Item) -> str:
    """Decodes all digits, then takes the asked extreme."""
    count = 3 + (item.level > 1)
    numbers = [_number(w) for w in _decode(item.clips[0], speaker(item), (DIGITS,) * count)]
    return str(max(numbers) if "largest" in item.question else min(numbers))


def spoken_arithmetic(item: Item) -> str:
    """Decodes digit, sign and digit, then computes."""
    a, word, b = _decode(item.clips[0], speaker(item), (DIGITS, ("plus", "minus"), DIGITS))
    return str(_number(a) + _number(b) * (1 if word == "plus" else -1))


def spoken_logic(item: Item) -> str:
    """Decodes digit, relation and digit, then compares."""
    a, word, b = _decode(item.clips[0], speaker(item), (DIGITS, ("above", "below"), DIGITS))
    return "yes" if (_number(a) > _number(b)) == (word == "above") else "no"


def conflict_count(item: Item) -> str:
    """Onsets after the end of the voice."""
    # The words are not the answer: they name a number drawn apart from it. They and the speaker
    # tell how long the voice lasts; what starts after that is counted.
    voice_s = len(words_apart(str(item.facts["words"]).split(), speaker(item))) / 16000
    begin_s = measure.segments(item.clips[0])[0][0]
    return str(int(np.sum(measure.onsets(item.clips[0]) > begin_s + voice_s + 0.05)))


def conflict_whisper(item: Item) -> str:
    """Is the voice periodic?"""
    # Measured on voices of the engine: whispers reach 0.38, the least clear full voice 0.56.
    return "whispered" if measure.periodicity(item.clips[0]) < 0.47 else "full voice"


def conflict_pitch(item: Item) -> str:
    """Median pitch of the voice."""
    return "low" if measure.f0_median_hz(item.clips[0], high_hz=500) < 150 else "high"


def conflict_rate(item: Item) -> str:
    """How long the four words last."""
    found = measure.segments(item.clips[0], below_peak_db=35)
    # Four words: under 0.8 s at 270 words per minute, over 1.5 s at 115.
    return "slow" if found[-1][1] - found[0][0] > 1.1 else "fast"


conflict_background = background
