"""Studies: one protocol in, the protocols that answer a question out. A new one is a function and a
line in `STUDIES`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from auscult.audio.corrupt import CORRUPTIONS
from auscult.audio.respeak import SPEAKERS
from auscult.bench.question import Question
from auscult.evaluate.protocol import Protocol
from auscult.gym.languages import LANGUAGES


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How far the studies go.

    Example: Extent(budgets=(16, 64), samples=8).
    """

    budgets: tuple[int, ...] = (4, 8, 16, 32)
    """thought tokens of the study `budgets`, beside none and free"""
    pool: int = 16
    """samples of each question in the study `selectors`"""
    pool_temperature: float = 1.0
    """at which they are drawn"""
    strengths: tuple[float, ...] = (0.25, 0.5, 1.0)
    """of audio-aware decoding in the study `decoding`"""
    corruptions: tuple[str, ...] = ()
    """of the study of that name; default all"""
    voices: tuple[str, ...] = ()
    """of the study of that name; default all"""
    languages: tuple[str, ...] = ()
    """of the study of that name; default all"""


Study = Callable[[Protocol, Extent, Sequence[Question]], list[Protocol]]


def _plain(base: Protocol, extent: Extent, questions: Sequence[Question]) -> list[Protocol]:
    return [base]


def _controls(base: Protocol, extent: Extent, questions: Sequence[Question]) -> list[Protocol]:
    """Transcript and caption only where every question has one."""
    names = ["full", "no_audio", "silence", "noise", "swapped"]
    names += ["transcript"] if all(q.transcript for q in questions) else []
    names += ["caption"] if all(q.caption for q in questions) else []
    return [replace(base, condition=name) for name in names]


def _budgets(base: Protocol, extent: Extent, questions: Sequence[Question]) -> list[Protocol]:
    thinks = ["none", *(str(b) for b in sorted(extent.budgets) if b), "free"]
    # Checking thoughts costs more than writing them; here it answers nothing.
    return [replace(base, think=t, verify=base.verify and t == "free") for t in thinks]


def _selectors(base: Protocol, extent: Extent, questions: Sequence[Question]) -> list[Protocol]:
    """One pool of samples, and one under silence: what votes are worth without hearing."""
    pool = replace(base, samples=extent.pool, temperature=extent.pool_temperature)
    return [pool, replace(pool, condition="silence")]


def _decoding(base: Protocol, extent: Extent, questions: Sequence[Question]) -> list[Protocol]:
    swept = [
        replace(base, contrast=strength, without=without, verify=False)
        for without in ("silence", "nothing")
        for strength in extent.strengths
    ]
    return [base, *swept]


def _corruptions(base: Protocol, extent: Extent, questions: Sequence[Question]) -> list[Protocol]:
    names = extent.corruptions or tuple(CORRUPTIONS)
    return [base, *(replace(base, corruption=name, verify=False) for name in names)]


def _only(family: str, base: Protocol) -> list[Protocol]:
    names = [name for name, c in CORRUPTIONS.items() if c.family == family]
    return [base, *(replace(base, corruption=name, verify=False) for name in names)]


def _position(base: Protocol, extent: Extent, questions: Sequence[Question]) -> list[Protocol]:
    return _only("position", base)


def _noise(base: Protocol, extent: Extent, questions: Sequence[Question]) -> list[Protocol]:
    return _only("pink", base)


def _constrained(base: Protocol, extent: Extent, questions: Sequence[Question]) -> list[Protocol]:
    return [base, replace(base, constrained=True, verify=False)]


def _voices(base: Protocol, extent: Extent, questions: Sequence[Question]) -> list[Protocol]:
    names = extent.voices or tuple(SPEAKERS)
    return [base, *(replace(base, voice=name, verify=False) for name in names)]


def _languages(base: Protocol, extent: Extent, questions: Sequence[Question]) -> list[Protocol]:
    names = extent.languages or tuple(LANGUAGES)
    return [base, *(replace(base, language=name, verify=False) for name in names)]


STUDIES: dict[str, Study] = {
    "plain": _plain,
    "controls": _controls,
    "budgets": _budgets,
    "selectors": _selectors,
    "decoding": _decoding,
    "corruptions": _corruptions,
    "position": _position,
    "noise": _noise,
    "constrained": _constrained,
    "voices": _voices,
    "languages": _languages,
}
"""name -> protocols: the suite as it is; with something in place of the sound; by budget of
thought; a pool of samples for the selectors; audio-aware decoding by strength; spoilt sound; the
sound elsewhere in its recording; pink noise by ratio; answers held to the options; spoken by
other voices; asked in other languages."""


def protocols(
    names: Sequence[str], base: Protocol, extent: Extent, questions: Sequence[Question]
) -> list[Protocol]:
    """All protocols of these studies, each once. Raises `ValueError` for an unknown study."""
    unknown = [name for name in names if name not in STUDIES]
    if unknown:
        raise ValueError(f"unknown study {unknown[0]!r}; expected one of {', '.join(STUDIES)}")
    found = [p for name in names for p in STUDIES[name](base, extent, questions)]
    return list(dict.fromkeys(found))
