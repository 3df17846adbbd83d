"""The decoder: a file as its layout shows it, in blocks of one channel at the file's own rate.

Dimensions: n samples, c channels.
"""

import io
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from math import gcd
from typing import Any

import numpy as np
import soundfile
from jaxtyping import Float
from scipy.signal import firwin, resample_poly

from auscult.audio.read.containers import aiff, au, caf, w64, wav
from auscult.audio.read.flac import flac
from auscult.audio.read.layout import Layout, View, after_tags
from auscult.audio.read.mpeg import begins_at, is_mpeg, mpeg
from auscult.audio.read.ogg import ogg
from auscult.types import Audio

_BLOCK = 1 << 16  # samples of all channels read at a time
_UNKNOWN = 1 << 60  # samples; libsndfile's number for a length that is not stated
_LITTLE = 1e-9
_LEAST_BLOCK = 512  # samples per channel tried where a larger block holds a damaged place
_CANCELLED = 0.1  # power of the mix against that of channels that have nothing in common: -10 dB
_MOST_CANCELLED = 0.1  # share of the sound that may be lost so before one channel is taken

LAYOUTS: dict[bytes, Callable[[io.BufferedIOBase, int, int], Layout]] = {
    b"RIFF": wav,
    b"RIFX": wav,
    b"RF64": wav,
    b"BW64": wav,
    b"FORM": aiff,
    b".snd": au,
    b"dns.": au,
    b"caff": caf,
    b"riff": w64,
    b"OggS": ogg,
    b"fLaC": flac,
}
"""First bytes -> reader of the layout. Other formats are shown to the decoder as they are."""


def layout_of(file: io.BufferedIOBase, size: int) -> Layout:
    """How the sound lies in a file of `size` bytes."""
    start = after_tags(file, tuple(LAYOUTS))
    file.seek(start)
    head = file.read(4096)
    if head[:4] in LAYOUTS:
        return LAYOUTS[head[:4]](file, start, size)
    if is_mpeg(head) or start:
        return mpeg(file, start, size)
    return Layout(pieces=((start, size),))


class _Forward(soundfile.SoundFile):
    """The decoder without a seek after every read: soundfile "updates the position" by one, which
    lands elsewhere in an MP3 of variable rate, so that its sound was in pieces."""

    def seekable(self) -> bool:
        return False


@dataclass(slots=True)
class Survey:
    """What passed by in one reading.

    frames: per channel; peak: of the mix; bad: samples that are no numbers; power: of each channel
    [c]; cancelled: power in blocks in which the channels cancel; cancelled_frames: their length.
    """

    frames: int = 0
    peak: float = 0.0
    bad: int = 0
    power: Float[np.ndarray, " c"] = field(default_factory=lambda: np.zeros(1))
    cancelled: float = 0.0
    cancelled_frames: int = 0

    @property
    def opposite(self) -> int | None:
        """The loudest channel, where mixing all of them would lose the sound; else None."""
        if self.cancelled <= _MOST_CANCELLED * float(self.power.sum()) or not self.cancelled:
            return None
        return int(np.argmax(self.power))

    def add(self, block: Float[np.ndarray, "n c"]) -> Audio:
        """Count a block; its mean over the channels."""
        channels = block.shape[1]
        mixed = block.mean(axis=1) if channels > 1 else block[:, 0]
        finite = np.isfinite(mixed)
        if not finite.all():
            self.bad += int((~np.isfinite(block).all(axis=1)).sum())
            block = np.where(np.isfinite(block), block, np.float32(0))
            mixed = np.where(finite, mixed, np.float32(0))
        # Around its mean: an offset that all channels share is not heard, and hides what cancels.
        sound = block - block.mean(axis=0)
        power = np.einsum("nc,nc->c", sound, sound, dtype=np.float64)
        together = len(mixed) * float(np.var(mixed, dtype=np.float64)) if channels > 1 else 0.0
        if channels > 1 and together < _CANCELLED * power.sum() / channels**2:
            self.cancelled += float(power.sum())
            self.cancelled_frames += len(block)
        self.power = self.power + power if self.frames else power
        self.frames += len(block)
        self.peak = max(self.peak, float(np.abs(mixed).max(initial=0.0)))
        return mixed


