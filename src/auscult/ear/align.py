"""The ear learns to name what it hears, before there is a decoder: `auscult align`.

Connectionist temporal classification (Graves et al. 2006) of each clip's words on the adaptor's
vectors, encoder and adaptor learning together, and classes of whole clips (`lessons.MARKS`) on
their attention-pooled mean. A decoder that starts from such an adaptor reads it at once; from a
random one it takes many times as long. Two label frames per vector: fast notes need more than 12.5
a second.

Shapes: C clips, M mel bins, L mel frames, N vectors of a clip, D their width, V words and pieces.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Dataset

from auscult.ear.lessons import ABOUT, MARKS, Lesson, lesson
from auscult.model import StepAudio2ForCausalLM, StepAudio2Processor
from auscult.model.processor import pad_features, plain_ids
from auscult.real.bank import bank
from auscult.train.alignment import (
    FRAMES_PER_VECTOR,
    Aligner,
    save_aligner,
    vectors_of,
    word_loss,
)
from auscult.train.core import Learner, Machine, Rate, open_for_training, save_model
from auscult.train.feed.batch import rows_of
from auscult.train.feed.data import BATCHES_PER_GROUP, batches
from auscult.train.forward import autocast
from auscult.train.loop import open_run, train
from auscult.work import dist


@dataclass(frozen=True, slots=True, kw_only=True)
class Align:
    """The stage. `alone`: first steps in which adaptor and heads learn on the ear as it is."""

    steps: int = 4000
    batch_size: int = 32  # clips per step, all processes together
    encoder: Rate = Rate(peak=1.5e-4, warmup=200)
    heads: Rate = Rate(peak=1e-3, warmup=100)
    alone: int = 600
    marks: float = 0.2  # weight of the classes of whole clips
    about: float = 0.5  # weight of the words that one task listens for
    lessons: tuple[str, ...] = ()  # only these; () = all
    weight_decay: float = 0.01
    seed: int = 0
    workers: int = 0
    machine: Machine = Machine()


@dataclass(frozen=True, slots=True, kw_only=True)
class Clips:
    """A batch of lessons as numbers; -1 fills what is not there or not known."""

    features: Float[Tensor, "C M L"]
    lengths: Int[Tensor, " C"]
    words: Int[Tensor, "C S"]
    tasks: Int[Tensor, " C"]
    about: Int[Tensor, "C S2"]
    marks: dict[str, Int[Tensor, " C"]]


def mark_loss(aligner: Aligner, x: Tensor, counts: Tensor, clips: Clips) -> dict[str, Tensor]:
    """Summed cross-entropy of every mark over the clips where it is known."""
    valid = torch.arange(x.shape[1])[None] < counts[:, None]
    out: dict[str, Tensor] = {}
    for name, head in aligner.marks.items():
        rows = clips.marks[name] >= 0
        if rows.any():
            scores = head(x[rows], valid[rows]).float()
            out[name] = F.cross_entropy(scores, clips.marks[name][rows], reduction="sum")
    return out


def about_loss(aligner: Aligner, x: Tensor, counts: Tensor, clips: Clips) -> Tensor:
    """Cross-entropy of the set of words that a task listens for, summed over the clips with one."""
    rows = clips.tasks >= 0
    if aligner.about is None or not rows.any():
        return x.new_zeros(())
    valid = torch.arange(x.shape[1])[None] < counts[:, None]
    scores = aligner.about(x[rows], valid[rows], clips.tasks[rows]).float()
    words = clips.about[rows]
    wanted = torch.zeros_like(scores).scatter_add_(
        1, words.clamp(min=0), (words >= 0).to(scores.dtype)
    )
    wanted = (wanted > 0).to(scores.dtype)
    return F.cross_entropy(scores, wanted / wanted.sum(1, keepdim=True), reduction="sum")


def _ids(texts: list[str], processor: StepAudio2Processor) -> Tensor:
    return rows_of([plain_ids(processor.tokenizer, text) if text else [] for text in texts])


def clips_of(lessons: list[Lesson], processor: StepAudio2Processor) -> Clips:
    """Lessons as one batch."""
    features, lengths = pad_features([processor.features(one.clip) for one in lessons])
    return Clips(
        features=features,
        lengths=lengths,
        words=_ids([one.words for one in lessons], processor),
        tasks=torch.tensor([ABOUT.index(one.task) if one.task else -1 for one in lessons]),
        about=_ids([one.about for one in lessons], processor),
        marks={name: torch.tensor([one.marks.get(name, -1) for one in lessons]) for name in MARKS},
    )


class LessonStream(Dataset[list[Clips]]):
    """Group number g of the stream: batches of lessons of similar length, a pure function of seed
    and number, so that a killed run goes on with what it would have heard."""

    def __init__(self, config: Align, processor: StepAudio2Processor) -> None:
        rank, world = dist.rank(), dist.world()
        self.config, self.processor = config, processor
        self.size, self.rank, self.world = dist.share_of(config.batch_size), rank, world

    def __getitem__(self, group: int) -> list[Clips]:
        count = BATCHES_PER_GROUP * self.size
        first = group * count * self.world + self.rank
        seed, only = self.config.seed, self.config.lessons
        rows = [lesson(seed, first + i * self.world, only) for i in range(count)]
        rows.sort(key=lambda row: len(row.clip))
        return [
            clips_of(rows[i * self.size : (i + 1) * self.size], self.processor)
            for i in torch.randperm(
                BATCHES_PER_GROUP, generator=torch.Generator().manual_seed(group)
            ).tolist()
        ]


def _step(
    learner: Learner, model: StepAudio2ForCausalLM, clips: Clips, number: int, config: Align
) -> dict[str, float]:
    aligner: Aligner = learner.parts["aligner"]  # pyright: ignore[reportAssignmentType]
    with autocast(learner.device, learner.bf16):
        x, counts = vectors_of(model, model.encoder(clips.features, clips.lengths), clips.lengths)
        loss, counted = word_loss(aligner.word_logits(x), counts, clips.words)
        marks = mark_loss(aligner, x.float(), counts, clips)
        about = about_loss(aligner, x.float(), counts, clips)
    words = (loss * counted).sum()
    whole = words + config.marks * sum(marks.values(), words.new_zeros(()))
    whole = whole + config.about * about
    (whole / config.batch_size).backward()
    rate = config.heads.at(number, config.steps)
    together = number - config.alone  # steps of the encoder, which begins later
    ear = config.encoder.at(together, config.steps - config.alone) if together >= 0 else 0.0
    norms = learner.update({"encoder": ear, "adapter": rate, "aligner": rate})
    known = {name: float((clips.marks[name] >= 0).sum()) for name in MARKS}
    sums = dist.totals(
        {
            "words": float(words.detach()),
            "counted": float(counted.sum()),
            "about": float(about.detach()),
            "asked": float((clips.tasks >= 0).sum()),
        }
        | {name: float(marks[name].detach()) if name in marks else 0.0 for name in MARKS}
        | {f"{name}_n": n for name, n in known.items()}
    )
    means = {name: sums[name] / max(1.0, sums[f"{name}_n"]) for name in MARKS}
    return {
        "loss": sums["words"] / max(1.0, sums["counted"]), "counted": sums["counted"],
        "about": sums["about"] / max(1.0, sums["asked"]),
        **means, "grad_norm": norms["encoder"], "lr": ear,
    }  # fmt: skip


def align(config: Align, source: Path, out: Path) -> Path:
    """Train ear and adaptor of the model in `source` and write it to `out`; skipped when done,
    resumed when interrupted. The decoder stays as it was; the heads lie beside it."""
    run = open_run("align", config, source, out)
    if run.done():
        return out
    model, processor = open_for_training(source, config.machine, freeze_encoder=False)
    torch.manual_seed(config.seed)
    classes = {name: count(bank("train")) for name, count in MARKS.items()}
    width = model.config.audio_encoder_config.llm_dim
    aligner = Aligner(width, model.config.vocab_size, classes, len(ABOUT)).to(dist.device())
    parts: dict[str, nn.Module] = {
        "encoder": model.encoder, "adapter": model.adapter, "aligner": aligner
    }  # fmt: skip
    learner = Learner(parts, config.machine, weight_decay=config.weight_decay)
    stream = LessonStream(config, processor)
    data: list[Iterator[Clips]] = []

    def step(number: int) -> dict[str, float]:
        if not data:  # the first step of this start: the stream is entered here
            data.append(batches(stream, number, config.steps, config.workers))
        return _step(learner, model, next(data[0]), number, config)

    train(run, learner, config.steps, step, shown="loss")
    save_model(model, processor, out, config.machine)
    save_aligner(aligner, out)
    run.finish({"steps": config.steps})
    return out


@torch.inference_mode()
def read(
    model: StepAudio2ForCausalLM, aligner: Aligner, processor: StepAudio2Processor,
    lessons: list[Lesson],
) -> list[str]:  # fmt: skip
    """What the heads read in each clip: the best word of every frame, repeats and blanks gone."""
    clips = clips_of(lessons, processor)
    x, counts = vectors_of(model, model.encoder(clips.features, clips.lengths), clips.lengths)
    best = aligner.word_logits(x).argmax(-1)
    blank = model.config.vocab_size
    found: list[str] = []
    for row, n in zip(best, counts.tolist(), strict=True):
        ids = torch.unique_consecutive(row[: n * FRAMES_PER_VECTOR])
        found.append(str(processor.tokenizer.decode(ids[ids != blank])).strip())
    return found
