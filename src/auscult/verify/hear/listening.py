"""One clip as the verifier hears it: sounds, pitch, level, background, each measured once.

Everything is lazy and cached: a claim pays only for the measurements that it needs, and the second
claim about the same clip pays nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, wraps
from itertools import pairwise
from typing import TypeVar

import numpy as np
from jaxtyping import Float

from auscult.audio.hear import measure
from auscult.audio.hear.loudness import lufs
from auscult.audio.hear.measure import Pitch
from auscult.audio.hear.onsets import HOP_S, level_over_noise_db, rises
from auscult.audio.hear.pitch import pitch_track
from auscult.audio.hear.speaking import activity
from auscult.audio.synth import SAMPLE_RATE
from auscult.types import Audio
from auscult.verify.hear import classes

TONES = ("pure", "buzzy", "hollow", "plucked")
NOTES = frozenset((*TONES, "click", "beep", "chord"))
"""Kinds of sound that carry a pitch of their own."""


LEAST_SURE = 0.8
"""Under this probability a sound is of no known kind. Of the synthetic sounds 1 % lie under it, of
the recorded ones that are taken for something else than a voice a quarter."""


class Refused(ValueError):
    """A measurement that this sound does not allow; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """One sound of a clip.

    Example: the second note of a melody is Sound(start_s=.38, end_s=.63, kind="buzzy", sure=.99,
    level_db=-20.1, hz=392.0): class and its probability, level of the loudest 20 ms, median pitch
    (nan where nothing is periodic).
    """

    start_s: float
    end_s: float
    kind: str
    sure: float
    level_db: float
    hz: float

    @property
    def span(self) -> tuple[float, float]:
        """Start and end in seconds."""
        return self.start_s, self.end_s

    @property
    def length_s(self) -> float:
        """How long it sounds."""
        return self.end_s - self.start_s


