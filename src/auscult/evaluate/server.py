"""A Step-Audio model behind vLLM, asked as the released client asks: `step-audio/NAME`.

Any other OpenAI-compatible server is reached through the framework's own provider
(`openai-api/SERVICE/NAME`). What this one adds for the released models and their template: the role
`human`, a reply that starts inside the thought (`<think>` is prefilled), no thought at all, and a
budget for it: a first request writes at most so many tokens of the thought, a second one continues
after `</think>`. The address is --base-url or STEP_AUDIO_BASE_URL; the key STEP_AUDIO_API_KEY, if
the server wants one. Source: github stepfun-ai/Step-Audio-R1, `examples-vllm_r1.py`.
"""

import os
from typing import Any

from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessage,
    ChatMessageAssistant,
    ContentReasoning,
    ContentText,
    GenerateConfig,
    ModelOutput,
    ModelUsage,
)
from inspect_ai.model._model_call import ModelCall
from inspect_ai.model._openai import OpenAIResponseError
from inspect_ai.model._providers.openai_compatible import OpenAICompatibleAPI
from inspect_ai.tool import ToolChoice, ToolInfo

from auscult.model.processor import THINK_CLOSE, THINK_OPEN

CLOSE = THINK_CLOSE.strip()
PREFILL = {
    "continue_final_message": True,
    "add_generation_prompt": False,
    "skip_special_tokens": False,
    "stop_token_ids": [151665],
}
END = "<|EOT|>"


class StepAudio(OpenAICompatibleAPI):
    """See the head of this file."""

    def __init__(
        self,
        model_name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        config: GenerateConfig | None = None,
        **model_args: Any,
    ) -> None:
        super().__init__(
            model_name=model_name,
            base_url=base_url,
            api_key=api_key or os.environ.get("STEP_AUDIO_API_KEY", "none"),
            config=config or GenerateConfig(),
            service="step-audio",
            **model_args,
        )

    async def messages_to_openai(self, input: list[ChatMessage]) -> list[Any]:
        """The template knows no role `user`."""
        messages: list[Any] = list(await super().messages_to_openai(input))
        return [m | {"role": "human"} if m["role"] == "user" else m for m in messages]

    async def generate(
        self,
        input: list[ChatMessage],
        tools: list[ToolInfo],
        tool_choice: ToolChoice,
        config: GenerateConfig,
    ) -> ModelOutput | tuple[ModelOutput | Exception, ModelCall]:
        """One reply (or `num_choices`), its thought free, absent, or held to a budget."""
        budget = config.reasoning_tokens
        config = config.model_copy(update={"reasoning_tokens": None})
        if not budget:
            start = THINK_OPEN + (THINK_CLOSE if budget == 0 else "")
            return await self._continued(input, start, config)
        if (config.num_choices or 1) > 1:
            raise ValueError("a budget and several replies need one request each: samples 1")
        cut = config.model_copy(update={"max_tokens": budget, "stop_seqs": [CLOSE]})
        first = await self._continued(input, THINK_OPEN, cut)
        thought = _output(first)
        if thought is None:
            return first
        text = _reasoning(thought)  # what a server writes on over the stop word is no thought
        rest = config.model_copy(
            update={"max_tokens": max(1, (config.max_tokens or 2048) - budget)}
        )
        second = await self._continued(input, THINK_OPEN + text.rstrip() + THINK_CLOSE, rest)
        closed = "model" if thought.stop_reason == "stop" else "budget"
        return _joined(first, second, closed)

    async def _continued(
        self, input: list[ChatMessage], start: str, config: GenerateConfig
    ) -> ModelOutput | tuple[ModelOutput | Exception, ModelCall]:
        """A reply that goes on from `start`; what comes back holds the thought as reasoning."""
        body = PREFILL | dict(config.extra_body or {})
        config = config.model_copy(update={"extra_body": body})
        messages = [*input, ChatMessageAssistant(content=start)]
        try:
            answer = await super().generate(messages, [], "none", config)
        except (ValueError, TypeError, AttributeError, LookupError) as error:
            raise _garbage(repr(error)) from error
        output = answer[0] if isinstance(answer, tuple) else answer
        if isinstance(output, ModelOutput):
            wanted = config.num_choices or 1
            if len(output.choices) != wanted:
                raise _garbage(f"{len(output.choices)} replies where {wanted} are wanted")
            output.choices = [_split(choice, start) for choice in output.choices]
        return answer


def _garbage(what: str) -> OpenAIResponseError:
    """The error of a reply that is no completion; the framework asks again, after a wait."""
    return OpenAIResponseError("server_error", f"the server did not send a completion: {what}")


def _reasoning(choice: ChatCompletionChoice) -> str:
    content = choice.message.content
    parts = [] if isinstance(content, str) else content
    return "\n".join(p.reasoning for p in parts if isinstance(p, ContentReasoning))


def _split(choice: ChatCompletionChoice, start: str) -> ChatCompletionChoice:
    """The reply with what it started with, cut into thought and answer. A server with a reasoning
    parser has cut it already; one that sees no tag takes all for thought, and an answer that goes
    on after a closed thought has none."""
    text, given = choice.message.text.replace(END, ""), _reasoning(choice).replace(END, "")
    if CLOSE in start and not text.strip():
        text, given = given, ""
    tag = CLOSE if given and text.strip() else ""
    thought, tag, rest = (start + given + tag + text).rpartition(CLOSE)
    if not tag:
        thought, rest = rest, ""
    for mark in (THINK_OPEN.strip(), CLOSE):
        thought = thought.replace(mark, "")
    message = choice.message.model_copy(
        update={
            "content": [ContentReasoning(reasoning=thought.strip()), ContentText(text=rest.strip())]
        }
    )
    return choice.model_copy(update={"message": message})


def _output(answer: Any) -> ChatCompletionChoice | None:
    output = answer[0] if isinstance(answer, tuple) else answer
    return output.choices[0] if isinstance(output, ModelOutput) and output.choices else None


def _joined(first: Any, second: Any, closed: str) -> Any:
    """The second output with the tokens of both."""
    one, two = (a[0] if isinstance(a, tuple) else a for a in (first, second))
    if isinstance(one, ModelOutput) and isinstance(two, ModelOutput):
        a, b = one.usage or ModelUsage(), two.usage or ModelUsage()
        two.usage = ModelUsage(
            input_tokens=a.input_tokens,
            output_tokens=a.output_tokens + b.output_tokens,
            total_tokens=a.input_tokens + a.output_tokens + b.output_tokens,
            reasoning_tokens=a.output_tokens,
        )
        for choice in two.choices:
            choice.message.metadata = {"closed": closed, "thought_tokens": a.output_tokens}
    return second
