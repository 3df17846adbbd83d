"""Supervised stages: pretraining from scratch, and SFT with the encoder frozen (paper section 3.1).

`auscult pretrain`, `auscult focus`, `auscult sft`. Next-token cross-entropy on the reply only;
AdamW, linear warm-up, cosine decay to a tenth, gradient clipping. Left out against the paper:
packing (lengths are sorted instead) and the conversation data of the cold start.
"""

import json
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F
from tqdm import tqdm
from transformers import AutoProcessor

from auscult import gym
from auscult.model import StepAudio2ForCausalLM, StepAudio2Processor
from auscult.model.encoder import pooled_frames
from auscult.model.weights import compare_names, expected_names, locate, stored_names
from auscult.train import checkpoint, dist
from auscult.train.data import Batch, Mixture, Stream, batches
from auscult.train.run import RunFolder


@dataclass(frozen=True, slots=True, kw_only=True)
class Sft:
    """One supervised stage."""

    mixture: Mixture
    steps: int
    batch_size: int = 32  # examples per step, all processes together
    lr: float = 1e-3  # peak
    warmup: int = 150  # steps
    horizon: int = 0  # steps after which the rate reaches its end; 0 = the steps of the stage
    weight_decay: float = 0.05
    max_grad_norm: float = 1.0
    freeze_encoder: bool = True
    alignment: float = 0.0  # weight of the alignment loss; 0 = none
    seed: int = 0  # of the data stream
    precision: str = "auto"  # "auto" | "bf16" | "fp32"
    threads: int = 1  # per process; start two processes on two cores (see dist.py)
    workers: int = 0  # data processes per training process; 0 = made in the loop
    checkpoint_minutes: float = 3.0


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


def learning_rate(step: int, config: Sft) -> float:
    """Linear warm-up, then a cosine from the peak to a tenth of it."""
    if step < config.warmup:
        return config.lr * (step + 1) / config.warmup
    end = config.horizon or config.steps
    done = (step - config.warmup) / max(1, end - config.warmup)
    return config.lr * (0.1 + 0.45 * (1 + math.cos(math.pi * min(done, 1.0))))


