"""Data-parallel training under `torchrun`: the same code with one process or many.

On a CPU two processes of one thread each train nearly twice as fast as one process of two threads,
because the model's operations are too small to be worth waking a second thread for.
"""

import os

import torch
from torch import distributed as dist
from torch import nn


def start() -> tuple[int, int]:
    """(rank, world size); joins the group when launched by `torchrun`, else (0, 1)."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world > 1 and not dist.is_initialized():
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    return int(os.environ.get("RANK", "0")), world


def rank() -> int:
    """This process's number."""
    return dist.get_rank() if dist.is_initialized() else 0


def world() -> int:
    """How many processes there are."""
    return dist.get_world_size() if dist.is_initialized() else 1


def share_of(batch_size: int) -> int:
    """This process's part of a batch. Raises `ValueError` where it cannot be shared evenly."""
    if batch_size % world():
        raise ValueError(
            f"a batch of {batch_size} cannot be shared by {world()} processes; choose a multiple"
        )
    return batch_size // world()


def device() -> torch.device:
    """This process's own device."""
    return (
        torch.device("cuda", torch.cuda.current_device())
        if torch.cuda.is_available()
        else (torch.device("cpu"))
    )


def total(value: float) -> float:
    """The sum of a number over all processes."""
    if not dist.is_initialized():
        return value
    t = torch.tensor([value], dtype=torch.float64, device=device())
    dist.all_reduce(t)
    return float(t)


def totals(values: dict[str, float]) -> dict[str, float]:
    """The sums of several numbers over all processes, which must give the same names."""
    if not dist.is_initialized():
        return dict(values)
    t = torch.tensor(list(values.values()), dtype=torch.float64, device=device())
    dist.all_reduce(t)
    return dict(zip(values, t.tolist(), strict=True))


def largest(value: int) -> int:
    """The greatest of a number over all processes."""
    if not dist.is_initialized():
        return value
    t = torch.tensor([value], device=device())
    dist.all_reduce(t, dist.ReduceOp.MAX)
    return int(t)


def sum_gradients(model: nn.Module) -> None:
    """Add up the gradients of all processes in one message."""
    if not dist.is_initialized():
        return
    trained = [p for p in model.parameters() if p.requires_grad]
    for p in trained:  # a share without sound leaves the ear without gradient
        p.grad = torch.zeros_like(p) if p.grad is None else p.grad
    grads = [p.grad for p in trained if p.grad is not None]
    flat = torch.cat([g.flatten() for g in grads])
    dist.all_reduce(flat)
    for grad, part in zip(grads, flat.split([g.numel() for g in grads]), strict=True):
        grad.copy_(part.view_as(grad))


def barrier() -> None:
    """Wait for all processes."""
    if dist.is_initialized():
        dist.barrier()
