"""From conversation and sound to tensors: template, features, expansion of `<audio_patch>`."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import BatchFeature, PreTrainedTokenizerBase
from transformers.processing_utils import ProcessorMixin
from transformers.utils.chat_template_utils import render_jinja_template

from auscult.audio.mel import N_MELS, frame_count, log_mel
from auscult.model.clips import as_clip, many, sounds_of
from auscult.model.encoder import audio_tokens
from auscult.model.templates import LOCAL, TEMPLATES
from auscult.model.tokens import AUDIO_END, AUDIO_PATCH, AUDIO_START, EOT
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
        template = chat_template or getattr(tokenizer, "chat_template", None) or LOCAL
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
        if messages and messages[-1]["role"] == "assistant":
            messages[-1]["eot"] = False  # the reply may go on
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
        self, text: str | Sequence[str] | None = None, audio: Any = None, **kwargs: Any
    ) -> BatchFeature:
        """A padded batch: input_ids, attention_mask and, with sound, input_features [C, M, L] and
        feature_lengths [C].

        `audio`: one clip, a flat list of clips that the placeholders of the texts take in order, or
        a list per text; a clip in any form of `clips.as_clip`. Settings and what they are without:
            sampling_rate=None     of arrays; None is 16,000
            padding=True           to the longest; or "max_length" with `max_length`
            padding_side="left"    or "right"
            return_tensors="pt"    "np", or None for lists of ids
        What the three nested dicts `text_kwargs`, `audio_kwargs` and `common_kwargs` hold counts as
        if it stood beside them. Raises `ValueError` for what this model cannot see and for what it
        would have to drop.
        """
        given = _settings(kwargs)
        texts = [text] if isinstance(text, str) else list(text or ())
        if not texts:
            raise ValueError(f"no text came; write one {AUDIO_PATCH} for each clip at least")
        rows = self._clips_by_text(texts, audio, given["sampling_rate"])
        mels = [[self.features(clip) for clip in row] for row in rows]
        ids = [
            self.token_ids(t, [m.shape[1] for m in row]) for t, row in zip(texts, mels, strict=True)
        ]
        width = _width(ids, given["padding"], given["max_length"])
        flat = [m for row in mels for m in row]
        pad = special_id(self.tokenizer, "pad") or 0
        batch: dict[str, Any] = dict(pad_batch(ids, flat, pad, width, given["padding_side"]))
        if given["return_tensors"] is None:
            batch["attention_mask"] = batch["attention_mask"].tolist()
            batch["input_ids"] = batch["input_ids"].tolist()
        return BatchFeature(batch, tensor_type="np" if given["return_tensors"] == "np" else None)

    def _clips_by_text(self, texts: Sequence[str], audio: Any, rate: int | None) -> list[list[Any]]:
        """The clips of each text. A flat list is dealt out by the placeholders."""
        if audio is None:
            return [[] for _ in texts]
        given = list(audio) if many(audio) else [audio]
        if any(many(some) for some in given):
            if len(given) != len(texts):
                raise ValueError(
                    f"{len(given)} lists of clips came with {len(texts)} texts; give a list for "
                    "each text, an empty one where there is no sound"
                )
            return [[as_clip(x, rate) for x in some] for some in given]
        clips = [as_clip(x, rate) for x in given]
        counts = [plain_ids(self.tokenizer, text).count(self._around[1]) for text in texts]
        if sum(counts) != len(clips):
            raise ValueError(
                f"the texts hold {sum(counts)} {AUDIO_PATCH} placeholders but {len(clips)} clips "
                "came with them; write one placeholder per clip"
            )
        ends = np.cumsum(counts).tolist()
        return [clips[end - n : end] for end, n in zip(ends, counts, strict=True)]

    def apply_chat_template(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, conversation: Any, chat_template: str | None = None, *, tokenize: bool = False,
        return_dict: bool = False, return_tensors: str | None = "auto",
        return_assistant_tokens_mask: bool = False,
        processor_kwargs: dict[str, Any] | None = None, **kwargs: Any,
    ) -> Any:  # fmt: skip
        """The conversation as text, or with `tokenize` as what the model reads, its sound included.

        `chat_template`: "local", "served" (`templates`) or one of your own. A part
        {"type": "audio"} may hold an array ("audio"), a path ("path", "url", "audio") or base64
        ("base64"); {"type": "input_audio"} is OpenAI's. With `return_dict` tensors, and with
        `return_assistant_tokens_mask` "assistant_masks" beside them: 1 on what the assistant said.
        Without it the ids alone, as lists where no kind of tensors is asked for. Raises
        `ValueError` for URLs and for parts that this model cannot be shown.
        """
        batched = bool(conversation) and isinstance(conversation[0], list | tuple)
        heard = [sounds_of(one) for one in (conversation if batched else [conversation])]
        messages = [some for some, _ in heard]
        names = (*_CALL, "text_kwargs", "audio_kwargs", "common_kwargs", "truncation")
        settings = {n: kwargs.pop(n) for n in tuple(kwargs) if n in names}
        template = TEMPLATES.get(chat_template or "", chat_template or str(self.chat_template))
        written: dict[str, Any] = {**self.tokenizer.special_tokens_map, **kwargs}
        rendered: Any = render_jinja_template(
            conversations=messages, chat_template=template,
            return_assistant_tokens_mask=return_assistant_tokens_mask, **written,
        )  # fmt: skip
        texts, spans = rendered
        if not tokenize:
            return texts if batched else texts[0]
        clips = [some for _, some in heard]
        tensors = ("pt" if return_dict else None) if return_tensors == "auto" else return_tensors
        whole = {"return_tensors": tensors} | settings | (processor_kwargs or {})
        batch = self(list(texts), clips, **whole)
        if return_assistant_tokens_mask:
            said = [self._said(t, s, c) for t, s, c in zip(texts, spans, clips, strict=True)]
            batch["assistant_masks"] = _like(batch["attention_mask"], said)
        if return_dict:
            return batch
        return batch["input_ids"] if batched or tensors else batch["input_ids"][0]

    def _said(
        self, text: str, spans: Sequence[tuple[int, int]], clips: Sequence[Audio]
    ) -> list[int]:
        """1 for each id of `token_ids` that begins in one of the spans of characters."""
        found: Any = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        frames = iter([self.frames(clip) for clip in clips])
        out: list[int] = []
        for token, (start, _) in zip(found["input_ids"], found["offset_mapping"], strict=True):
            inside = int(any(a <= start < b for a, b in spans))
            patch = token == self._around[1]
            out += [inside] * (audio_tokens(next(frames)) + 2 if patch else 1)
        return out

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


_CALL = {
    "sampling_rate": None, "padding": True, "max_length": None, "padding_side": "left",
    "return_tensors": "pt",
}  # fmt: skip
"""Settings of a call, which may also stand among those of a template, and what they usually are."""

_MEANINGLESS = ("add_special_tokens", "return_attention_mask", "return_token_type_ids")
"""Nothing is added, and the mask is always there."""


def _settings(kwargs: dict[str, Any]) -> dict[str, Any]:
    """The settings of `_CALL`. Raises `ValueError` for what would be dropped in silence, and
    `TypeError` for what is no setting."""
    nested = [kwargs.pop(f"{kind}_kwargs", None) or {} for kind in ("text", "audio", "common")]
    given = kwargs | {name: value for some in nested for name, value in some.items()}
    for name in ("images", "videos"):
        if given.pop(name, None) is not None:
            raise ValueError(f"{name} came, but this model hears and does not see")
    if given.pop("truncation", None):
        raise ValueError("truncation would cut through sound; shorten the clip or the text")
    odd = [name for name in given if name not in (*_CALL, *_MEANINGLESS)]
    if odd:
        raise TypeError(f"unknown setting {', '.join(odd)} of StepAudio2Processor")
    return _CALL | given


def _like(mask: Any, rows: Sequence[Sequence[int]]) -> Any:
    """Rows of numbers padded as the attention mask is, in its form."""
    padded: list[list[int]] = []
    for inside, row in zip(mask.tolist() if hasattr(mask, "tolist") else mask, rows, strict=True):
        numbers = iter(row)
        padded.append([next(numbers) if here else 0 for here in inside])
    if isinstance(mask, list):
        return padded
    return torch.tensor(padded) if isinstance(mask, Tensor) else np.array(padded)


def _width(ids: Sequence[Sequence[int]], padding: bool | str, max_length: int | None) -> int:
    """Tokens of a padded row."""
    longest = max(len(row) for row in ids)
    if padding == "max_length":
        if max_length is None or max_length < longest:
            raise ValueError(
                f"a row has {longest} tokens and max_length is {max_length}; make it at least that"
            )
        return max_length
    if padding in (False, "do_not_pad") and any(len(row) != longest for row in ids):
        raise ValueError("rows of different lengths make no batch without padding; padding=True")
    return longest


def pad_batch(
    ids: Sequence[Sequence[int]], mels: Sequence[Tensor], pad_id: int, width: int = 0,
    side: str = "left",
) -> dict[str, Tensor]:  # fmt: skip
    """Token rows padded to `width` (0 = the longest), with their mask, and the sound of all."""
    width = width or max(len(row) for row in ids)
    input_ids = torch.full((len(ids), width), pad_id)
    mask = torch.zeros(len(ids), width, dtype=torch.long)
    for i, row in enumerate(ids):
        inside = slice(width - len(row), width) if side == "left" else slice(0, len(row))
        input_ids[i, inside] = torch.tensor(row, dtype=torch.long)
        mask[i, inside] = 1
    batch = {"input_ids": input_ids, "attention_mask": mask}
    if mels:
        batch["input_features"], batch["feature_lengths"] = pad_features(mels)
    return batch
