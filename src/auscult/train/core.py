"""The core under SFT, PPO and DPO: open a model for training, one optimiser step, precision,
several processes. A loop makes batches and a loss; everything else is here.

One process, several with a copy of the model each (gradients are summed), or several with a shard
of it each (`Machine.shard`: FSDP2) run the same loops. Rollouts and their updates are the same for
any number of processes; the batches of SFT hold the same examples in other company.
"""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, AutoProcessor

from auscult.model import StepAudio2ForCausalLM, StepAudio2Processor
from auscult.model.config import StepAudio2Config
from auscult.model.weights import check_files, compare_names, expected_names, locate, stored_names
from auscult.train import shard
from auscult.train.feed.batch import Batch
from auscult.train.forward import Critic
from auscult.work import dist


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """How a stage is computed. Only `precision`, `lora_rank` and `optimizer` change its result by
    more than rounding."""

    precision: str = "auto"  # "auto" | "bf16" | "fp32"
    micro_tokens: int = 4096  # padded positions of one forward and backward pass
    row_tokens: int = 512  # of a prompt with some of its replies; attention costs their square
    shard: bool = False  # FSDP2: every process holds a part of weights and optimiser states
    recompute: bool = False  # activations of the decoder again in the backward pass, to save memory
    lora_rank: int = 0  # 0 = all weights; else adapters on the decoder's linear layers
    optimizer: str = "adamw"  # "adamw" | "adamw8bit"
    rollouts: str = "engine"  # "engine" | "pool:N" | "http://HOST:PORT/v1#MODEL"
    threads: int = 1  # per process; start two processes on two cores (see dist.py)
    checkpoint_minutes: float = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Learning rate over a stage: linear warm-up, then a cosine to `end` times the peak."""

    peak: float
    warmup: int = 0  # steps
    horizon: int = 0  # steps after which the end is reached; 0 = the steps of the stage
    end: float = 0.1

    def at(self, step: int, steps: int) -> float:
        """The rate of step number `step` (from 0) of a stage of `steps`."""
        if step < self.warmup:
            return self.peak * (step + 1) / self.warmup
        done = (step - self.warmup) / max(1, (self.horizon or steps) - self.warmup)
        fall = 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
        return self.peak * (self.end + (1 - self.end) * fall)


def use_bf16(precision: str, device: torch.device) -> bool:
    """Does this stage compute in bf16? "auto": where the hardware multiplies bf16 natively."""
    if precision not in ("auto", "bf16", "fp32"):
        raise ValueError(f"precision is {precision!r}; expected auto, bf16 or fp32")
    if precision != "auto":
        return precision == "bf16"
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    return bool(
        torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()  # pyright: ignore[reportPrivateUsage]
    )


def open_for_training(
    source: Path, machine: Machine, *, freeze_encoder: bool = True
) -> tuple[StepAudio2ForCausalLM, StepAudio2Processor]:
    """Model and processor of a folder: float32 master weights, encoder frozen, adapters on request.

    Our own checkpoints are compared name by name first; the other families (Qwen2-Audio,
    Qwen2.5-Omni) come through their adapter.
    """
    if machine.shard and machine.lora_rank:
        raise ValueError("adapters (lora_rank) are for one process; sharding trains all weights")
    torch.set_num_threads(machine.threads)
    device = dist.device()
    check_files(locate(source))
    config = AutoConfig.from_pretrained(source)
    if isinstance(config, StepAudio2Config):
        compare_names(expected_names(config), stored_names(locate(source)), source)
        model = StepAudio2ForCausalLM.from_pretrained(
            source,
            dtype=torch.float32,
            attn_implementation="eager" if device.type == "cpu" else "sdpa",
        ).to(device)  # pyright: ignore[reportArgumentType]
        processor = AutoProcessor.from_pretrained(source)
    else:
        from auscult.model.others import open_any

        model, processor = open_any(source, device=device, dtype=torch.float32)
    model.train()
    if machine.recompute:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    if freeze_encoder:
        model.freeze_encoder()
    if machine.lora_rank:
        _adapt(model, machine.lora_rank)
    return model, processor


_LINEARS = r"model\.layers\..*\.(q|k|v|o|gate|up|down)_proj"
"""The decoder's; an encoder has projections of the same names."""


def _adapt(model: nn.Module, rank: int) -> None:
    """LoRA on the decoder, in place; the adaptor between ear and decoder stays trainable."""
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise ValueError("lora_rank needs the extra 'lora': pip install 'auscult[lora]'") from error
    torch.manual_seed(0)
    config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=_LINEARS)
    inject_adapter_in_model(config, model)
    for name, p in model.named_parameters():
        p.requires_grad_("lora_" in name or name.startswith("adapter."))


