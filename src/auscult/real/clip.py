"""What a reader finds in a package: clips, still packed, and what is left out by its name."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from auscult.real.recording import Kind


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
