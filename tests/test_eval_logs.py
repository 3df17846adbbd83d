"""Logs that were cut: named, passed over, set aside; never the end of everything else."""

from contextlib import suppress
from pathlib import Path

import pytest
from inspect_ai import Task, eval
from inspect_ai.dataset import MemoryDataset, Sample

from auscult.evaluate.commands import results
from auscult.evaluate.door import _same_questions
from auscult.evaluate.results.runs import LogWarning, header_of, read, runs_in
from auscult.files import BadFile


@pytest.fixture(scope="module")
def log(tmp_path_factory) -> bytes:
    """A small log of another task than ours."""
    folder = tmp_path_factory.mktemp("logs")
    data = MemoryDataset([Sample(input="Who?", target="a", id=i) for i in range(3)])
    (found,) = eval(Task(dataset=data), model="mockllm/model", log_dir=str(folder), display="none")
    return Path(found.location.removeprefix("file://")).read_bytes()


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
def test_a_cut_log_is_named_with_what_to_do(share: float, log: bytes, tmp_path):
    file = tmp_path / "cut.eval"
    file.write_bytes(log[: int(share * len(log))])
    for reader in (read, header_of, runs_in, results):
        with pytest.raises(BadFile, match=r"cut\.eval is cut or damaged .*auscult eval"):
            reader(file)


@pytest.mark.parametrize(
    ("data", "said"),
    [(b"version https://git-lfs.github.com/spec/v1\n", "git-LFS pointer.*git lfs pull"),
     (b"<!DOCTYPE html>", "web page.*download it again")],
)  # fmt: skip
def test_what_is_no_log_is_named_with_a_remedy(data: bytes, said: str, tmp_path):
    file = tmp_path / "no.eval"
    file.write_bytes(data)
    for reader in (read, header_of, runs_in, results):
        with pytest.raises(BadFile, match=rf"no\.eval is a {said}"):
            reader(file)


def test_a_log_overwritten_anywhere_is_read_or_named(log: bytes, tmp_path):
    file = tmp_path / "bad.eval"
    for at in range(0, len(log) - 64, max(1, len(log) // 40)):
        file.write_bytes(log[:at] + b"\xff" * 64 + log[at + 64 :])
        with suppress(BadFile):
            header_of(file)


def test_a_cut_log_is_left_out_where_others_are_whole(log: bytes, tmp_path, monkeypatch):
    (tmp_path / "a.eval").write_bytes(log[:-9])
    (tmp_path / "b.eval").write_bytes(log)
    with (
        pytest.warns(LogWarning, match=r"a\.eval is cut or damaged .*; it is left out"),
        pytest.raises(ValueError, match=r"b\.eval is not a log of `auscult eval`"),
    ):
        runs_in(tmp_path)
    (tmp_path / "b.eval").write_bytes(log[:-99])
    with pytest.warns(LogWarning), pytest.raises(BadFile, match="all 2 logs are cut or damaged"):
        runs_in(tmp_path)


def test_a_new_run_sets_a_cut_log_aside_and_keeps_it(log: bytes, tmp_path):
    (tmp_path / "a.eval").write_bytes(log[:-9])
    (tmp_path / "b.eval").write_bytes(log)
    with pytest.warns(LogWarning, match=r"kept as a\.eval\.broken, and its questions are asked"):
        _same_questions([], tmp_path)
    assert sorted(f.name for f in tmp_path.iterdir()) == ["a.eval.broken", "b.eval"]
    assert (tmp_path / "a.eval.broken").read_bytes() == log[:-9]
