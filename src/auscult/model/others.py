"""Other audio language models behind our own surface: Qwen2-Audio and the Qwen2.5-Omni thinker.

Their encoder, projector, decoder and head are taken out of the `transformers` class and stand
under the names of `StepAudio2ForCausalLM` (`encoder`, `adapter`, `model`, `lm_head`), so that
engine, SFT, PPO and DPO run on them unchanged. `save_pretrained` puts them back into the original
layout.

Features are ours: log-mel with 2 frames of padding at the end (`PAD_FRAMES`). They carry what
Whisper's extractor puts behind a clip as far as its convolutions reach, so a short clip is heard
exactly as if it had been padded to 30 s.

Positions. Both decoders count text and audio tokens alike, one by one. In the thinker's three-axis
rotary embedding (`get_rope_index`) audio without video has the same index on all three axes, which
is what its decoder makes of two-dimensional `position_ids`. Images and video are not supported.

Shapes: C clips, M mel bins, L mel frames (100 Hz), P encoder frames (25 Hz) = audio tokens, S
encoder width, B rows, T positions, D decoder width.
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    Qwen2_5OmniThinkerForConditionalGeneration,
    Qwen2AudioForConditionalGeneration,
)
from transformers.masking_utils import create_bidirectional_mask
from transformers.utils.logging import disable_progress_bar

from auscult.files import read_json
from auscult.model.encoder import PAD_FRAMES, pooled_frames
from auscult.model.model import (
    StepAudio2ForCausalLM,
    StepAudio2ForTokenClassification,
    StepAudio2PreTrainedModel,
)
from auscult.model.others_chat import OMNI_TEMPLATE, QWEN2_AUDIO_TEMPLATE, OtherProcessor
from auscult.model.processor import StepAudio2Processor
from auscult.model.weights import SHIPPED, check_files, open_model, stored_names


class OtherConfig(PreTrainedConfig):
    """What engine and trainer ask of a model. `text_config` is the decoder's own configuration.

    Example: OtherConfig(text_config=Qwen2Config(), audio_patch_token_id=151646,
    audio_start_token_id=151647, eos_token_id=[151643, 151645], tie_word_embeddings=False).
    """

    model_type = "auscult_other"

    text_config: Any = None
    audio_start_token_id: int = 0
    audio_patch_token_id: int = 0
    eos_token_id: int | list[int] | None = None
    tie_word_embeddings: bool = False

    @property
    def vocab_size(self) -> int:
        """Rows of the embedding, padding rows included."""
        return self.text_config.vocab_size

    @property
    def hidden_size(self) -> int:
        """Width of the decoder."""
        return self.text_config.hidden_size


def _sound(frames: Int[Tensor, " C"], total: int) -> Tensor:
    """Boolean [C, total], true inside each clip's number of frames."""
    return torch.arange(total, device=frames.device)[None] < frames[:, None]


class _Ear(nn.Module):
    """An encoder of another family, behind the surface of ours."""

    def __init__(self, tower: Any) -> None:
        super().__init__()
        self.tower = tower

    @property
    def conv1(self) -> nn.Conv1d:
        """The first layer; its weights tell the encoder's dtype."""
        return self.tower.conv1


