"""Ablations of the recipe: one question each, several seeds, arms compared on the same items.

An arm is a list of stages that starts from a folder which all arms of a seed share. `ABLATIONS` is
the table: a new ablation is a function and a line in it.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from auscult.evaluate.stage import measure, thought_scores
from auscult.recipe import Stage, nano
from auscult.stats.intervals import wilson
from auscult.train.rl.select import Band
from auscult.types import Estimate
from auscult.work import dist


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One setting: the stages it runs after the shared ones; none = the shared model itself.
    `protocol` is the column that counts ("prompted": only the prompt asks for evidence)."""

    name: str
    stages: tuple[Stage, ...]
    protocol: str = "thinking"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ablation:
    """The stages that all arms share, and the arms. The first arm is what others are compared
    with."""

    shared: tuple[Stage, ...]
    arms: tuple[Arm, ...]


def _stages(seed: int, scale: float, **given: Any) -> dict[str, Stage]:
    return {s.name: s for s in nano(seed=seed, scale=scale, **given).stages}


def _shared(stages: dict[str, Stage], *names: str) -> tuple[Stage, ...]:
    return tuple(stages[name] for name in names)


def _with_rl(stage: Stage, **changes: Any) -> Stage:
    """An RL stage with other settings of PPO or of the selection."""
    if "rewards" in changes:
        changes["ppo"] = replace(stage.config.ppo, rewards=changes.pop("rewards"))
    return replace(stage, config=replace(stage.config, **changes))


def format_reward(seed: int, scale: float) -> Ablation:
    """R = 0.8 right + 0.2 reasoned against right alone (paper section 6.1, figure 4)."""
    s = _stages(seed, scale)
    rl = s["rl_1"]
    return Ablation(
        shared=_shared(s, "cold_start", "text_rlvr", "distil_1"),
        arms=(
            Arm(name="with", stages=(rl,)),
            Arm(name="without", stages=(_with_rl(rl, rewards=("right", "right")),)),
        ),
    )


def selection(seed: int, scale: float) -> Ablation:
    """Which questions RL sees: 3 to 6 of 8, only failed ones, all, or 3 to 6 that need the sound
    (paper section 6.2, figure 5)."""
    s = _stages(seed, scale)
    rl = s["rl_1"]
    bands = {
        "middling": Band(probe=False),
        "failed": Band(low=0, high=0, probe=False),
        "unfiltered": None,
        "middling_probe": Band(),
    }
    return Ablation(
        shared=_shared(s, "cold_start", "text_rlvr", "distil_1"),
        arms=tuple(Arm(name=n, stages=(_with_rl(rl, band=b),)) for n, b in bands.items()),
    )


def filters(seed: int, scale: float) -> Ablation:
    """Which samples SFT sees: all new ones of questions that need the sound, right ones, right and
    grounded ones, right ones with acoustic words, and those of the recipe's three filters. Beside
    them the controls: only a prompt, nothing at all, true chains of the same questions."""
    s = _stages(seed, scale)
    distil = s["distil_1"]
    names = {
        "correct_grounded": ("novelty", "correctness", "grounding"),
        "any_answer": ("novelty",),
        "correct": ("novelty", "correctness"),
        "correct_mention": ("novelty", "correctness", "mention"),
        "all": ("novelty", "correctness", "coherence", "grounding"),
    }
    arms = [
        Arm(name=n, stages=(replace(distil, config=replace(distil.config, filters=f)),))
        for n, f in names.items()
    ]
    truth = replace(distil, name="truth", config=replace(distil.config, truth=True))
    return Ablation(
        shared=_shared(s, "cold_start", "text_rlvr"),
        arms=(
            *arms,
            Arm(name="prompt_only", stages=(), protocol="prompted"),
            Arm(name="untrained", stages=()),
            Arm(name="true_chains", stages=(truth,)),
        ),
    )


def samples(seed: int, scale: float) -> Ablation:
    """K, the samples of each question."""
    arms: list[Arm] = []
    for k in (8, 2, 16):
        s = _stages(seed, scale, k=k)
        arms.append(Arm(name=f"k_{k}", stages=(s["distil_1"],)))
    s = _stages(seed, scale)
    return Ablation(shared=_shared(s, "cold_start", "text_rlvr"), arms=tuple(arms))


def rounds(seed: int, scale: float) -> Ablation:
    """T, the rounds of distillation and RL."""
    s = _stages(seed, scale, rounds=3)
    steps = [(s[f"distil_{t}"], s[f"rl_{t}"]) for t in (1, 2, 3)]
    upto = [tuple(x for pair in steps[:t] for x in pair) for t in (1, 2, 3)]
    return Ablation(
        shared=_shared(s, "cold_start", "text_rlvr"),
        arms=tuple(Arm(name=f"t_{t}", stages=stages) for t, stages in enumerate(upto, 1)),
    )


def chains(seed: int, scale: float) -> Ablation:
    """RL without any distillation before it, against distillation alone and both."""
    s = _stages(seed, scale)
    return Ablation(
        shared=_shared(s, "cold_start", "text_rlvr"),
        arms=(
            Arm(name="both", stages=_shared(s, "distil_1", "rl_1")),
            Arm(name="distil_only", stages=_shared(s, "distil_1")),
            Arm(name="rl_only", stages=_shared(s, "rl_1")),
        ),
    )


ABLATIONS: dict[str, Callable[[int, float], Ablation]] = {
    "format": format_reward,
    "selection": selection,
    "filter": filters,
    "k": samples,
    "t": rounds,
    "parts": chains,
}
"""name -> (seed, scale) -> ablation."""