def merged(model: StepAudio2ForCausalLM) -> StepAudio2ForCausalLM:
    """A copy without adapters: their products added into the weights they stand beside."""
    from peft.tuners.lora import LoraLayer

    plain = copy.deepcopy(model)
    for name, module in list(plain.named_modules()):
        if isinstance(module, LoraLayer):
            module.merge()
            base: Any = module.get_base_layer()
            plain.set_submodule(name, base)
    return plain


def make_critic(model: StepAudio2ForCausalLM) -> Critic:
    """A critic that starts from the actor's weights. It has no encoder: it is given the frozen
    encoder's output (`forward.heard`)."""
    body = copy.deepcopy(model)
    body.encoder = body.lm_head = nn.Identity()  # pyright: ignore[reportAttributeAccessIssue]
    body.requires_grad_(True)
    return Critic(body, model.config.hidden_size).to(dist.device())


class Learner:
    """Models under one optimiser: each part has its own rate and its own gradient clipping."""

    def __init__(
        self,
        parts: dict[str, nn.Module],
        machine: Machine,
        *,
        weight_decay: float = 0.05,
        max_grad_norm: float = 1.0,
    ) -> None:
        self.device = dist.device()
        self.machine, self.max_grad_norm = machine, max_grad_norm
        self.bf16 = use_bf16(machine.precision, self.device)
        self.parts = nn.ModuleDict(parts)
        if machine.shard:
            for part in self.parts.values():
                shard.split(part)
        self.optimizer = _optimizer(self.parts, machine.optimizer, weight_decay)

    def update(self, rates: dict[str, float]) -> dict[str, float]:
        """One optimiser step from the gradients that have been added up; the gradient norm of each
        part. A part whose rate is 0 keeps its weights.

        Raises `FloatingPointError` for a gradient that is not finite.
        """
        norms: dict[str, float] = {}
        for name, part in self.parts.items():
            if self.machine.shard:
                shard.sum_gradients(part)
            else:
                dist.sum_gradients(part)
            norm = shard.plain(nn.utils.clip_grad_norm_(part.parameters(), self.max_grad_norm))
            if not math.isfinite(float(norm)):
                raise FloatingPointError(
                    f"the gradient of the {name} is not finite; lower the learning rate or use "
                    "--precision fp32; the last checkpoint is whole"
                )
            norms[name] = float(norm)
            if rates[name] == 0.0:  # not even momentum moves it
                for p in part.parameters():
                    p.grad = None
        for group in self.optimizer.param_groups:
            group["lr"] = rates[group["part"]]
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return norms


def _optimizer(parts: nn.ModuleDict, name: str, decay: float) -> torch.optim.Optimizer:
    groups: list[dict[str, Any]] = []
    for part, module in parts.items():
        trained = [p for p in module.parameters() if p.requires_grad]
        for some, weight in (
            ([p for p in trained if p.ndim > 1], decay),
            ([p for p in trained if p.ndim <= 1], 0.0),
        ):
            groups.append({"params": some, "weight_decay": weight, "part": part, "lr": 0.0})
    if name == "adamw":
        return torch.optim.AdamW(groups, betas=(0.9, 0.98), fused=True)
    if name == "adamw8bit":
        try:
            from torchao.optim import AdamW8bit  # pyright: ignore[reportMissingImports]
        except ImportError as error:
            raise ValueError(
                "the optimiser adamw8bit needs the extra 'large': pip install 'auscult[large]'"
            ) from error
        return AdamW8bit(groups, betas=(0.9, 0.98))
    raise ValueError(f"optimizer is {name!r}; expected adamw or adamw8bit")


def save_model(
    model: StepAudio2ForCausalLM, processor: StepAudio2Processor, out: Path, machine: Machine
) -> None:
    """Write the finished model as an ordinary folder (first process; the others help to gather)."""
    weights = shard.full_weights(model) if machine.shard else None
    if dist.rank() == 0:
        plain = merged(model) if machine.lora_rank else model
        if weights is not None:
            weights.pop("lm_head.weight" if model.config.tie_word_embeddings else "", None)
            plain.save_pretrained(out, state_dict=weights)
        else:
            plain.save_pretrained(out)
        processor.save_pretrained(out)


def share(values: Sequence[Any]) -> list[Any]:
    """This process's part of a list that all processes know: every world-th entry."""
    return list(values[dist.rank() :: dist.world()])


def even(batches: list[Batch], machine: Machine) -> list[tuple[Batch, float]]:
    """(batch, weight). Sharded processes gather weights together, so each must run as many batches
    as the one with the most: the last one again, with weight 0."""
    missing = dist.largest(len(batches)) - len(batches) if machine.shard else 0
    return [(b, 1.0) for b in batches] + [(batches[-1], 0.0)] * missing
