"""Heads that read words and classes from the adaptor's vectors while it learns.

Connectionist temporal classification (Graves et al. 2006): attention alone needs ten times the
clips to find out which frame belongs to which word (hybrid CTC / attention training, Watanabe et
al. 2017). The heads are needed for training alone and lie beside the model.

Shapes: C clips, N vectors of a clip at 12.5 Hz, T label frames at 25 Hz, D width, V words and
pieces, K classes.
"""

from pathlib import Path

import torch
from jaxtyping import Float
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from auscult.model import StepAudio2ForCausalLM
from auscult.model.encoder import audio_tokens
from auscult.work import dist

FRAMES_PER_VECTOR = 2
"""Fast notes need more than 12.5 words a second."""

ALIGNER = "aligner.safetensors"


class Pooled(nn.Module):
    """Vectors [C, N, D] to class scores [C, K]: attention over time, then one hidden layer."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.where = nn.Linear(width, 1)
        self.what = nn.Sequential(
            nn.Linear(width, width), nn.ReLU(), nn.Linear(width, max(classes, 1))
        )

    def forward(self, x: Float[Tensor, "C N D"], valid: Tensor) -> Tensor:
        share = self.where(x)[..., 0].masked_fill(~valid, -1e4).softmax(-1)
        return self.what((share[..., None] * x).sum(1))


class About(nn.Module):
    """Vectors [C, N, D] and a question each [C] to scores of words [C, V]: attention over time that
    knows the question, then one hidden layer."""

    def __init__(self, width: int, questions: int, vocabulary: int) -> None:
        super().__init__()
        self.where = nn.Linear(width, questions)
        self.question = nn.Embedding(questions, width)
        self.inner = nn.Linear(width, width)
        self.out = nn.Linear(width, vocabulary)

    def forward(self, x: Float[Tensor, "C N D"], valid: Tensor, question: Tensor) -> Tensor:
        scores = self.where(x)[torch.arange(len(x)), :, question]
        share = scores.masked_fill(~valid, -1e4).softmax(-1)
        pooled = (share[..., None] * x).sum(1)
        return self.out(torch.relu(self.inner(pooled) + self.question(question)))


class Aligner(nn.Module):
    """The heads on the adaptor's vectors; they are needed for training alone."""

    def __init__(
        self, width: int, vocabulary: int, classes: dict[str, int], questions: int = 0
    ) -> None:
        super().__init__()
        self.words = nn.Linear(width, FRAMES_PER_VECTOR * (vocabulary + 1))
        self.about = About(width, questions, vocabulary) if questions else None
        self.marks = nn.ModuleDict({name: Pooled(width, n) for name, n in classes.items()})

    def word_logits(self, x: Float[Tensor, "C N D"]) -> Float[Tensor, "C T V"]:
        """Scores of words at 25 Hz; the last class is the blank."""
        found = self.words(x)
        return found.unflatten(-1, (FRAMES_PER_VECTOR, -1)).flatten(1, 2)


def vectors_of(
    model: StepAudio2ForCausalLM, features: Float[Tensor, "C P S"], lengths: Tensor
) -> tuple[Tensor, Tensor]:
    """(what the decoder would read [C, N, D], how many of them belong to each clip [C])."""
    counts = torch.tensor([audio_tokens(int(n)) for n in lengths])
    return model.adapter(features)[:, : int(counts.max())], counts


def word_loss(logits: Tensor, counts: Tensor, words: Tensor) -> tuple[Tensor, Tensor]:
    """(CTC loss of each clip per word [C], whether it counts [C]). A clip without words or with
    more of them than frames (a blank parts a word from itself) does not count."""
    sizes, frames = (words >= 0).sum(1), counts * FRAMES_PER_VECTOR
    twice = ((words[:, 1:] == words[:, :-1]) & (words[:, 1:] >= 0)).sum(1)
    loss = F.ctc_loss(
        logits.float().log_softmax(-1).transpose(0, 1), words.clamp(min=0), frames, sizes,
        blank=logits.shape[-1] - 1, reduction="none", zero_infinity=True,
    )  # fmt: skip
    return loss / sizes.clamp(min=1), (sizes > 0) & (sizes + twice <= frames)


def save_aligner(aligner: Aligner, folder: Path) -> None:
    """The heads beside the model of `folder` (first process)."""
    if dist.rank() == 0:
        weights = {name: value.contiguous() for name, value in aligner.state_dict().items()}
        save_file(weights, folder / ALIGNER)


def open_aligner(folder: Path, width: int, vocabulary: int) -> Aligner:
    """The heads that lie beside a model, fresh ones for words alone where there are none."""
    file = folder / ALIGNER
    weights = load_file(file) if file.exists() else {}
    ends = {k.split(".")[1]: v.shape[0] for k, v in weights.items() if k.endswith("what.2.bias")}
    asked = weights.get("about.question.weight", ())
    aligner = Aligner(width, vocabulary, ends, len(asked))
    if weights:
        aligner.load_state_dict(weights)
    return aligner
