"""Spoken words by espeak-ng, the optional extra `[speech]`, isolated in a process of its own."""

import atexit
import importlib.util
import json
import os
import struct
import subprocess
import sys
import threading
from dataclasses import dataclass

import numpy as np

from auscult.audio.synth import resample, to_level
from auscult.types import Audio

MALE_VOICES = ("en-us", "en-us+m1", "en-us+m3", "en-us+m7", "en", "en+m2", "en-us+michael")
FEMALE_VOICES = ("en-us+f1", "en-us+f2", "en-us+f3", "en-us+f4", "en+f2", "en-us+linda")
VOICES = MALE_VOICES + FEMALE_VOICES
WHISPER_VOICES = ("en-us+whisper", "en-us+whisperf")


class SpeechUnavailable(RuntimeError):
    """Spoken words were asked for, but the extra that speaks is not installed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How to say it, in espeak-ng's own units.

    pitch and range 0 to 99 (50 = normal), rate about words per minute, volume 0 to 200.
    Example: Manner(voice="en-us+f2", pitch=60, rate=200).
    """

    voice: str = "en-us"
    pitch: int = 50
    range: int = 50
    rate: int = 175
    volume: int = 100


def available() -> bool:
    """Is the extra `[speech]` installed?"""
    return importlib.util.find_spec("espeakng_loader") is not None


_talking = threading.Lock()
_talking = threading.Lock()
_worker: subprocess.Popen[bytes] | None = None
_worker_owner = 0


def _start() -> subprocess.Popen[bytes]:
    """This process's own worker; a forked child must not share its parent's pipes."""
    global _worker, _worker_owner
    if _worker is None or _worker_owner != os.getpid() or _worker.poll() is not None:
        if not available():
            raise SpeechUnavailable(
                "spoken words need the extra 'speech' (espeak-ng, GPL-3, run in a process of its "
                "own): pip install 'auscult[speech]'; every task without words works without it"
            )
        _worker = subprocess.Popen(
            [sys.executable, "-m", "auscult.audio.espeak_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        _worker_owner = os.getpid()
        atexit.register(_worker.kill)
    return _worker


def _read(worker: subprocess.Popen[bytes], count: int) -> bytes:
    assert worker.stdout is not None
    data = worker.stdout.read(count)
    if len(data) != count:
        raise RuntimeError(f"the espeak-ng process ended (code {worker.poll()}) while speaking")
    return data


def say(text: str, manner: Manner, *, level_db: float | None = -20.0) -> Audio:
    """`text` spoken, 16 kHz, silence trimmed from both ends, at an RMS level of `level_db` (None
    keeps the engine's own level).

    Raises `SpeechUnavailable` without the extra and `ValueError` for a voice that does not exist.
    """
    request = {field: getattr(manner, field) for field in Manner.__slots__} | {"text": text}
    with _talking:  # one process speaks for all threads
        worker = _start()
        assert worker.stdin is not None
        worker.stdin.write(json.dumps(request).encode() + b"\n")
        worker.stdin.flush()
        rate, count = struct.unpack("<II", _read(worker, 8))
        if rate == 0:
            raise ValueError(_read(worker, count).decode())
        data = _read(worker, 2 * count)
    raw = np.frombuffer(data, dtype="<i2").astype(np.float32) / 32768
    x = resample(raw, rate)
    loud = np.flatnonzero(np.abs(x) > 0.003)
    if len(loud) == 0:
        raise ValueError(f"espeak-ng made no sound for {text!r} with voice {manner.voice!r}")
    x = x[loud[0] : loud[-1] + 1]
    return x if level_db is None else to_level(x, level_db)
