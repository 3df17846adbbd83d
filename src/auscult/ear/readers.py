"""Small readers of an ear's frozen features: how they learn, and what is measured of them.

Shapes: C clips, T frames at 25 Hz, S width of the ear, K classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

Features = Float[Tensor, "T S"]


class Reader(nn.Module):
    """Padded features [C, T, S] to scores [C, K]: four times attention over time, one layer."""

    def __init__(self, width: int, classes: int, hidden: int = 128) -> None:
        super().__init__()
        self.inside = nn.Linear(width, hidden)
        self.where = nn.Linear(hidden, 4)
        self.layer = nn.Linear(4 * hidden, hidden)
        self.out = nn.Linear(hidden, classes)

    def embed(self, x: Tensor, lengths: Tensor) -> Tensor:
        """[C, hidden] of each clip."""
        valid = torch.arange(x.shape[1])[None] < lengths[:, None]
        y = F.relu(self.inside(x))
        share = self.where(y).masked_fill(~valid[..., None], -1e4).softmax(1)
        return F.relu(self.layer(torch.einsum("cth,ctk->ckh", y, share).flatten(1)))

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        return self.out(self.embed(x, lengths))


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """Samples as an ear hears them: clips one after another, `answers` per sample."""

    features: list[Features]
    answers: list[str]

    def padded(self, chosen: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Features of some clips as one batch, with their lengths."""
        rows = [self.features[i] for i in chosen]
        lengths = torch.tensor([len(row) for row in rows])
        return nn.utils.rnn.pad_sequence(rows, batch_first=True), lengths


def scaled(data: Heard, mean: Tensor, spread: Tensor) -> Heard:
    """Every feature on the same scale."""
    return replace(data, features=[(x - mean) / spread for x in data.features])


def _scores(reader: Reader, data: Heard, embed: bool = False) -> Tensor:
    with torch.inference_mode():
        parts = [
            (reader.embed if embed else reader)(*data.padded(range(i, min(i + 64, n))))
            for n in [len(data.features)]
            for i in range(0, n, 64)
        ]
    return torch.cat(parts)


def fit(data: Heard, way: str, names: Sequence[str], *, steps: int = 600, seed: int = 0) -> Reader:
    """A reader of `names` trained on what was heard; the same seed gives the same reader."""
    torch.manual_seed(seed)
    pair = way == "pair"
    reader = Reader(data.features[0].shape[1], 1 if pair else len(names))
    target = torch.tensor([names.index(answer) for answer in data.answers])
    optimizer = torch.optim.AdamW(reader.parameters(), lr=2e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        chosen = rng.integers(len(target), size=48)
        if pair:
            flat = [2 * i + k for i in chosen for k in (0, 1)]
            first, second = reader(*data.padded(flat)).unflatten(0, (-1, 2)).unbind(1)
            scores = torch.cat([first, second], 1)
        else:
            scores = reader(*data.padded(chosen.tolist()))
        loss = F.cross_entropy(scores, target[chosen], label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return reader.eval()


# ---------------------------------------------------------------------------- measures


def equal_error(points: Tensor, names: Sequence[str]) -> float:
    """Share of pairs taken wrongly where both errors are the same, by the cosine of embeddings."""
    unit = F.normalize(points - points.mean(0), dim=1)
    alike = (unit @ unit.T).numpy()
    who = np.array(names)
    a, b = np.triu_indices(len(who), 1)
    same, score = who[a] == who[b], alike[a, b]
    order = np.argsort(score)
    missed = np.cumsum(same[order]) / max(1, same.sum())
    false = 1 - np.cumsum(~same[order]) / max(1, (~same).sum())
    return float(missed[int(np.argmin(np.abs(missed - false)))])


def measure(reader: Reader, data: Heard, way: str, names: Sequence[str]) -> float:
    """Share of right answers, or the equal error rate of voices; nan for no samples."""
    if not data.answers:
        return float("nan")
    if way == "voice":
        return equal_error(_scores(reader, data, embed=True), data.answers)
    scores = _scores(reader, data)
    if way == "pair":
        first, second = scores[:, 0].unflatten(0, (-1, 2)).unbind(1)
        found = [names[int(b > a)] for a, b in zip(first, second, strict=True)]
    else:
        found = [names[int(i)] for i in scores.argmax(1)]
    if way == "pitch":
        right = [abs(int(a) - int(b)) <= 3 for a, b in zip(found, data.answers, strict=True)]
    else:
        right = [a == b for a, b in zip(found, data.answers, strict=True)]
    return float(np.mean(right))
