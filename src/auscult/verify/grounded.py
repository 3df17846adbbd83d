"""The one verdict: is a thought grounded? And the one number behind it.

grounding = precision ** 2 * coverage * saturating information of all claims * (1 - surrogate);
0 without a supported claim, and for a thought that contradicts itself. The thresholds were fitted
on the gym's *training* items (`auscult.verify.lab.calibrate`) and stand in `thresholds.json`.
"""

import json
import math
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from auscult.types import Verdict
from auscult.verify.scores import Scores


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """Least values for a grounded thought; see `thresholds.json` for the fit.

    Example: Thresholds(grounding=.42, precision=.8, surrogate=.34).
    """

    grounding: float
    precision: float
    surrogate: float


@lru_cache(maxsize=1)
def thresholds() -> Thresholds:
    """The shipped ones."""
    data = json.loads((files("auscult.verify") / "thresholds.json").read_text())
    return Thresholds(**{k: data[k] for k in ("grounding", "precision", "surrogate")})


ENOUGH_BITS = 1.0
"""Bits of all claims together from which on more earn nothing: one yes/no question's worth."""


def grounding(scores: Scores) -> float:
    """A number in [0, 1]. 0 for no claims, for none supported, for nothing that other clips do not
    bear out as well. Without other clips the information counts as enough."""
    if not scores.claims or math.isnan(scores.precision) or scores.contradictions:
        return 0.0
    coverage = 1.0 if math.isnan(scores.coverage) else scores.coverage
    bits = ENOUGH_BITS if math.isnan(scores.information_bits) else scores.information_bits
    information = min(1.0, bits * scores.claims / ENOUGH_BITS)
    return scores.precision**2 * coverage * information * (1 - scores.surrogate)


def grounded(scores: Scores) -> Verdict:
    """Keep or not, and the first reason against."""
    edge = thresholds()
    if not scores.claims:
        return Verdict(keep=False, why="no acoustic claim that could be checked")
    if math.isnan(scores.precision):
        return Verdict(keep=False, why="no claim that the sound can decide")
    if scores.precision < edge.precision:
        return Verdict(keep=False, why="the sound contradicts what is claimed")
    if scores.surrogate > edge.surrogate:
        return Verdict(keep=False, why="reasons about a text instead of the sound")
    if scores.contradictions:
        return Verdict(keep=False, why="contradicts itself")
    if grounding(scores) < edge.grounding:
        return Verdict(keep=False, why="claims little that other sounds do not bear out as well")
    if math.isnan(scores.information_bits):
        return Verdict(
            keep=True, why="borne out; without other clips, not known if only by this one"
        )
    return Verdict(keep=True, why="grounded")
