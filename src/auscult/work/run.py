"""A run folder: what was asked, on what machine, what was measured, and whether it is finished."""

import hashlib
import json
import os
import platform
import shutil
import subprocess
import time
from importlib import metadata
from pathlib import Path
from typing import Any

from auscult.files import read_json, weight_files
from auscult.work import dist

_PACKAGES = ("torch", "transformers", "numpy", "scipy", "safetensors", "tokenizers")


def _git_revision() -> str:
    try:
        here = Path(__file__).parent
        done = subprocess.run(
            ["git", "-C", str(here), "describe", "--always", "--dirty"],
            capture_output=True, text=True, timeout=10, check=False,
        )  # fmt: skip
        return done.stdout.strip() or "unknown"
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"


def environment() -> dict[str, Any]:
    """Versions, processor and revision: what a number must carry to be comparable."""
    versions = {name: metadata.version(name) for name in _PACKAGES}
    return {
        "python": platform.python_version(),
        "packages": versions,
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "revision": _git_revision(),
        "load": os.getloadavg()[0],
    }


_MACHINE_ONLY = ("threads", "workers", "checkpoint_minutes", "critic_from")
"""Settings that change how fast a result is reached, but not the result."""


def fingerprint(folder: Path) -> str:
    """Twelve characters that change when a model's weights do: sizes, and each file's two ends."""
    digest = hashlib.sha256()
    for file in weight_files(folder):
        size = file.stat().st_size
        with file.open("rb") as data:
            head = data.read(1 << 22)
            data.seek(max(0, size - (1 << 22)))
            digest.update(f"{file.name} {size}".encode() + head + data.read())
    return digest.hexdigest()[:12]


_FILES = ("kept", "manifest", "chains")
"""Settings that name a file: what it holds counts, not where it lies."""


def _counted(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration without what changes only speed, at any depth."""
    return {k: _value(k, v) for k, v in config.items() if k not in _MACHINE_ONLY}


def _value(name: str, value: Any) -> Any:
    if isinstance(value, dict):
        return _counted(value)  # pyright: ignore[reportUnknownArgumentType]
    if name in _FILES and value and Path(value).is_file():
        return hashlib.sha256(Path(value).read_bytes()).hexdigest()
    return value


def config_hash(config: dict[str, Any], parent: str) -> str:
    """Twelve characters that name this configuration on these parent weights."""
    text = json.dumps([_counted(config), parent], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def write_whole(file: Path, text: str) -> None:
    """Whole or not at all, whenever the process is killed or another one reads."""
    part = file.with_name(file.name + ".part")
    part.write_text(text)
    part.replace(file)


def finished(folder: Path) -> dict[str, Any]:
    """What a finished run wrote of itself, with its result: for the folder that is shipped."""
    record = read_json(folder / "run.json", "the record of a finished run")
    return record | {"result": read_json(folder / "done.json", "the result of a finished run")}


class RunFolder:
    """The files of one stage: run.json, metrics.jsonl, checkpoint/, done.json."""

    def __init__(
        self, path: Path, *, stage: str, config: dict[str, Any], parent: Path, writes: bool = True
    ) -> None:
        self.path = path
        self.hash = config_hash(config, fingerprint(parent))
        self.checkpoint = path / "checkpoint"
        self._metrics = path / "metrics.jsonl"
        self._began = time.time()
        self._writes = writes  # of several processes only the first writes
        path.mkdir(parents=True, exist_ok=True)
        self._claim(
            {"stage": stage, "hash": self.hash, "parent": str(parent.resolve()), "config": config}
        )

    def _claim(self, record: dict[str, Any]) -> None:
        file = self.path / "run.json"
        if file.exists():
            before = read_json(file, "the record of a run")
            if before["hash"] != self.hash:
                raise ValueError(
                    f"{self.path} holds a run with another configuration ({before['hash']}, now "
                    f"{self.hash}); choose another --out or delete the folder"
                )
            return
        if self._writes:
            record = record | {"environment": environment()}
            write_whole(file, json.dumps(record, indent=1, default=str))

    def done(self) -> bool:
        """Was this very configuration finished here before?"""
        return (self.path / "done.json").exists()

    def log(self, metrics: dict[str, Any]) -> None:
        """One line of metrics.jsonl."""
        if self._writes:
            with self._metrics.open("a") as file:
                file.write(json.dumps(metrics) + "\n")

    def truncate_metrics(self, step: int) -> None:
        """Drop the lines after `step`: they came after the checkpoint and will come again."""
        if self._writes and self._metrics.exists():
            lines = self._metrics.read_text().splitlines(keepends=True)
            kept = [x for x in lines if x.endswith("\n") and json.loads(x)["step"] <= step]
            write_whole(self._metrics, "".join(kept))

    def finish(self, result: dict[str, Any]) -> None:
        """Mark the stage as done; the checkpoint is no longer needed."""
        if self._writes:
            seconds = round(time.time() - self._began, 1)
            done = result | {"hash": self.hash, "seconds_of_last_start": seconds}
            write_whole(self.path / "done.json", json.dumps(done))
            shutil.rmtree(self.checkpoint, ignore_errors=True)
        dist.barrier()
