"""Readers of everything that is not speech: effects, drums, instruments, single notes."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from auscult.real.read.containers import read_cat, read_rcc
from auscult.real.read.labels import labelled
from auscult.real.read.speech import files, one
from auscult.real.recording import Clip, Found, Reader, RealSoundError, Skip

_SUFFIXES = ("*.ogg", "*.wav", "*.flac", "*.mp3")
NOTE_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


_NEVER = r"(?!)"


def samples(source: str, place: str, *, but: str = _NEVER, again: str = _NEVER) -> Reader:
    """Every sound below `place`, except those whose name matches `but` (read elsewhere).

    Names that match `again` are recordings that a held-out source has as well, coded otherwise.
    """

    def read(folder: Path) -> Iterator[Found]:
        base = folder / place
        for suffix in _SUFFIXES:
            for name, path in files(base, suffix):
                if re.search(again, name):
                    yield Skip(name, "also in a held-out source")
                elif not re.search(but, name):
                    yield labelled(source, Clip(name=name, sound=path, kind="effect"))

    return read


tuxpaint_effects = samples(
    "tuxpaint-effects", "tuxpaint-stamps-default/usr/share/tuxpaint/stamps",
    but=r"_desc|^symbols/(math|alphabets)/", again="^space/apollo_lander$",
)  # fmt: skip


def gcompris(folder: Path) -> Iterator[Found]:
    """Sounds inside Qt resource files, one per activity; a damaged file does not stop the rest."""
    base = folder / "gcompris-qt-data/usr/share/gcompris-qt/rcc"
    for path in sorted(base.glob("*.rcc")):
        try:
            inside = read_rcc(path.read_bytes(), path.name)
        except RealSoundError:
            yield Skip(path.name, "damaged resource file")
            continue
        for name, data in sorted(inside.items()):
            if name.endswith((".ogg", ".wav")):
                short = re.sub(r"^/gcompris/src/(activities/)?|resource/", "", name)
                clip = Clip(name=short.rsplit(".", 1)[0], sound=data, kind="effect")
                yield labelled("gcompris", clip)


def _licence(title: str) -> str:
    """The short name of the licence that a title of OpenSFX ends with."""
    if "ShareAlike" in title:
        return "CC-BY-SA-3.0"
    return "CC-BY-3.0" if "Attribution 3.0" in title else "CC0-1.0"


def opensfx(folder: Path) -> Iterator[Found]:
    """The sounds of a catalogue; each names title, author and licence."""
    path = one(folder / "openttd-opensfx", "**/opensfx.cat")
    for i, (title, data) in enumerate(read_cat(path.read_bytes(), path.name)):
        said = re.match(r'"([^"]*)"', title)
        text = said[1] if said else title
        if "Unused" in text:
            yield Skip(f"{i:02}", "empty on purpose")
            continue
        words = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
        clip = Clip(name=f"{i:02}-{words}", sound=data, kind="effect", licence=_licence(title))
        yield labelled("opensfx", clip)


def note_midi(name: str) -> int:
    """MIDI number of "C4" (60) or "F#3" (54). Raises ValueError for what is no note."""
    match = re.fullmatch(r"([A-G]#?)(\d)", name)
    if match is None:
        raise ValueError(f"{name!r} is no note; expected a name such as C4 or F#3")
    return 12 * (int(match[2]) + 1) + NOTE_NAMES.index(match[1])


def _note(name: str, path: Path, note: str, instrument: str) -> Clip:
    return Clip(
        name=name, sound=path, kind="note", label=note, family=instrument, midi=note_midi(note)
    )


def salamander(folder: Path) -> Iterator[Found]:
    """A grand piano, the note in the name: `D#4v10.ogg`."""
    for name, path in files(folder / "@audio-samples+piano-velocity10", "*.ogg"):
        yield _note(name, path, path.stem.split("v")[0], "piano")


_AN_OCTAVE_HIGH = ("A", "A#", "B")


def vocobox(folder: Path) -> Iterator[Found]:
    """Sung notes, `F#3-2.wav`. The singer counts octaves from A: A, A# and B are named one high."""
    for name, path in files(folder / "vocobox", "*.wav"):
        if "/mono/" not in f"/{name}":
            continue  # the same recordings in two channels
        match = re.fullmatch(r"([A-G]#?)(\d)(-\d)*", path.stem)
        if match is None:
            yield Skip(name, "marked by its singer as bent, unstable or failed")
            continue
        octave = int(match[2]) - (match[1] in _AN_OCTAVE_HIGH)
        clip = _note(name, path, f"{match[1]}{octave}", "voice")
        yield replace(clip, speaker="vocobox-martin")
