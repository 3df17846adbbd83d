"""The model. Importing it registers its classes with the `Auto` classes of transformers."""

from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMultimodalLM,
    AutoModelForTokenClassification,
    AutoProcessor,
)

from auscult.model.config import SIZES, StepAudio2Config, StepAudio2EncoderConfig, config_for
from auscult.model.encoder import audio_tokens
from auscult.model.listening import AudioFeatures, StepAudio2Encoder
from auscult.model.model import (
    StepAudio2ForCausalLM,
    StepAudio2ForTokenClassification,
    StepAudio2Model,
    StepAudio2PreTrainedModel,
)
from auscult.model.processor import StepAudio2Processor

AutoConfig.register("step_audio_2", StepAudio2Config, exist_ok=True)
AutoConfig.register("step_audio_2_encoder", StepAudio2EncoderConfig, exist_ok=True)
AutoModel.register(StepAudio2Config, StepAudio2Model, exist_ok=True)
AutoModel.register(StepAudio2EncoderConfig, StepAudio2Encoder, exist_ok=True)
AutoModelForCausalLM.register(StepAudio2Config, StepAudio2ForCausalLM, exist_ok=True)
AutoModelForMultimodalLM.register(StepAudio2Config, StepAudio2ForCausalLM, exist_ok=True)
AutoModelForTokenClassification.register(
    StepAudio2Config, StepAudio2ForTokenClassification, exist_ok=True
)
AutoProcessor.register(StepAudio2Config, StepAudio2Processor, exist_ok=True)

__all__ = [
    "SIZES",
    "AudioFeatures",
    "StepAudio2Config",
    "StepAudio2Encoder",
    "StepAudio2EncoderConfig",
    "StepAudio2ForCausalLM",
    "StepAudio2ForTokenClassification",
    "StepAudio2Model",
    "StepAudio2PreTrainedModel",
    "StepAudio2Processor",
    "audio_tokens",
    "config_for",
]
