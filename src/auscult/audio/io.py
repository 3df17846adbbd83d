"""Files to sound: any wav, flac, ogg, mp3 or other format of libsndfile (told by content, not by
name), from a path, `-`, a pipe or bytes, any rate, any channels, to 16 kHz mono float32.

What cannot be heard as it stands is an error that says what came and what to do; what is heard
otherwise than it stands (a cut file, channels that cancel) is an `AudioWarning`. Memory is bounded
by `MAX_SECONDS`, whatever a header claims; a `Recording` lies on the disk and may be longer.
"""

import io
import math
import re
import tempfile
import threading
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile

from auscult.audio.read.decode import Decoder, Resampler, Survey
from auscult.audio.synth import SAMPLE_RATE
from auscult.files import Opened, known, opened
from auscult.types import Audio

MAX_SECONDS = 1800.0  # longest recording that is read whole into memory
LONGEST_SECONDS = 86_400.0  # longest `Recording`: 5.5 GB on the disk
CHUNK_SECONDS = 25.0  # longest piece that the encoder hears at once (published client)
MIN_SECONDS = 0.025  # shorter than one analysis window there is nothing to hear
MIN_RATE, MAX_RATE = 2_000, 400_000  # Hz
MAX_CHANNELS = 64
LITTLE = 0.05  # share of the sound that may be missing where `damaged` is "little"

Damaged = Literal["refuse", "little", "any"]
"""What to do with a recording of which a part is missing: an error; read what is there if at most
`LITTLE` is missing or nobody knows how much; read what is there."""

_SOUND = re.compile(rb"RIFF....WAVE|fLaC\x00|OggS\x00\x02|FORM....AIF[FC]", re.S)
EXPECTED = "a wav, flac, ogg or mp3 file"


class AudioError(ValueError):
    """A recording that cannot be used as it stands; the message says why and what to do."""


