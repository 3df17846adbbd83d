"""Generation: batched engine, sampling, control of the thought."""

from auscult.engine.engine import Engine, Event
from auscult.engine.sampling import Sampling
from auscult.engine.thinking import Thinking

__all__ = ["Engine", "Event", "Sampling", "Thinking"]
