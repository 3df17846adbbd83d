"""Sharded training with torch's own FSDP2 and distributed checkpoints: the path for 8B and 33B.

Runs on GPUs over nccl and, so that tests can prove it, on CPU processes over gloo.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor


def split(part: nn.Module) -> None:
    """Shard `part` (an Actor or Critic) over all processes: each decoder layer is a unit that is
    gathered when it is needed, the rest of the weights are another.

    Raises `ValueError` outside `torchrun`.
    """
    from torch import distributed as dist
    from torch.distributed.fsdp import fully_shard

    if not dist.is_initialized():
        raise ValueError(
            "sharding needs several processes: torchrun --nproc-per-node N -m auscult ..."
        )
    body: Any = part.get_submodule("model.model")
    for layer in body.layers:
        fully_shard(layer)
    # The frozen encoder stays whole: it runs on its own, before actor and critic.
    ear = set(part.get_submodule("model.encoder").parameters())
    fully_shard(part, ignored_params=ear)


def is_split(module: nn.Module) -> bool:
    """Do other processes hold parts of these weights?"""
    return any(isinstance(p, DTensor) for p in module.parameters())


def plain(value: Tensor) -> Tensor:
    """A sharded tensor as a whole one."""
    return value.full_tensor() if isinstance(value, DTensor) else value


def sum_gradients(part: nn.Module) -> None:
    """FSDP2 averages gradients over the processes; the loops want their sum."""
    from torch import distributed as dist

    for p in part.parameters():
        if p.grad is not None:
            p.grad.mul_(dist.get_world_size())


def full_weights(module: nn.Module) -> dict[str, Tensor]:
    """Whole weights by name, gathered on every process, on the CPU."""
    return {name: plain(p.detach()).cpu() for name, p in module.state_dict().items()}


def copy_into(target: nn.Module, source: nn.Module) -> None:
    """Give an unsharded copy of a model (the engine's) the weights of the sharded one."""
    weights = full_weights(source)
    with torch.no_grad():
        for name, p in target.state_dict().items():
            p.copy_(weights[name])


def save(path: Path, parts: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Weights and optimiser states of all processes as one distributed checkpoint (DCP), which can
    be read again by another number of processes."""
    from torch.distributed.checkpoint.state_dict_saver import save as save_states

    save_states(_states(parts, optimizer), checkpoint_id=str(path))


def load(path: Path, parts: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Restore what `save` wrote, in place."""
    from torch.distributed.checkpoint.default_planner import DefaultLoadPlanner
    from torch.distributed.checkpoint.filesystem import FileSystemReader
    from torch.distributed.checkpoint.state_dict import set_state_dict
    from torch.distributed.checkpoint.state_dict_loader import load as load_states

    found = _states(parts, optimizer)
    planner = DefaultLoadPlanner(allow_partial_load=True)
    load_states(found, checkpoint_id=str(path), planner=planner)
    set_state_dict(
        parts, optimizer, model_state_dict=found["model"], optim_state_dict=found["optimizer"]
    )
    # What had not been trained yet (an actor in the critic's warm-up) had no state, and gets none.
    stored = FileSystemReader(str(path)).read_metadata().state_dict_metadata
    for name, p in parts.named_parameters():
        if p in optimizer.state and f"optimizer.state.{name}.step" not in stored:
            del optimizer.state[p]


def _states(parts: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    from torch.distributed.checkpoint.state_dict import get_state_dict

    model, states = get_state_dict(parts, optimizer)
    return {"model": model, "optimizer": states}
