"""What inspect_ai finds of this package (entry point `inspect_ai`): providers and the task."""

from typing import Any

from inspect_ai.model import modelapi

from auscult.evaluate.tasks import bench

__all__ = ["bench"]


@modelapi(name="auscult")
def auscult() -> Any:
    """Our checkpoints: `auscult/nano`, `auscult/FOLDER`."""
    from auscult.evaluate.provider import Auscult

    return Auscult


@modelapi(name="step-audio")
def step_audio() -> Any:
    """The released models behind vLLM: `step-audio/NAME`."""
    try:
        from auscult.evaluate.server import StepAudio
    except ImportError as error:
        raise ValueError("servers need the openai client: pip install 'auscult[eval]'") from error

    return StepAudio