class Decoder:
    """A recording that is open for decoding; read it from the start as often as needed.

    Raises `soundfile.LibsndfileError` where it is no sound.
    """

    def __init__(self, file: io.BufferedIOBase, size: int) -> None:
        self._source = file
        self.layout = layout_of(file, size)
        try:
            first = self._file()
        except soundfile.LibsndfileError:
            # Players find an MP3 behind anything; the decoder wants it at the start.
            file.seek(0)
            if (begin := begins_at(file.read(3 << 16), 1 << 17)) is None:
                raise
            self.layout = mpeg(file, begin, size)
            first = self._file()
        with first as sound:
            self.rate, self.channels = int(sound.samplerate), int(sound.channels)
            # What the header says; 0 where it says nothing, or only guesses.
            known = self.layout.counted and int(sound.frames) < _UNKNOWN
            self.frames = int(sound.frames) if known else 0
        self.lost = self.layout.lost
        if self.layout.following:
            self._add_following()

    def _add_following(self) -> None:
        """Count what is joined to the first recording; of what cannot be decoded nobody knows."""
        here, whole = float(self.frames), self.frames / max(1 - self.lost, _LITTLE)
        good: list[Layout] = []
        for layout in self.layout.following:
            try:
                with self._file(layout) as sound:
                    frames = int(sound.frames) * self.rate / int(sound.samplerate)
            except soundfile.LibsndfileError:
                whole = math.nan
                continue
            good.append(layout)
            here, whole = here + frames, whole + frames / max(1 - layout.lost, _LITTLE)
        self.layout = replace(self.layout, following=tuple(good))
        self.frames, self.lost = round(here), 1 - here / max(whole, 1)

    def _file(self, layout: Layout | None = None) -> _Forward:
        view: Any = View(self._source, (layout or self.layout).pieces)
        return _Forward(view)

    @property
    def _per_block(self) -> int:
        """An eighth of a second: long enough to tell whether channels cancel in it."""
        return max(_LEAST_BLOCK, min(_BLOCK // self.channels, self.rate // 8))

    def blocks(self, channel: int | None = None) -> Iterator[Float[np.ndarray, "n c"]]:
        """All samples, or those of one channel. What a damaged place hides ends the sound."""
        for block in self._blocks(self.layout):
            yield block if channel is None else block[:, channel : channel + 1]
        for layout in self.layout.following:
            for block in self._as_first(layout):
                yield block if channel is None else block[:, channel : channel + 1]

    def _as_first(self, layout: Layout) -> Iterator[Float[np.ndarray, "n c"]]:
        """What is joined to the first recording, at its rate and with as many channels."""
        with self._file(layout) as sound:
            rate, channels = int(sound.samplerate), int(sound.channels)
        if (rate, channels) == (self.rate, self.channels):
            yield from self._blocks(layout)
            return
        resampler = Resampler(rate, self.rate)
        for block in self._blocks(layout):
            for part in resampler.feed(block.mean(axis=1)):
                yield np.repeat(part[:, None], self.channels, axis=1)
        for part in resampler.end():
            yield np.repeat(part[:, None], self.channels, axis=1)

    def _blocks(self, layout: Layout) -> Iterator[Float[np.ndarray, "n c"]]:
        at, step = 0, self._per_block
        while True:
            try:
                with self._file(layout) as sound:
                    _pass_over(sound, at)
                    # Never past the end: a decoder that looks there for one more frame raises at
                    # what stands behind the sound (a tag), and its last samples are lost.
                    end = int(sound.frames)
                    while len(block := sound.read(min(step, end - at), "float32", always_2d=True)):
                        at += len(block)
                        yield block
                return
            except soundfile.LibsndfileError:
                if step <= _LEAST_BLOCK:
                    if not at:
                        raise
                    return
            step = max(_LEAST_BLOCK, step // 4)  # what lies before the damaged place


def _pass_over(sound: _Forward, samples: int) -> None:
    """Decode and forget."""
    while samples and (got := len(sound.read(min(samples, _BLOCK), always_2d=True))):
        samples -= got


class Resampler:
    """From `rate` to `to` with an anti-aliasing filter, block by block: what comes out is what
    `scipy.signal.resample_poly` makes of the whole, in memory of some seconds."""

    def __init__(self, rate: int, to: int) -> None:
        common = gcd(rate, to)
        self.up, self.down = to // common, rate // common
        half = 10 * max(self.up, self.down)
        if rate != to:
            wide = max(self.up, self.down)
            kaiser: Any = ("kaiser", 5.0)
            taps = np.asarray(firwin(2 * half + 1, 1 / wide, window=kaiser))
            self.taps = taps.astype(np.float32)
        # Whole numbers of `down` samples, so that every part begins on a sample of the output.
        self.margin = self.down * -(-(half // self.up + 2) // self.down)
        self.hop = self.down * max(1, -(-8 * rate // self.down))
        self.held = np.zeros(0, dtype=np.float32)
        self.waiting: list[Audio] = []
        self.left = self.missing = 0

    def feed(self, x: Audio) -> list[Audio]:
        """The parts that are complete after these samples."""
        if self.up == self.down:
            return [x]
        self.waiting.append(x)
        self.missing -= len(x)
        if self.missing > 0:
            return []
        self._take_up()
        parts: list[Audio] = []
        while len(self.held) >= self.left + self.hop + self.margin:
            parts.append(self._part(self.left + self.hop + self.margin, self.hop))
            self.held = self.held[self.left + self.hop - self.margin :]
            self.left = self.margin
        self.missing = self.left + self.hop + self.margin - len(self.held)
        return parts

    def _take_up(self) -> None:
        self.held = np.concatenate([self.held, *self.waiting])
        self.waiting.clear()

    def end(self) -> list[Audio]:
        """The rest, after the last samples."""
        self._take_up()
        if len(self.held) <= self.left:
            return []
        return [self._part(len(self.held), len(self.held) - self.left)]

    def _part(self, upto: int, length: int) -> Audio:
        out = resample_poly(self.held[:upto], self.up, self.down, window=self.taps)
        begin = self.left * self.up // self.down
        return out[begin : begin + -(-length * self.up // self.down)].astype(np.float32)
