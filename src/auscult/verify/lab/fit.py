"""Fits the shipped sound classes: `python -m auscult.verify.lab.fit`. Its seeds are its own."""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from auscult.audio.hear import measure
from auscult.audio.speech import VOICES, WHISPER_VOICES, Manner, available, say
from auscult.audio.synth import (
    BACKGROUNDS,
    TIMBRES,
    band_noise,
    event,
    fade,
    finish,
    gain,
    hum,
    lay,
    note_hz,
    reverberate,
    rms_db,
    to_level,
    tone,
)  # fmt: skip
from auscult.audio.voice import VOWELS, contour, vowel
from auscult.gym.base import DIGITS, pick
from auscult.gym.tasks.events import NAMES, sequence
from auscult.gym.tasks.rhythm import click
from auscult.gym.tasks.tones import melody
from auscult.types import Audio
from auscult.verify.hear.classes import (
    FILE,
    Classes,
    event_features,
    floor_power,
    rest_features,
    vowel_features,
)  # fmt: skip
from auscult.verify.hear.listening import Listening

SEED = 20_260_707
"""Far from the gym's seeds, which all begin with its version number."""

Rows = list[tuple[Float[np.ndarray, " f"], str]]


def in_noise(rng: np.random.Generator, x: Audio, snr_db: float) -> Audio:
    """White noise under the sounding part of a clip, at the given ratio of their levels."""
    if not np.isfinite(snr_db):
        return x
    loud = np.concatenate([measure.cut(x, a, b) for a, b in measure.segments(x)] or [x])
    noise = rng.standard_normal(len(x)).astype(np.float32)
    return x + gain(noise, rms_db(loud) - snr_db)


def slices(x: Audio, behind: str) -> list[Audio]:
    """The sounds as `Listening` parts them, given what is behind them: from each onset to the next,
    at most 0.3 s."""
    ear = Listening(x)
    ear.__dict__["background"] = (behind, 1.0)  # known here; the class is fitted after this
    ends = [*ear.onsets[1:], ear.seconds]
    return [
        measure.cut(x, a - 0.005, min(b - 0.015, a + 0.3))
        for a, b in zip(ear.onsets, ends[-len(ear.onsets) :] if ear.onsets else [], strict=True)
    ]


def _scene(rng: np.random.Generator, k: int) -> tuple[Audio, list[str]]:
    """A clip of known sounds."""
    level = 1 + k % 3
    which = k % 5
    if which in (0, 1):
        names = [pick(rng, NAMES) for _ in range(int(rng.integers(1, 6)))]
        return sequence(rng, names, level), names
    if which == 2:
        timbre = pick(rng, list(TIMBRES))
        midis = [int(m) for m in rng.integers(58, 86, size=int(rng.integers(1, 5)))]
        return melody(rng, midis, level, timbre=timbre), [timbre] * len(midis)
    if which == 3:
        gap = rng.uniform(0.22, 0.6)
        accents = [bool(rng.random() < 0.3) for _ in range(4)]
        x = lay([(0.05 + i * gap, click(rng, accent=a)) for i, a in enumerate(accents)])
        return finish(rng, lay([(0, x)], len(x) / 16000 + 0.1), level), ["click"] * 4
    hz = contour(rng.uniform(0.5, 1.2), [0, rng.uniform(-5, 5)], rng.uniform(80, 390))
    x = vowel(rng, hz, pick(rng, list(VOWELS)), breath=float(pick(rng, (0.02, 0.3, 0.6))))
    return finish(rng, lay([(0.05, x)], len(x) / 16000 + 0.1), level), ["voice"]


def _chords(rng: np.random.Generator, level: int) -> tuple[Audio, list[str]]:
    root = int(rng.integers(58, 72))
    shape = pick(rng, ((0, 4, 7), (0, 3, 7), (0, 3, 6), (0, 4, 8)))
    timbre = pick(rng, list(TIMBRES))
    parts = [tone(note_hz(root + s), 0.5, timbre) for s in shape]
    if rng.random() < 0.5:  # the notes first one by one, legato
        apart = [
            (0.05 + 0.2 * i, tone(note_hz(root + s), 0.2, timbre)) for i, s in enumerate(shape)
        ]
        x = finish(rng, lay([*apart, (0.7, to_level(np.sum(parts, axis=0), -20.0))], 1.4), level)
        return x, [timbre, timbre, timbre, "chord"]
    return finish(rng, lay([(0.05, np.sum(parts, axis=0))], 0.7), level), ["chord"]


