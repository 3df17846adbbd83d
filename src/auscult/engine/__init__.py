"""Generation: one engine for many askers, sampling and thinking of each row, forms, sessions."""

from auscult.engine.constraint import Form
from auscult.engine.engine import Engine
from auscult.engine.request import Answered, Event, Request, Ticket
from auscult.engine.sampling import Sampling
from auscult.engine.session import Session
from auscult.engine.thinking import Thinking

__all__ = [
    "Answered", "Engine", "Event", "Form", "Request", "Sampling", "Session", "Thinking", "Ticket",
]  # fmt: skip
