"""A model and a judge that say what a test tells them, as a provider of inspect_ai."""

from collections.abc import Callable
from typing import Any

from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessage,
    ChatMessageAssistant,
    ContentAudio,
    ContentReasoning,
    ContentText,
    GenerateConfig,
    Model,
    ModelAPI,
    ModelOutput,
    ModelUsage,
    get_model,
    modelapi,
)

Says = Callable[[list[ChatMessage], GenerateConfig], str]

SAYS: dict[str, Says] = {}
"""name -> what it says; a model is `scripted/NAME`."""


class Scripted(ModelAPI):
    """Answers with a thought and a text; counts what it is asked."""

    def __init__(self, model_name: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(model_name, *args, **kwargs)
        self.asked: list[list[ChatMessage]] = []

    async def generate(self, input, tools, tool_choice, config) -> ModelOutput:
        self.asked.append(input)
        said = SAYS[self.model_name](input, config)
        choices = [
            ChatCompletionChoice(
                message=ChatMessageAssistant(
                    content=[ContentReasoning(reasoning="I hear a tone."), ContentText(text=said)],
                    metadata={"tokens": 9, "thought_tokens": 5, "closed": "model", "logprob": -1.0,
                              "chosen": 9, "certainty": 1.0},
                ),
                stop_reason="stop",
            )
            for _ in range(config.num_choices or 1)
        ]  # fmt: skip
        usage = ModelUsage(input_tokens=3, output_tokens=9, total_tokens=12)
        return ModelOutput(model=self.model_name, choices=choices, usage=usage)


@modelapi(name="scripted")
def scripted() -> type[ModelAPI]:
    """The provider."""
    return Scripted


def scripted_model(name: str, says: Says) -> Model:
    """A model that says what `says` returns."""
    SAYS[name] = says
    return get_model(f"scripted/{name}", memoize=False)


def sounds_in(messages: list[ChatMessage]) -> int:
    """How many sounds a conversation holds."""
    return sum(
        isinstance(part, ContentAudio)
        for message in messages
        if not isinstance(message.content, str)
        for part in message.content
    )
