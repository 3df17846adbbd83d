"""From conversation and sound to tensors: template, features, expansion of `<audio_patch>`."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import BatchFeature, PreTrainedTokenizerBase
from transformers.processing_utils import ProcessorMixin

from auscult.audio.mel import N_MELS, frame_count, log_mel
from auscult.model.encoder import audio_tokens
from auscult.model.tokens import AUDIO_END, AUDIO_PATCH, AUDIO_START, CHAT_TEMPLATE, EOT
from auscult.types import Audio, Turn

THINK_OPEN = "<think>\n"
THINK_CLOSE = "\n</think>\n"
EMPTY_THINK = THINK_OPEN + THINK_CLOSE


class StepAudio2Processor(ProcessorMixin):
    """Tokenizer and log-mel in one; `AutoProcessor` finds it for every Step-Audio-2 / R1 folder."""

    attributes = ["tokenizer"]
    tokenizer_class = "AutoTokenizer"
    tokenizer: PreTrainedTokenizerBase

    def __init__(
        self,
        tokenizer: Any = None,
        chat_template: str | None = None,
        n_mels: int = N_MELS,
        **_: Any,
    ) -> None:
        template = chat_template or getattr(tokenizer, "chat_template", None) or CHAT_TEMPLATE
        super().__init__(tokenizer, chat_template=template)
        self.n_mels = n_mels
        needed = [AUDIO_START, AUDIO_PATCH, AUDIO_END, EOT]
        ids = tokenizer.convert_tokens_to_ids(needed)
        lacking = [
            n for n, i in zip(needed, ids, strict=True) if i in (None, tokenizer.unk_token_id)
        ]
        if lacking:
            raise ValueError(
                f"the tokenizer lacks {', '.join(lacking)}; it is not that of a Step-Audio-2 / R1 "
                "checkpoint"
            )
        self._around: tuple[int, int, int] = (ids[0], ids[1], ids[2])
        self.end_of_turn: int = ids[3]

    @classmethod
    def from_args_and_dict(cls, args: Any, processor_dict: dict[str, Any], **kwargs: Any) -> Any:
        """As transformers does it; the bands are set here, because it looks for names in the code
        of `__init__`, which whoever decorates that (jaxtyping's import hook) hides from it."""
        made: Any = super().from_args_and_dict(args, processor_dict, **kwargs)
        processor = made[0] if isinstance(made, tuple) else made
        processor.n_mels = kwargs.get("n_mels", processor_dict.get("n_mels", N_MELS))
        return made

    def features(self, clip: Audio) -> Tensor:
        """What the encoder reads of a clip: log-mel [M, L]."""
        return log_mel(clip, n_mels=self.n_mels)

    def frames(self, clip: Audio) -> int:
        """The number of feature frames of a clip, without computing them."""
        return frame_count(len(clip))

    def render(self, turns: Sequence[Turn], *, open_reply: bool = True) -> tuple[str, list[Audio]]:
        """Template text with one `<audio_patch>` per clip, and the clips in reading order."""
        messages: list[Any] = [
            {
                "role": turn.role,
                "content": [{"type": "text", "text": turn.before}]
                + [{"type": "audio"}] * len(turn.clips)
                + [{"type": "text", "text": turn.text}],
            }
            for turn in turns
        ]
        text = self.tokenizer.apply_chat_template(
            messages,
            tokenize=False,
            add_generation_prompt=open_reply,
            chat_template=str(self.chat_template),
        )
        return str(text), [clip for turn in turns for clip in turn.clips]

    def token_ids(self, text: str, frames: Sequence[int]) -> list[int]:
        """Ids of `text`, each `<audio_patch>` expanded to start, N patches, end for its clip.

        Raises `ValueError` where the text holds another number of placeholders than there are
        clips: nothing is dropped or invented in silence.
        """
        start, patch, end = self._around
        ids = plain_ids(self.tokenizer, text)
        if ids.count(patch) != len(frames):
            raise ValueError(
                f"the text holds {ids.count(patch)} {AUDIO_PATCH} placeholders "
                f"but {len(frames)} clips came with it; write one placeholder per clip"
            )
        out: list[int] = []
        clips = iter(frames)
        for token in ids:
            if token == patch:
                out += [start, *[patch] * audio_tokens(next(clips)), end]
            else:
                out.append(token)
        return out

    def __call__(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        text: str | Sequence[str],
        audio: Sequence[Audio] | Sequence[Sequence[Audio]] | None = None,
        *,
        return_tensors: str = "pt",
    ) -> BatchFeature:
        """A left-padded batch: input_ids, attention_mask and, with sound, input_features [C, M, L]
        and feature_lengths [C]. `audio` is a list of clips for one text, or one list per text."""
        if return_tensors != "pt":
            raise ValueError(f"return_tensors is {return_tensors!r}; only 'pt' is made here")
        texts = [text] if isinstance(text, str) else list(text)
        if audio is None:
            audio = [] if isinstance(text, str) else [[] for _ in texts]
        rows: Any = [audio] if isinstance(text, str) else audio
        mels = [[self.features(clip) for clip in row] for row in rows]
        ids = [
            self.token_ids(t, [m.shape[1] for m in row]) for t, row in zip(texts, mels, strict=True)
        ]
        flat = [m for row in mels for m in row]
        return BatchFeature(pad_batch(ids, flat, special_id(self.tokenizer, "pad") or 0))

    @property
    def model_input_names(self) -> list[str]:
        return ["input_ids", "attention_mask", "input_features", "feature_lengths"]


def plain_ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Ids of `text` without anything added around it."""
    ids: Any = tokenizer(text, add_special_tokens=False)["input_ids"]
    return list(ids)


def special_id(tokenizer: PreTrainedTokenizerBase, name: str) -> int | None:
    """The id of the tokenizer's "pad" or "eos" token."""
    value: Any = getattr(tokenizer, f"{name}_token_id")
    return value


def pad_features(mels: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Features of many clips as one zero-padded batch [C, M, L] with their lengths [C]."""
    lengths = torch.tensor([m.shape[1] for m in mels])
    out = torch.zeros(len(mels), mels[0].shape[0], int(lengths.max()))
    for row, mel in zip(out, mels, strict=True):
        row[:, : mel.shape[1]] = mel
    return out, lengths


def pad_batch(
    ids: Sequence[Sequence[int]], mels: Sequence[Tensor], pad_id: int
) -> dict[str, Tensor]:
    """Token rows padded on the left, with their mask, and the sound of all rows."""
    width = max(len(row) for row in ids)
    input_ids = torch.full((len(ids), width), pad_id)
    mask = torch.zeros(len(ids), width, dtype=torch.long)
    for i, row in enumerate(ids):
        input_ids[i, width - len(row) :] = torch.tensor(row)
        mask[i, width - len(row) :] = 1
    batch = {"input_ids": input_ids, "attention_mask": mask}
    if mels:
        batch["input_features"], batch["feature_lengths"] = pad_features(mels)
    return batch
