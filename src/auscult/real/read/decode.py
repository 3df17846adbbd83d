"""From the bytes of a package to 16 kHz mono FLAC."""

import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

from auscult.audio.synth import SAMPLE_RATE, resample
from auscult.real.recording import RealSoundError
from auscult.types import Audio

LEAST_S, MOST_S = 0.15, 25.0  # clips that are kept
SILENT = 1e-3  # a peak below this (-60 dB) is silence
OFFSET = 1e-3  # a rest position further than this from zero is a fault of the recording
_FULL = 32767 / 32768  # the highest 16-bit sample


class Decoded(NamedTuple):
    """Samples as they lie in the package: float32, channels averaged, around zero."""

    samples: Audio
    rate: int  # per second
    md5: str  # of the rate and the samples as 16-bit numbers, before they are centred

    @property
    def seconds(self) -> float:
        """Length."""
        return len(self.samples) / self.rate


class LeftOut(RealSoundError):
    """A clip that is not kept; the message is the reason, the same for all of a kind."""


def _plain(data: bytes) -> tuple[np.ndarray, int]:
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            _check_length(file.frames / file.samplerate)
            return file.read(dtype="float32", always_2d=True), file.samplerate
    except soundfile.LibsndfileError:
        # FFmpeg reads a few files that libsndfile does not: MP3 behind a long tag, old Ogg.
        return _by_ffmpeg(data)


def _by_ffmpeg(data: bytes, form: str | None = None) -> tuple[np.ndarray, int]:
    """Channels as columns; `form` is the name of a format that has no header."""
    try:
        import av
        from av.error import FFmpegError
    except ImportError as error:
        raise RealSoundError(
            "this recording is decoded by PyAV: pip install 'auscult[real]'"
        ) from error
    parts: list[np.ndarray] = []
    rate, total = 0, 0
    try:
        with av.open(io.BytesIO(data), mode="r", format=form) as file:
            floats = av.AudioResampler(format="fltp")  # one row per channel
            for frame in file.decode(audio=0):
                rate = frame.sample_rate
                parts += [part.to_ndarray() for part in floats.resample(frame)]
                total += frame.samples
                _check_length(total / rate)
    except (FFmpegError, IndexError) as error:  # IndexError: no sound in it
        raise LeftOut("cannot be decoded") from error
    if not parts:
        raise LeftOut("cannot be decoded")
    return np.concatenate(parts, axis=1).T, rate


def _gsm(data: bytes) -> tuple[np.ndarray, int]:
    """GSM 06.10 without a header: 33 bytes are 20 ms."""
    _check_length(len(data) / 33 * 0.02)
    x, rate = soundfile.read(
        io.BytesIO(data), format="RAW", subtype="GSM610", channels=1, samplerate=8000,
        dtype="float32", always_2d=True,
    )  # fmt: skip
    return x, rate


def _g722(data: bytes) -> tuple[np.ndarray, int]:
    """G.722 without a header: 8,000 bytes are a second of 16 kHz."""
    _check_length(len(data) / 8000)
    return _by_ffmpeg(data, "g722")


CODES: dict[str, Callable[[bytes], tuple[np.ndarray, int]]] = {
    "": _plain,  # told by content: wav, flac, ogg (vorbis, opus), mp3
    "g722": _g722,
    "gsm": _gsm,
}


def _check_length(seconds: float) -> None:
    if seconds > MOST_S:
        raise LeftOut(f"longer than {MOST_S:g} s")


def decode(sound: Path | bytes, code: str = "") -> Decoded:
    """The samples of one clip; nothing longer than `MOST_S` is read.

    Raises `LeftOut` with the reason for what is too short, too long, silent or cannot be decoded.
    """
    x, rate = CODES[code](sound if isinstance(sound, bytes) else sound.read_bytes())
    mono = x.mean(axis=1, dtype=np.float32)
    if not np.isfinite(mono).all():
        raise LeftOut("cannot be decoded")
    _check_length(len(mono) / rate)
    if len(mono) < LEAST_S * rate:
        raise LeftOut(f"shorter than {LEAST_S:g} s")
    whole = np.round(mono * 32768).astype("<i4").tobytes()
    digest = hashlib.md5(b"%d " % rate + whole).hexdigest()
    # The median, unlike the mean, is at rest in a clip of one lopsided stroke and silence.
    rest = np.float32(np.median(mono))
    centred = mono - rest if abs(rest) > OFFSET else mono
    if np.abs(centred).max() < SILENT:
        raise LeftOut("silent")
    return Decoded(centred, rate, digest)


def write_flac(path: Path, decoded: Decoded) -> float:
    """Write 16 kHz, 16 bit, at the level it has unless that would clip; seconds written."""
    x = resample(decoded.samples, decoded.rate)
    peak = float(np.abs(x).max())
    if peak > _FULL:
        x = x * np.float32(_FULL / peak)
    path.parent.mkdir(parents=True, exist_ok=True)
    made = path.with_name(path.name + ".part")
    soundfile.write(made, x, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    made.replace(path)
    return len(x) / SAMPLE_RATE