class AudioWarning(UserWarning):
    """A recording that is heard otherwise than it stands; the message says how."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Terms:
    """What is accepted, in seconds, and what to do with a damaged file."""

    longest: float
    shortest: float
    damaged: Damaged


class _Parts:
    """Sound that is kept in memory."""

    def __init__(self) -> None:
        self.parts: list[Audio] = []

    def write(self, x: Audio) -> None:
        self.parts.append(x)

    def clear(self) -> None:
        self.parts.clear()

    def whole(self, scale: float) -> Audio:
        x = np.concatenate(self.parts) if self.parts else np.zeros(0, dtype=np.float32)
        self.clear()
        x *= np.float32(scale)
        return np.clip(x, -1.0, 1.0, out=x)  # resampling may overshoot by a little


class Recording:
    """A recording of any length: 16 kHz mono float32, on the disk from a minute on.

    Example: for an hour, `len` is 57,600,000 and `read(0, 16000)` its first second.
    """

    def __init__(self) -> None:
        # Open as long as the recording is used, and gone with it.
        self._file = tempfile.SpooledTemporaryFile(60 * SAMPLE_RATE * 4)  # noqa: SIM115
        self._lock = threading.Lock()
        self._length = 0
        self.scale = 1.0

    def __len__(self) -> int:
        return self._length

    def write(self, x: Audio) -> None:
        """Append samples."""
        self._file.write(x.astype(np.float32).tobytes())
        self._length += len(x)

    def clear(self) -> None:
        """Begin anew."""
        self._file.seek(0)
        self._file.truncate()
        self._length = 0

    def read(self, start: int, end: int) -> Audio:
        """The samples from `start` to `end`; safe in threads."""
        start, end = max(0, start), min(end, self._length)
        with self._lock:
            self._file.seek(4 * start)
            data = self._file.read(4 * max(0, end - start))
        return np.clip(np.frombuffer(data, dtype=np.float32) * np.float32(self.scale), -1.0, 1.0)


def read_audio(
    path: str | Path,
    *,
    max_seconds: float = MAX_SECONDS,
    min_seconds: float = MIN_SECONDS,
    damaged: Damaged = "little",
) -> Audio:
    """The recording at `path` (`-` = standard input) as 16 kHz mono float32 within [-1, 1].

    Channels are averaged; where they would cancel, the loudest is taken and an `AudioWarning` says
    so. Of a file that was cut, what is there is read, with a warning that says what is missing.
    Raises `AudioError` (a `ValueError`) for what is missing, empty, too short, too long, not audio,
    not finite, damaged beyond `damaged`, or claims an absurd rate or number of channels.
    """
    terms = _Terms(longest=max_seconds, shortest=min_seconds, damaged=damaged)
    with opened(path, EXPECTED, AudioError) as source:
        return _in_memory(source, terms)


def read_encoded(
    data: bytes,
    name: str,
    *,
    max_seconds: float = MAX_SECONDS,
    min_seconds: float = MIN_SECONDS,
    damaged: Damaged = "little",
) -> Audio:
    """The same for the bytes of a recording (a cell of a table); `name` stands in errors."""
    terms = _Terms(longest=max_seconds, shortest=min_seconds, damaged=damaged)
    return _in_memory(Opened(name, io.BytesIO(data), len(data)), terms)


def read_recording(path: str | Path, *, damaged: Damaged = "little") -> Recording:
    """The same for a recording of up to a day, which is not kept in memory, and however short."""
    terms = _Terms(longest=LONGEST_SECONDS, shortest=0.0, damaged=damaged)
    with opened(path, EXPECTED, AudioError) as source:
        recording = Recording()
        recording.scale = _decode(source, terms, recording)
        return recording


def _in_memory(source: Opened, terms: _Terms) -> Audio:
    parts = _Parts()
    return parts.whole(_decode(source, terms, parts))


def _decode(source: Opened, terms: _Terms, sink: _Parts | Recording) -> float:
    """Everything into the sink; what it must be multiplied by to lie within [-1, 1]."""
    if source.size == 0:
        raise AudioError(f"{source.name} is empty (0 bytes); copy or record it again")
    try:
        decoder = Decoder(source.file, source.size)
        _check_header(source.name, decoder, terms.longest)
        survey = _pass(source.name, decoder, None, terms, sink)
        if survey.opposite is not None:
            _say_opposite(source.name, decoder, survey)
            sink.clear()
            survey = _pass(source.name, decoder, survey.opposite, terms, sink)
    except soundfile.LibsndfileError as error:
        raise AudioError(_undecodable(source, error)) from error
    _check_samples(source.name, decoder, survey, terms)
    _check_end(source.name, decoder, survey, terms.damaged)
    return 1.0 / survey.peak if survey.peak > 1.0 else 1.0


def _pass(
    name: str, decoder: Decoder, channel: int | None, terms: _Terms, sink: _Parts | Recording
) -> Survey:
    survey, resampler = Survey(), Resampler(decoder.rate, SAMPLE_RATE)
    limit = terms.longest * decoder.rate
    for block in decoder.blocks(channel):
        mixed = survey.add(block)
        if survey.frames > limit:
            raise AudioError(_too_long(name, f"more than {terms.longest:.0f} s", terms.longest))
        for part in resampler.feed(mixed):
            sink.write(part)
    for part in resampler.end():
        sink.write(part)
    return survey


def _check_header(name: str, decoder: Decoder, longest: float) -> None:
    if not MIN_RATE <= decoder.rate <= MAX_RATE:
        raise AudioError(
            f"{name} claims {decoder.rate} samples per second; expected {MIN_RATE} to {MAX_RATE}: "
            "the header is damaged or this is not a recording; export it again"
        )
    if decoder.channels > MAX_CHANNELS:
        raise AudioError(
            f"{name} claims {decoder.channels} channels; at most {MAX_CHANNELS} are read: "
            "the header is damaged, or extract the channels you need first"
        )
    seconds = decoder.frames / decoder.rate
    if not decoder.lost and seconds > longest:
        raise AudioError(_too_long(name, f"{seconds:.0f} s", longest))


def _too_long(name: str, length: str, longest: float) -> str:
    return (
        f"{name} is {length} long; at most {longest:.0f} s are read at once: "
        "cut it into parts, for example with `ffmpeg -ss START -t SECONDS`"
    )


def _undecodable(source: Opened, error: soundfile.LibsndfileError) -> str:
    source.file.seek(0)
    kind = known(source.file.read(64))
    if kind is not None:
        return f"{source.name} is {kind.what}; expected wav, flac, ogg or mp3: {kind.remedy}"
    source.file.seek(0)
    if (hidden := _SOUND.search(source.file.read(1 << 16))) and hidden.start():
        return (
            f"{source.name} cannot be decoded: {hidden.start()} bytes that are no sound stand "
            f"before a recording; cut them off: `tail -c +{hidden.start() + 1} IN > OUT`"
        )
    said = str(error.error_string).strip().rstrip(".")
    return (
        f"{source.name} cannot be decoded ({said}); expected wav, flac, ogg or mp3: "
        "convert it first, for example with `ffmpeg -i IN OUT.wav`; if it is one of these, it is "
        "damaged: copy or download it again"
    )


def _say_opposite(name: str, decoder: Decoder, survey: Survey) -> None:
    taken = (survey.opposite or 0) + 1
    warnings.warn(
        f"{name}: its {decoder.channels} channels are in opposite phase for "
        f"{survey.cancelled_frames / decoder.rate:.1f} of {survey.frames / decoder.rate:.1f} s and "
        f"would cancel each other; channel {taken}, the loudest, is heard alone",
        AudioWarning,
        stacklevel=2,
    )


def _check_samples(name: str, decoder: Decoder, survey: Survey, terms: _Terms) -> None:
    if survey.frames < max(terms.shortest * decoder.rate, 1):
        raise AudioError(
            f"{name} holds {survey.frames / decoder.rate * 1000:.0f} ms of sound; at least "
            f"{terms.shortest * 1000:.0f} ms are needed: record or export it again"
        )
    if survey.bad:
        raise AudioError(
            f"{name} holds {survey.bad} samples that are NaN or infinite; export it again"
        )


def _check_end(name: str, decoder: Decoder, survey: Survey, damaged: Damaged) -> None:
    """Is the sound whole? If not: an error or a warning that says how much is missing."""
    here, missing = survey.frames / decoder.rate, _missing_s(decoder, survey)
    if (promised := decoder.layout.promised) < 1:
        warnings.warn(
            f"{name} holds more than its header says: {promised * here:.2f} of {here:.2f} s (did "
            "its writer end too early?); it is read up to the end of the file",
            AudioWarning,
            stacklevel=2,
        )
    if missing == 0:
        return
    if math.isnan(missing):
        last = f"its last page or frame does not end the stream after {here:.2f} s"
        what = f"{name} is truncated: {last}"
        refused = damaged == "refuse"
    else:
        total = here + missing
        what = f"{name} is truncated: {_told(missing)} of {total:.2f} s are missing or damaged"
        refused = damaged == "refuse" or (damaged == "little" and missing > LITTLE * total)
    if refused:
        raise AudioError(
            f"{what}; copy or record it again, or read what is there with --damaged any "
            '(in Python damaged="any")'
        )
    warnings.warn(f"{what}; what is there is read", AudioWarning, stacklevel=2)


def _told(seconds: float) -> str:
    return f"{seconds:.2f}" if seconds >= 0.01 else f"{seconds:.5f}"


def _missing_s(decoder: Decoder, survey: Survey) -> float:
    """Seconds that should be there and are not; nan where nobody knows how many."""
    if math.isnan(decoder.lost):
        return math.nan
    whole = max(survey.frames / max(1 - decoder.lost, 1e-9), decoder.frames)
    missing = whole - survey.frames
    return missing / decoder.rate if missing > 0.01 else 0.0


def write_audio(path: str | Path, samples: Audio) -> None:
    """Write 16 kHz mono, 16 bit; the format follows the name (.wav, .flac, .ogg)."""
    soundfile.write(str(path), samples, SAMPLE_RATE, subtype=None)


def chunks(samples: Audio, seconds: float = CHUNK_SECONDS) -> list[Audio]:
    """Pieces of at most `seconds` that follow each other without overlap.

    A clip of exactly n pieces gives n, never an empty one more; a last piece too short to be heard
    takes what it lacks from the piece before it.
    """
    size, least = round(seconds * SAMPLE_RATE), round(MIN_SECONDS * SAMPLE_RATE)
    cuts = list(range(0, len(samples), size))
    if len(cuts) > 1 and len(samples) - cuts[-1] < least:
        cuts[-1] = len(samples) - least
    return [samples[a:b] for a, b in zip(cuts, [*cuts[1:], len(samples)], strict=True)]


def pieces(clips: Sequence[Audio]) -> tuple[Audio, ...]:
    """Clips as a model is given them: each cut into `chunks`, in order."""
    return tuple(piece for clip in clips for piece in chunks(clip))
