"""Tasks about the scene: what is behind, how noisy, how large the room, who comes and goes."""

import numpy as np

from auscult.audio.synth import (
    BACKGROUNDS,
    band_noise,
    event,
    filtered,
    finish,
    hum,
    lay,
    note_hz,
    reverberate,
    times,
    to_level,
    tone,
)
from auscult.gym.base import draft, pick
from auscult.gym.tasks.events import NAMES
from auscult.types import Audio, Item


def background(rng: np.random.Generator, level: int) -> Item:
    """What is in the background of a short sound?"""
    kinds = [*BACKGROUNDS, "silence"]
    kind = pick(rng, kinds)
    name = pick(rng, [n for n in NAMES if n != "chirp"])
    x = lay([(rng.uniform(0.2, 0.9), event(rng, name))], 1.6)
    if kind != "silence":
        x = x + to_level(BACKGROUNDS[kind](rng, len(x) / 16000), -27.0 - 5 * (level - 1))
    return draft(
        rng,
        clips=[finish(rng, x, level)],
        phrasings=(
            "What is in the background?",
            "Which sound lies behind the others?",
            "What is the background sound?",
        ),
        options=kinds,
        answer=kind,
        facts={"background": kind, "sound": name},
        features=("background",),
        heard=[f"I hear {name}, behind it {kind}."],
        inference=f"The background is {kind}.",
        level=level,
    )


def noisier_clip(rng: np.random.Generator, level: int) -> Item:
    """Two clips of a tone in noise: which is noisier?"""
    high = rng.uniform(20, 28)
    low = high - (rng.uniform(12, 16) if level == 1 else rng.uniform(6, 9))
    snrs = [high, low] if rng.random() < 0.5 else [low, high]
    midi = int(rng.integers(60, 80))

    def clip(snr_db: float) -> Audio:
        x = tone(note_hz(midi), 0.9, "hollow")
        noise = to_level(rng.standard_normal(len(x), dtype=np.float32), -20.0 - snr_db)
        return finish(rng, x + noise, 1)

    answer = "first" if snrs[0] < snrs[1] else "second"
    return draft(
        rng,
        clips=[clip(s) for s in snrs],
        phrasings=(
            "Which clip is noisier, the first or the second?",
            "In which clip is the noise stronger?",
            "Which recording has more noise?",
        ),
        options=("first", "second"),
        answer=answer,
        facts={"snr_1_db": snrs[0], "snr_2_db": snrs[1]},
        features=("noise",),
        heard=[f"I hear a note in {'weak' if s == high else 'strong'} noise." for s in snrs],
        inference=f"The {answer} has more noise.",
        level=level,
    )


def bigger_room(rng: np.random.Generator, level: int) -> Item:
    """Two claps in rooms: which room is larger?"""
    small = rng.uniform(0.15, 0.3)
    large = small * (rng.uniform(3, 4) if level == 1 else rng.uniform(1.8, 2.2))
    rts = [small, large] if rng.random() < 0.5 else [large, small]
    name = pick(rng, ("clap", "knock", "beep"))

    def clip(rt60_s: float) -> Audio:
        x = reverberate(rng, lay([(0.05, event(rng, name))], 0.2), rt60_s)
        return finish(rng, lay([(0, x[: round(1.2 * 16000)])], 1.0), level)

    answer = "first" if rts[0] > rts[1] else "second"
    return draft(
        rng,
        clips=[clip(r) for r in rts],
        phrasings=(
            "Which clip is in the bigger room, the first or the second?",
            "Which room is larger?",
            "In which clip does the sound ring longer?",
        ),
        options=("first", "second"),
        answer=answer,
        facts={"rt60_1_s": rts[0], "rt60_2_s": rts[1]},
        features=("reverberation",),
        heard=[f"I hear {name} with {'long' if r == large else 'short'} echo." for r in rts],
        inference=f"The {answer} rings longer.",
        level=level,
    )


def approach(rng: np.random.Generator, level: int) -> Item:
    """Does the source come nearer, go away or stay where it is?"""
    answer = pick(rng, ("comes nearer", "goes away", "stays"))
    span = 18.0 if level == 1 else 10.0
    slope = {"comes nearer": 1, "goes away": -1, "stays": 0}[answer] * span
    t = times(1.6)
    kind = pick(rng, ("engine", "noise"))
    if kind == "engine":
        x = hum(np.full_like(t, rng.uniform(75, 115)))
    else:
        x = band_noise(rng, 1.6, 200, 3000)
    # Far sounds are dull as well as quiet: fade between the sound and a low-passed copy of it.
    near = np.clip(0.5 + slope / 36 * (t / 0.8 - 1), 0, 1).astype(np.float32)
    dull = filtered([[0.1, 0, 0, 1, -0.9, 0]], x)
    x = to_level(x * near + dull * (1 - near), -24.0)
    x = x * (10 ** (slope * (t / 1.6 - 0.5) / 20)).astype(np.float32)
    trend = {"comes nearer": "grows", "goes away": "fades", "stays": "is constant"}[answer]
    return draft(
        rng,
        clips=[finish(rng, x, level)],
        phrasings=(
            "Does the source come nearer, go away or stay?",
            "How does the source move?",
            "Is the source moving nearer or away?",
        ),
        options=("comes nearer", "goes away", "stays"),
        answer=answer,
        facts={"level_change_db": slope, "source": kind},
        features=("level", "brightness"),
        heard=[f"I hear {kind} whose level {trend}."],
        inference=f"So it {answer}.",
        level=level,
    )


def engine_speed(rng: np.random.Generator, level: int) -> Item:
    """Does the engine speed up, slow down or run steadily?"""
    answer = pick(rng, ("speeds up", "slows down", "stays steady"))
    octaves = {"speeds up": 1, "slows down": -1, "stays steady": 0}[answer]
    octaves = octaves * (0.8 if level == 1 else 0.4)
    t = times(1.6)
    start = rng.uniform(90, 130)
    hz = start * 2 ** (octaves * (t / 1.6 - 0.5))
    x = to_level(hum(hz.astype(np.float32)), -22.0)
    trend = {"speeds up": "rises", "slows down": "falls", "stays steady": "is constant"}[answer]
    return draft(
        rng,
        clips=[finish(rng, x, level)],
        phrasings=(
            "Does the engine speed up, slow down or stay steady?",
            "What happens to the speed of the engine?",
            "How does the engine change?",
        ),
        options=("speeds up", "slows down", "stays steady"),
        answer=answer,
        facts={"start_hz": float(hz[0]), "end_hz": float(hz[-1])},
        features=("pitch",),
        heard=[f"I hear engine whose pitch {trend}."],
        inference=f"So it {answer}.",
        level=level,
    )