V = TypeVar("V", float, str)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A stretch of a long recording. Example: Window(start_s=59.2, seconds=61.0, energy=812.5,
    silent=False); `energy` is the sum of the squared samples."""

    start_s: float
    seconds: float
    energy: float
    silent: bool


WINDOWED: list[Callable[["Listening"], float | str]] = []
"""The measurements that read samples."""

Combine = Callable[[Sequence[V | Refused], Sequence[Window]], V]
"""(what each window gave, the windows) -> what the recording as a whole is said to have."""


def over_windows(combine: Combine[V]) -> Callable[
    [Callable[["Listening"], V]], Callable[["Listening"], V]
]:  # fmt: skip
    """Marks a measurement that reads samples: of a long recording it is made in every window, and
    `combine` says what that means for the whole."""

    def decorate(function: Callable[[Listening], V]) -> Callable[[Listening], V]:
        WINDOWED.append(function)

        @wraps(function)
        def measured(ear: Listening) -> V:
            return ear.over_windows(function, combine)

        return measured

    return decorate


AROUND_S, EDGE_S = 0.1, 0.02
"""Silence that may stay around the sounds of a clip; how far outside of them their edges lie."""


class Listening:
    """Measurements of one clip, each made when first asked for.

    Raises `ValueError` for a clip without samples.
    """

    def __init__(self, clip: Audio) -> None:
        if not len(clip):
            raise ValueError("the clip has no samples; expected at least one")
        if not np.isfinite(clip).all():
            raise ValueError("the clip has samples that are no numbers (nan or infinite)")
        self._clip = clip
        self._parts: dict[tuple[float, float], Listening] = {}

    @property
    def clip(self) -> Audio:
        """The samples."""
        return self._clip

    @property
    def seconds(self) -> float:
        """Length of the clip."""
        return len(self.clip) / SAMPLE_RATE

    def over_windows(self, function: Callable[["Listening"], V], combine: Combine[V]) -> V:
        """A measurement that reads samples; a clip is one window."""
        return function(self)

    def thirds(self, function: Callable[["Listening"], float]) -> tuple[float, float]:
        """A number of the first and of the last third."""
        size = len(self.clip) // 3
        first, last = Listening(self.clip[:size]), Listening(self.clip[-size:])
        return function(first), function(last)

    @cached_property
    def slow_envelope_db(self) -> Float[np.ndarray, " n"]:
        """Level of 100 ms every 50 ms."""
        return measure.envelope_db(self.clip, 0.1, 0.05)

    @cached_property
    def activity(self) -> list[tuple[float, float]]:
        """Stretches of sound (start, end) in seconds, parted by pauses."""
        return activity(self.clip)

    @cached_property
    def pauses(self) -> list[tuple[float, float]]:
        """Silences (start, end) in seconds between stretches of sound."""
        return [(a[1], b[0]) for a, b in pairwise(self.activity)]

    @cached_property
    def core(self) -> "Listening":
        """From the first sound to the last: the silence around them is not part of them. The clip
        itself where little lies around, and in silence."""
        if not self.activity:
            return self
        start, end = self.activity[0][0], self.activity[-1][1]
        if start < AROUND_S and end > self.seconds - AROUND_S:
            return self
        return self.within((start + EDGE_S, end - EDGE_S))

    @cached_property
    def rms_db(self) -> float:
        """Level of all of it."""
        return measure.level_db(self.clip)

    def spectrogram_db(
        self, bands: int, low_hz: float, high_hz: float
    ) -> Float[np.ndarray, "frames bands"]:
        """Level per mel band, for a picture."""
        return measure.mel_db(self.clip, bands, low_hz=low_hz, high_hz=high_hz)

    @cached_property
    def silent(self) -> bool:
        """Nothing above -70 dB anywhere."""
        return measure.peak_level_db(self.clip) < -70

    @cached_property
    def track(self) -> Pitch:
        """Pitch every 10 ms, periodicity 0 where unvoiced."""
        return pitch_track(self.clip, low_hz=60.0, high_hz=1100.0)

    @cached_property
    def voice_track(self) -> Pitch:
        """The track in the range of voices, for what is measured of speech."""
        return pitch_track(self.clip)

    @cached_property
    def envelope_db(self) -> Float[np.ndarray, " n"]:
        """Level of 20 ms every 5 ms."""
        return measure.envelope_db(self.clip)

    @cached_property
    def level_db(self) -> Float[np.ndarray, " n"]:
        """Level over the clip's own noise, every 5 ms."""
        return level_over_noise_db(self.clip)

    @cached_property
    def snr_db(self) -> float:
        """Level of the loud frames over that of the quiet ones; from 60 on there is no noise."""
        low, high = np.percentile(self.envelope_db, (8, 92))
        return float(min(high - low, 90.0))

    @cached_property
    def lufs(self) -> float:
        """Integrated loudness (BS.1770); nan under 0.4 s."""
        return lufs(self.clip)

    @cached_property
    def onsets(self) -> list[float]:
        """When something starts."""
        return [] if self.silent else rises(self.level_db, range_db=self._range_db)

    @property
    def _range_db(self) -> float:
        """How far under the loudest frame a sound may start. Over a lasting background only what
        stands out of it: crickets pulse and rain drops."""
        name, sure = self.background
        if name in ("silence", "unknown") or sure < 0.8:
            return 45.0
        level = np.convolve(self.level_db, np.ones(9) / 9, "same")
        return float(np.clip(level.max() - np.percentile(level, 60) - 4, 8, 45))

    @cached_property
    def sounds(self) -> list[Sound]:
        """Every sound with class, level and pitch, in order of time."""
        starts = self.onsets
        stops = [*starts[1:], self.seconds]
        floor = classes.floor_power(self.clip)
        return [
            self._sound(a, self._end(a, b), b, floor)
            for a, b in zip(starts, stops[-len(starts) :] if starts else [], strict=True)
        ]

    def _end(self, start_s: float, next_s: float) -> float:
        """Where the sound ends: with its stretch of sound, at the latest where the next starts."""
        first, last = int(start_s / HOP_S), max(int(next_s / HOP_S) - 3, int(start_s / HOP_S) + 4)
        level = self.level_db[first:last]
        gate = max(float(level.max()) - 30, float(self.level_db.min()) + 4)
        sounding = np.flatnonzero(level > gate)
        return start_s + (int(sounding[-1]) + 1 if len(sounding) else 4) * HOP_S

    def _sound(
        self, start_s: float, end_s: float, next_s: float, floor: Float[np.ndarray, " bands"]
    ) -> Sound:
        last_s = min(next_s - 0.015, start_s + 0.3)
        features = classes.event_features(measure.cut(self.clip, start_s - 0.005, last_s), floor)
        kind, sure = classes.load()["event"].name(features)
        if kind != "voice" and sure < LEAST_SURE:
            kind = "unknown"
        level = self.envelope_db[int(start_s / HOP_S) : max(int(next_s / HOP_S) - 3, 1)]
        return Sound(
            start_s=start_s,
            end_s=end_s,
            kind=kind,
            sure=sure,
            level_db=float(level.max(initial=measure.QUIET_DB)),
            hz=self.pitch_hz((start_s + 0.02, end_s - 0.01), voice=kind in ("voice", "unknown")),
        )

    @cached_property
    def tones(self) -> Pitch:
        """Pitch by the first peak of the autocorrelation: steady tones up to 2,500 Hz, no path."""
        return measure.f0_track(self.clip, low_hz=60.0, high_hz=2500.0)

    def pitch_hz(self, span: tuple[float, float] | None = None, *, voice: bool = False) -> float:
        """Median pitch (Hz) of the voiced frames in a span; nan without any. A voice is followed by
        the track with a path, any other sound by the peaks alone."""
        track = self.track if voice else self.tones
        keep = track.periodicity >= 0.5
        if span is not None:
            keep &= (track.times_s >= span[0]) & (track.times_s <= max(span[1], span[0] + 0.02))
        top = track.level_db[keep].max(initial=measure.QUIET_DB)
        keep &= track.level_db > top - 15
        return float(np.median(track.hz[keep])) if keep.any() else float("nan")

    @cached_property
    def notes(self) -> list[Sound]:
        """The sounds that have a pitch, legato ones apart where silence does not part them."""
        found = [s for s in self.sounds if not np.isnan(s.hz)]
        # Where notes stand beside other events, a bell's or a horn's pitch is no note.
        found = [s for s in found if s.kind in NOTES] or found
        if not found or all(self._steady(s) for s in found):
            return found
        steady = measure.steady_notes(self.clip)
        if len(steady) <= len(found) or not found:
            return found
        return [
            Sound(
                start_s=a, end_s=b, kind=found[0].kind, sure=0.5, level_db=found[0].level_db, hz=hz
            )
            for a, b, hz in steady
        ]

    def _steady(self, sound: Sound) -> bool:
        """Does one pitch last through the sound? If not, it may be several legato notes."""
        track = self.tones
        inside = (track.times_s > sound.start_s + 0.03) & (track.times_s < sound.end_s - 0.03)
        st = measure.semitones(track.hz[inside & (track.periodicity > 0.8)])
        return len(st) < 4 or float(np.ptp(np.percentile(st, (15, 85)))) < 0.8

    @cached_property
    def background(self) -> tuple[str, float]:
        """Class of what is heard where the foreground rests, with its probability."""
        return classes.load()["background"].name(classes.rest_features(self.clip))

    @cached_property
    def vowel(self) -> tuple[str, float]:
        """Nearest of the five vowels, with its probability."""
        return classes.load()["vowel"].name(classes.vowel_features(self.clip))

    @cached_property
    def is_unknown(self) -> bool:
        """Is the main sound of no known kind, as recordings mostly are? Then pitch is followed by
        the track with a path: a lone tone's method slips up on the resonances of real voices."""
        total = sum(s.length_s for s in self.sounds)
        unknown = sum(s.length_s for s in self.sounds if s.kind in ("unknown", "voice"))
        return total > 0 and unknown >= 0.5 * total

    @cached_property
    def pitch_st(self) -> Float[np.ndarray, " n"]:
        """Pitch in semitones re 440 Hz, 100 values a second between the first and last voiced
        frame, without the fades at both ends; gaps are bridged by lines. Empty when unvoiced."""
        if self.is_unknown and not self.is_voice:
            track = self.voice_track.voiced(periodicity=0.5, below_peak_db=25)
        else:
            track = measure.f0_track(self.clip, low_hz=65, high_hz=600, window_s=0.03)
            track = track.voiced(below_peak_db=15)
        if len(track.hz) < 12:
            return np.zeros(0)
        times = np.arange(track.times_s[0], track.times_s[-1], 0.01)
        return np.interp(times, track.times_s, measure.semitones(track.hz))[3:-3]

    @cached_property
    def is_voice(self) -> bool:
        """Is a voice the main sound? Most sounding time belongs to sounds of that class."""
        total = sum(s.length_s for s in self.sounds)
        voice = sum(s.length_s for s in self.sounds if s.kind == "voice")
        return total > 0 and voice >= 0.4 * total

    def within(self, span: tuple[float, float]) -> "Listening":
        """The same for a part of the clip (seconds), cached; at least 10 ms. Refused outside it."""
        a, b = (
            round(max(span[0], 0.0), 3),
            round(min(max(span[1], span[0] + 0.01), self.seconds), 3),
        )
        if (a, b) not in self._parts:
            piece = measure.cut(self.clip, a, b)
            if not len(piece):
                raise Refused(f"{a} to {b} s lies outside the clip of {self.seconds:.2f} s")
            self._parts[a, b] = Listening(piece)
        return self._parts[a, b]
