"""The aligned ear as a folder to ship: encoder, adaptor and the heads that spell, in 16 bits, with
the tokenizer that the heads spell in. Stored once, whatever decoders are trained on it."""

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from auscult.model import StepAudio2Encoder
from auscult.model.weights import open_model
from auscult.train.alignment import ALIGNER
from auscult.work.run import finished


def keep(source: Path, out: Path) -> Path:
    """Write the ear of the model that `auscult align` made in `source` to `out`. Weights of 16 bits
    hold Whisper's own without loss, and ours to one part in two thousand.

    Raises `ValueError` where `source` is no finished alignment.
    """
    if not (source / ALIGNER).is_file():
        raise ValueError(f"{source} holds no {ALIGNER}; give a folder that `auscult align` wrote")
    record = finished(source) | {"parent": ""}  # which was a folder of the machine that trained it
    model, processor = open_model(source, device="cpu")
    ear = StepAudio2Encoder(model.config.audio_encoder_config)
    ear.encoder.load_state_dict(model.encoder.state_dict())
    ear.adapter.load_state_dict(model.adapter.state_dict())
    ear.to(torch.float16).save_pretrained(out)  # pyright: ignore[reportArgumentType]
    processor.save_pretrained(out)
    words = {k: v.half() for k, v in load_file(source / ALIGNER).items() if k.startswith("words.")}
    save_file(words, out / ALIGNER)
    for file in out.glob("*.safetensors"):
        file.chmod(0o644)
    (out / "training.json").write_text(json.dumps(record, indent=1))
    licence = Path(__file__).parents[1] / "model" / "LICENSE.whisper"
    shutil.copyfile(licence, out / licence.name)
    return out
