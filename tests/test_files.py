"""Text, JSON lines, checkpoints and pipes as people have them; errors say where and what to do."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fixture_recordings import coded, wav

from auscult.bench.files import read_lines
from auscult.cli import main
from auscult.evaluate.hearing import read_texts
from auscult.files import KINDS, BadFile, json_lines, known, read_json, read_text
from auscult.model.weights import open_model
from auscult.train.feed.data import read_kept
from auscult.train.feed.manifest import open_manifest
from auscult.verify.store import query, read_traces, write

SEPARATORS = "one\u2028two\u2029three\x85four\x0bfive\x1csix"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 11422654\n"


def lines(*rows: object) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


WRITERS = {
    "plain": lambda text: text.encode(),
    "with a byte order mark": lambda text: b"\xef\xbb\xbf" + text.encode(),
    "utf-16": lambda text: text.encode("utf-16"),
    "utf-16 without a mark": lambda text: text.encode("utf-16-le"),
    "utf-16 without a mark, high byte first": lambda text: text.encode("utf-16-be"),
    "utf-32": lambda text: text.encode("utf-32"),
    "with crlf": lambda text: text.replace("\n", "\r\n").encode(),
    "without a last end of line": lambda text: text.encode().rstrip(b"\n"),
    "with empty lines": lambda text: b"\n" + text.replace("\n", "\n \n").encode(),
}

ROW = {
    "clips": ["a.wav"], "thought": SEPARATORS, "key": "k", "reply": SEPARATORS,
    "transcript": SEPARATORS,
}  # fmt: skip
TEXTS = {"key": "k", "transcript": SEPARATORS}
MANIFEST = {"audio": ["a.wav"], "question": SEPARATORS, "answer": "yes"}

READERS = {
    "auscult check": (lambda path: read_traces(path)[0].thought, ROW),
    "benchmarks": (lambda path: read_lines(path)[0]["reply"], ROW),
    "--texts": (lambda path: read_texts(path)["k"]["transcript"], TEXTS),
    "kept replies": (lambda path: read_kept(str(path))[0][1], ROW),
    "a manifest": (lambda path: open_manifest(path).rows[0].question, MANIFEST),
}
"""What reads JSON lines of people -> (what it says of the row, the row)."""


@pytest.mark.parametrize("written", WRITERS)
@pytest.mark.parametrize("reader", READERS)
def test_every_reader_takes_marks_and_separators_of_unicode(reader: str, written: str, tmp_path):
    (tmp_path / "a.wav").write_bytes(wav())
    read, row = READERS[reader]
    file = tmp_path / "rows.jsonl"
    file.write_bytes(WRITERS[written](lines(row)))
    assert read(file) == SEPARATORS


@pytest.mark.parametrize("reader", READERS)
def test_every_reader_names_file_line_and_remedy(reader: str, tmp_path):
    (tmp_path / "a.wav").write_bytes(wav())
    read, row = READERS[reader]
    file = tmp_path / "rows.jsonl"
    file.write_text(lines(row) + '{"key": "cut off\n')
    with pytest.raises(ValueError) as error:
        read(file)
    said = str(error.value)
    assert str(file) in said and "line 2" in said and "not JSON" in said
    assert "mend or remove that line" in said or "expected one whole object on one line" in said


@pytest.mark.parametrize("reader", READERS)
def test_every_reader_says_what_a_pointer_is(reader: str, tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_bytes(POINTER)
    with pytest.raises(ValueError, match=r"rows\.jsonl is a git-LFS pointer.*git lfs pull"):
        READERS[reader][0](file)


BAD_LISTS = {
    "utf-16 cut by a byte": (
        lambda text: text.encode("utf-16")[:-1], "UTF-16 text that is cut .*iconv -c -f UTF-16"),
    "a number without end": (
        lambda text: (text + '{"key": ' + 5000 * "1" + "}\n").encode(), "line 2.*not JSON"),
    "latin-1": (lambda text: b'{"key": "caf\xe9"}\n', "line.? 1.*not UTF-8.*iconv -f WINDOWS-1252"),
    "an object over several lines": (
        lambda text: json.dumps(json.loads(text), indent=1).encode(), r"line.? 1.*jq -c \. IN"),
    "a parquet table": (lambda text: b"PAR1" + bytes(60), "Parquet table.*name it .parquet"),
    "null": (lambda text: (text + "null\n").encode(), "line.? 2"),
    "a number": (lambda text: (text + "5\n").encode(), "line.? 2"),
    "an array": (lambda text: (text + "[1]\n").encode(), "line.? 2"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_LISTS)
@pytest.mark.parametrize("reader", READERS)
def test_every_reader_names_what_is_wrong_with_a_list(reader: str, name: str, tmp_path):
    (tmp_path / "a.wav").write_bytes(wav())
    read, row = READERS[reader]
    make, said = BAD_LISTS[name]
    file = tmp_path / "rows.jsonl"
    file.write_bytes(make(lines(row)))
    with pytest.raises(ValueError, match=rf"(?s)rows\.jsonl.*{said}"):
        read(file)


def test_a_thought_that_is_no_text_is_named(tmp_path):
    for data, said in [(POINTER, "git-LFS pointer"), ("It".encode("utf-16")[:-1], "cut or damag")]:
        (tmp_path / "thought.txt").write_bytes(data)
        with pytest.raises(BadFile, match=rf"thought\.txt is .*{said}"):
            read_text(tmp_path / "thought.txt")
    (tmp_path / "thought.txt").write_bytes("It lasts.".encode("utf-16-le"))
    assert read_text(tmp_path / "thought.txt") == "It lasts."


@pytest.mark.parametrize(
    "data, said", [(POINTER, "git lfs pull"), (b"", "empty"), (b"a,b\n", "no P")]
)
def test_a_table_that_is_none_is_named_with_a_remedy(data: bytes, said: str, tmp_path):
    (tmp_path / "m.parquet").write_bytes(data)
    with pytest.raises(ValueError, match=rf"m\.parquet is .*{said}"):
        open_manifest(tmp_path / "m.parquet")


def test_a_manifest_in_a_pipe_is_refused_for_it_is_read_several_times(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="is a pipe, and a manifest is read several times"):
        open_manifest(tmp_path / "pipe")


def test_a_line_that_is_no_text_names_its_number_and_the_encoding(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b'{"a": 1}\n{"b": "caf\xe9"}\n')
    with pytest.raises(BadFile, match=r"a\.jsonl, line 2, is not UTF-8"):
        list(json_lines(tmp_path / "a.jsonl"))
    (tmp_path / "a.txt").write_bytes(b"one\ntwo\ncaf\xe9\n")
    with pytest.raises(BadFile, match=r"a\.txt, line 3, is not UTF-8 .*0xe9.*iconv"):
        read_text(tmp_path / "a.txt")


def test_an_array_in_place_of_lines_gets_the_command_that_parts_it(tmp_path):
    (tmp_path / "a.jsonl").write_text('[{"a": 1},\n{"a": 2}]\n')
    with pytest.raises(BadFile, match=r"line 1, is not JSON .*jq -c '\.\[\]'"):
        list(json_lines(tmp_path / "a.jsonl"))


@pytest.mark.parametrize(
    ("data", "said"),
    [(b"", "it is empty"), (b'{"a": [1,\n2', "line 2, .*cut or damaged"),
     (POINTER, "git-LFS pointer"), (b"<!DOCTYPE html>", "a web page"), (b"[" * 99_999, "too deep")],
)  # fmt: skip
def test_a_json_file_that_is_none_is_named_with_what_it_is(data: bytes, said: str, tmp_path):
    (tmp_path / "a.json").write_bytes(data)
    with pytest.raises(BadFile, match=rf"a\.json(?s:.*){said}") as error:
        read_json(tmp_path / "a.json", "a list")
    assert "a list" in str(error.value) and "again" in str(error.value)


def test_a_torn_last_line_of_a_killed_writer_is_passed_over_when_asked(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n{"a": 2}\n{"a"')
    assert [row for _, row in json_lines(tmp_path / "a.jsonl", torn=True)] == [{"a": 1}, {"a": 2}]
    with pytest.raises(BadFile, match="line 3"):
        list(json_lines(tmp_path / "a.jsonl"))


def test_kinds_of_files_are_told_apart_by_their_first_bytes():
    for kind in KINDS:
        for start in kind.starts:
            assert known(b"\0" * kind.at + start + b"\0" * 60) is kind
    assert known(wav()[:64]) is None and known(b'{"a": 1}') is None
    assert known(b"\n  <html>") is not None


# ---------------------------------------------------------------------------- checkpoints


@pytest.fixture
def checkpoint(tmp_path) -> Path:
    """Whole in one folder, as most are."""
    model, processor = open_model("nano", device="cpu")
    model.save_pretrained(tmp_path / "model")
    processor.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize("name", ["tokenizer.json", "config.json", "tokenizer_config.json",
                                  "model.safetensors"])  # fmt: skip
@pytest.mark.parametrize(
    ("data", "said", "remedy"),
    [(POINTER, "is a git-LFS pointer", "git lfs pull"),
     (b"<!DOCTYPE html><html>login</html>", "is a web page", "download it again"),
     (b"", "", "again"), (b'{"model": {"vocab"', "", "again")],
)  # fmt: skip
def test_a_broken_file_of_a_checkpoint_is_named_with_a_remedy(
    name: str, data: bytes, said: str, remedy: str, checkpoint: Path
):
    (checkpoint / name).write_bytes(data)
    with pytest.raises(ValueError) as error:
        open_model(checkpoint)
    text = str(error.value)
    assert str(checkpoint / name) in text and said in text and remedy in text


@pytest.mark.parametrize("data", ["[]", "{}", '{"model": {"type": "BPE"}}'])
def test_a_tokenizer_without_a_vocabulary_is_named(data: str, checkpoint: Path):
    (checkpoint / "tokenizer.json").write_text(data)
    with pytest.raises(ValueError, match=r'tokenizer\.json is no tokenizer.*"vocab".*fetch it'):
        open_model(checkpoint)


def test_a_checkpoint_without_tokenizer_says_so(checkpoint: Path):
    (checkpoint / "tokenizer.json").unlink()
    with pytest.raises(ValueError, match=r"lacks tokenizer\.json; finish the download"):
        open_model(checkpoint)


# ---------------------------------------------------------------------------- the command line


def auscult(
    *args: str, data: bytes = b"", shell: str = ""
) -> subprocess.CompletedProcess[bytes]:  # fmt: skip
    command = [sys.executable, "-m", "auscult", *args]
    return subprocess.run(["bash", "-c", shell] if shell else command, input=data,
                          capture_output=True)  # fmt: skip


@pytest.mark.parametrize("args", [("measure", "-"), ("measure", "/dev/stdin"),
                                  ("check", "-", "--text", "It lasts 1 s.")])  # fmt: skip
def test_verbs_read_a_recording_from_standard_input(args: tuple[str, ...]):
    done = auscult(*args, data=coded("FLAC"))
    assert done.returncode == 0 and b"1.00 s" in done.stdout, done.stderr


def test_a_thought_and_traces_may_come_through_pipes(tmp_path):
    (tmp_path / "a.wav").write_bytes(wav())
    (tmp_path / "t.jsonl").write_text(lines({"clips": [str(tmp_path / "a.wav")], "thought": "1 s"}))
    run = f"cd {tmp_path}; {sys.executable} -m auscult check"
    done = auscult(shell=f"{run} <(cat a.wav) <(echo 'It lasts 1.0 s.')")
    assert done.returncode == 0 and b"measured 1.00 s" in done.stdout, done.stderr
    done = auscult(shell=f"{run} <(cat t.jsonl)")
    assert done.returncode == 0 and b"1 traces" in done.stdout, done.stderr


@pytest.mark.parametrize("verb", ["gym list", "measure a.wav --json", "--help"])
def test_a_reader_that_wants_no_more_ends_a_verb_in_silence(verb: str, tmp_path):
    (tmp_path / "a.wav").write_bytes(wav())
    run = f"cd {tmp_path}; {sys.executable} -m auscult {verb} | head -c 1; echo ${{PIPESTATUS[0]}}"
    done = auscult(shell=run)
    assert done.stderr == b"" and done.stdout[1:] in (b"141\n", b"0\n")


def test_a_closed_pipe_ends_with_the_exit_code_of_its_signal():
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([sys.executable, "-m", "auscult", "--help"], stdout=write,
                          stderr=subprocess.PIPE)  # fmt: skip
    os.close(write)
    assert done.returncode == 141 and done.stderr == b""


@pytest.mark.parametrize(
    ("verb", "code", "said"),
    [("suites >&-", 0, b""), ("--help >&-", 0, b""),
     ("measure - <&-", 2, b"standard input is empty"),
     ("measure nothing.wav 2>&-", 2, b"")],
)  # fmt: skip
def test_a_closed_stream_ends_no_verb_in_a_traceback(verb: str, code: int, said: bytes):
    done = auscult(shell=f"{sys.executable} -m auscult {verb}")
    assert done.returncode == code and said in done.stderr and b"Traceback" not in done.stderr


def test_a_list_is_checked_past_recordings_that_cannot_be_heard(capsys, tmp_path):
    (tmp_path / "a.wav").write_bytes(wav())
    (tmp_path / "cut.wav").write_bytes(wav()[:16_000])
    clips = ("a.wav", "cut.wav", "none.wav", "a.wav")
    file = tmp_path / "T.JSONL"  # a list in any case
    file.write_text(lines(*({"clips": [clip], "thought": "It lasts 1.0 s."} for clip in clips)))
    assert main(["check", str(file)]) == 0
    out, err = capsys.readouterr()
    assert "2 traces" in out and "2 of 4 traces were left out" in out
    assert f"{file}, line 2, is left out: {tmp_path / 'cut.wav'} is truncated" in err
    assert f"{file}, line 3, is left out: {tmp_path / 'none.wav'} is not a file" in err
    assert main(["check", str(file), "--damaged", "any"]) == 0
    assert "1 of 4 traces were left out" in capsys.readouterr().out
    file.write_text(lines({"clips": ["none.wav"], "thought": "It lasts 1.0 s."}))
    assert main(["check", str(file)]) == 2
    assert "none of its 1 traces" in capsys.readouterr().err


def test_half_a_character_in_a_thought_is_written_as_a_question_mark(tmp_path):
    pytest.importorskip("duckdb")
    trace = {"key": "k", "thought": "caf\ud800", "claims": 0}
    write(tmp_path, {"traces": [trace]})
    assert query(tmp_path, "SELECT thought FROM traces")[1] == [("caf?",)]


def test_a_warning_is_one_line_and_a_damaged_file_has_a_way_round(capsys, tmp_path):
    file = tmp_path / "cut.wav"
    file.write_bytes(wav()[:-7])
    assert main(["measure", str(file)]) == 0
    out, err = capsys.readouterr()
    assert err.startswith(f"auscult: warning: {file} is truncated") and err.count("\n") == 1
    assert "duration           1.00 s" in out
    assert main(["measure", str(file), "--damaged", "refuse"]) == 2
    assert "read what is there with --damaged any" in capsys.readouterr().err
    file.write_bytes(wav()[:16_000])
    assert main(["measure", str(file)]) == 2
    assert main(["measure", str(file), "--damaged", "any"]) == 0
