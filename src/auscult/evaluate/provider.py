"""Our checkpoints as a model provider of inspect_ai: `auscult/nano`, `auscult/FOLDER`.

Requests of many samples are in flight at once and share the engine's batch. What the framework's
settings mean here: `reasoning_tokens` is the budget of the thought (0 = none, absent = free),
`num_choices` the number of replies, `seed` that of this request alone. `extra_body` may hold what
has no setting of its own, see `EXTRAS`. Each reply's numbers stand in its message's metadata.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessage,
    ChatMessageAssistant,
    Content,
    ContentAudio,
    ContentReasoning,
    ContentText,
    GenerateConfig,
    ModelAPI,
    ModelOutput,
    ModelUsage,
)
from inspect_ai.tool import ToolChoice, ToolInfo

from auscult.audio.io import pieces, read_audio, read_encoded
from auscult.engine import Answered, Engine, Form, Request, Sampling, Thinking
from auscult.engine.process import EngineProcess
from auscult.faults import LastingFault
from auscult.model.weights import locate, open_model
from auscult.types import Audio, Reply, Turn
from auscult.work.run import fingerprint

EXTRAS = ("repetition_penalty", "contrast", "without", "certainty", "minimum", "options")
"""Fields of `extra_body`: those of `Sampling` by their names, and the thought's least length."""