PHRASES = (
    "three knocks", "this is a whisper", "my voice is high", "now I speak quickly", "it is silent",
    "the weather is fine today", "please come in", "are you going home", "one plus seven",
)  # fmt: skip
"""Any words: what is fitted is that somebody speaks, not what is said."""


def _spoken(rng: np.random.Generator, level: int) -> tuple[Audio, list[str]]:
    """Words or a phrase in any manner; every onset in it belongs to the voice."""
    voices = (*VOICES, *WHISPER_VOICES)
    who = Manner(
        voice=pick(rng, voices), pitch=int(rng.integers(10, 90)), rate=int(rng.integers(100, 280))
    )
    x = say(pick(rng, (*DIGITS, *PHRASES)), who)
    x = finish(rng, lay([(0.05, to_level(x, -20.0))], len(x) / 16000 + 0.15), level)
    return x, ["voice"]


def _noise(rng: np.random.Generator, level: int) -> tuple[Audio, list[str]]:
    """Noise that is the foreground: a burst, or a swell."""
    low = float(rng.uniform(60, 800))
    x = band_noise(rng, rng.uniform(0.4, 1.6), low, low * rng.uniform(3, 9))
    x = gain_ramp(x, float(rng.uniform(-18, 18)))
    return finish(
        rng, lay([(0.05, fade(to_level(x, -22.0), 0.03))], len(x) / 16000 + 0.1), level
    ), ["noise"]


def gain_ramp(x: Audio, db: float) -> Audio:
    """Louder or softer in a straight line of dB, unchanged at the end that is louder."""
    line = np.linspace(min(-db, 0), min(db, 0), len(x))
    return (x * 10 ** (line / 20)).astype(np.float32)


def _engine(rng: np.random.Generator, level: int) -> tuple[Audio, list[str]]:
    """An engine that is the foreground: steady or changing its speed."""
    hz = contour(rng.uniform(1.0, 1.8), [0, rng.uniform(-9, 9)], rng.uniform(70, 130))
    return finish(rng, fade(to_level(hum(hz), -20.0), 0.05), level), ["engine"]


def events(n: int, seed: int = SEED) -> Rows:
    """Labelled sounds, half of them in noise of 5 to 25 dB."""
    rows: Rows = []
    for k in range(n):
        rng = np.random.default_rng([seed, k])
        x, names = _scene(rng, k)
        behind = "silence"
        if k % 20 == 4:
            x, names = _chords(rng, 1 + k % 3)
        elif k % 40 == 34:
            x, names = _noise(rng, 1 + k % 3)
        elif k % 20 == 14:
            x, names = _engine(rng, 1 + k % 3)
        elif k % 5 == 3 and k % 2 and available():
            x, names = _spoken(rng, 1)
        if len(names) == 1 and names[0] in NAMES and rng.random() < 0.5:
            x = reverberate(rng, x[: round(0.3 * 16000)], float(rng.uniform(0.15, 1.1)))[:16000]
            x = finish(rng, x, 1)
        elif k % 4 == 1:
            behind = pick(rng, list(BACKGROUNDS))
            under = BACKGROUNDS[behind](rng, len(x) / 16000 + 0.01)[: len(x)]
            x = x + to_level(under, float(rng.uniform(-42, -28)))
        x = in_noise(rng, x, float("inf") if rng.random() < 0.5 else float(rng.uniform(5, 25)))
        parts, floor = slices(x, behind), floor_power(x)
        if names in (["voice"], ["engine"], ["noise"]):
            names = names * len(parts)
        if len(parts) == len(names):
            rows += [(event_features(p, floor), m) for p, m in zip(parts, names, strict=True)]
    return rows


def backgrounds(n: int, seed: int = SEED) -> Rows:
    """Labelled backgrounds under a foreground or none, on noise floors of every level."""
    rows: Rows = []
    kinds = (*BACKGROUNDS, "silence")
    for k in range(n):
        rng = np.random.default_rng([seed, 1, k])
        kind, level = kinds[k % len(kinds)], 1 + int(rng.integers(3))
        x = np.zeros(round(rng.uniform(1.0, 2.0) * 16000), dtype=np.float32)
        if rng.random() < 0.7:
            at = [(float(t), event(rng, pick(rng, NAMES))) for t in rng.uniform(0.1, 1.0, 2)]
            x = lay(at, 1.8)
        if kind != "silence":
            under = BACKGROUNDS[kind](rng, len(x) / 16000)[: len(x)]
            x = x[: len(under)] + to_level(under, float(rng.uniform(-36, -22)))
        x = finish(rng, x, level)
        if rng.random() < 0.5:
            x = x + gain(rng.standard_normal(len(x)).astype(np.float32), rng.uniform(-60, -30))
        rows.append((rest_features(x), kind))
    return rows


