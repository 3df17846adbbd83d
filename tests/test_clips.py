"""Sound in every form that people have it reaches the model as the same clip."""

import base64
import re
import textwrap
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from fixture_recordings import coded, tone

from auscult.audio.io import read_encoded
from auscult.model import StepAudio2ForCausalLM, StepAudio2Processor
from auscult.model.clips import as_clip, sounds_of
from auscult.model.weights import locate

WAV = coded("WAV", "FLOAT")
CLIP = read_encoded(WAV, "a tone")

FORMS: dict[str, Any] = {
    "array": lambda _: CLIP,
    "array of doubles": lambda _: CLIP.astype(np.float64),
    "list of floats": lambda _: CLIP.tolist(),
    "tensor": lambda _: torch.from_numpy(CLIP),
    "16-bit integers": lambda _: np.round(CLIP * 32767).astype(np.int16),
    "path": lambda file: file,
    "path as text": lambda file: str(file),
    "bytes": lambda _: WAV,
    "base64": lambda _: base64.b64encode(WAV).decode(),
    "data URL": lambda _: "data:audio/wav;base64," + base64.b64encode(WAV).decode(),
    "decoded by datasets": lambda _: {"array": CLIP, "sampling_rate": 16000, "path": None},
    "bytes of datasets": lambda _: {"bytes": WAV, "path": "a.wav"},
    "path of datasets": lambda file: {"bytes": None, "path": str(file)},
    "OpenAI": lambda _: {"data": base64.b64encode(WAV).decode(), "format": "wav"},
    "another rate": lambda _: {"array": tone(48000).astype(np.float32), "sampling_rate": 48000},
    "torchcodec": lambda _: SimpleNamespace(
        get_all_samples=lambda: SimpleNamespace(data=torch.from_numpy(CLIP)[None].repeat(2, 1),
                                                sample_rate=16000)),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_sound_gives_the_same_clip(form: str, tmp_path: Path):
    file = tmp_path / "a.wav"
    file.write_bytes(WAV)
    x = as_clip(FORMS[form](file))
    assert x.dtype == np.float32
    np.testing.assert_allclose(x[100:-100], CLIP[100:-100], atol=2e-3)


BAD: dict[str, tuple[Any, str]] = {
    "a URL": ("https://example.org/a.wav", "is a URL; nothing is fetched"),
    "a missing file": ("no such file.wav", "neither a file that exists nor base64"),
    "stereo": (np.zeros((2, 16000), dtype=np.float32), "average or choose a channel"),
    "nothing": (np.zeros(0, dtype=np.float32), "at least 25 ms"),
    "20 ms": (np.zeros(320, dtype=np.float32), "a clip of 20.0 ms"),
    "nan": (np.full(800, np.nan, dtype=np.float32), "NaN or infinite"),
    "words": ({"text": "a tone"}, "holds no sound"),
    "an object": (object(), "no clip|no sound"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_sound_is_refused_with_a_remedy(name: str):
    value, said = BAD[name]
    with pytest.raises(ValueError, match=said):
        as_clip(value)


def talk(part: dict[str, Any], text: str = "What is heard?") -> list[dict[str, Any]]:
    return [{"role": "user", "content": [part, {"type": "text", "text": text}]}]


@pytest.mark.parametrize("part", [
    {"type": "audio", "audio": CLIP},
    {"type": "audio", "audio": base64.b64encode(WAV).decode()},
    {"type": "audio", "base64": base64.b64encode(WAV).decode()},
    {"type": "input_audio", "input_audio": {"data": base64.b64encode(WAV).decode(),
                                            "format": "wav"}},
])  # fmt: skip
def test_a_templated_conversation_is_what_the_processor_makes_of_text_and_clips(
    part: dict[str, Any], processor: StepAudio2Processor
):
    expected = processor(
        "<|BOT|>human\n<audio_patch>What is heard?<|EOT|><|BOT|>assistant\n<think>\n", audio=[CLIP]
    )
    got = processor.apply_chat_template(
        talk(part), tokenize=True, return_dict=True, add_generation_prompt=True
    )
    assert set(got) == set(expected)
    for name, value in expected.items():
        torch.testing.assert_close(got[name], value, atol=1e-6, rtol=0)


def test_a_path_in_a_conversation_is_heard_and_answered(
    processor: StepAudio2Processor, model: StepAudio2ForCausalLM, tmp_path: Path
):
    file = tmp_path / "a.wav"
    file.write_bytes(WAV)
    inputs = processor.apply_chat_template(
        talk({"type": "audio", "path": str(file)}), tokenize=True, return_dict=True,
        add_generation_prompt=True, return_tensors="pt",
    )  # fmt: skip
    ids = model.generate(**inputs, max_new_tokens=4, do_sample=False)
    assert ids.shape[1] == inputs["input_ids"].shape[1] + 4
    assert isinstance(processor.decode(ids[0]), str)


def test_text_alone_and_many_conversations_work_too(processor: StepAudio2Processor):
    plain = [{"role": "user", "content": "Hello."}]
    one = processor.apply_chat_template(plain, tokenize=True, return_dict=True)
    assert set(one) == {"input_ids", "attention_mask"}
    both = processor.apply_chat_template(
        [plain, talk({"type": "audio", "audio": CLIP})], tokenize=True, return_dict=True
    )
    assert both["input_ids"].shape[0] == 2 and both["feature_lengths"].tolist() == [102]
    ids = processor.apply_chat_template(plain, tokenize=True)
    assert ids == one["input_ids"][0].tolist()
    assert processor.apply_chat_template(plain) == "<|BOT|>human\nHello.<|EOT|>"


def test_parts_that_cannot_be_shown_are_refused_by_name():
    for kind in ("image", "image_url", "video", "audio_url"):
        with pytest.raises(ValueError, match=f"a part of type '{kind}' cannot be shown"):
            sounds_of(talk({"type": kind, "url": "a.png"}))


def test_a_flat_list_of_clips_is_dealt_out_by_the_placeholders(processor: StepAudio2Processor):
    texts = ["<audio_patch>?", "None.", "<audio_patch><audio_patch>!"]
    clips = [CLIP, CLIP[:8000], CLIP[:4000]]
    flat = processor(texts, audio=clips)
    nested = processor(texts, audio=[clips[:1], [], clips[1:]])
    for name, value in nested.items():
        assert torch.equal(flat[name], value)
    with pytest.raises(ValueError, match="3 <audio_patch> placeholders but 2 clips"):
        processor(texts, audio=clips[:2])
    alone = processor("<audio_patch>?", audio=CLIP)
    assert alone["feature_lengths"].tolist() == [102]


def test_settings_of_other_processors_are_taken_or_refused(processor: StepAudio2Processor):
    same = processor("Hello", padding=True, text_kwargs={"padding_side": "right"})
    assert torch.equal(same["input_ids"], processor("Hello")["input_ids"])
    wide = processor("Hello", padding="max_length", max_length=20)
    assert wide["input_ids"].shape == (1, 20)
    right = processor(["Hello", "Hello there, you"], padding_side="right")
    assert right["attention_mask"][0, 0] == 1 and right["attention_mask"][0, -1] == 0
    assert isinstance(processor("Hello", return_tensors="np")["input_ids"], np.ndarray)
    assert isinstance(processor("Hello", return_tensors=None)["input_ids"][0], list)
    half = processor("<audio_patch>?", audio=tone(8000).astype(np.float32), sampling_rate=8000)
    assert half["feature_lengths"].tolist() == [102]
    for settings, said in (
        ({"images": [1]}, "images came"), ({"truncation": True}, "cut through sound"),
        ({"padding": "max_length", "max_length": 1}, "max_length is 1"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=said):
            processor("Hello", **settings)
    with pytest.raises(ValueError, match="without padding"):
        processor(["Hello", "Hello there"], padding=False)
    with pytest.raises(TypeError, match="unknown setting volume"):
        processor("Hello", volume=3)


def test_the_example_of_the_readme_runs_as_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    text = (Path(__file__).parent.parent / "README.md").read_text()
    (code,) = [c for c in re.findall(r"```python\n(.*?)```", text, re.S) if "model.generate" in c]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clip.wav").write_bytes(WAV)
    code = textwrap.dedent(code).replace("path/to/Step-Audio-R1", str(locate("nano")))
    exec(code, {})
    assert "</think>" in capsys.readouterr().out
