"""Small recordings for fixtures: tones as WAV, MP3 or FLAC bytes."""

import io

import numpy as np
import soundfile

RATE = 16_000


def tone(seed: int = 0, seconds: float = 0.3) -> np.ndarray:
    """A quiet tone whose pitch depends on the seed."""
    t = np.arange(round(seconds * RATE)) / RATE
    return (0.3 * np.sin(2 * np.pi * (220 + 40 * (seed % 20)) * t)).astype(np.float32)


def encoded(samples: np.ndarray, kind: str, rate: int = RATE) -> bytes:
    """`kind` is "wav", "flac", "mp3" or "ogg"."""
    out = io.BytesIO()
    soundfile.write(out, samples, rate, format=kind.upper())
    return out.getvalue()


def wav_bytes(samples: np.ndarray, rate: int = RATE) -> bytes:
    """A WAV file."""
    return encoded(samples, "wav", rate)
