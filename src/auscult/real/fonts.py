"""Notes of sampled instruments: soundfonts rendered by TinySoundFont, every note known exactly.

The same arguments give the same samples, in any order and any process.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from auscult.audio.synth import SAMPLE_RATE, resample
from auscult.real.programs import PROGRAMS
from auscult.real.recording import RealSoundError, Split, default_folder
from auscult.real.sources import FONTS
from auscult.types import Audio

if TYPE_CHECKING:
    from tinysoundfont import Synth  # pyright: ignore[reportMissingImports]


_RATE = 48_000  # Hz; three samples for one of ours
_BLOCK = 64  # samples in which TinySoundFont moves envelopes
_DRUM_BANK = 128
_FLUSH = 1024  # samples in which notes that were cut off fade out
_SILENT = 1e-7  # a peak below this: the instrument has no such note
PEAK = 0.5  # of what is returned, whatever the font's own level


class NoSound(RealSoundError, LookupError):
    """Notes that an instrument does not have: a task draws others."""


@dataclass(frozen=True, slots=True)
class Note:
    """One note. Example: Note(midi=60, start_s=0.5, length_s=0.8, velocity=100) is middle C."""

    midi: int  # 0 to 127; 60 is middle C; of a drum kit the key of the drum
    start_s: float
    length_s: float  # until the key is let go; what rings on is heard
    velocity: int = 100  # 1 to 127


def fonts(split: Split) -> tuple[str, ...]:
    """Names of the fonts on one side of the split."""
    return tuple(name for name, (_, _, _, side) in FONTS.items() if side == split)


def font_path(font: str, folder: Path | None = None) -> Path:
    """The file of `font` below the cache folder.

    Raises ValueError for an unknown name and `RealSoundError` where it was not fetched.
    """
    if font not in FONTS:
        raise ValueError(f"unknown font {font!r}; expected one of {', '.join(FONTS)}")
    package, file, *_ = FONTS[font]
    base = (folder or default_folder()) / "unpacked" / package.folder
    found = sorted(base.rglob(file))
    if not found:
        raise RealSoundError(f"soundfont {file} is not below {base}: run `make real-sound`")
    return found[0]


@lru_cache(maxsize=4)
def _synth(path: Path) -> "tuple[Synth, int]":
    try:
        from tinysoundfont import Synth  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise RealSoundError(
            "notes of soundfonts are played by tinysoundfont: run `make real-sound`, or "
            "pip install --no-deps tinysoundfont (what it depends on is only for loudspeakers)"
        ) from error
    synth = Synth(samplerate=_RATE)
    return synth, synth.sfload(str(path))


def _render(path: Path, bank: int, program: int, notes: Sequence[Note], seconds: float) -> Audio:
    """48 kHz mono. Notes begin and end on the synthesiser's blocks of 1.3 ms, rounded."""
    synth, font = _synth(path)
    synth.program_select(0, font, bank, program, bank == _DRUM_BANK)
    total = round(seconds * _RATE)

    def at(second: float) -> int:
        return min(round(second * _RATE / _BLOCK) * _BLOCK, total)

    # A key is let go before it is pressed again.
    events = sorted(
        event
        for n in notes
        for event in (
            (at(n.start_s + n.length_s), 0, n.midi, 0),
            (at(n.start_s), 1, n.midi, n.velocity),
        )
    )
    out = np.zeros((total, 2), dtype=np.float32)
    now = 0
    for time, press, key, velocity in [*events, (total, 0, -1, 0)]:
        if time > now:
            out[now:time] = np.frombuffer(
                synth.generate_simple(time - now), dtype=np.float32
            ).reshape(-1, 2)
            now = time
        if press:
            synth.noteon(0, key, velocity)
        elif key >= 0:
            synth.noteoff(0, key)
    synth.sounds_off(0)
    synth.generate_simple(_FLUSH)
    return out.mean(axis=1)


def _levelled(x: Audio, seconds: float, what: str) -> Audio:
    y = resample(x, _RATE)[: round(seconds * SAMPLE_RATE)]
    peak = float(np.abs(y).max(initial=0.0))
    if peak < _SILENT:
        raise NoSound(f"{what} makes no sound with these notes; choose others")
    return y * np.float32(PEAK / peak)


def _check(notes: Sequence[Note], seconds: float) -> None:
    for n in notes:
        if not (0 <= n.midi < 128 and 0 < n.velocity < 128 and n.length_s > 0 and n.start_s >= 0):
            raise ValueError(
                f"{n} cannot be played; expected midi 0 to 127, velocity 1 to 127, a length "
                "above 0 s and a start from 0 s on"
            )
        if n.start_s >= seconds:
            raise ValueError(f"{n} begins behind the end, {seconds} s")


def play(
    font: str, program: int, notes: Sequence[Note], *, seconds: float, folder: Path | None = None
) -> Audio:
    """`notes` on one instrument: 16 kHz mono of exactly `seconds`, its highest sample at `PEAK`.

    `program` is a General MIDI number from 0 (`PROGRAMS` names it). What rings on behind the end
    is cut off. Raises ValueError for notes that cannot be played, `RealSoundError` where the font
    or its synthesiser is not there, `NoSound` where the instrument has none of the notes.
    """
    if not 0 <= program < len(PROGRAMS):
        raise ValueError(f"program {program} does not exist; expected 0 to {len(PROGRAMS) - 1}")
    _check(notes, seconds)
    x = _render(font_path(font, folder), 0, program, notes, seconds)
    return _levelled(x, seconds, f"{PROGRAMS[program]} of {font}")


def drums(font: str, hits: Sequence[Note], *, seconds: float, folder: Path | None = None) -> Audio:
    """The same for the standard drum kit; `midi` is a key of `programs.DRUMS`."""
    _check(hits, seconds)
    x = _render(font_path(font, folder), _DRUM_BANK, 0, hits, seconds)
    return _levelled(x, seconds, f"the drum kit of {font}")
