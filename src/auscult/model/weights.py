"""Opening checkpoints: ours by name, any folder in the published layout by path.

The published weight names are used as they are, so nothing is renamed; what must be there is the
table that `expected_names` derives from the config. Missing, unexpected or misshapen tensors are
errors that list them, before any memory is spent on weights.
"""

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from transformers import AutoConfig, AutoProcessor
from transformers.utils.logging import disable_progress_bar

from auscult.files import INDEX, indexed, known, read_json, weight_files
from auscult.model.config import StepAudio2Config
from auscult.model.model import StepAudio2ForCausalLM
from auscult.model.processor import StepAudio2Processor

SHIPPED, EARS = ("nano", "nano-base"), ("ear",)


def locate(name: str | Path) -> Path:
    """The folder of a shipped model ("nano", "nano-base"; "ear" is an ear alone) or of a path.

    Raises `ValueError` where there is no config.json.
    """
    path = Path(name)
    if str(name) in (*SHIPPED, *EARS) and not path.is_dir():
        path = Path(str(resources.files("auscult"))) / "checkpoints" / str(name)
    if not (path / "config.json").is_file():
        raise ValueError(
            f"no model at {path} (config.json is missing); give a folder with a Step-Audio-2 / R1 "
            f"checkpoint, or one of {', '.join(SHIPPED)}"
        )
    return path


_JSON = (
    "config.json", "generation_config.json", "preprocessor_config.json", "processor_config.json",
    "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json",
    INDEX,
)  # fmt: skip


def check_files(folder: Path) -> None:
    """Is every file of a checkpoint what its name says? Looked at before any library reads it.

    Raises `ValueError` that names the file: a git-LFS pointer, a web page, a cut download.
    """
    for name in _JSON:
        if (folder / name).is_file() and not isinstance(read_json(folder / name), dict):
            raise ValueError(f"{folder / name} holds no JSON object; fetch it again")
    weights = [file for file in weight_files(folder) if file.is_file()]
    for file in [*weights, *sorted(folder.glob("*.txt"))]:
        with file.open("rb") as opened:
            kind = known(opened.read(64))
        if kind is not None:
            raise ValueError(f"{file} is {kind.what}: {kind.remedy}")
    if (folder / "tokenizer.json").is_file():
        _check_tokenizer(folder / "tokenizer.json")
    elif not (folder / "vocab.json").is_file():
        raise ValueError(f"{folder} lacks tokenizer.json; finish the download")


def _check_tokenizer(file: Path) -> None:
    data: Any = read_json(file, "the tokenizer of a checkpoint")
    model: Any = data.get("model") if isinstance(data, dict) else None
    if not isinstance(model, dict) or not isinstance(model.get("vocab"), dict | list):
        raise ValueError(
            f'{file} is no tokenizer: expected a JSON object with "model" and its "vocab", as '
            "`save_pretrained` writes it; fetch it again"
        )


def expected_names(config: StepAudio2Config) -> dict[str, tuple[int, ...]]:
    """Name -> shape of every tensor of a published checkpoint with this config."""
    with torch.device("meta"):
        model = StepAudio2ForCausalLM(config)
    shapes = {name: tuple(p.shape) for name, p in model.named_parameters()}
    if not config.tie_word_embeddings:
        shapes["lm_head.weight"] = tuple(model.lm_head.weight.shape)
    return shapes


def stored_names(folder: Path) -> dict[str, tuple[int, ...]]:
    """Name -> shape of what lies in the folder's safetensors files, read from their headers.

    Raises `ValueError` for a shard that the index names and the folder lacks.
    """
    files = indexed(folder) or ["model.safetensors"]
    absent = [name for name in files if not (folder / name).is_file()]
    if absent:
        raise ValueError(
            f"{folder} lacks {len(absent)} of {len(files)} weight files: {', '.join(absent[:5])}; "
            "only safetensors are read: finish the download, and keep a folder that is named "
            "beside it where it lay"
        )
    found: dict[str, tuple[int, ...]] = {}
    for name in files:
        try:
            with safe_open(folder / name, framework="pt") as file:
                for key in file.keys():  # noqa: SIM118 - safe_open is no mapping
                    found[key] = tuple(file.get_slice(key).get_shape())
        except SafetensorError as error:
            raise ValueError(f"{folder / name} is damaged ({error}); fetch it again") from error
    return found


def compare_names(
    expected: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]], where: Path
) -> None:
    """Raise `ValueError` that lists all missing, unexpected and misshapen tensors."""
    missing = sorted(expected.keys() - found.keys())
    unexpected = sorted(found.keys() - expected.keys())
    shapes = [
        f"{n}: expected {expected[n]}, found {found[n]}"
        for n in sorted(expected.keys() & found.keys())
        if expected[n] != found[n]
    ]
    problems = {"missing": missing, "unexpected": unexpected, "of another shape": shapes}
    told = [f"{len(v)} {k}: {'; '.join(v)}" for k, v in problems.items() if v]
    if told:
        raise ValueError(f"the weights in {where} do not fit its config.json. {' | '.join(told)}")


def open_model(
    name: str | Path = "nano",
    *,
    device: str | torch.device | None = None,
    dtype: torch.dtype | None = None,
    device_map: str | None = None,
) -> tuple[StepAudio2ForCausalLM, StepAudio2Processor]:
    """Model and processor, checked name by name; on CUDA in bf16 where there is one, else float32.

    `device_map="auto"` spreads the large checkpoints over several devices (accelerate).
    """
    folder = locate(name)
    check_files(folder)
    config = AutoConfig.from_pretrained(folder)
    if not isinstance(config, StepAudio2Config):
        raise ValueError(f"{folder} holds a {config.model_type} model; expected step_audio_2")
    compare_names(expected_names(config), stored_names(folder), folder)
    where = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    dtype = dtype or (torch.bfloat16 if where.type == "cuda" else torch.float32)
    if config.hidden_size < 1024:  # a bar for a load of milliseconds is noise
        disable_progress_bar()
    model = StepAudio2ForCausalLM.from_pretrained(
        folder, config=config, dtype=dtype, device_map=device_map
    )
    if device_map is None:
        model = model.to(where)  # pyright: ignore[reportArgumentType]
    processor = AutoProcessor.from_pretrained(folder)
    return model.eval(), processor