class PaddedEar(_Ear):
    """Qwen2-Audio's encoder, which reads windows of a fixed length (3,000 frames = 30 s)."""

    def forward(self, mel: Float[Tensor, "C M L"], lengths: Int[Tensor, " C"]) -> Tensor:
        """Features [C, P, S], zero beyond each clip; the windows are filled up here.

        Raises `ValueError` for a clip that is longer than a window.
        """
        positions: int = self.tower.config.max_source_positions
        frames = lengths - PAD_FRAMES
        if int(frames.max()) > 2 * positions:
            raise ValueError(
                f"a clip of {int(frames.max())} mel frames is longer than the {2 * positions} that "
                "the encoder reads; cut it into chunks of at most 30 s first"
            )
        window = mel.new_zeros(*mel.shape[:2], 2 * positions)
        width = min(mel.shape[-1], 2 * positions)
        window[..., :width] = mel[..., :width]
        mask = create_bidirectional_mask(
            config=self.tower.config,
            inputs_embeds=mel.new_zeros(len(mel), positions, 1, dtype=self.conv1.weight.dtype),
            attention_mask=_sound((frames + 1) // 2, positions).long(),
        )
        states: Tensor = self.tower(window, attention_mask=mask).last_hidden_state
        counts = pooled_frames(frames)
        states = states[:, : int(counts.max())]
        return states * _sound(counts, states.shape[1])[..., None]


class PackedEar(_Ear):
    """Qwen2.5-Omni's encoder, which reads clips of any length one after another."""

    def forward(self, mel: Float[Tensor, "C M L"], lengths: Int[Tensor, " C"]) -> Tensor:
        """Features [C, P, S], zero beyond each clip. It never looks behind a clip's end, so the
        padding frames are cut off."""
        frames = lengths - PAD_FRAMES
        packed = torch.cat([m[:, : int(n)] for m, n in zip(mel, frames, strict=True)], dim=1)
        states: Tensor = self.tower(packed, feature_lens=frames).last_hidden_state
        counts: list[int] = pooled_frames(frames).tolist()
        return nn.utils.rnn.pad_sequence(list(states.split(counts)), batch_first=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Origin:
    """How the parts go back into the class they came from. `names`: our prefix -> theirs;
    `rest`: weights that listening does not need (vision), kept on the CPU and saved as they came.

    Example names: {"model.": "model.language_model.", "encoder.tower.": "model.audio_tower."}.
    """

    kind: type[PreTrainedModel]
    config: Any
    generation_config: Any
    names: Mapping[str, str]
    rest: Mapping[str, Tensor]

    def __deepcopy__(self, _memo: object) -> Self:
        return self  # nothing in it ever changes

    def renamed(self, name: str) -> str:
        """Their name of one of our weights."""
        ours = next(prefix for prefix in self.names if name.startswith(prefix))
        return self.names[ours] + name.removeprefix(ours)

    def whole(self, weights: Mapping[str, Tensor]) -> PreTrainedModel:
        """The original model around these weights, for saving only.

        Raises `ValueError` that lists weights that are missing or unknown.
        """
        with torch.device("meta"):
            model: Any = self.kind(self.config)
        state = {self.renamed(name): value for name, value in weights.items()} | {**self.rest}
        tied = {"lm_head.weight"} if self.config.tie_word_embeddings else set[str]()
        found = model.load_state_dict(state, strict=False, assign=True)
        wrong = sorted({*found.missing_keys} - tied) + found.unexpected_keys
        if wrong:
            raise ValueError(f"the weights do not fit {self.kind.__name__}: {', '.join(wrong)}")
        model.tie_weights()
        model.generation_config = self.generation_config
        return model


class _Listens(StepAudio2PreTrainedModel):
    """Our body with another family's parts in it."""

    config_class = OtherConfig

    def project(
        self, features: Float[Tensor, "C P S"], feature_lengths: Int[Tensor, " C"]
    ) -> Float[Tensor, "T D"]:
        """Encoder features to the audio vectors of all clips one after another; T is the sum of
        `pooled_frames(length - PAD_FRAMES)` (25 Hz)."""
        counts = pooled_frames(feature_lengths - PAD_FRAMES).to(features.device)
        return self.adapter(features[_sound(counts, features.shape[1])])


class OtherForCausalLM(_Listens, StepAudio2ForCausalLM):
    """A Qwen2-Audio or Qwen2.5-Omni thinker that listens, thinks and answers like ours."""

    config_class = OtherConfig

    def __init__(self, whole: Any, eos_token_id: list[int] | None = None) -> None:
        """Takes `whole` apart (it is of no use afterwards). `eos_token_id`: what ends a reply.

        Raises `ValueError` for another class, or for a decoder that the engine cannot run.
        """
        origin = _origin(whole)
        PreTrainedModel.__init__(self, _config(whole.config, eos_token_id))
        core = whole.model
        self.model = core.language_model
        if isinstance(whole, Qwen2AudioForConditionalGeneration):
            ear, projector = PaddedEar(core.audio_tower), core.multi_modal_projector
        else:
            ear, projector = PackedEar(core.audio_tower), core.audio_tower.proj
            core.audio_tower.proj = nn.Identity()
        self.adapter, self.encoder = projector, ear  # pyright: ignore[reportAttributeAccessIssue]
        self.lm_head = whole.lm_head
        self.origin = origin
        self.generation_config = copy.deepcopy(whole.generation_config)

    def save_pretrained(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, save_directory: str | Path, state_dict: Mapping[str, Tensor] | None = None, **_: Any
    ) -> None:
        """Write the original class's layout, which plain `transformers` opens (for Qwen2.5-Omni a
        thinker without talker). `state_dict`: weights by our names instead of the present ones."""
        weights = self.state_dict() if state_dict is None else state_dict
        self.origin.whole(weights).save_pretrained(save_directory)


class OtherCritic(_Listens, StepAudio2ForTokenClassification):
    """One scalar per token from an audio-conditioned body; `forward` is that of our own critic."""

    config_class = OtherConfig

    def __init__(self, trunk: OtherForCausalLM) -> None:
        """Takes over encoder, projector and decoder of `trunk`; see `critic_of`."""
        PreTrainedModel.__init__(self, trunk.config)
        self.model, self.adapter, self.encoder = trunk.model, trunk.adapter, trunk.encoder
        self.score = nn.Linear(trunk.config.hidden_size, 1).to(trunk.lm_head.weight)
        nn.init.normal_(self.score.weight, std=0.02)
        nn.init.zeros_(self.score.bias)

    def save_pretrained(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, save_directory: str | Path, **_: Any
    ) -> None:
        """Raises `ValueError`: the family has no layout for a critic."""
        raise ValueError(f"{save_directory}: a critic of another family is kept as a checkpoint")


def critic_of(model: OtherForCausalLM) -> OtherCritic:
    """A critic with a copy of the model's weights and a fresh head: values [B, T, 1] as `logits`
    of its `forward`, or `critic.score(critic.body(...).last_hidden_state)`."""
    return OtherCritic(copy.deepcopy(model))


def _origin(whole: Any) -> _Origin:
    names = {"model.": "model.language_model.", "encoder.tower.": "model.audio_tower."}
    if isinstance(whole, Qwen2AudioForConditionalGeneration):
        names["adapter."] = "model.multi_modal_projector."
    elif isinstance(whole, Qwen2_5OmniThinkerForConditionalGeneration):
        names["adapter."] = "model.audio_tower.proj."
    else:
        raise ValueError(f"{type(whole).__name__} has no adapter; supported: {SUPPORTED}")
    text: Any = whole.config.text_config
    if "sliding_attention" in (getattr(text, "layer_types", None) or ()):
        raise ValueError("the decoder uses sliding-window attention, which the engine does not run")
    visual = getattr(whole.model, "visual", None)
    weights = {} if visual is None else visual.state_dict()
    return _Origin(
        kind=type(whole),
        config=copy.deepcopy(whole.config),
        generation_config=whole.generation_config,
        names=names | {"lm_head.": "lm_head."},
        rest={f"model.visual.{name}": value.cpu() for name, value in weights.items()},
    )


def _ids(value: Any) -> list[int]:
    """Token ids of a config entry that holds none, one or several."""
    return [] if value is None else [value] if isinstance(value, int) else list(value)


def _config(theirs: Any, eos_token_id: list[int] | None) -> OtherConfig:
    eos = eos_token_id or _ids(theirs.text_config.eos_token_id)
    return OtherConfig(
        text_config=theirs.text_config,
        audio_patch_token_id=theirs.audio_token_id,
        audio_start_token_id=getattr(theirs, "audio_start_token_id", theirs.audio_token_id + 1),
        eos_token_id=eos,
        tie_word_embeddings=theirs.tie_word_embeddings,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One row of the table of supported checkpoints: class, part of config.json, chat format."""

    kind: type[PreTrainedModel]
    template: str
    part: Callable[[Any], Any] = lambda config: config


_OMNI = Qwen2_5OmniThinkerForConditionalGeneration
FAMILIES: dict[str, Family] = {
    "qwen2_audio": Family(kind=Qwen2AudioForConditionalGeneration, template=QWEN2_AUDIO_TEMPLATE),
    "qwen2_5_omni": Family(kind=_OMNI, template=OMNI_TEMPLATE, part=lambda c: c.thinker_config),
    "qwen2_5_omni_thinker": Family(kind=_OMNI, template=OMNI_TEMPLATE),
}
SUPPORTED = ", ".join(("step_audio_2", *FAMILIES))


def open_any(
    name: str | Path,
    device: str | torch.device | None = None,
    dtype: torch.dtype | None = None,
) -> tuple[StepAudio2ForCausalLM, StepAudio2Processor]:
    """Model and processor of a folder with any supported checkpoint: our own, Qwen2-Audio,
    Qwen2.5-Omni (its thinker; the talker stays unread), in eval mode.

    As in `open_model`: on CUDA in bf16 where there is one, else float32. Raises `ValueError` for a
    folder without config.json, another model type, or weights that do not fit.
    """
    folder = Path(name)
    if str(name) in SHIPPED and not folder.is_dir():
        return open_model(name, device=device, dtype=dtype)
    if not (folder / "config.json").is_file():
        raise ValueError(f"no model at {folder} (config.json is missing); supported: {SUPPORTED}")
    model_type = read_json(folder / "config.json", "the config of a checkpoint").get("model_type")
    if model_type == "step_audio_2":
        return open_model(name, device=device, dtype=dtype)
    if model_type not in FAMILIES:
        raise ValueError(f"{folder} holds a {model_type} model; supported: {SUPPORTED}")
    family = FAMILIES[model_type]
    check_files(folder)
    stored_names(folder)  # missing and damaged files have clear errors of their own
    where = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    whole = _load(folder, family, dtype or (torch.bfloat16 if where.type == "cuda" else None))
    processor = OtherProcessor(AutoTokenizer.from_pretrained(folder), family.template, folder)
    ends = {processor.end_of_turn, *_ids(whole.generation_config.eos_token_id)}
    ends |= {*_ids(whole.config.text_config.eos_token_id), *_ids(processor.tokenizer.eos_token_id)}
    model = OtherForCausalLM(whole, sorted(ends)).to(where)  # pyright: ignore[reportArgumentType]
    return model.eval(), processor


def _load(folder: Path, family: Family, dtype: torch.dtype | None) -> Any:
    """The original model; missing and unexpected weights are an error."""
    kind: Any = family.kind
    config = family.part(AutoConfig.from_pretrained(folder))
    if config.text_config.hidden_size < 1024:  # a bar for a load of milliseconds is noise
        disable_progress_bar()
    whole, found = kind.from_pretrained(
        folder,
        config=config,
        dtype=dtype or torch.float32,
        use_safetensors=True,
        output_loading_info=True,
    )
    speaks = ("talker.", "token2wav.")
    unexpected = [n for n in sorted(found["unexpected_keys"]) if not n.startswith(speaks)]
    told = {"missing": sorted(found["missing_keys"]), "unexpected": unexpected}
    problems = [f"{len(v)} {k}: {'; '.join(v)}" for k, v in told.items() if v]
    if problems:
        raise ValueError(
            f"the weights in {folder} do not fit its config.json. {' | '.join(problems)}"
        )
    return whole
