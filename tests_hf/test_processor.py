"""`ProcessorTesterMixin` on the processor."""

import unittest
from typing import Any

from tests.test_processing_common import ProcessorTesterMixin

from auscult.model import StepAudio2Processor
from auscult.model.tokens import AUDIO_PATCH, train_nano_tokenizer

TEXTS = ("Which note is played? I hear two notes: C4, E5.", "lower newer upper older longer string")


class TestProcessor(ProcessorTesterMixin, unittest.TestCase):
    """Words and log-mel."""

    processor_class = StepAudio2Processor
    audio_token = AUDIO_PATCH

    @classmethod
    def _setup_tokenizer(cls) -> Any:
        return train_nano_tokenizer(TEXTS * 5, 400)
