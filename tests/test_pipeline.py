"""Transformers' own pipeline takes the model as it is."""

import numpy as np
import pytest
from transformers import AutoModelForMultimodalLM, pipeline

from auscult.model import StepAudio2ForCausalLM


@pytest.fixture
def folder(model, processor, tmp_path):
    model.save_pretrained(tmp_path / "model")
    processor.save_pretrained(tmp_path / "model")
    return str(tmp_path / "model")


def chat(clip) -> list[dict]:
    said = [{"type": "audio", "audio": clip}, {"type": "text", "text": "What?"}]
    return [{"role": "user", "content": said}]


def test_a_pipeline_answers_questions_about_sound_one_by_one_and_together(folder, clips):
    pipe = pipeline("any-to-any", model=folder)
    greedy = {"max_new_tokens": 6, "do_sample": False}
    given = {"return_full_text": False, "generate_kwargs": greedy}
    alone = [pipe(chat(clip), **given)[0]["generated_text"] for clip in clips[:3]]
    together = [x[0]["generated_text"] for x in pipe([chat(c) for c in clips[:3]], **given)]
    assert together == alone
    assert len({str(np.asarray(text)) for text in alone}) > 1  # it heard the clips


def test_the_class_for_models_of_several_kinds_of_input_opens_it(folder):
    assert isinstance(AutoModelForMultimodalLM.from_pretrained(folder), StepAudio2ForCausalLM)
