"""Checkpoints of a running stage: weights and optimiser state as safetensors, progress as JSON; a
sharded run writes torch's distributed checkpoint in their place.

A checkpoint is written beside the old one and renamed into place, so that a kill at any moment
leaves a whole one.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from auscult.files import read_json
from auscult.train import shard
from auscult.train.core import Learner
from auscult.work import dist


def _trained(module: nn.Module) -> dict[str, nn.Parameter]:
    return {name: p for name, p in module.named_parameters() if p.requires_grad}


def _named_state(parts: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    names = {id(p): name for name, p in parts.named_parameters()}
    out: dict[str, torch.Tensor] = {}
    for parameter, state in optimizer.state.items():
        for key, value in state.items():
            out[f"{names[id(parameter)]}::{key}"] = torch.as_tensor(value).detach().contiguous()
    return out


def store(path: Path, learner: Learner, step: int) -> None:
    """Write the learner's parts and `step` to the folder `path`, atomically."""
    new = path.with_name(path.name + ".new")
    if dist.rank() == 0:
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
    dist.barrier()
    if learner.machine.shard:
        shard.save(new / "shards", learner.parts, learner.optimizer)
    elif dist.rank() == 0:
        weights = {name: p.detach().contiguous() for name, p in _trained(learner.parts).items()}
        save_file(weights, new / "weights.safetensors")
        save_file(_named_state(learner.parts, learner.optimizer), new / "optimizer.safetensors")
    if dist.rank() == 0:
        (new / "progress.json").write_text(json.dumps({"step": step}))
        _swap(new, path)
    dist.barrier()


def _swap(new: Path, path: Path) -> None:
    old = path.with_name(path.name + ".old")
    if path.exists():  # otherwise the old one is all there is
        shutil.rmtree(old, ignore_errors=True)
        os.replace(path, old)
    os.replace(new, path)
    shutil.rmtree(old, ignore_errors=True)


def restore(path: Path, learner: Learner) -> int:
    """Bring back what `store` wrote; the number of steps done, 0 without a checkpoint."""
    if not path.exists():
        path = path.with_name(path.name + ".old")  # killed between the two renames
        if not path.exists():
            return 0
    if learner.machine.shard:
        shard.load(path / "shards", learner.parts, learner.optimizer)
    else:
        _restore_whole(path, learner)
    progress: dict[str, Any] = read_json(path / "progress.json")
    return int(progress["step"])


def _restore_whole(path: Path, learner: Learner) -> None:
    weights = load_file(path / "weights.safetensors")
    parameters = _trained(learner.parts)
    if weights.keys() != parameters.keys():
        odd = sorted(weights.keys() ^ parameters.keys())
        raise ValueError(
            f"the checkpoint {path} is of another model: {len(odd)} names differ, "
            f"among them {odd[:3]}; delete the folder to start over"
        )
    with torch.no_grad():
        for name, value in weights.items():
            parameters[name].copy_(value)
    for name, value in load_file(path / "optimizer.safetensors").items():
        parameter, key = name.split("::")
        held = parameters[parameter]
        # The step counter stays where the optimiser keeps it: a fused one on the weights' device.
        learner.optimizer.state[held][key] = value.to(held.device)
