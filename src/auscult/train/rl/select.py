"""Which questions? Those of middling difficulty (paper section 4.3), and those that need the sound.

Guessing alone keeps many questions inside the band (a question of four options that is only
guessed: 32 %), so the band stands beside a control: with silence the model must do worse.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from auscult.train.rl.rollout import Asking, Record, Sampler, collect, write_lines
from auscult.types import Verdict
from auscult.work import dist


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """low to high right answers of n: middling difficulty. probe: with silence fewer are right.

    Examples: Band() is the paper's [3, 6] of 8 with the probe; Band(low=0, high=0) only failed
    ones; Band(low=0, high=8, probe=False) everything.
    """

    n: int = 8
    low: int = 3
    high: int = 6
    probe: bool = True


def in_band(passes: int, silent: int | None, band: Band) -> Verdict:
    """Keep a question with `passes` right answers, `silent` of them with silence (None: not
    asked, for text)?"""
    if passes > band.high:
        return Verdict(keep=False, why="too easy")
    if passes < band.low:
        return Verdict(keep=False, why="too hard or not decidable")
    if band.probe and silent is not None and silent >= passes:
        return Verdict(keep=False, why="answered as well without the sound")
    return Verdict(keep=True, why="selected")


def select(
    policy: Sampler, keys: Sequence[str], band: Band, asking: Asking, folder: Path
) -> list[str]:
    """The keys that stay. Every question with its counts and the reason is in
    `folder`/selection.jsonl."""
    groups = collect(policy, keys, asking, folder / "passes")
    passes = [sum(r.score for r in group) for group in groups]
    asked = [k for k, group in zip(keys, groups, strict=True) if group[0].item.clips]
    silent: dict[str, float] = {}
    if band.probe and asked:
        quiet = replace(asking, sound="silence")
        without = collect(policy, asked, quiet, folder / "silence")
        silent = {k: sum(r.score for r in g) for k, g in zip(asked, without, strict=True)}
    records: list[Record] = []
    for key, right in zip(keys, passes, strict=True):
        rightly = silent.get(key)
        verdict = in_band(int(right), None if rightly is None else int(rightly), band)
        found: dict[str, Any] = {"key": key, "passes": int(right), "silent": rightly}
        records.append(found | {"keep": verdict.keep, "why": verdict.why})
    if dist.rank() == 0:
        write_lines(folder / "selection.jsonl", records)
    dist.barrier()
    return [r["key"] for r in records if r["keep"]]
