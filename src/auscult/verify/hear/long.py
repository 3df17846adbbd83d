"""A long recording as the verifier hears it: in windows of about a minute, in bounded memory.

Every window is heard like a clip of its own and forgotten; what stays of it are its sounds, its
tracks (10 and 5 ms apart) and its values. Whatever works on sounds and tracks then works on the
whole recording; what reads samples is combined over the windows (`combine`). Windows meet where it
is quietest, so that no sound is cut where the recording rests. See docs/recordings.md.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Protocol, cast, runtime_checkable

import numpy as np
from jaxtyping import Float
from tqdm import tqdm

from auscult.audio.hear import measure
from auscult.audio.hear.loudness import BLOCK_S, HOP_S, block_power, gated_lufs
from auscult.audio.hear.measure import Pitch
from auscult.audio.hear.speaking import PAUSE_S
from auscult.audio.synth import SAMPLE_RATE
from auscult.types import Audio
from auscult.verify.hear.combine import commonest
from auscult.verify.hear.listening import WINDOWED, Combine, Listening, Refused, Sound, V, Window
from auscult.verify.hear.measures import MEASURES, Measured, take

WINDOW_S = 60.0
"""A clip up to this length is heard as a whole, a longer recording in equal windows at most so long
(but for the search for a quiet place)."""
_SEARCH_S = 2.5  # an edge moves at most so far
_GRID = 800  # samples: edges lie on it, so that the frames of all windows form one regular grid
_LEAD = round((BLOCK_S - HOP_S) * SAMPLE_RATE)
_COLUMN_S = 1.0  # of a picture
_MOST_PARTS = 8  # stretches that are kept: each holds its own measurements

_TRACKS = ("track", "voice_track", "tones")
_ENVELOPES = ("envelope_db", "level_db", "slow_envelope_db", "pitch_st")


@runtime_checkable
class Source(Protocol):
    """Samples that are read piece by piece, such as an `auscult.audio.io.Recording`."""

    def __len__(self) -> int: ...

    def read(self, start: int, end: int) -> Audio: ...


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of another source, from sample `start` to `end`."""

    source: Source
    start: int
    end: int

    def __len__(self) -> int:
        return self.end - self.start

    def read(self, start: int, end: int) -> Audio:
        """The samples between, counted from the start of the stretch."""
        return self.source.read(self.start + start, min(self.start + end, self.end))


@dataclass(frozen=True, slots=True)
class Held:
    """A clip in memory as a source."""

    clip: Audio

    def __len__(self) -> int:
        return len(self.clip)

    def read(self, start: int, end: int) -> Audio:
        """The samples between."""
        return self.clip[start:end]


