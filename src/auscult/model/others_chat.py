"""Chat formats of the other families (ChatML), and their processor behind our own surface."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers.processing_utils import ProcessorMixin

from auscult.audio.mel import N_MELS
from auscult.model.encoder import PAD_FRAMES, pooled_frames
from auscult.model.processor import StepAudio2Processor, plain_ids

IM_START, IM_END = "<|im_start|>", "<|im_end|>"
AUDIO_BOS, AUDIO, AUDIO_EOS = "<|audio_bos|>", "<|AUDIO|>", "<|audio_eos|>"
SYSTEM = "You are a helpful assistant."


def _chatml(sound: str) -> str:
    """A template in which a clip becomes the Jinja expression `sound`; `heard.n` is its number."""
    return (
        "{%- set heard = namespace(n=0) -%}"
        "{%- for m in messages -%}"
        "{%- if loop.first and m['role'] != 'system' -%}"
        f"{{{{- '{IM_START}system\n{SYSTEM}{IM_END}\n' -}}}}{{%- endif -%}}"
        f"{{{{- '{IM_START}' + ('user' if m['role'] == 'human' else m['role']) + '\n' -}}}}"
        "{%- if m['content'] is string -%}{{- m['content'] -}}"
        "{%- else -%}{%- for part in m['content'] -%}"
        "{%- if part['type'] == 'audio' -%}{%- set heard.n = heard.n + 1 -%}"
        f"{{{{- {sound} -}}}}"
        "{%- else -%}{{- part['text'] -}}{%- endif -%}"
        "{%- endfor -%}{%- endif -%}"
        "{%- if not (loop.last and m['role'] == 'assistant') -%}"
        f"{{{{- '{IM_END}\n' -}}}}{{%- endif -%}}"
        "{%- endfor -%}"
        f"{{%- if add_generation_prompt -%}}{{{{- '{IM_START}assistant\n<think>\n' -}}}}"
        "{%- endif -%}"
    )


QWEN2_AUDIO_TEMPLATE = _chatml(f"'Audio ' ~ heard.n ~ ': {AUDIO_BOS}{AUDIO}{AUDIO_EOS}\n'")
"""Qwen2-Audio-Instruct's format: each clip has a number and a line of its own."""

OMNI_TEMPLATE = _chatml(f"'{AUDIO_BOS}{AUDIO}{AUDIO_EOS}'")
"""Qwen2.5-Omni's format: a clip stands right before its text."""

_BESIDE = (
    "preprocessor_config.json",
    "processor_config.json",
    "video_preprocessor_config.json",
    "chat_template.json",
    "chat_template.jinja",
)


class OtherProcessor(StepAudio2Processor):
    """Tokenizer of another family with our log-mel features; `render`, `features`, `frames` and the
    call are those of our own processor."""

    def __init__(self, tokenizer: Any = None, template: str = "", source: Any = None) -> None:
        """`template` is the chat format; `source` the folder whose other files `save_pretrained`
        copies. Raises `ValueError` for a tokenizer without the format's special tokens."""
        ProcessorMixin.__init__(self, tokenizer, chat_template=template or OMNI_TEMPLATE)
        needed = [AUDIO_BOS, AUDIO, AUDIO_EOS, IM_END, IM_START]
        ids: Any = tokenizer.convert_tokens_to_ids(needed)
        unknown = (None, tokenizer.unk_token_id)
        lacking = [n for n, i in zip(needed, ids, strict=True) if i in unknown]
        if lacking:
            raise ValueError(
                f"the tokenizer lacks {', '.join(lacking)}; it is not that of a Qwen2-Audio or "
                "Qwen2.5-Omni checkpoint"
            )
        self._around: tuple[int, int, int] = (ids[0], ids[1], ids[2])
        self.end_of_turn: int = ids[3]
        self.n_mels = N_MELS
        self.source = None if source is None else Path(source)

    def token_ids(self, text: str, frames: Sequence[int]) -> list[int]:
        """Ids of `text`, each `<|AUDIO|>` repeated for the tokens (25 Hz) of its clip; `frames` are
        mel frames, the 2 of padding included.

        Raises `ValueError` where the text holds another number of placeholders than there are
        clips, and for a clip that is too short to give one token (less than 30 ms).
        """
        ids = plain_ids(self.tokenizer, text)
        patch = self._around[1]
        if ids.count(patch) != len(frames):
            raise ValueError(
                f"the text holds {ids.count(patch)} {AUDIO} placeholders "
                f"but {len(frames)} clips came with it; write one placeholder per clip"
            )
        clips = iter(frames)
        out: list[int] = []
        for token in ids:
            n = pooled_frames(next(clips) - PAD_FRAMES) if token == patch else 1
            if n == 0:
                raise ValueError("a clip is too short to be heard; give at least 30 ms of sound")
            out += [token] * n
        return out

    def save_pretrained(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, save_directory: str | Path, **_: Any
    ) -> None:
        """Write the tokenizer, and the other processor files of the folder that this came from, so
        that the original processor opens too."""
        folder = Path(save_directory)
        self.tokenizer.save_pretrained(folder)
        for name in _BESIDE:
            file = None if self.source is None else self.source / name
            if file is not None and file.is_file() and not (folder / name).exists():
                shutil.copyfile(file, folder / name)
