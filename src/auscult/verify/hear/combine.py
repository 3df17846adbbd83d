"""What the values of its windows say of a long recording. Pure: values in, value out or `Refused`.

A value speaks for a recording if at least half of its windows with sound have it. Otherwise it is
refused, and says in how many windows it was found.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from auscult.verify.hear.listening import Refused, V, Window


def _known(values: Sequence[V | Refused], windows: Sequence[Window]) -> list[tuple[V, Window]]:
    pairs = zip(values, windows, strict=True)
    found = [(v, w) for v, w in pairs if not isinstance(v, Refused)]
    if not found:
        raise Refused(str(next(v for v in values if isinstance(v, Refused))))
    return found


def _speaks(count: int, windows: Sequence[Window], what: str) -> None:
    sounding = sum(not w.silent for w in windows)
    if 2 * count < sounding:
        raise Refused(f"{what} in {count} of {sounding} windows only; measure a stretch of it")


def typical(values: Sequence[float | Refused], windows: Sequence[Window]) -> float:
    """The median over the windows that have it."""
    known = [v for v, _ in _known(values, windows)]
    middle = float(np.median(known))
    _speaks(len(known), windows, f"about {middle:.2f}")
    return middle


def by_energy(values: Sequence[float | Refused], windows: Sequence[Window]) -> float:
    """The mean, in which each window counts as much as its energy: a balance point of the whole."""
    known = _known(values, windows)
    weight = np.array([max(w.energy, 1e-12) for _, w in known])
    return float(np.dot([v for v, _ in known], weight) / weight.sum())


def commonest(values: Sequence[str | Refused], windows: Sequence[Window]) -> str:
    """The word of most windows."""
    word, count = Counter(v for v, _ in _known(values, windows)).most_common(1)[0]
    _speaks(count, windows, word)
    return word