def vowels(n: int, seed: int = SEED) -> Rows:
    """Labelled vowels, half of them in noise."""
    rows: Rows = []
    for k in range(n):
        rng = np.random.default_rng([seed, 2, k])
        name = list(VOWELS)[k % len(VOWELS)]
        hz = contour(0.7, [0, rng.uniform(-2, 2)], rng.uniform(90, 270))
        breath = float(pick(rng, (0.02, 0.02, 0.3)))
        x = vowel(rng, hz, name, tract=rng.uniform(0.96, 1.17), breath=breath)
        x = finish(rng, x, 1 + k % 3)
        if rng.random() < 0.5:
            x = in_noise(rng, x, float(rng.uniform(8, 25)))
        rows.append((vowel_features(x), name))
    return rows


def _reach(x: Float[np.ndarray, "n f"], at: Float[np.ndarray, " n"]) -> dict[str, np.ndarray]:
    """Class means, whitening, and how far a class's own sounds lie from its mean."""
    means = np.stack([x[at == k].mean(axis=0) for k in range(int(at.max()) + 1)])
    rest = x - means[at]
    whiten = np.linalg.cholesky(np.linalg.inv(rest.T @ rest / len(rest) + 2.0 * np.eye(x.shape[1])))
    far = np.sum((rest @ whiten) ** 2, axis=1)
    reach = [2 * np.quantile(far[at == k], 0.995) for k in range(len(means))]
    return {"means": means, "whiten": whiten, "reach": np.array(reach)}


def fit(rows: Rows, *, hidden: int = 64, epochs: int = 60) -> Classes:
    """Cross-entropy by AdamW; deterministic for one thread."""
    import torch

    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    x = np.stack([row for row, _ in rows])
    names = tuple(sorted({label for _, label in rows}))
    at = np.array([names.index(label) for _, label in rows])
    centre, scale = x.mean(axis=0), x.std(axis=0) + 1
    data, y = torch.tensor((x - centre) / scale, dtype=torch.float32), torch.tensor(at)
    net = torch.nn.Sequential(
        torch.nn.Linear(x.shape[1], hidden), torch.nn.ReLU(), torch.nn.Linear(hidden, len(names))
    )
    optimiser = torch.optim.AdamW(net.parameters(), 3e-3, weight_decay=1e-2)
    for _ in range(epochs):
        for batch in torch.randperm(len(x)).split(128):
            loss = torch.nn.functional.cross_entropy(net(data[batch]), y[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    weights = [p.detach().numpy() for p in net.parameters()]
    arrays = {"centre": centre, "scale": scale, **_reach(x, at)}
    arrays |= dict(zip(("w1", "b1", "w2", "b2"), weights, strict=True))
    return Classes(names, {k: v.astype(np.float32) for k, v in arrays.items()})


def _packed(name: str, found: Classes) -> dict[str, np.ndarray]:
    names = np.frombuffer(",".join(found.labels).encode(), dtype=np.uint8).copy()
    arrays = {f"{name}.{key}": np.ascontiguousarray(v) for key, v in found.arrays.items()}
    return arrays | {f"{name}.labels": names}


def main() -> None:
    """Fit, check on fresh seeds, write the file beside this module."""
    from safetensors.numpy import save_file

    data: dict[str, np.ndarray] = {}
    for name, make, n in (
        ("event", events, 4000),
        ("background", backgrounds, 1500),
        ("vowel", vowels, 800),
    ):
        rows = make(n)
        found = fit(rows)
        data |= _packed(name, found)
        fresh = make(n // 5, SEED + 1)
        said = [found.name(x)[0] for x, _ in fresh]
        right = np.mean([s == label for s, (_, label) in zip(said, fresh, strict=True)])
        unknown = np.mean([s == "unknown" for s in said])
        print(
            f"{name}: {len(rows)} sounds; of {len(fresh)} fresh ones {right:.3f} right, "
            f"{unknown:.3f} unknown"
        )
    save_file(data, Path(__file__).parents[1] / "hear" / FILE)


if __name__ == "__main__":
    main()