def _follow(stages: tuple[Stage, ...], model: Path, root: Path) -> Path:
    """Run stages one after another. A folder is named after its stage, settings and parent, so
    that whatever arms and ablations have in common is run once."""
    for stage in stages:
        told = json.dumps([asdict(stage.config), model.name], sort_keys=True, default=str)
        digest = hashlib.sha256(told.encode()).hexdigest()[:10]
        model = stage.run(stage.config, model, root / f"{stage.name}-{digest}")
    return model


def run_ablation(
    name: str, seeds: tuple[int, ...], scale: float, out: Path, start: str, n: int
) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """arm -> protocol -> one record per item, all seeds one after another."""
    from auscult.model.weights import locate

    dist.start()
    found: dict[str, dict[str, list[dict[str, Any]]]] = {}
    tested = replace(nano(seed=0).measure, n=n, budgets=(), self_cognition=0)
    for seed in seeds:
        ablation = ABLATIONS[name](seed, scale)
        root = out / f"seed_{seed}"
        base = _follow(ablation.shared, locate(start), root)
        for arm in ablation.arms:
            model = _follow(arm.stages, base, root)
            result = measure(tested, model, out / "measured" / f"seed_{seed}" / model.name)
            for protocol in ("counted", "direct", "silence"):
                records = result["protocols"][arm.protocol if protocol == "counted" else protocol]
                found.setdefault(arm.name, {}).setdefault(protocol, []).extend(records)
            told = result["grounding"] if arm.protocol == "thinking" else _scored(result, arm)
            found[arm.name].setdefault("grounding", []).extend(told)
    return found


def _scored(result: dict[str, Any], arm: Arm) -> list[dict[str, Any]]:
    """The verifier's scores of the thoughts under the arm's own protocol."""
    answers = result["protocols"][arm.protocol]
    return [
        thought_scores(key, a["thought"], a["answer"])
        for key, a in zip(result["keys"], answers, strict=True)
    ]


def _two_level(first: list[float], second: list[float], seeds: int) -> Estimate:
    """Mean of first - second with a 95 % interval that resamples training seeds and items: three
    runs say little of a fourth, and the interval shows it."""
    d = (np.asarray(first) - np.asarray(second)).reshape(seeds, -1)
    rng = np.random.default_rng(0)
    means = [
        d[rng.integers(seeds, size=seeds)][:, rng.integers(d.shape[1], size=d.shape[1])].mean()
        for _ in range(2000)
    ]
    low, high = np.percentile(means, [2.5, 97.5])
    return Estimate(mean=float(d.mean()), low=float(low), high=float(high), n=d.size)


def table(found: dict[str, dict[str, list[dict[str, Any]]]], seeds: int) -> str:
    """Markdown: accuracy, its paired difference to the first arm, direct, silence, grounding."""
    first = next(iter(found))
    lead = "| arm | n | right % | - first arm | per seed | direct % | silence % | grounded % | "
    rows = [lead + "surrogate % | thought tokens |", "|" + "---|" * 10]
    for arm, by in found.items():
        right = [r["right"] for r in by["counted"]]
        base = [r["right"] for r in found[first]["counted"]]
        gap = _two_level(right, base, seeds)
        runs = (np.asarray(right) - np.asarray(base)).reshape(seeds, -1).mean(1)
        each = " ".join(f"{100 * x:+.1f}" for x in runs)
        grounded = [float(g["grounded"]) for g in by["grounding"]]
        surrogate = float(np.mean([g.get("surrogate") or 0.0 for g in by["grounding"]]))
        tokens = float(np.mean([r["thought_tokens"] for r in by["counted"]]))
        cells = [
            arm, str(len(right)), _cell(wilson(sum(right), len(right))),
            "" if arm == first else _cell(gap), "" if arm == first else each,
            *(_cell(wilson(sum(r["right"] for r in by[p]), len(by[p])))
              for p in ("direct", "silence")),
            _cell(wilson(sum(grounded), len(grounded))), f"{100 * surrogate:.1f}", f"{tokens:.1f}",
        ]  # fmt: skip
        rows.append("| " + " | ".join(cells) + " |")
    rows.append(
        f"\n{seeds} seeds, the same held-out items in every arm; 95 % intervals: of shares "
        "over all answers of these runs (Wilson), of the paired difference by bootstrap over seeds "
        "and items."
    )
    return "\n".join(rows) + "\n"


def _cell(e: Estimate) -> str:
    return f"{100 * e.mean:.1f} [{100 * e.low:.1f}, {100 * e.high:.1f}]"


def ablate(
    name: Annotated[str, tyro.conf.Positional],
    /,
    *,
    out: Path = Path("runs/ablations"),
    seeds: tuple[int, ...] = (0, 1, 2),
    scale: float = 1.0,
    start: str = "nano-base",
    n: int = 12,
    processes: int = 0,
) -> None:
    """One ablation of the recipe with several seeds; a killed run goes on when started again.

    Args:
        name: format, selection, filter, k, t or parts.
        out: where models and results go; the first stages are shared by all ablations there.
        seeds: of data and sampling.
        scale: multiplies all steps and questions.
        start: nano-base, or a folder.
        n: held-out items per task and seed.
        processes: 0 = one per core or GPU.
    """
    from auscult.recipe_commands import in_processes

    if name not in ABLATIONS:
        raise ValueError(f"unknown ablation {name!r}; expected one of {', '.join(ABLATIONS)}")
    in_processes(processes)
    found = run_ablation(name, seeds, scale, out, start, n)
    if dist.rank() == 0:
        text = f"{ABLATIONS[name].__doc__}\n\n{table(found, len(seeds))}"
        (out / f"{name}.md").write_text(text)
        (out / f"{name}.json").write_text(json.dumps(found))
        print(text)
