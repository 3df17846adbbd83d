"""A chat request as it is sent: OpenAI's fields, those of vLLM and StepFun, and ours."""

import json
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from auscult.serve.errors import Refused

Model = TypeVar("Model", bound=BaseModel)
Number = Annotated[float, Field(allow_inf_nan=False)]
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]


class Evidence(BaseModel):
    """Ours: so many thoughts are drawn, and the one that the sound bears out best is returned."""

    samples: int = Field(8, ge=1, le=16)


class StreamOptions(BaseModel):
    """OpenAI's."""

    include_usage: bool = False


class ChatRequest(BaseModel):
    """The body of /v1/chat/completions. Fields that are not here are ignored, as elsewhere."""

    model_config = ConfigDict(extra="ignore", strict=True)

    messages: list[dict[str, Any]] = Field(min_length=1)
    model: str = ""
    n: int = Field(1, ge=1)
    stream: bool = False
    stream_options: StreamOptions | None = None
    temperature: Number = Field(0.7, ge=0, le=5)
    top_p: Number = Field(1.0, gt=0, le=1)
    top_k: int = Field(0, ge=-1)
    repetition_penalty: Number = Field(1.0, gt=0, le=10)
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    stop: str | list[str] | None = None
    stop_token_ids: list[int] = []
    logprobs: bool | None = False
    top_logprobs: int | None = Field(None, ge=0, le=20)
    reasoning_effort: Effort | None = None
    reasoning: dict[str, Any] | None = None
    thinking_token_budget: int | None = Field(None, ge=0)
    include_reasoning: bool = True
    chat_template_kwargs: dict[str, Any] = {}
    response_format: dict[str, Any] | None = None
    guided_choice: list[str] | None = None
    continue_final_message: bool = False
    modalities: list[str] | None = None
    tools: list[Any] | None = None
    grounding: Evidence | None = None


class VerifyRequest(BaseModel):
    """The body of /v1/verify: a thought, and the recordings that it is about."""

    model_config = ConfigDict(extra="ignore", strict=True)

    thought: str
    audio: list[dict[str, Any]] = Field(min_length=1)
    question: str = ""
    answer: str = ""
    options: list[str] = []


def parsed(body: bytes) -> Any:
    """JSON, and nothing that only looks like it."""

    def refuse(name: str) -> None:
        raise ValueError(f"{name} is no JSON number")

    try:
        return json.loads(body, parse_constant=refuse)
    except RecursionError as error:
        raise Refused(400, "the JSON is nested too deeply") from error
    except (ValueError, UnicodeDecodeError) as error:
        raise Refused(400, f"the body is not JSON: {error}"[:300]) from error


def read(kind: type[Model], body: bytes) -> Model:
    """The body as a record. Raises `Refused` with the field that is wrong."""
    given = parsed(body)
    if not isinstance(given, dict):
        raise Refused(400, f"the body is a JSON {type(given).__name__}; expected an object")
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        param = ".".join(str(part) for part in first["loc"][:4])
        raise Refused(400, f"{param}: {first['msg']}", param=param) from error
