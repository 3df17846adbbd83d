"""Files to sound: any wav, flac, ogg or mp3 (told by content, not by name), any rate, any channels,
to 16 kHz mono float32.

Everything that cannot be heard as it stands is an error that says what came and what to do; memory
is bounded by `MAX_SECONDS`, whatever a header claims.
"""

import io
import struct
from math import gcd
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import resample_poly

from auscult.audio.synth import SAMPLE_RATE
from auscult.types import Audio

MAX_SECONDS = 1800.0  # longest recording that is read whole
CHUNK_SECONDS = 25.0  # longest piece that the encoder hears at once (published client)
MIN_SECONDS = 0.025  # shorter than one analysis window there is nothing to hear
MIN_RATE, MAX_RATE = 2_000, 400_000  # Hz
MAX_CHANNELS = 64
_BLOCK = 1 << 18  # samples read at a time
_BOUND_RATE = 48_000  # Hz; memory is bounded by MAX_SECONDS of sound at this rate

Opened = io.BufferedReader | io.BytesIO


class AudioError(ValueError):
    """A recording that cannot be used as it stands; the message says why and what to do."""


def _check_wav_size(path: Path, file: Opened, size: int) -> None:
    """A WAV whose data chunk promises more bytes than the file holds was cut off."""
    head = file.read(12)
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return
    while len(chunk := file.read(8)) == 8:
        name, length = struct.unpack("<4sI", chunk)
        if name == b"data":
            # 0xFFFFFFFF is what streaming writers leave when they cannot seek back.
            if length != 0xFFFFFFFF and file.tell() + length > size + 1:
                raise AudioError(
                    f"{path} is truncated: its header promises {length} bytes of sound, the "
                    f"file holds {size - file.tell()}; copy or record it again"
                )
            return
        file.seek(length + length % 2, 1)


def _check_ogg_end(path: Path, file: Opened, size: int) -> None:
    """The last page of a whole Ogg stream carries the end-of-stream flag."""
    if file.read(4) != b"OggS":
        return
    file.seek(max(0, size - 70_000))  # a page has at most 65,307 bytes
    tail = file.read()
    at = tail.rfind(b"OggS")
    if at >= 0 and len(tail) > at + 5 and not tail[at + 5] & 4:
        raise AudioError(
            f"{path} is truncated: its last page does not end the stream; copy or record it again"
        )


def _check_header(path: Path, file: soundfile.SoundFile, max_seconds: float) -> None:
    rate, channels, frames = file.samplerate, file.channels, file.frames
    if not MIN_RATE <= rate <= MAX_RATE:
        raise AudioError(
            f"{path} claims {rate} samples per second; expected {MIN_RATE} to {MAX_RATE}: "
            "the header is damaged or this is not a recording"
        )
    if channels > MAX_CHANNELS:
        raise AudioError(
            f"{path} claims {channels} channels; at most {MAX_CHANNELS} are read: "
            "the header is damaged, or extract the channels you need first"
        )
    if frames / rate > max_seconds:
        raise AudioError(_too_long(path, f"{frames / rate:.0f} s", max_seconds))
    if frames > max_seconds * _BOUND_RATE:
        raise AudioError(
            f"{path} has {frames} samples per channel at {rate} Hz; at most "
            f"{max_seconds * _BOUND_RATE:.0f} are read: resample it to 48 kHz first"
        )


def _too_long(path: Path, length: str, max_seconds: float) -> str:
    return (
        f"{path} is {length} long; at most {max_seconds:.0f} s are read at once: "
        "cut it into parts, for example with `ffmpeg -ss START -t SECONDS`"
    )


def _read_mono(path: Path, file: soundfile.SoundFile, max_seconds: float) -> Audio:
    """Blocks of all channels, mixed down at once, so that memory does not grow with channels."""
    parts: list[np.ndarray] = []
    total, limit = 0, int(max_seconds * min(file.samplerate, _BOUND_RATE))
    while len(block := file.read(_BLOCK // file.channels + 1, dtype="float32", always_2d=True)):
        total += len(block)
        if total > limit:
            raise AudioError(_too_long(path, f"more than {max_seconds:.0f} s", max_seconds))
        parts.append(block.mean(axis=1))
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.float32)


def resample(x: Audio, rate: int) -> Audio:
    """From `rate` to 16 kHz with an anti-aliasing filter."""
    if rate == SAMPLE_RATE:
        return x
    common = gcd(rate, SAMPLE_RATE)
    return resample_poly(x, SAMPLE_RATE // common, rate // common).astype(np.float32)


def _check_samples(path: Path, x: Audio, rate: int) -> Audio:
    if len(x) < MIN_SECONDS * rate:
        raise AudioError(
            f"{path} holds {len(x) / rate * 1000:.0f} ms of sound; at least "
            f"{MIN_SECONDS * 1000:.0f} ms are needed"
        )
    if not np.isfinite(x).all():
        bad = int((~np.isfinite(x)).sum())
        raise AudioError(f"{path} holds {bad} samples that are NaN or infinite; export it again")
    peak = float(np.abs(x).max())
    return x / np.float32(peak) if peak > 1.0 else x


def read_audio(path: str | Path, *, max_seconds: float = MAX_SECONDS) -> Audio:
    """The recording at `path` as 16 kHz mono float32 within [-1, 1]; channels are averaged.

    Raises `AudioError` (a `ValueError`) for what is missing, empty, truncated, too short, too long,
    not audio, not finite, or claims an absurd rate or number of channels. A truncated MP3 does not
    show it and is read as far as it goes.
    """
    path = Path(path)
    if not path.is_file():
        raise AudioError(f"{path} is not a file; give the path of a wav, flac, ogg or mp3 file")
    with path.open("rb") as raw:
        return _decode(path, raw, path.stat().st_size, max_seconds)


def read_encoded(data: bytes, name: str, *, max_seconds: float = MAX_SECONDS) -> Audio:
    """The same for the bytes of a recording (a cell of a table); `name` stands in errors."""
    return _decode(Path(name), io.BytesIO(data), len(data), max_seconds)


def _decode(path: Path, raw: Opened, size: int, max_seconds: float) -> Audio:
    if size == 0:
        raise AudioError(f"{path} is empty (0 bytes); copy or record it again")
    for check in (_check_wav_size, _check_ogg_end):
        check(path, raw, size)
        raw.seek(0)
    try:
        with soundfile.SoundFile(raw) as file:
            _check_header(path, file, max_seconds)
            rate = file.samplerate
            x = _read_mono(path, file, max_seconds)
    except soundfile.LibsndfileError as error:
        raise AudioError(
            f"{path} cannot be decoded ({error}); expected wav, flac, ogg or mp3: "
            "convert it first, for example with `ffmpeg -i IN OUT.wav`"
        ) from error
    x = resample(_check_samples(path, x, rate), rate)
    return np.clip(x, -1.0, 1.0)  # resampling may overshoot by a little


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
