"""Checkpoints as plain tensors: weights and optimiser state as safetensors, progress as JSON.

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


def _named_state(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    names = {id(p): name for name, p in model.named_parameters()}
    out: dict[str, torch.Tensor] = {}
    for parameter, state in optimizer.state.items():
        for key, value in state.items():
            out[f"{names[id(parameter)]}::{key}"] = torch.as_tensor(value).detach().contiguous()
    return out


def save(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, progress: dict[str, Any]
) -> None:
    """Write model, optimiser and progress to the folder `path`, atomically."""
    new = path.with_name(path.name + ".new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    weights = {name: p.detach().contiguous() for name, p in model.named_parameters()}
    save_file(weights, new / "weights.safetensors")
    save_file(_named_state(model, optimizer), new / "optimizer.safetensors")
    (new / "progress.json").write_text(json.dumps(progress))
    old = path.with_name(path.name + ".old")
    if path.exists():  # otherwise the old one is all there is
        shutil.rmtree(old, ignore_errors=True)
        os.replace(path, old)
    os.replace(new, path)
    shutil.rmtree(old, ignore_errors=True)


def load(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Any] | None:
    """Restore what `save` wrote and return its progress; None if there is no checkpoint."""
    if not path.exists():
        path = path.with_name(path.name + ".old")  # killed between the two renames
        if not path.exists():
            return None
    weights = load_file(path / "weights.safetensors")
    parameters = dict(model.named_parameters())
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
        optimizer.state[parameters[parameter]][key] = value.to(parameters[parameter].device)
    return json.loads((path / "progress.json").read_text())
