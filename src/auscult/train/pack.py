"""`auscult pack`: a trained model as a folder to ship, with a card.

A decoder trained on a frozen ear need not carry that ear: its index names the file of the ear's
folder, and whatever opens sharded checkpoints opens it. What the decoder's file holds goes before
what the ear's holds under the same name, because files are read in the order of their names.
"""

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from auscult.files import INDEX, json_lines
from auscult.model import StepAudio2ForCausalLM
from auscult.model.weights import open_model
from auscult.work.run import finished

DECODER = "decoder.safetensors"


def pack(
    source: Path, out: Path, *,
    ear: Path | None = None, results: tuple[Path, ...] = (), note: str = "",
) -> None:  # fmt: skip
    """Write a trained model as a checkpoint in 16 bits with a card: data, seed, command, time,
    results.

    Args:
        source: folder of a finished run.
        out: the folder to ship.
        ear: folder of the frozen ear that the model was trained on; its weights stay there, and
            both folders are shipped side by side. Default: everything in one file.
        results: tables written by `auscult eval`, for the card.
        note: a paragraph for the card: what the model is and where it fails.
    """
    model, processor = open_model(source, device="cpu")
    if ear is None:
        model.to(torch.bfloat16).save_pretrained(out)  # pyright: ignore[reportArgumentType]
    else:
        _without(ear, model, out)
    processor.save_pretrained(out)
    record = _record(source)
    (out / "training.json").write_text(json.dumps(record, indent=1))
    tables = "\n\n".join(f"### {p.stem}\n\n{p.read_text()}" for p in results)
    (out / "README.md").write_text(_card(out.name, record, model.num_parameters(), note, tables))
    size = sum(file.stat().st_size for file in out.glob("*.safetensors"))
    print(f"{out}: {model.num_parameters():,} parameters, {size / 2**20:.1f} MiB of weights")


def _without(ear: Path, model: StepAudio2ForCausalLM, out: Path) -> None:
    """Everything but the encoder, whose file is named in the index.

    Raises `ValueError` where the model's encoder is not the one of that folder.
    """
    file = ear / "model.safetensors"
    if not file.is_file():
        raise ValueError(f"{ear} holds no model.safetensors; give a folder of `auscult keep-ear`")
    heard = load_file(file)
    own = {k: v for k, v in model.state_dict().items() if k.startswith("encoder.")}
    other = [k for k, v in own.items() if k not in heard or not torch.equal(heard[k].float(), v)]
    if other:
        raise ValueError(
            f"the encoder of the model is not that of {ear}: {len(other)} of {len(own)} tensors "
            f"differ, the first is {other[0]}; leave `--ear` out to write it whole"
        )
    out.mkdir(parents=True, exist_ok=True)
    tied = {"lm_head.weight"} if model.config.tie_word_embeddings else set[str]()
    kept = {
        k: v.to(torch.bfloat16).contiguous()
        for k, v in model.state_dict().items() if k not in own.keys() | tied
    }  # fmt: skip
    save_file(kept, out / DECODER, metadata={"format": "pt"})
    (out / DECODER).chmod(0o644)
    shared = os.path.relpath(file, out)
    if shared >= DECODER:
        raise ValueError(f"{ear} must lie beside {out}, so that its file is read first")
    total = sum(v.nbytes for v in (*kept.values(), *(heard[k] for k in own)))
    index = {
        "metadata": {"total_size": total},
        "weight_map": dict.fromkeys(own, shared) | dict.fromkeys(kept, DECODER),
    }
    (out / INDEX).write_text(json.dumps(index, indent=1))
    model.config.save_pretrained(out)
    assert model.generation_config is not None
    model.generation_config.save_pretrained(out)


def _record(source: Path) -> dict[str, Any]:
    """What the run wrote of itself, with its result and its time."""
    record = finished(source)
    record["parent"] = Path(record["parent"]).name  # folders of the machine that trained it
    record["config"]["pool"] = Path(record["config"].get("pool", "")).name
    record["training_seconds"] = round(_training_seconds(source / "metrics.jsonl"))
    return record


def _training_seconds(metrics: Path) -> float:
    """Sum over the optimiser steps, making the data left out."""
    return sum(row["seconds"] for _, row in json_lines(metrics))


def _card(name: str, record: dict[str, Any], parameters: int, note: str, tables: str) -> str:
    """The model card, from the template beside this file."""
    config, env = record["config"], record["environment"]
    return (
        Path(__file__)
        .with_name("card.md")
        .read_text()
        .format(
            name=name,
            note=note,
            parameters=parameters,
            examples=config["steps"] * config["batch_size"],
            kinds=", ".join(f"{k} {w:g}" for k, w in config["mixture"]["kinds"]),
            real=config["mixture"].get("real", 0.0),
            seed=config["seed"],
            seconds=record["training_seconds"],
            processes=config["processes"],
            cores=env["cores"],
            machine=env["machine"],
            torch=env["packages"]["torch"],
            tables=tables or "Not evaluated on its own; see the model trained from it.",
        )
    )
