"""From a conversation to what the decoder reads, away from the thread that writes.

A prompt is a list of symbols: a token's id, or for a place that sound takes a negative number made
of the clip's content and the place in it. Prompts that share symbols share what was read.

Clips are encoded one by one, never padded to a neighbour, so what is heard of a clip depends on
nothing else; the vectors of the last clips are kept by content, bounded in bytes.

Shapes: N audio tokens of a clip, T tokens of a prompt, D decoder width.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import torch
from torch import Tensor

from auscult.audio.mel import frame_count
from auscult.audio.synth import SAMPLE_RATE
from auscult.engine.cache import Memory
from auscult.engine.sampling import Sampling
from auscult.model import StepAudio2ForCausalLM, StepAudio2Processor, audio_tokens
from auscult.types import Audio, Turn


@dataclass(frozen=True, slots=True, eq=False)
class Prompt:
    """A conversation as the decoder reads it.

    symbols: see the head of this file; embeds [T - known, D]: of all but the first `known`, which
    `memory` holds (a session's). deaf: the same without its sound, for contrast.
    """

    symbols: tuple[int, ...]
    embeds: Tensor
    known: int = 0
    memory: Memory | None = None
    deaf: "Prompt | None" = None

    def tail(self, start: int) -> Tensor:
        """The inputs from symbol `start` on."""
        return self.embeds[start - self.known :]


@dataclass(frozen=True, slots=True, eq=False)
class Spoken:
    """What a session holds so far; the next prompt goes on from here. `rest`: the ids after those
    in `memory`, a reply's last token."""

    turns: tuple[Turn, ...]
    memory: Memory
    rest: tuple[int, ...] = ()


LOUDEST = 100.0
"""Samples beyond this are no sound within [-1, 1], but for example whole numbers of 16 bits."""


def checked(clip: object, number: int) -> Audio:
    """The clip as float32. Raises `ValueError` that says what is wrong with clip `number`, if
    anything is."""
    if not isinstance(clip, np.ndarray) or clip.dtype.kind != "f":
        kind = clip.dtype if isinstance(clip, np.ndarray) else type(clip).__name__
        raise ValueError(
            f"clip {number} is of {kind}, expected a numpy array of float samples within [-1, 1]; "
            "divide 16-bit samples by 32768"
        )
    if clip.ndim != 1:
        raise ValueError(
            f"clip {number} has the shape {clip.shape}, expected one channel [samples]; average "
            "the channels first"
        )
    if audio_tokens(frame_count(len(clip))) < 1:
        raise ValueError(
            f"clip {number} has {len(clip)} samples, which is too short to be heard; give at "
            f"least {SAMPLE_RATE // 40} samples (25 ms)"
        )
    if not np.isfinite(clip).all():
        bad = int((~np.isfinite(clip)).sum())
        raise ValueError(
            f"clip {number} holds {bad} samples that are NaN or infinite; expected numbers within "
            "[-1, 1]"
        )
    if (peak := float(np.abs(clip).max())) > LOUDEST:
        raise ValueError(
            f"clip {number} has samples of up to {peak:.3g}; expected numbers within [-1, 1]"
        )
    return np.ascontiguousarray(clip, dtype=np.float32)


class Listener:
    """Hears clips and reads conversations, with one model and one processor."""

    def __init__(
        self, model: StepAudio2ForCausalLM, processor: StepAudio2Processor, limit: int,
        clip_bytes: int,
    ) -> None:  # fmt: skip
        """limit: tokens that the decoder reads; clip_bytes: for the vectors of the last clips."""
        self.model, self.processor, self.limit, self.clip_bytes = (
            model,
            processor,
            limit,
            clip_bytes,
        )
        self.clips: OrderedDict[bytes, Tensor] = OrderedDict()
        self.nbytes = 0
        self.encoded = 0  # clips, since the beginning
        self.lock = threading.Lock()

    @torch.inference_mode()
    def prepare(
        self, turns: Sequence[Turn], sampling: Sampling, so_far: Spoken | None = None,
        reply: bool = True,
    ) -> Prompt:  # fmt: skip
        """The prompt of a conversation, or of what comes after `so_far`; with `reply` it opens the
        model's turn. Raises `ValueError` for clips and prompts that cannot be read."""
        prompt = self._prompt(turns, so_far, reply)
        if not sampling.contrast:
            return prompt
        if so_far is not None:
            raise ValueError("contrast is not for sessions; ask with the whole conversation")
        silent = sampling.without == "silence"  # as long, and nothing in it
        deaf = [
            Turn(role=t.role, text=t.text, before=t.before,
                 clips=tuple(np.zeros_like(c) for c in t.clips) if silent else ())
            for t in turns
        ]  # fmt: skip
        return Prompt(prompt.symbols, prompt.embeds, deaf=self._prompt(deaf, None, reply))

    def forget(self) -> None:
        """The weights have changed: what was heard is to be heard again."""
        with self.lock:
            self.clips.clear()
            self.nbytes = 0

    def _prompt(self, turns: Sequence[Turn], so_far: Spoken | None, reply: bool) -> Prompt:
        given = [clip for turn in turns for clip in turn.clips]
        clips = [checked(clip, number) for number, clip in enumerate(given, 1)]
        text = self._render(turns, so_far, reply)
        frames = [self.processor.frames(clip) for clip in clips]
        ids = self.processor.token_ids(text, frames)
        before: tuple[int, ...] = ()
        if so_far is not None:
            before, end = so_far.memory.symbols, self.processor.end_of_turn
            twice = so_far.rest[-1:] == (end,) and ids[:1] == [end]
            ids = [*so_far.rest, *ids[twice:]]
        if not ids:
            raise ValueError("there is nothing new to read; give at least one turn")
        total = len(before) + len(ids)
        if total >= self.limit:
            raise ValueError(
                f"the prompt has {total} tokens; the model reads at most {self.limit - 1}: shorten "
                "the audio or the text"
            )
        heard = [self.vectors(clip) for clip in clips]
        vectors = torch.cat([v for _, v in heard]) if heard else None
        device = self.model.lm_head.weight.device
        embeds = self.model.splice(torch.tensor([ids], device=device), vectors)[0]
        marks = iter([-(mark << 16) - i - 1 for mark, v in heard for i in range(len(v))])
        patch = self.model.config.audio_patch_token_id
        symbols = (next(marks) if i == patch else i for i in ids)
        memory = None if so_far is None else so_far.memory
        return Prompt((*before, *symbols), embeds, len(before), memory)

    def _render(self, turns: Sequence[Turn], so_far: Spoken | None, reply: bool) -> str:
        """The template's text; of a session only what comes after what was read."""
        known = () if so_far is None else so_far.turns
        text, _ = self.processor.render([*known, *turns], open_reply=reply)
        if so_far is None:
            return text
        before, _ = self.processor.render(known, open_reply=False)
        if not text.startswith(before):
            raise ValueError(
                "the chat template rewrites earlier turns, so a session cannot go on from what it "
                "has read; ask with the whole conversation"
            )
        return text[len(before) :]

    def vectors(self, clip: Audio) -> tuple[int, Tensor]:
        """A clip's content as a number, and what the decoder hears of it [N, D]."""
        mark = blake2b(clip.tobytes(), digest_size=16).digest()
        with self.lock:
            found = self.clips.get(mark)
            if found is not None:
                self.clips.move_to_end(mark)
        if found is None:
            found = self._encode(clip)
            self._keep(mark, found)
        return int.from_bytes(mark), found

    def _encode(self, clip: Audio) -> Tensor:
        weight = self.model.encoder.conv1.weight
        mel = self.processor.features(clip)[None]
        lengths = torch.tensor([mel.shape[-1]], device=weight.device)
        features = self.model.encoder(mel.to(weight), lengths)
        self.encoded += 1
        return self.model.project(features, lengths)

    def _keep(self, mark: bytes, vectors: Tensor) -> None:
        with self.lock:
            self.clips[mark] = vectors
            self.nbytes += vectors.nbytes
            while self.nbytes > self.clip_bytes:
                _, old = self.clips.popitem(last=False)
                self.nbytes -= old.nbytes
