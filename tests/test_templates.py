"""Both chat templates, against what the released client and the released server's template wrote
for the same conversations (`data/templates.json`: their output, recorded)."""

import json
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pytest

from auscult.model.processor import StepAudio2Processor
from auscult.model.templates import TEMPLATES

CASES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "data" / "templates.json").read_text(encoding="utf-8")
)


def written(processor: StepAudio2Processor, name: str, case: dict[str, Any]) -> str:
    return processor.apply_chat_template(
        case["messages"], name, add_generation_prompt=case["add_generation_prompt"],
        tools=case.get("tools"),
    )  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
@pytest.mark.parametrize("name", TEMPLATES)
def test_a_conversation_is_written_as_the_released_programs_write_it(
    processor: StepAudio2Processor, name: str, case: dict[str, Any]
):
    if case[name] is None:
        pytest.skip("the released client has no tools")
    assert written(processor, name, case) == case[name]


def test_enough_conversations_are_compared():
    assert all(sum(case[name] is not None for case in CASES) >= 16 for name in TEMPLATES)


def test_tools_follow_the_system_turn_which_the_local_template_closes(
    processor: StepAudio2Processor,
):
    tools = [{"name": "weather"}]
    said: list[Any] = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
    ]
    text = processor.apply_chat_template(said, tools=tools)
    schema = '<|BOT|>tool_json_schemas\n[{"name": "weather"}]<|EOT|>'
    assert text == f"<|BOT|>system\nBe brief.<|EOT|>{schema}<|BOT|>human\nHi<|EOT|>"
    assert processor.apply_chat_template(said[1:], tools=tools).startswith(schema)


@pytest.mark.parametrize("name", TEMPLATES)
@pytest.mark.parametrize("kind", ["image", "video", "document"])
def test_what_cannot_be_shown_is_refused_by_name(
    processor: StepAudio2Processor, name: str, kind: str
):
    said: list[Any] = [
        {"role": "user", "content": [{"type": kind}, {"type": "text", "text": "What?"}]}
    ]
    with pytest.raises(jinja2.TemplateError, match=f"type {kind}"):
        processor.tokenizer.apply_chat_template(said, chat_template=TEMPLATES[name], tokenize=False)
    with pytest.raises(ValueError, match=f"'{kind}'"):
        processor.apply_chat_template(said, name)


def test_sound_in_the_forms_of_openai_is_a_placeholder_even_without_the_processor(
    processor: StepAudio2Processor,
):
    said: list[Any] = [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]
    for template in TEMPLATES.values():
        text = processor.tokenizer.apply_chat_template(said, chat_template=template, tokenize=False)
        assert text == "<|BOT|>human\n<audio_patch><|EOT|>"


def test_the_mask_is_one_on_what_the_assistant_said_and_on_the_end_of_its_turn(
    processor: StepAudio2Processor,
):
    clip = np.full(8000, 0.1, dtype=np.float32)
    said = [
        {"role": "user", "content": [{"type": "audio", "audio": clip},
                                     {"type": "text", "text": "a"}]},
        {"role": "assistant", "content": "I hear."},
        {"role": "user", "content": "And?"},
        {"role": "assistant", "content": [{"type": "text", "text": "Nothing"}]},
    ]  # fmt: skip
    batch = processor.apply_chat_template(
        [said, said[2:]], tokenize=True, return_dict=True, return_assistant_tokens_mask=True
    )
    assert batch["assistant_masks"].shape == batch["input_ids"].shape
    texts = [
        processor.tokenizer.decode(row[mask.bool()])
        for row, mask in zip(batch["input_ids"], batch["assistant_masks"], strict=True)
    ]
    assert texts == ["I hear.<|EOT|>Nothing<|EOT|>", "Nothing<|EOT|>"]


def test_a_finished_conversation_is_closed_for_training_and_left_open_to_go_on(
    processor: StepAudio2Processor,
):
    said: list[Any] = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]
    assert processor.apply_chat_template(said).endswith("Ho<|EOT|>")
    assert processor.apply_chat_template(said, continue_final_message=True).endswith("Ho")
