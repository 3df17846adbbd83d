"""`ModelTesterMixin` on the body, the language model and the critic."""

import os
import unittest
from collections.abc import Callable
from typing import Any

import pytest
import torch
from tests.generation.test_utils import GenerationTesterMixin
from tests.test_modeling_common import ModelTesterMixin, ids_tensor
from transformers.models.auto import modeling_auto as auto

from auscult.model import (
    StepAudio2Config,
    StepAudio2ForCausalLM,
    StepAudio2ForTokenClassification,
    StepAudio2Model,
)
from auscult.model.encoder import audio_tokens

START, END, PATCH, PAD, EOS = range(5)
WORDS = 100  # ids above the special ones
ROWS, FRAMES = 3, 40


class Tester:
    """Tiny sizes, and inputs with one clip in every row."""

    def __init__(self) -> None:
        self.batch_size, self.is_training = ROWS, True
        self.hidden_size, self.num_hidden_layers, self.num_attention_heads = 32, 2, 4
        self.patches = audio_tokens(FRAMES)
        self.seq_length = 7 + self.patches
        self.encoder_seq_length = self.seq_length
        self.words_alone = False

    def get_config(self) -> StepAudio2Config:
        return StepAudio2Config(
            text_config={
                "vocab_size": EOS + 1 + WORDS, "hidden_size": 32, "intermediate_size": 48,
                "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
                "max_position_embeddings": 512,
            },
            audio_encoder_config={
                "n_mels": 16, "n_audio_ctx": 60, "n_audio_state": 32, "n_audio_head": 2,
                "n_audio_layer": 2, "adapter_state": 24,
            },
            audio_start_token_id=START, audio_end_token_id=END,
            audio_patch_token_id=-1 if self.words_alone else PATCH,
            eos_token_id=EOS, pad_token_id=PAD,
        )  # fmt: skip

    def prepare_config_and_inputs_for_common(self) -> tuple[StepAudio2Config, dict[str, Any]]:
        if self.words_alone:
            ids = EOS + 1 + ids_tensor([ROWS, self.seq_length], WORDS - 20)
            return self.get_config(), {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        heard = torch.tensor([[START, *[PATCH] * self.patches, END]] * ROWS)
        words = EOS + 1 + ids_tensor([ROWS, self.seq_length - heard.shape[1]], WORDS - 20)
        ids = torch.cat([words[:, :2], heard, words[:, 2:]], 1)
        return self.get_config(), {
            "input_ids": ids,
            "attention_mask": torch.ones_like(ids),
            "input_features": torch.randn(ROWS, 16, FRAMES),
            "feature_lengths": torch.full((ROWS,), FRAMES),
        }


# By these tables of names the common tests know what a class is for.
auto.MODEL_MAPPING_NAMES["step_audio_2"] = "StepAudio2Model"
auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES["step_audio_2"] = "StepAudio2ForCausalLM"
auto.MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES["step_audio_2"] = (
    "StepAudio2ForTokenClassification"
)


class Common(ModelTesterMixin):
    """What all classes share."""

    _is_composite = True

    def setUp(self) -> None:
        self.model_tester = Tester()


def _of_words(test: Callable[..., Any]) -> Callable[..., Any]:
    """The test with words alone and no token that stands for sound: it passes any ids without
    sound, which these models refuse."""

    def run(self: Common, *args: Any, **kwargs: Any) -> Any:
        self.model_tester.words_alone = True
        return test(self, *args, **kwargs)

    run.__name__ = test.__name__  # no `wraps`: pytest would look for code behind `parameterized`
    return run


_BARE = ("test_eager_matches_sdpa_inference_", "test_model_rope_scaling_from_")
for _name in dir(ModelTesterMixin):
    _test = getattr(ModelTesterMixin, _name)
    if _name.startswith(_BARE) and _test is not None:
        setattr(Common, _name, _of_words(_test))


class TestModels(Common, GenerationTesterMixin, unittest.TestCase):
    """The body and the language model."""

    all_model_classes = (StepAudio2Model, StepAudio2ForCausalLM)


class TestCritic(Common, unittest.TestCase):
    """The critic."""

    all_model_classes = (StepAudio2ForTokenClassification,)


def test_the_tests_of_generation_are_there() -> None:
    if not os.environ.get("HF_TESTS"):
        pytest.skip(
            "NO GENERATION TESTS: the source distribution lacks them; HF_TESTS=FOLDER takes the "
            "`tests` folder of a git checkout of transformers"
        )
    assert len(dir(GenerationTesterMixin)) > 40