def losses(
    model: StepAudio2ForCausalLM, batch: Batch, aligner: nn.Linear | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """(summed cross-entropy over reply tokens, summed alignment loss over clips).

    The first is eq. 1 and eq. 5 of the paper; logits are made for reply tokens only. The second is
    connectionist temporal classification of each clip's sounds on the encoder's frames: attention
    alone needs ten times the clips to find out which frame belongs to which word (hybrid CTC /
    attention training, Watanabe et al. 2017). It exists in pretraining only.
    """
    vectors, alignment = None, batch.input_ids.new_zeros((), dtype=torch.float32)
    if batch.input_features is not None and batch.feature_lengths is not None:
        features = model.encoder(batch.input_features, batch.feature_lengths)
        vectors = model.project(features, batch.feature_lengths)
        if aligner is not None and batch.labels is not None:
            alignment = _alignment(aligner(features).float(), batch)
    states = model.body(
        inputs_embeds=model.splice(batch.input_ids, vectors),
        attention_mask=batch.attention_mask,
        use_cache=False,
    ).last_hidden_state
    assert states is not None
    logits = model.lm_head(states[batch.trains]).float()
    return F.cross_entropy(logits, batch.targets, reduction="sum"), alignment


def _alignment(logits: torch.Tensor, batch: Batch) -> torch.Tensor:
    """CTC with the last class as blank; clips without labels, or with too many for their length,
    count nothing. Each clip's loss is divided by its number of labels."""
    assert batch.labels is not None and batch.feature_lengths is not None
    counts = (batch.labels >= 0).sum(1)
    frames = pooled_frames(batch.feature_lengths)
    per_clip = F.ctc_loss(
        logits.log_softmax(-1).transpose(0, 1), batch.labels.clamp(min=0), frames, counts,
        blank=logits.shape[-1] - 1, reduction="none", zero_infinity=True,
    )  # fmt: skip
    return (per_clip / counts.clamp(min=1) * (counts > 0)).sum()


def _to(batch: Batch, device: torch.device) -> Batch:
    moved = {
        name: value.to(device) if isinstance(value := getattr(batch, name), torch.Tensor) else value
        for name in Batch.__slots__
    }
    return Batch(**moved)


def _optimizer(model: StepAudio2ForCausalLM, config: Sft) -> torch.optim.AdamW:
    trained = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    groups = [
        {"params": [p for _, p in trained if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for _, p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.lr, betas=(0.9, 0.98), fused=True)


def _steps(
    model: StepAudio2ForCausalLM,
    optimizer: torch.optim.AdamW,
    config: Sft,
    data: Iterator[Batch],
    start: int,
) -> Iterator[dict[str, float]]:
    """The loop: one dictionary of measurements per step."""
    device = next(model.parameters()).device
    bf16 = use_bf16(config.precision, device)
    aligner = getattr(model, "aligner", None)
    for step, batch in enumerate(data, start):
        began = time.perf_counter()
        rate = learning_rate(step, config)
        for group in optimizer.param_groups:
            group["lr"] = rate
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            loss, alignment = losses(model, _to(batch, device), aligner)
        tokens = dist.total(int(batch.trains.sum()))
        (loss / tokens + alignment * (config.alignment / config.batch_size)).backward()
        dist.sum_gradients(model)
        mean = dist.total(float(loss.detach())) / tokens
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), config.max_grad_norm)
        if not math.isfinite(float(norm)):
            raise FloatingPointError(
                f"the gradient is not finite at step {step} (loss {mean}); lower the "
                "learning rate or use --precision fp32; the last checkpoint is whole"
            )
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        yield {
            "step": step + 1,
            "loss": mean,
            "alignment": dist.total(float(alignment.detach())) / config.batch_size,
            "grad_norm": float(norm),
            "lr": rate,
            "reply_tokens": int(tokens),
            "seconds": time.perf_counter() - began,
        }


def _check_speech(mixture: Mixture) -> None:
    from auscult.audio import speech

    spoken = mixture.drills > 0 or any(t in gym.SPEECH_TASKS for t in mixture.tasks)
    if spoken and not speech.available():
        raise speech.SpeechUnavailable(
            "the mixture holds spoken words, which need: pip install 'auscult[speech]'; "
            "or leave them out: --tasks with other tasks only"
        )


def sft(config: Sft, source: Path, out: Path) -> Path:
    """Train the model in `source` and write the result to `out`; skipped when done, resumed when
    interrupted. Metrics, config and checkpoints lie in `out`."""
    rank, world = dist.start()
    record = asdict(config) | {"processes": world}
    run = RunFolder(out, stage="sft", config=record, parent=source, writes=rank == 0)
    if run.done():
        print(f"{out} is finished already; nothing to do")
        return out
    _check_speech(config.mixture)
    torch.set_num_threads(config.threads)
    device = dist.device()
    processor: StepAudio2Processor = AutoProcessor.from_pretrained(source)
    model = StepAudio2ForCausalLM.from_pretrained(
        source, dtype=torch.float32, attn_implementation="eager" if device.type == "cpu" else "sdpa"
    )
    model.to(device)  # pyright: ignore[reportArgumentType]
    compare_names(expected_names(model.config), stored_names(locate(source)), source)
    model.train()
    if config.freeze_encoder:
        model.freeze_encoder()
    if config.alignment:
        torch.manual_seed(config.seed)
        width = model.config.audio_encoder_config.n_audio_state
        model.aligner = nn.Linear(width, model.config.vocab_size + 1).to(device)
    optimizer = _optimizer(model, config)
    progress = checkpoint.load(run.checkpoint, model, optimizer) or {"step": 0}
    start = int(progress["step"])
    run.truncate_metrics(start)
    stream = Stream(config.mixture, processor, config.batch_size, config.seed, (rank, world))
    data = batches(stream, start, config.steps, config.workers)
    saved = time.monotonic()
    bar = tqdm(
        total=config.steps, initial=start, desc=f"sft {out.name}", mininterval=5, disable=rank > 0
    )
    for metrics in _steps(model, optimizer, config, data, start):
        run.log(metrics)
        bar.update()
        bar.set_postfix(loss=f"{metrics['loss']:.3f}")
        if rank == 0 and time.monotonic() - saved > 60 * config.checkpoint_minutes:
            checkpoint.save(run.checkpoint, model, optimizer, {"step": metrics["step"]})
            saved = time.monotonic()
    bar.close()
    if rank == 0:
        model.requires_grad_(True)
        if config.alignment:
            del model.aligner
        model.save_pretrained(out)
        processor.save_pretrained(out)
        run.finish({"steps": config.steps})
    dist.barrier()
    return out


def _corpus() -> Iterator[str]:
    """Text for nano's tokenizer: every task in every rendering, and words of later stages."""
    from auscult.gym import render
    from auscult.model.processor import EMPTY_THINK
    from auscult.train.vocabulary import RESERVED_SENTENCES

    for task in gym.TASKS:
        for i in range(40):
            item = gym.make(task, i, level=1 + i % 3)
            text = f"<|BOT|>human\n{render.question_text(item)}<|EOT|><|BOT|>assistant\n<think>\n"
            yield from (f"{text}{render.chain(item)}\n</think>\n{item.answer}", render.twin(item))
            yield from (render.twin_chain(item), EMPTY_THINK + item.answer)
    for sentence in RESERVED_SENTENCES:
        yield from [sentence] * 20


def init_nano(out: Path, *, seed: int = 0) -> Path:
    """A nano model with random weights and its tokenizer; needs the `[speech]` extra, because the
    tokenizer is made from all tasks."""
    from auscult.model import SIZES, config_for
    from auscult.model.tokens import AUDIO_END, AUDIO_PATCH, AUDIO_START, train_nano_tokenizer

    if (out / "config.json").exists():
        return out
    tokenizer = train_nano_tokenizer(_corpus(), SIZES["nano"].vocab)
    ids = {
        name: tokenizer.convert_tokens_to_ids(name)
        for name in (AUDIO_START, AUDIO_END, AUDIO_PATCH)
    }
    config = config_for(
        "nano",
        audio_start_token_id=ids[AUDIO_START],
        audio_end_token_id=ids[AUDIO_END],
        audio_patch_token_id=ids[AUDIO_PATCH],
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(seed)
    model = StepAudio2ForCausalLM(config)
    out.mkdir(parents=True, exist_ok=True)
    StepAudio2Processor(tokenizer).save_pretrained(out)
    model.save_pretrained(out)
    (out / "init.json").write_text(json.dumps({"seed": seed}))
    return out
