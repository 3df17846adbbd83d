"""Fits what is shipped beside the code: the thresholds of `grounded`, and how far each measurement
can be trusted. `python -m auscult.verify.lab.calibrate`; gym items of the training split only."""

import json
from collections import defaultdict
from pathlib import Path

import numpy as np
from tqdm import tqdm

from auscult import gym
from auscult.audio import speech
from auscult.gym.render import chain
from auscult.types import Item
from auscult.verify.claims import CONTRADICTED, SUPPORTED
from auscult.verify.grounded import grounding
from auscult.verify.hear.measures import take
from auscult.verify.lab.attacks import ATTACKS
from auscult.verify.lab.fit import in_noise
from auscult.verify.lab.probes import PROBES, agrees
from auscult.verify.lab.statements import statements
from auscult.verify.scores import Scores, score
from auscult.verify.verify import Ears, listen, verify

ITEMS = range(30_000, 30_006)
"""Numbers that no training run reaches."""

CONDITIONS_DB = {"clean": float("inf"), "20 dB": 20.0, "10 dB": 10.0, "0 dB": 0.0}
HERE = Path(__file__).parents[1]


def tasks() -> list[str]:
    """All tasks that can be made here."""
    return [t for t in gym.TASKS if t not in gym.SPEECH_TASKS or speech.available()]


def samples() -> tuple[list[Scores], list[Scores]]:
    """Scores of true chains, and of attacks, on training items."""
    true: list[Scores] = []
    false: list[Scores] = []
    for task in tqdm(tasks(), desc="thresholds"):
        items = [gym.make(task, i, anywhere=False) for i in ITEMS]
        ears = [listen(item.clips) for item in items]
        for i, item in enumerate(items):
            if set(item.features) <= {"words"}:
                continue
            others = [e for j, e in enumerate(ears) if j != i]
            rng = np.random.default_rng([i, len(task)])
            texts = [chain(item)]
            texts += [a(item, items[(i + 1) % len(items)], rng) for a in ATTACKS.values()]
            for k, text in enumerate(texts):
                found, _ = score(
                    text, ears[i], features=item.features, answer=item.answer,
                    options=item.options, question=item.question, others=others,
                )  # fmt: skip
                (false if k else true).append(found)
    return true, false


def fit_thresholds(true: list[Scores], false: list[Scores]) -> dict[str, float]:
    """The grid point with the best balanced accuracy; among equals the strictest precision."""

    def passed(s: Scores, grounding_least: float, precision_least: float) -> bool:
        ok = s.claims > 0 and s.precision >= precision_least and s.surrogate <= 0.34
        return ok and not s.contradictions and grounding(s) >= grounding_least

    best = (-1.0, 0.0, 0.0, 0.0, 0.0)
    for p in np.arange(0.5, 1.001, 0.05):
        for g in np.arange(0.05, 0.95, 0.025):
            kept = float(np.mean([passed(s, float(g), float(p)) for s in true]))
            refused = float(np.mean([not passed(s, float(g), float(p)) for s in false]))
            best = max(best, ((kept + refused) / 2, float(p), float(g), kept, refused))
    _, p, g, kept, refused = best
    return {
        "grounding": round(g, 3), "precision": round(p, 2), "surrogate": 0.34,
        "true_chains_kept": round(kept, 4), "attacks_refused": round(refused, 4),
        "n_true": len(true), "n_attacks": len(false),
    }  # fmt: skip


# Noise changes what is true of these: they are judged on the clean clips alone.
CHANGED_BY_NOISE = ("quality.noise", "comparison.noise", "quality.breath", "value.snr")


Marks = dict[tuple[str, str], list[bool]]
"""(measurement, condition) -> was it right, one mark per claim or sound."""


def reliability() -> dict[str, dict[str, float]]:
    """Measurement -> condition -> share judged right: by statements about gym items, true and
    false, or on sounds of known truth (`probes`). Refused and ambiguous ones are not right."""
    right: Marks = defaultdict(list)
    for task in tqdm(tasks(), desc="reliability"):
        for i in ITEMS:
            for name, snr_db in CONDITIONS_DB.items():
                _mark_statements(right, gym.make(task, i, anywhere=False), i, name, snr_db)
    for name, probe in tqdm(PROBES.items(), desc="probes"):
        for k in range(30):
            clip, truth, tolerance = probe(np.random.default_rng([31, k]))
            for condition, snr_db in CONDITIONS_DB.items():
                ears = listen([in_noise(np.random.default_rng(k), clip, snr_db)])
                found = take(ears[0], name).value
                right[name, condition].append(agrees(found, truth, tolerance))
    table: dict[str, dict[str, float]] = defaultdict(dict)
    for (function, name), marks in sorted(right.items()):
        table[function][name] = round(float(np.mean(marks)), 3)
        table[function][f"{name} n"] = len(marks)
    return dict(table)


def _mark_statements(right: Marks, item: Item, i: int, name: str, snr_db: float) -> None:
    heard: dict[tuple[int, ...], Ears] = {}
    for s in statements(item, np.random.default_rng(i)):
        if name != "clean" and s.key.startswith(CHANGED_BY_NOISE):
            continue
        key = tuple(id(clip) for clip in s.clips)
        if key not in heard:
            heard[key] = listen([in_noise(np.random.default_rng(i), c, snr_db) for c in s.clips])
        found = verify(s.claim, heard[key])
        if found.function and found.function not in PROBES:
            wanted = SUPPORTED if s.true else CONTRADICTED
            right[found.function, name].append(found.verdict == wanted)


def main() -> None:
    """Fit and write `thresholds.json` and `reliability.json` beside this module."""
    found = fit_thresholds(*samples())
    (HERE / "thresholds.json").write_text(json.dumps(found, indent=1) + "\n")
    print(found)
    table = reliability()
    (HERE / "hear" / "reliability.json").write_text(json.dumps(table, indent=1) + "\n")
    for name, row in table.items():
        print(name, row)


if __name__ == "__main__":
    main()
