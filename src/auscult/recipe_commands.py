"""`auscult recipe`, `auscult report`, `auscult ablate`, and each stage of the recipe on its own."""

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from auscult.cli import ARGUMENTS
from auscult.recipe import Stage, nano, r1
from auscult.recipe import run as run_recipe
from auscult.work import dist


def in_processes(processes: int) -> None:
    """Start this very command again as several processes (torchrun), unless it already is one of
    them. 0 means one per core, at most two (nano's shares are too small for more), or one per GPU.
    """
    import torch

    if "WORLD_SIZE" in os.environ:
        return
    if processes == 0:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
        processes = torch.cuda.device_count() or min(2, cores)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if processes > 1:
        launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        # Not as arguments: torchrun would take --n or --start for options of its own.
        os.environ[ARGUMENTS] = json.dumps(sys.argv[1:])
        command = [*launcher, "--nproc-per-node", str(processes), "-m", "auscult"]
        os.execv(sys.executable, command)


def recipe(
    name: Annotated[Literal["nano", "r1"], tyro.conf.Positional],
    /,
    *,
    out: Path = Path("runs/recipe"),
    plan: bool = False,
    model: str = "nano-base",
    manifest: str = "",
    rounds: int | None = None,
    k: int | None = None,
    seed: int = 0,
    scale: float = 1.0,
    processes: int = 0,
    devices: int = 16,
) -> None:
    """The whole recipe, from a base model to a report. A killed run goes on when started again.

    Args:
        name: nano (a laptop) or r1 (the published 8B and 33B checkpoints, on GPUs).
        out: where the stages, the measurements and report.html go.
        plan: print what would be run and stop.
        model: what to start from: nano-base, or a folder with a checkpoint of the family,
            Qwen2-Audio or Qwen2.5-Omni.
        manifest: your own recordings and questions in place of the gym (docs/data.md).
        rounds: of distillation and reinforcement learning.
        k: samples per question in the distillation.
        seed: of data and sampling.
        scale: multiplies nano's steps and questions.
        processes: 0 = one per core or GPU.
        devices: that the plan of r1 is made for.
    """
    given: dict[str, Any] = {k_: v for k_, v in (("rounds", rounds), ("k", k)) if v is not None}
    if name == "nano":
        chosen = nano(seed=seed, scale=scale, manifest=manifest, start=model, **given)
    else:
        chosen = r1(seed=seed, manifest=manifest, start=model, **given)
    if plan:
        print(_plan(name, chosen, devices))
        return
    if name == "r1" and (not manifest or model == "nano-base"):
        raise ValueError(
            "r1 needs --model FOLDER (a Step-Audio-2-mini or R1 checkpoint) and --manifest FILE "
            "(your recordings and questions); auscult recipe r1 --plan shows what it would cost"
        )
    in_processes(processes)
    run_recipe(chosen, out)
    if dist.rank() == 0:
        from auscult.evaluate.report.recipe import write_report

        print(f"report: {write_report(out)}")


def _plan(name: str, chosen: Any, devices: int) -> str:
    from auscult.plan import Hardware, plan, table

    if name == "nano":
        laptop = Hardware(
            devices=1, gib=8, tflops=0.2, mfu=0.5, decode_tokens_s=4000, thought=26, prompt=60
        )
        return table(plan(chosen, "nano", 3.92e6, laptop), 3.92e6, laptop)
    hardware = Hardware(devices=devices)
    return "\n\n".join(
        f"{size}\n{table(plan(chosen, size, n, hardware), n, hardware)}"
        for size, n in (("mini", 8.315e9), ("r1", 33.487e9))
    )


def report(folder: Annotated[Path, tyro.conf.Positional], /) -> None:
    """Write report.html and report.md of a recipe's folder again, also while it still runs.

    Args:
        folder: what `auscult recipe --out` was given.
    """
    from auscult.evaluate.report.recipe import write_report

    print(write_report(folder))


def _one(name: str, source: Path, out: Path, processes: int, **given: Any) -> None:
    """The stage of that name of the nano recipe, on its own."""
    stage: Stage = next(s for s in nano(**given).stages if s.name == name)
    in_processes(processes)
    stage.run(stage.config, source, out)


def cold(
    source: Path,
    out: Path,
    *,
    seed: int = 0,
    scale: float = 1.0,
    manifest: str = "",
    chains: str = "",
    chain_share: float = 0.0,
    processes: int = 0,
) -> None:
    """Cold start: SFT on text chains, conversations and audio with the empty think.

    Args:
        source: folder of a base model.
        out: folder of the result.
        seed: of the data.
        scale: multiplies the steps.
        manifest: your own recordings in place of the gym.
        chains: kept replies of an earlier run (data/kept.jsonl) as audio chains.
        chain_share: their share of the audio data (the paper has 0.1).
        processes: 0 = one per core or GPU.
    """
    _one("cold_start", source, out, processes, seed=seed, scale=scale, manifest=manifest,
         chains=chains, chain_share=chain_share)  # fmt: skip


def words(
    source: Path, out: Path, *, seed: int = 0, scale: float = 1.0, processes: int = 0
) -> None:
    """Text RLVR: PPO on arithmetic, logic and scenes in words.

    Args:
        source: folder of the cold-started model.
        out: folder of the result.
        seed: of problems and sampling.
        scale: multiplies steps and problems.
        processes: 0 = one per core or GPU.
    """
    _one("text_rlvr", source, out, processes, seed=seed, scale=scale)


def distillation(
    source: Path,
    out: Path,
    *,
    turn: int = 1,
    k: int = 8,
    seed: int = 0,
    scale: float = 1.0,
    manifest: str = "",
    processes: int = 0,
) -> None:
    """One round's distillation: K samples a question, three filters, SFT on what is kept.

    Args:
        source: folder of the model to refine.
        out: folder of the result; samples, kept and rejected replies lie in its data/.
        turn: number of the round; another one asks other questions.
        k: samples per question.
        seed: of questions and sampling.
        scale: multiplies steps and questions.
        manifest: your own recordings in place of the gym.
        processes: 0 = one per core or GPU.
    """
    _one(f"distil_{turn}", source, out, processes, rounds=turn, k=k, seed=seed, scale=scale,
         manifest=manifest)  # fmt: skip


def reinforce(
    source: Path,
    out: Path,
    *,
    turn: int = 1,
    seed: int = 0,
    scale: float = 1.0,
    manifest: str = "",
    processes: int = 0,
) -> None:
    """One round's joint RL: questions of middling difficulty that need the sound, then PPO.

    Args:
        source: folder of the distilled model.
        out: folder of the result; the selection lies in its data/.
        turn: number of the round; another one asks other questions.
        seed: of questions and sampling.
        scale: multiplies steps and questions.
        manifest: your own recordings in place of the gym.
        processes: 0 = one per core or GPU.
    """
    _one(f"rl_{turn}", source, out, processes, rounds=turn, seed=seed, scale=scale,
         manifest=manifest)  # fmt: skip


def aware(
    source: Path, out: Path, *, seed: int = 0, scale: float = 1.0, processes: int = 0
) -> None:
    """Self-cognition correction: preference pairs from own replies, then DPO.

    Args:
        source: folder of the model that denies hearing.
        out: folder of the result; the pairs lie in its data/.
        seed: of prompts and sampling.
        scale: multiplies the steps.
        processes: 0 = one per core or GPU.
    """
    _one("self_cognition", source, out, processes, seed=seed, scale=scale)
