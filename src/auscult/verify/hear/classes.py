"""Which kind of sound is it? A small network over mel features, fitted on our own sounds.

Fitted once by `python -m auscult.verify.lab.fit` on procedural sounds of seeds that the gym never
uses, clean and in noise, and shipped as one small file. Knows the gym's kinds and says "unknown"
for a sound that lies far from all of them, as recorded sounds mostly do.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import numpy as np
from jaxtyping import Float

from auscult.audio.hear import measure
from auscult.audio.hear.onsets import quiet_power
from auscult.types import Audio

BANDS = 24
FILE = "classes.safetensors"


@dataclass(frozen=True, slots=True)
class Classes:
    """A network of one hidden layer, and the distance that every class keeps from its own mean.

    Example: fitted on ten events; `name(features)` gives ("knock", 0.97): class and probability,
    or ("unknown", 0.0) where the sound lies outside the reach of every class.
        centre, scale  of the features                      shape (f,)
        w1, b1, w2, b2 f -> hidden (ReLU) -> classes
        means, whiten  class means, and what makes the covariance within the classes round
        reach          squared whitened distance that holds a class's own sounds, twice over
    """

    labels: tuple[str, ...]
    arrays: Mapping[str, Float[np.ndarray, "..."]]

    def probabilities(self, features: Float[np.ndarray, " f"]) -> Float[np.ndarray, " classes"]:
        """Softmax over the classes."""
        a = self.arrays
        hidden = np.maximum((features - a["centre"]) / a["scale"] @ a["w1"].T + a["b1"], 0)
        score = hidden @ a["w2"].T + a["b2"]
        odds = np.exp(score - score.max())
        return odds / odds.sum()

    def name(self, features: Float[np.ndarray, " f"]) -> tuple[str, float]:
        """(class, probability), or ("unknown", 0.0)."""
        a = self.arrays
        far = np.sum(((features - a["means"]) @ a["whiten"]) ** 2, axis=1)
        if np.all(far > a["reach"]):
            return "unknown", 0.0
        p = self.probabilities(features)
        best = int(np.argmax(p))
        return self.labels[best], float(p[best])


def floor_power(x: Audio) -> Float[np.ndarray, " bands"]:
    """Power per band of what remains when nothing sounds; see `onsets.quiet_power`."""
    return quiet_power(10 ** (measure.mel_db(x, BANDS) / 10))


def event_features(x: Audio, floor: Float[np.ndarray, " bands"]) -> Float[np.ndarray, " f"]:
    """Colour of both halves of a sound, its course in time and its length, in dB under its own
    level, with the clip's noise floor taken off first."""
    x = np.pad(x, (0, max(0, 480 - len(x))))  # three frames at least: two halves and a course
    power = np.maximum(10 ** (measure.mel_db(x, BANDS) / 10) - floor, 1e-12)
    half = len(power) // 2
    loud = 10 * np.log10(power.mean())
    parts = [10 * np.log10(p.mean(axis=0) + 1e-12) for p in (power[:half], power[half:])]
    course = np.interp(np.arange(6) * 4 + 2, np.arange(len(power)), power.mean(axis=1), right=1e-12)
    course = 10 * np.log10(course + 1e-12)
    return np.maximum(np.concatenate([*parts, course]) - loud, -25)


def rest_features(x: Audio) -> Float[np.ndarray, " f"]:
    """What is heard where the foreground rests: a low percentile of each band's level, and how much
    it swings there (rain is dense, crickets pulse, wind swells)."""
    power = 10 ** (measure.mel_db(x, BANDS) / 10)
    wide = min(7, len(power))
    smooth = np.lib.stride_tricks.sliding_window_view(power, wide, axis=0).mean(axis=2)
    low = 10 * np.log10(np.percentile(smooth, 20, axis=0) + 1e-12)
    return np.maximum(low, -75)


def vowel_features(x: Audio) -> Float[np.ndarray, " f"]:
    """Mean spectrum of the loud frames, smoothed over the gaps between harmonics."""
    power = 10 ** (measure.mel_db(x, 24, low_hz=150, high_hz=4500) / 10)
    total = power.sum(axis=1)
    level = 10 * np.log10(power[total >= np.median(total)].mean(axis=0) + 1e-12)
    level = np.convolve(np.pad(level, 1, mode="edge"), (0.25, 0.5, 0.25), "valid")
    return np.maximum(level - level.max(), -40)


@lru_cache(maxsize=1)
def load() -> dict[str, Classes]:
    """The shipped classes: "event" and "background"."""
    from safetensors.numpy import load as read

    data = read((files("auscult.verify.hear") / FILE).read_bytes())
    found: dict[str, Classes] = {}
    for kind in ("event", "background", "vowel"):
        names = bytes(data[f"{kind}.labels"]).decode().split(",")
        own = {k.split(".")[1]: v.astype(np.float64) for k, v in data.items() if k.startswith(kind)}
        found[kind] = Classes(tuple(names), own)
    return found