def edges(source: Source, window_s: float = WINDOW_S) -> list[int]:
    """Samples at which the windows begin, and the end."""
    count = max(1, -(-len(source) // round(window_s * SAMPLE_RATE)))
    reach = round(min(_SEARCH_S, window_s / 4) * SAMPLE_RATE)
    found = [0]
    for k in range(1, count):
        first = max(found[-1], k * len(source) // count - reach) // _GRID * _GRID
        level = measure.envelope_db(source.read(first, first + 2 * reach), 0.05, 0.05)
        found.append(first + int(np.argmin(level[1:])) * _GRID + _GRID)
    return [*found, len(source)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Heard:
    """What stays of a window."""

    window: Window
    values: dict[str, Measured]
    sounds: list[Sound]
    notes: list[Sound]
    onsets: list[float]
    activity: list[tuple[float, float]]
    tracks: dict[str, Pitch]
    envelopes: dict[str, Float[np.ndarray, " n"]]
    loudness: Float[np.ndarray, " blocks"]
    words: dict[str, tuple[str, float]]
    made: dict[Callable[..., object], float | str | Refused]


class _Ear(Listening):
    """A window that keeps what was measured in it with samples."""

    def __init__(self, clip: Audio) -> None:
        super().__init__(clip)
        self.made: dict[Callable[..., object], float | str | Refused] = {}

    def keep(self, function: Callable[[Listening], float | str]) -> float | str | Refused:
        """The value or the refusal, made once."""
        if function not in self.made:
            try:
                self.made[function] = function(self)
            except Refused as refusal:
                # Never the one that was raised: it holds the frames, and so the window's sound.
                self.made[function] = Refused(str(refusal))
        return self.made[function]

    def over_windows(self, function: Callable[[Listening], V], combine: Combine[V]) -> V:
        found = self.keep(function)
        if isinstance(found, Refused):
            raise Refused(str(found))
        return cast(V, found)


def _moved(sound: Sound, by_s: float) -> Sound:
    return replace(sound, start_s=sound.start_s + by_s, end_s=sound.end_s + by_s)


def _slim(track: Pitch, by_s: float) -> Pitch:
    return Pitch(
        times_s=track.times_s + by_s,
        hz=track.hz.astype(np.float32),
        periodicity=track.periodicity.astype(np.float32),
        level_db=track.level_db.astype(np.float32),
    )


def _hear(source: Source, start: int, end: int) -> _Heard:
    clip, start_s = source.read(start, end), start / SAMPLE_RATE
    ear = _Ear(clip)
    values = {name: take(ear, name) for name in MEASURES}
    for function in WINDOWED:
        ear.keep(function)
    return _Heard(
        window=Window(
            start_s=start_s,
            seconds=ear.seconds,
            energy=float(np.dot(clip, clip)),
            silent=ear.silent,
        ),
        values=values,
        sounds=[_moved(s, start_s) for s in ear.sounds],
        notes=[_moved(s, start_s) for s in ear.notes],
        onsets=[t + start_s for t in ear.onsets],
        activity=[(a + start_s, b + start_s) for a, b in ear.activity],
        tracks={name: _slim(getattr(ear, name), start_s) for name in _TRACKS},
        envelopes={name: getattr(ear, name).astype(np.float32) for name in _ENVELOPES},
        # From the last blocks before on, so that none is missing where windows meet.
        loudness=block_power(source.read(max(0, start - _LEAD), end)),
        words={name: getattr(ear, name) for name in ("background", "vowel")},
        made=ear.made,
    )


class LongListening(Listening):
    """Measurements of a recording of any length. All windows are heard when the first is asked for;
    what stays of an hour are some 30 MB, and as much again of what is looked at."""

    def __init__(
        self, source: Source, *, window_s: float = WINDOW_S, progress: bool = False
    ) -> None:
        super().__init__(source.read(0, 1))  # an empty one has an error there
        self._source, self._window_s, self._progress = source, window_s, progress

    @property
    def clip(self) -> Audio:
        """Not in memory: raises `Refused`."""
        raise Refused(f"{self.seconds:.0f} s are not heard in one piece; ask for a stretch of them")

    @property
    def seconds(self) -> float:
        return len(self._source) / SAMPLE_RATE

    @cached_property
    def _heard(self) -> list[_Heard]:
        cuts = edges(self._source, self._window_s)
        bar = tqdm(
            list(pairwise(cuts)),
            desc=f"listening to {self.seconds / 60:.0f} min",
            unit="window",
            disable=not self._progress,
        )
        return [_hear(self._source, a, b) for a, b in bar]

    @property
    def windows(self) -> list[Window]:
        """The windows, in order of time."""
        return [h.window for h in self._heard]

    def values(self, name: str) -> list[Measured]:
        """A measurement in every window."""
        return [h.values[name] for h in self._heard]

    def over_windows(self, function: Callable[[Listening], V], combine: Combine[V]) -> V:
        found = [h.made[function] for h in self._heard]
        return combine(cast("Sequence[V | Refused]", found), self.windows)

    def thirds(self, function: Callable[[Listening], float]) -> tuple[float, float]:
        third = self.seconds / 3
        return function(self._part(0, third)), function(self._part(2 * third, self.seconds))

    def _part(self, start_s: float, end_s: float) -> "LongListening":
        """The windows whose middle lies between, as they were heard."""
        middle = [w.start_s + w.seconds / 2 for w in self.windows]
        kept = [h for h, m in zip(self._heard, middle, strict=True) if start_s <= m < end_s]
        part = LongListening(Stretch(self._source, _at(start_s), _at(end_s)))
        part.__dict__["_heard"] = kept or self._heard
        return part

    def within(self, span: tuple[float, float]) -> Listening:
        a, b = max(span[0], 0.0), min(max(span[1], span[0] + 0.01), self.seconds)
        if a >= b:
            raise Refused(f"{a:g} to {b:g} s lies outside the recording of {self.seconds:.2f} s")
        key = round(a, 3), round(b, 3)
        if key not in self._parts:
            if b - a > self._window_s:
                stretch = Stretch(self._source, _at(a), _at(b))
                return LongListening(stretch, window_s=self._window_s, progress=self._progress)
            if len(self._parts) >= _MOST_PARTS:
                self._parts.clear()
            self._parts[key] = Listening(self._source.read(_at(a), _at(b)))
        return self._parts[key]

    @cached_property
    def silent(self) -> bool:
        return all(w.silent for w in self.windows)

    @cached_property
    def lufs(self) -> float:
        return gated_lufs(np.concatenate([h.loudness for h in self._heard]))

    @cached_property
    def rms_db(self) -> float:
        mean = sum(w.energy for w in self.windows) / max(len(self._source), 1)
        return float(10 * np.log10(max(mean, 10 ** (measure.QUIET_DB / 10))))

    def _track(self, name: str) -> Pitch:
        tracks = [h.tracks[name] for h in self._heard]
        fields = ("times_s", "hz", "periodicity", "level_db")
        return Pitch(**{f: np.concatenate([getattr(t, f) for t in tracks]) for f in fields})

    def _envelope(self, name: str) -> Float[np.ndarray, " n"]:
        return np.concatenate([h.envelopes[name] for h in self._heard])

    @cached_property
    def track(self) -> Pitch:
        return self._track("track")

    @cached_property
    def voice_track(self) -> Pitch:
        return self._track("voice_track")

    @cached_property
    def tones(self) -> Pitch:
        return self._track("tones")

    @cached_property
    def envelope_db(self) -> Float[np.ndarray, " n"]:
        return self._envelope("envelope_db")

    @cached_property
    def level_db(self) -> Float[np.ndarray, " n"]:
        return self._envelope("level_db")

    @cached_property
    def slow_envelope_db(self) -> Float[np.ndarray, " n"]:
        return self._envelope("slow_envelope_db")

    @cached_property
    def pitch_st(self) -> Float[np.ndarray, " n"]:
        return self._envelope("pitch_st")

    @cached_property
    def onsets(self) -> list[float]:
        return [t for h in self._heard for t in h.onsets]

    @cached_property
    def activity(self) -> list[tuple[float, float]]:
        found: list[tuple[float, float]] = []
        for start, end in (stretch for h in self._heard for stretch in h.activity):
            if found and start - found[-1][1] < PAUSE_S:  # an edge of windows within a sound
                start = found.pop()[0]
            found.append((start, end))
        return found

    @cached_property
    def sounds(self) -> list[Sound]:
        return [s for h in self._heard for s in h.sounds]

    @cached_property
    def notes(self) -> list[Sound]:
        return [s for h in self._heard for s in h.notes]

    @cached_property
    def background(self) -> tuple[str, float]:
        return self._word("background")

    @cached_property
    def vowel(self) -> tuple[str, float]:
        return self._word("vowel")

    def _word(self, name: str) -> tuple[str, float]:
        """The word of at least half of the windows with sound, and how sure it is in those."""
        found = [h.words[name] for h in self._heard]
        try:
            word = commonest([w for w, _ in found], self.windows)
        except Refused:
            return "unknown", 0.0
        return word, float(np.median([sure for w, sure in found if w == word]))

    def spectrogram_db(
        self, bands: int, low_hz: float, high_hz: float
    ) -> Float[np.ndarray, "frames bands"]:
        """A column per second."""
        column = round(_COLUMN_S * SAMPLE_RATE)
        rows = [
            measure.mel_db(self._source.read(a, a + column), bands, low_hz=low_hz, high_hz=high_hz)
            for a in range(0, len(self._source), column)
        ]
        return np.stack([10 * np.log10(np.mean(10 ** (r / 10), axis=0)) for r in rows])

    def pieces(self) -> Iterator[Audio]:
        """All samples, piece by piece."""
        step = round(self._window_s * SAMPLE_RATE)
        return (self._source.read(a, a + step) for a in range(0, len(self._source), step))


def _at(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE)


def hear(source: Source, *, progress: bool = False) -> Listening:
    """A recording by its length: as a whole up to `WINDOW_S`, else in windows.

    Raises `ValueError` for one without samples.
    """
    if len(source) <= WINDOW_S * SAMPLE_RATE:
        return Listening(source.read(0, len(source)))
    return LongListening(source, window_s=WINDOW_S, progress=progress)
