"""The verifier as a tool: commands, page, tables, an endpoint that extracts, the entropy gap."""

import html as html_module
import http.server
import json
import re
import threading

import numpy as np
import pytest
import torch
from conftest import tiny_config

from auscult import gym
from auscult.audio.io import write_audio
from auscult.cli import main
from auscult.gym.render import chain, question_turns
from auscult.model import StepAudio2ForCausalLM
from auscult.types import Turn
from auscult.verify.lab.entropy import entropy, entropy_gap, mapo_weights
from auscult.verify.read.endpoint import extract_by_endpoint, parse_reply
from auscult.verify.read.extract import extract
from auscult.verify.show.page import marked
from auscult.verify.store import TABLES, query, read_traces
from auscult.verify.verify import listen, verify


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three clips, a thought about the first, and a JSONL of traces about all."""
    place = tmp_path_factory.mktemp("traces")
    lines = []
    for i in range(3):
        item = gym.make("event_order", 80_000 + i)
        write_audio(place / f"{i}.wav", item.clips[0])
        lines.append(
            {"key": item.key, "clips": [f"{i}.wav"], "thought": chain(item), "group": "order",
             "features": list(item.features), "answer": item.answer}
        )  # fmt: skip
    (place / "traces.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (place / "thought.txt").write_text(lines[0]["thought"] + " There are nine barks.")
    return place


def run(capsys, *args: object) -> tuple[int, str, str]:
    code = main([str(a) for a in args])
    out, err = capsys.readouterr()
    return code, out, err


def test_check_marks_every_claim_and_draws(folder, capsys):
    png, html = folder / "p.png", folder / "p.html"
    code, out, _ = run(
        capsys, "check", folder / "0.wav", folder / "thought.txt", "--plot", png, "--html", html
    )
    assert code == 0 and "[- nine barks]" in out and "[+ " in out and "NOT grounded" in out
    assert png.read_bytes().startswith(b"\x89PNG")
    page = html.read_text()
    assert "<audio" in page and "data:audio/wav;base64," in page and "<mark" in page
    assert "http://" not in page and "https://" not in page  # nothing is loaded from anywhere


def test_check_prints_json(folder, capsys):
    code, out, _ = run(capsys, "check", folder / "0.wav", "--text", "I hear rain.", "--json")
    record = json.loads(out)
    assert code == 0 and record["findings"][0]["verdict"] == "contradicted"
    assert record["scores"]["lift"] is None


def test_a_page_escapes_what_the_thought_says(folder, capsys):
    html = folder / "x.html"
    run(
        capsys,
        "check",
        folder / "0.wav",
        "--text",
        "<script>alert(1)</script> a bell.",
        "--html",
        html,
    )
    assert "<script>alert(1)" not in html.read_text()


def test_traces_become_tables_that_sql_reads(folder, capsys):
    code, out, _ = run(capsys, "check", folder / "traces.jsonl", "--out", folder / "tables")
    assert code == 0 and "3 traces" in out
    names, rows = query(folder / "tables", "SELECT count(*) AS n FROM traces WHERE precision = 1")
    assert names == ["n"] and rows == [(3,)]
    for table, columns in TABLES.items():
        assert query(folder / "tables", f"SELECT * FROM {table} LIMIT 1")[0] == list(columns)
    code, out, _ = run(
        capsys, "traces", "SELECT verdict, count(*) n FROM claims GROUP BY ALL",
        "--data", folder / "tables",
    )  # fmt: skip
    assert code == 0 and "supported" in out


def test_a_folder_with_a_quotation_mark_is_no_sql(folder, capsys):
    place = folder / "it's"
    code, _, _ = run(capsys, "check", folder / "traces.jsonl", "--out", place)
    assert code == 0 and query(place, "SELECT count(*) FROM traces")[1] == [(3,)]


def test_wrong_traces_and_wrong_sql_get_a_plain_error(folder, tmp_path, capsys):
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"clips": ["a.wav"], "thought": "x"}\n{"clips": []}\n')
    with pytest.raises(ValueError, match=r"bad.jsonl, line 2: expected a JSON object with 'clips'"):
        read_traces(bad)
    run(capsys, "check", folder / "traces.jsonl", "--out", folder / "tables2")
    code, _, err = run(capsys, "traces", "SELECT colour FROM claims", "--data", folder / "tables2")
    assert code == 2 and "tables: traces(key" in err
    code, _, err = run(capsys, "traces", "SELECT 1", "--data", tmp_path)
    assert code == 2 and "auscult check traces.jsonl --out" in err
    code, _, err = run(capsys, "check", folder / "traces.jsonl", "--html", tmp_path / "x.html")
    assert code == 2 and "takes --out and --damaged only" in err
    code, _, err = run(capsys, "check", folder / "0.wav", tmp_path / "none.txt")
    assert code == 2 and "none.txt is not a file" in err
    code, _, err = run(capsys, "check", folder / "0.wav")
    assert code == 2 and "expected a text file with the thought" in err


def test_measure_prints_all_and_says_what_it_refuses(folder, capsys):
    code, out, _ = run(capsys, "measure", folder / "0.wav")
    assert code == 0 and "duration" in out and "(no voice)" in out and "of known sounds" in out
    code, out, _ = run(capsys, "measure", folder / "0.wav", "--json", "--span", 0, 0.5)
    assert code == 0 and json.loads(out)["measured"][0]["value"] == pytest.approx(0.5)


# ------------------------------------------------------------------------------ endpoint


class _Scripted(http.server.BaseHTTPRequestHandler):
    """Fails once, then replies with claims, one of them made up."""

    calls = 0

    def do_POST(self) -> None:
        type(self).calls += 1
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if type(self).calls == 1:
            self.send_error(429)
            return
        assert body["temperature"] == 0 and "JSON array" in body["messages"][0]["content"]
        claims = [
            {
                "kind": "count",
                "attribute": "count",
                "subject": "bell",
                "value": 2,
                "quote": "two bells",
            },
            {
                "kind": "count",
                "attribute": "count",
                "subject": "bark",
                "value": 9,
                "quote": "nine barks",
            },
            {"kind": "colour", "attribute": "red", "value": 1, "quote": "two bells"},
            "rubbish",
        ]
        text = "Here you are: " + json.dumps(claims)
        reply = json.dumps({"choices": [{"message": {"content": text}}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_an_endpoint_extracts_into_the_same_records_and_is_not_trusted():
    _Scripted.calls = 0
    server = http.server.HTTPServer(("127.0.0.1", 0), _Scripted)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/v1"
        claims = extract_by_endpoint("I hear two bells.", url=url, model="m")
    finally:
        server.shutdown()
    (claim,) = claims  # the made-up quotation, the unknown kind and the rubbish are left out
    assert (claim.kind, claim.value, claim.about.subject) == ("count", 2.0, "bell")
    assert (claim.start, claim.end) == (7, 16)


def test_an_endpoint_that_does_not_answer_says_so():
    with pytest.raises(ValueError, match=r"no claims from http://127\.0\.0\.1:9/v1 in 1 attempts"):
        extract_by_endpoint("x", url="http://127.0.0.1:9/v1", model="m", attempts=1)
    with pytest.raises(ValueError, match="asked for a JSON array"):
        parse_reply("I hear nothing.", "x")


# ------------------------------------------------------------------------------ entropy gap


def test_entropy_is_that_of_the_definition():
    logits = torch.randn(4, 7, generator=torch.Generator().manual_seed(0))
    p = logits.softmax(-1)
    torch.testing.assert_close(entropy(logits), -(p * p.log()).sum(-1))
    assert entropy(torch.zeros(1, 8)).item() == pytest.approx(np.log(8))


def test_token_weights_are_capped_and_follow_the_gap():
    weights = mapo_weights(torch.tensor([0.0, 0.0, 0.0, 40.0] + [0.0] * 12))
    assert weights[3] == 5.0 and weights[0] < 1
    torch.testing.assert_close(mapo_weights(torch.zeros(6)), torch.ones(6))


def test_the_gap_hears_the_clip_and_needs_one(tokenizer, processor):
    torch.manual_seed(0)
    model = StepAudio2ForCausalLM(tiny_config(tokenizer)).eval()
    item = gym.make("name_note", 1)
    gap = entropy_gap(model, processor, question_turns(item), "I hear C4.")
    assert len(gap.gap) == len(gap.tokens) == len(gap.weights) > 0
    assert "".join(gap.tokens) == "I hear C4." and any(abs(g) > 0 for g in gap.gap)
    with pytest.raises(ValueError, match="at least one clip"):
        entropy_gap(model, processor, [Turn(role="human", text="hi")], "x")


@pytest.mark.parametrize(
    "text",
    ["recordinga comes, the third note is higher", "fileone is louder", "clip#A is the loudest",
     "clip no.B is louder than clip no. A", "take#two is higher than take2"],
)  # fmt: skip
def test_labels_of_clips_that_are_glued_to_other_words_break_nothing(text: str):
    for claim in extract(text):
        assert claim.about.clip in (None, 1, 2)


def test_the_page_shows_every_word_of_the_thought_in_order():
    """Between, before and behind its claims, of which two overlap."""
    thought = "Well, <I> hear two notes & then a dog barks; so it goes on, louder and louder. Done."
    ears = listen([np.zeros(16000, np.float32)])
    findings = [verify(claim, ears) for claim in extract(thought)]
    assert findings and findings[0].claim.start > 0
    shown = re.sub(r"<sup>.*?</sup>", "", marked(thought, [*findings, findings[0]]))
    assert html_module.unescape(re.sub(r"<[^>]+>", "", shown)) == thought