_ROLES = {"system": "system", "user": "human", "assistant": "assistant"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where the engine runs; no number depends on it, so it is no part of a run's identity.

    rows: in flight. threads: of the engine's process. device: "" = the best there is. inside: in
    this process (for small things). Example: Machine(rows=16, inside=True).
    """

    rows: int = 64
    threads: int = 1
    device: str = ""
    inside: bool = False


_machine = Machine()
_ENGINES: dict[tuple[str, str, Machine], Engine | EngineProcess] = {}


def run_on(machine: Machine) -> None:
    """Engines from now on."""
    global _machine
    _machine = machine


def engine_for(model: str, weights: str) -> Engine | EngineProcess:
    """The engine of a model's present weights, opened once for all evaluations of this process; one
    of other weights or settings is closed."""
    key = (model, weights, _machine)
    if key not in _ENGINES:
        for old in [k for k in _ENGINES if k[0] == model]:
            _ENGINES.pop(old).close()
        machine = _machine
        if machine.inside:
            opened = open_model(model, device=machine.device or None)
            _ENGINES[key] = Engine(*opened, rows=machine.rows)
        else:
            _ENGINES[key] = EngineProcess(
                model, rows=machine.rows, threads=machine.threads, device=machine.device
            )
    return _ENGINES[key]


class Auscult(ModelAPI):
    """See the head of this file. Model argument: weights, a fingerprint that tells two states of
    one folder apart in logs."""

    def __init__(
        self,
        model_name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        config: GenerateConfig | None = None,
        weights: str = "",
    ) -> None:
        super().__init__(model_name, base_url, api_key, [], config or GenerateConfig())
        self.weights = weights or fingerprint(locate(model_name))

    async def generate(
        self,
        input: list[ChatMessage],
        tools: list[ToolInfo],
        tool_choice: ToolChoice,
        config: GenerateConfig,
    ) -> ModelOutput:
        """All replies of one request. Raises `ValueError` for settings that mean nothing here."""
        if tools:
            raise ValueError("these models call no tools; give the task none")
        engine = engine_for(self.model_name, self.weights)
        request = Request(
            turns=[turn_of(message) for message in input],
            n=config.num_choices or 1,
            sampling=sampling_of(config),
            thinking=thinking_of(config),
            form=form_of(config),
        )
        try:
            return output_of(self.model_name, await asyncio.wrap_future(engine.submit(request)))
        except ValueError as error:  # the engine refuses what it cannot read
            raise LastingFault(str(error)) from error

    def max_connections(self) -> int:
        """As many as keep all rows busy while finished ones are scored."""
        return 4 * _machine.rows

    def connection_key(self) -> str:
        """One engine, one pool of connections."""
        return f"auscult/{self.model_name}"


def sampling_of(config: GenerateConfig) -> Sampling:
    """The engine's settings. Raises `ValueError` for one that it does not have."""
    for name in ("frequency_penalty", "presence_penalty", "logit_bias", "best_of"):
        if getattr(config, name):
            raise ValueError(f"the engine has no {name}; leave it out")
    extra = dict(config.extra_body or {})
    unknown = extra.keys() - set(EXTRAS)
    if unknown:
        raise ValueError(f"extra_body holds {sorted(unknown)}; expected some of {EXTRAS}")
    for name in ("minimum", "options"):  # of the thought and of the form of the answer
        extra.pop(name, None)
    return Sampling(
        temperature=config.temperature or 0.0,
        top_k=config.top_k or 0,
        top_p=1.0 if config.top_p is None else config.top_p,
        max_tokens=config.max_tokens or 512,
        seed=config.seed or 0,
        stop=tuple(config.stop_seqs or ()),
        **extra,
    )


def thinking_of(config: GenerateConfig) -> Thinking:
    """The control of the thought."""
    least = int((config.extra_body or {}).get("minimum", 1))
    budget = config.reasoning_tokens
    return Thinking(budget=budget, minimum=least if budget is None else min(least, budget))


def form_of(config: GenerateConfig) -> Form | None:
    """What the answer must look like: one of the `options` of the extra body, or JSON of the
    framework's `response_schema`."""
    if options := (config.extra_body or {}).get("options"):
        return Form(options=tuple(options))
    if config.response_schema is None:
        return None
    return Form(schema=config.response_schema.json_schema.model_dump_json(exclude_none=True))


def turn_of(message: ChatMessage) -> Turn:
    """A message as a turn: text, sounds, text. Raises `ValueError` for anything else."""
    if message.role not in _ROLES:
        raise ValueError(f"expected a system, user or assistant message; got {message.role}")
    parts: Sequence[Content] = (
        [ContentText(text=message.content)] if isinstance(message.content, str) else message.content
    )
    heard = [i for i, part in enumerate(parts) if isinstance(part, ContentAudio)]
    if heard and heard[-1] - heard[0] != len(heard) - 1:
        raise ValueError("the sounds of a message must follow each other without text between them")
    cut = heard[0] if heard else 0
    return Turn(
        role=_ROLES[message.role],
        before="".join(_text(part) for part in parts[:cut]),
        clips=pieces([_clip(part) for part in parts if isinstance(part, ContentAudio)]),
        text="".join(_text(part) for part in parts[cut + len(heard) :]),
    )


def _text(part: Content) -> str:
    if isinstance(part, ContentReasoning):
        return f"<think>\n{part.reasoning}\n</think>\n"
    if not isinstance(part, ContentText):
        raise ValueError(f"expected text or sound in a message; got {part.type}")
    return part.text


def _clip(part: ContentAudio) -> Audio:
    """A file, or a data URL."""
    if part.audio.startswith("data:"):
        import base64

        return read_encoded(base64.b64decode(part.audio.partition(",")[2]), "a data URL")
    return read_audio(part.audio)


def output_of(model: str, answered: Answered) -> ModelOutput:
    """The framework's record of the replies."""
    written = sum(len(reply.tokens) for reply in answered.replies)
    return ModelOutput(
        model=model,
        choices=[choice_of(reply, model) for reply in answered.replies],
        usage=ModelUsage(
            input_tokens=answered.prompt_tokens,
            output_tokens=written,
            total_tokens=answered.prompt_tokens + written,
            reasoning_tokens=sum(reply.thought_tokens for reply in answered.replies),
        ),
        metadata={"engine_seconds": answered.seconds},
    )


def choice_of(reply: Reply, model: str) -> ChatCompletionChoice:
    """One reply: its thought, its answer, and its numbers as metadata."""
    return ChatCompletionChoice(
        message=ChatMessageAssistant(
            content=[ContentReasoning(reasoning=reply.thought), ContentText(text=reply.answer)],
            model=model,
            source="generate",
            metadata=numbers_of(reply),
        ),
        stop_reason="stop" if reply.stop in ("end", "stop") else "max_tokens",
    )


def numbers_of(reply: Reply) -> dict[str, Any]:
    """tokens, thought_tokens, closed, stop; the sum of the log-probabilities of what was chosen and
    their count; the mean certainty where it was kept (forced tokens count in neither)."""
    chosen = [p for p, forced in zip(reply.logprobs, reply.forced, strict=True) if not forced]
    numbers: dict[str, Any] = {
        "tokens": len(reply.tokens),
        "thought_tokens": reply.thought_tokens,
        "closed": reply.closed,
        "stop": reply.stop,
        "logprob": sum(chosen),
        "chosen": len(chosen),
    }
    if reply.certainties:
        pairs = zip(reply.certainties, reply.forced, strict=True)
        sure = [c for c, forced in pairs if not forced]
        numbers["certainty"] = sum(sure) / len(sure) if sure else 0.0
    return numbers
