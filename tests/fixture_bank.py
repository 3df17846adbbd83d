"""A small cache of "real" sound made by synthesis, in exactly the form of `make real-sound`."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

from auscult.audio.synth import BACKGROUNDS, EVENTS, event, lay, note_hz, note_name, to_level, tone
from auscult.audio.voice import contour, vowel
from auscult.gym.base import DIGITS
from auscult.real.recording import Recording, Split, write_recordings
from auscult.types import Audio

VOICES: dict[Split, dict[str, float]] = {
    "train": {"anna": 250.0, "bert": 100.0, "carl": 180.0},
    "heldout": {"dora": 260.0, "emil": 110.0, "fred": 170.0},
}
PROMPTS = ("open the door", "close the window", "good morning", "thank you", "one moment please")
LANGUAGES = ("en", "es", "fr", "it", "ru")
FAMILIES = {
    "bark": "animal", "chirp": "animal", "whistle": "signal", "beep": "signal", "bell": "bell",
    "drum": "drum", "horn": "vehicle", "knock": "household", "clap": "human", "glass": "household",
}  # fmt: skip
LASTING = {"engine": "vehicle", "rain": "weather", "crickets": "animal", "wind": "nature"}
LINES = ("the quick brown fox jumps", "over the lazy dog again")


def _speech(hz: float, seconds: float, seed: int) -> Audio:
    rng = np.random.default_rng(seed)
    return vowel(rng, contour(seconds, [0, 1, -1], hz), "ah")


def _voiced(split: Split) -> Iterator[tuple[Recording, Audio]]:
    for number, (name, hz) in enumerate(VOICES[split].items()):
        said = [(f"digits/{n}", DIGITS[n], str(n), 0.5) for n in range(10)]
        said += [(f"prompts/{i}", text, "", 1.0) for i, text in enumerate(PROMPTS)]
        said += [(f"slow/{i}", text, "", 3.0) for i, text in enumerate(LINES)]
        said += [(f"fast/{i}", text, "", 1.5) for i, text in enumerate(LINES)]
        for at, (key, text, digit, seconds) in enumerate(said):
            yield (
                _recording(f"{name}/{key}", split, "speech", seconds, text=text, exact=True,
                           digit=digit, speaker=name, language="en"),
                _speech(hz, seconds, 100 * number + at),
            )  # fmt: skip
    for language in LANGUAGES[1:]:
        yield (
            _recording(f"{language}-{split}/1", split, "speech", 1.0, text="", speaker=language
                       + split, language=language),
            _speech(150, 1.0, 5),
        )  # fmt: skip


def _effects(split: Split) -> Iterator[tuple[Recording, Audio]]:
    for seed, name in enumerate(EVENTS):
        x = event(np.random.default_rng([seed, split == "train"]), name)
        yield (
            _recording(f"effects-{split}/{name}", split, "effect", len(x) / 16000, label=name,
                       family=FAMILIES[name]),
            x,
        )  # fmt: skip
    for name, family in LASTING.items():
        x = to_level(BACKGROUNDS[name](np.random.default_rng(split == "train"), 2.0), -25.0)
        yield (
            _recording(f"lasting-{split}/{name}", split, "effect", 2.0, label=name, family=family),
            x,
        )
    music = lay([(0.3 * i, tone(note_hz(60 + i), 0.3, "hollow")) for i in range(4)])
    yield (
        _recording(f"music-{split}/1", split, "music", 1.2, label="flute", family="instrument"),
        music,
    )


def _piano() -> Iterator[tuple[Recording, Audio]]:
    for midi in range(48, 82, 3):
        yield (
            _recording(f"salamander/{midi}", "heldout", "note", 1.0, label=note_name(midi),
                       midi=midi),
            tone(note_hz(midi), 1.0, "plucked"),
        )  # fmt: skip


def _recording(key: str, split: Split, kind: str, seconds: float, **more: object) -> Recording:
    return Recording(
        key=key, file=f"clips/{key}.flac", source=key.split("/")[0], split=split, kind=kind,
        seconds=seconds, licence="CC0", md5=hashlib.md5(key.encode()).hexdigest(), **more,
    )  # type: ignore[arg-type]  # fmt: skip


def build(folder: Path) -> Path:
    """The cache: clips and manifest; no soundfonts."""
    rows: list[Recording] = []
    for found in (*_voiced("train"), *_voiced("heldout"), *_effects("train"),
                  *_effects("heldout"), *_piano()):  # fmt: skip
        recording, x = found
        path = folder / recording.file
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, x, 16_000)
        rows.append(recording)
    write_recordings(folder, rows)
    return folder
