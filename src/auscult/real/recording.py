"""One recording of real sound and what is known about it: in a package, and in the manifest."""

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import soundfile

from auscult.audio.synth import SAMPLE_RATE
from auscult.types import Audio

Split = Literal["train", "heldout"]
Kind = Literal["speech", "effect", "note", "music"]
MANIFEST = "recordings.jsonl"


class RealSoundError(ValueError):
    """Real sound that is not there or not as it should be; the message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One clip of 16 kHz mono FLAC below the cache folder.

    Example (a spoken digit):
        key       "asterisk-en/digits/5"   source and path in its package without suffix; unique
        file      "clips/asterisk-en/digits/5.flac"
        source    "asterisk-en"            a row of `sources.SOURCES`
        split     "heldout"
        kind      "speech"                 note: one note of known pitch; music: phrases and pieces
        seconds   0.81
        licence   "CC-BY-SA-3.0"
        text      "five"                   what is spoken, in its own spelling
        exact     True                     the text is known to be what is said
        digit     "5"                      where the clip is one spoken digit
        speaker   "allison"                one id per voice over all sources; "" is unknown
        language  "en"                     ISO 639-1 where it has a code
    Effects, notes and music:
        label     "dog"                    class noun; of music the instrument; of notes "C4"
        family    "animal"                 of the label
        midi      60                       of notes
    md5 is that of the decoded samples, before any conversion.
    """

    key: str
    file: str
    source: str
    split: Split
    kind: Kind
    seconds: float
    licence: str
    text: str = ""
    exact: bool = False
    digit: str = ""
    speaker: str = ""
    language: str = ""
    label: str = ""
    family: str = ""
    midi: int = -1
    md5: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """One sound of a package; the fields of `Recording` that a reader knows.

    Example: Clip(name="digits/5", sound=Path(".../digits/5.g722"), code="g722", kind="speech",
    text="five", exact=True, digit="5", speaker="allison", language="en").
    """

    name: str  # path in the package without suffix
    sound: Path | bytes
    kind: Kind
    code: str = ""  # a key of `decode.CODES`
    licence: str = ""  # where it differs from that of its source
    text: str = ""
    exact: bool = False
    digit: str = ""
    speaker: str = ""
    language: str = ""
    label: str = ""
    family: str = ""
    midi: int = -1


@dataclass(frozen=True, slots=True)
class Skip:
    """A file that is sound but not used, with the reason (the same words for all of a kind)."""

    name: str
    why: str


Found = Clip | Skip
Reader = Callable[[Path], Iterable[Found]]
"""From the folder that holds the unpacked packages (one folder each, by name) to what is there."""


_USUAL = {f.name: f.default for f in fields(Recording) if f.default is not MISSING}


def default_folder() -> Path:
    """Where real sound is kept: `AUSCULT_REAL`, else `~/.cache/auscult/real`."""
    given = os.environ.get("AUSCULT_REAL", "")
    return Path(given) if given else Path.home() / ".cache" / "auscult" / "real"


def _parse(path: Path, number: int, line: str) -> Recording:
    try:
        found: dict[str, Any] = json.loads(line)
        side = found["split"] in get_args(Split) and found["kind"] in get_args(Kind)
        recording = Recording(**found) if side else None
    except (json.JSONDecodeError, TypeError, KeyError) as error:
        raise RealSoundError(
            f"{path} line {number} is not a recording ({error}); it was cut off or is of another "
            "version: run `make real-sound` again, it writes the file anew"
        ) from error
    if recording is None:
        raise RealSoundError(
            f"{path} line {number}: split {found['split']!r}, kind {found['kind']!r}; expected "
            f"one of {', '.join(get_args(Split))} and of {', '.join(get_args(Kind))}"
        )
    return recording


def read_recordings(folder: Path) -> list[Recording]:
    """Everything in the manifest of `folder`, in its order (by source, then by key).

    Raises `RealSoundError` where there is no manifest or a line of it cannot be read.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise RealSoundError(
            f"{path} does not exist: no real sound is there yet; run `make real-sound` (fetches "
            "0.75 GB), or set AUSCULT_REAL to the folder that has it"
        )
    with path.open(encoding="utf-8") as lines:
        return [_parse(path, number, line) for number, line in enumerate(lines, 1)]


def write_recordings(folder: Path, recordings: Iterable[Recording]) -> Path:
    """Write the manifest of `folder` at once: it is whole or as it was."""
    path = folder / MANIFEST
    made = path.with_suffix(".part")
    with made.open("w", encoding="utf-8") as out:
        for recording in recordings:
            given = {k: v for k, v in asdict(recording).items() if v != _USUAL.get(k, ...)}
            out.write(json.dumps(given, ensure_ascii=False) + "\n")
    made.replace(path)
    return path


def load(folder: Path, recording: Recording) -> Audio:
    """The sound of `recording`: 16 kHz mono float32 within [-1, 1].

    Raises `RealSoundError` for a file that is missing, damaged or of another rate.
    """
    path = folder / recording.file
    try:
        x, rate = soundfile.read(path, dtype="float32")
    except soundfile.LibsndfileError as error:
        raise RealSoundError(
            f"{path} cannot be read ({error}); delete it and run `make real-sound` again"
        ) from error
    if rate != SAMPLE_RATE or x.ndim != 1:
        raise RealSoundError(f"{path} has {rate} Hz and {x.ndim} dimensions; expected 16 kHz mono")
    return np.asarray(x, dtype=np.float32)
