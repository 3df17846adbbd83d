"""StepFun's own benchmarks: published forms, wordings to the letter, judges' replies."""

import hashlib
import json
import math
from dataclasses import replace

import fixture_step
import numpy as np
import pytest
from fixture_step import ALL, HASHES, LENGTHS, SUITES, asked, judged, same, verdict
from hypothesis import given
from hypothesis import strategies as st

from auscult.bench.files import MissingData
from auscult.bench.question import Question
from auscult.bench.sets import step_eval_360, step_paralinguistic, step_r15


@pytest.fixture(scope="module")
def questions(tmp_path_factory) -> dict[str, list[Question]]:
    """Every suite's fixture, loaded."""
    root = tmp_path_factory.mktemp("step")
    found = {}
    for name, write in fixture_step.FIXTURES.items():
        write(root / name)
        found[name] = SUITES[name].load(root / name)
    return found


@pytest.mark.parametrize("name", list(SUITES))
def test_every_suite_reads_its_recordings_and_has_unlike_keys(questions, name):
    assert set(fixture_step.FIXTURES) == set(SUITES)
    for question in questions[name]:
        assert question.key.startswith(f"{name}/")
        assert len(question.sounds[0].read()) > 1000


@pytest.mark.parametrize("name", list(SUITES))
def test_an_empty_folder_is_an_error_that_says_what_was_expected(tmp_path, name):
    with pytest.raises(MissingData, match="holds n"):
        SUITES[name].load(tmp_path)


@pytest.mark.parametrize("name", list(SUITES))
def test_a_missing_recording_is_an_error_that_names_it(tmp_path, name):
    fixture_step.FIXTURES[name](tmp_path / "data")
    sound = sorted(f for f in tmp_path.rglob("*") if f.suffix in (".wav", ".mp3"))[0]
    sound.unlink()
    with pytest.raises(MissingData, match=f"{sound.name} is missing"):
        SUITES[name].load(tmp_path / "data")


# StepEval-Audio-Paralinguistic


def test_both_published_forms_give_the_same_paralinguistic_questions(questions, tmp_path):
    fixture_step.paralinguistic_hub(tmp_path / "hub")
    hub = step_paralinguistic.load(tmp_path / "hub")
    for a, b in zip(questions["step_paralinguistic"], hub, strict=True):
        assert (a.key, a.answers, a.task, a.groups, a.cluster) == (
            b.key, b.answers, b.task, b.groups, b.cluster,
        )  # fmt: skip
        np.testing.assert_array_equal(a.sounds[0].read(), b.sounds[0].read())


def test_recordings_without_a_name_are_no_cluster_across_subsets(tmp_path):
    fixture_step.paralinguistic_hub(tmp_path / "hub", named=False)
    hub = step_paralinguistic.load(tmp_path / "hub")
    assert len({q.cluster for q in hub}) == len(hub)


def test_clips_of_one_recording_share_a_cluster(questions):
    age, event, gender, scene, speed = questions["step_paralinguistic"]
    assert age.cluster == gender.cluster == "lsWT"
    assert (event.cluster, scene.cluster, speed.cluster) == ("mixed_k1_0", "A0002CO0005", "GKw-48K")


def test_the_judge_s_wordings_are_those_of_the_sources():
    judges = step_paralinguistic.JUDGES
    assert {s: hashlib.sha256(w.encode()).hexdigest()[:12] for s, w in judges.items()} == HASHES
    assert {s: len(w) for s, w in step_paralinguistic.JUDGES_R15.items()} == LENGTHS
    assert set(step_paralinguistic.SUBSETS) | {"default"} == set(HASHES)


def test_nothing_is_asked_in_writing_and_lmms_eval_knows_six_subsets_of_eleven(questions):
    prompts = SUITES["step_paralinguistic"].prompts
    assert next(iter(prompts)) == "official"
    age, event, _, scene, _ = questions["step_paralinguistic"]
    assert prompts["official"].word(age).after == prompts["official"].word(age).before == ""
    written = [prompts["lmms-eval"].word(q).after for q in (age, event, scene)]
    assert written[0] == "请根据音频中说话人的声音特征，判断说话人的年龄范围。"
    assert written[1:] == ["请分析这段音频。"] * 2


def test_the_paralinguistic_judge_sees_the_reference_first(questions):
    (plea,) = asked("step_paralinguistic", questions["step_paralinguistic"][2], "一位{text1}女士")
    assert "文本1: 是女生。\n文本2: 一位{text1}女士\n" in plea.user
    assert (plea.system, plea.temperature) == ("你是一个专业的文本评估助手", 0.0)


@pytest.mark.parametrize(
    ("said", "reply", "official", "strict", "parsed"),
    [
        ("女的", None, 0.0, 0.0, False),  # a request that failed counts as a no
        ("女的", "yes", 1.0, 1.0, True),
        ("女的", " YES\n", 1.0, 1.0, True),
        ("女的", '"yes"', 0.0, 1.0, True),  # officially only the bare word counts
        ("女的", "yes.", 0.0, 1.0, True),
        ("男的", "no", 0.0, 0.0, True),
        ("女的", "是", 0.0, 0.0, False),
        ("", "yes", 1.0, 0.0, False),  # officially an empty answer is judged like any other
    ],
)
def test_paralinguistic_marks(questions, said, reply, official, strict, parsed):
    replies = () if reply is None else (reply,)
    mark = judged("step_paralinguistic", questions["step_paralinguistic"][2], said, *replies)
    assert (mark.official, mark.strict, mark.parsed) == (official, strict, parsed)


# step_spqa


def test_spqa_puts_the_spoken_question_where_the_recording_has_it(questions):
    first, second = questions["step_spqa"][:2]
    assert first.transcript == "内容0。\n问题0？" and second.transcript == "问题1？\n内容1。"
    prompts = SUITES["step_spqa"].prompts
    assert prompts["official"].word(first).after == ""
    assert prompts["text-assisted"].word(first).after == "问题0？"


@pytest.mark.parametrize("said", ["女性", "是 女生", " 「女性」！"])
def test_spqa_takes_the_reference_or_the_label_without_a_judge(questions, said):
    gender = questions["step_spqa"][2]
    assert asked("step_spqa", gender, said) == []
    assert judged("step_spqa", gender, said).strict == 1.0


@pytest.mark.parametrize(
    ("said", "replies", "official", "parsed"),
    [
        ("一位女士", ("YES",), 1.0, True),
        ("一位女士", ("yes。",), 1.0, True),
        ("一位男士", ("NO",), 0.0, True),
        ("一位女士", ("也许",), 0.0, False),
        ("一位女士", (), 0.0, False),
        ("", ("NO",), 0.0, False),
    ],
)
def test_spqa_marks(questions, said, replies, official, parsed):
    mark = judged("step_spqa", questions["step_spqa"][2], said, *replies)
    assert (mark.official, mark.strict, mark.parsed) == (official, official, parsed)


def test_spqa_asks_with_the_wording_of_the_task(questions):
    (plea,) = asked("step_spqa", questions["step_spqa"][4], "很快")
    assert plea.user.startswith("请判断下面两段文本中描述的语速是否相同或相邻。")
    assert "标准答案：我觉得是中快速。\n模型回答：很快\n\n只回答大写的 YES 或 NO" in plea.user


def test_an_answer_of_marks_alone_is_no_exact_match(questions):
    unlabelled = replace(questions["step_spqa"][2], answers=("是女生。", ""))
    assert len(asked("step_spqa", unlabelled, "。。")) == 1


# step_caption and step_dialogue_understanding


def test_the_wordings_of_r15_have_the_published_lengths():
    assert [len(w) for w in (step_r15.CAPTION_ASK, step_r15.CAPTION_SYSTEM, step_r15.CAPTION_USER)]\
        == [660, 641, 1738]  # fmt: skip
    assert (len(step_r15.DU_SYSTEM), len(step_r15.DU_USER)) == (57, 566)


@pytest.mark.parametrize("name", ["step_caption", "step_spqa", "step_dialogue_understanding"])
def test_wordings_stand_in_where_the_folder_has_none(questions, tmp_path, name):
    fixture_step.FIXTURES[name](tmp_path)
    for file in tmp_path.rglob("prompts/**/*.*"):
        file.unlink()
    again = SUITES[name].load(tmp_path)
    assert [(q.text, q.extra) for q in again] == [(q.text, q.extra) for q in questions[name]]


def test_wordings_are_read_from_the_set_s_own_folder(tmp_path):
    for name, file in (
        ("step_caption", "model_user_prompt.txt"),
        ("step_dialogue_understanding", "model_user_prompt_template.txt"),
        ("step_spqa", "judge_prompts/age.txt"),
    ):
        fixture_step.FIXTURES[name](tmp_path / name)
        (prompt,) = (tmp_path / name).rglob(f"prompts/{file}")
        prompt.write_text("新的 {question}", encoding="utf-8")
    caption = step_r15.load_caption(tmp_path / "step_caption")[0]
    assert SUITES["step_caption"].prompts["official"].word(caption).after == "新的 {question}"
    du = step_r15.load_dialogue(tmp_path / "step_dialogue_understanding")[1]
    assert du.text == "新的 请你分析音频中说话人的语速是快还是慢"
    assert step_r15.load_spqa(tmp_path / "step_spqa")[0].extra["judge"] == "新的 {question}"


def test_a_set_is_found_by_itself_and_among_the_others(questions, tmp_path):
    fixture_step.caption(tmp_path)
    fixture_step.dialogue(tmp_path)
    alone = tmp_path / "benchmarks" / "Step-Audio-R1.5" / "step_caption"
    for place in (alone, alone.parent, tmp_path):
        found = step_r15.load_caption(place)
        assert [q.key for q in found] == [q.key for q in questions["step_caption"]]


def test_the_caption_judge_sees_every_label_and_the_whole_form(questions):
    pair = questions["step_caption"][2]
    (plea,) = asked("step_caption", pair, "两位{speakers_str}")
    assert "真实情况：多人（speakers数组有2个说话人）" in plea.user
    assert "模型的回复：\n两位{speakers_str}\n" in plea.user
    assert "说话人2：\n- language: 中文\n- gender: 无法判断\n" in plea.user
    assert '        "language": {"score": 0.0, "reason": ""},\n        "gender"' in plea.user
    assert '        "formality_level": {"score": 0.0, "reason": ""}\n      },\n' in plea.user
    assert plea.system == step_r15.CAPTION_SYSTEM
    assert (
        "单人（speakers数组有1个" in asked("step_caption", questions["step_caption"][0], "")[0].user
    )


@pytest.mark.parametrize(
    ("clip", "reply", "official", "strict"),
    [
        (1, verdict(True, 0.8, ALL), 0.8, 1.0),
        (1, verdict(True, 0.8, ALL | {"gender": 0.0}), 0.8, 14 / 15),
        # The accent of this clip cannot be told: 14 labels count.
        (0, verdict(True, 0.5, ALL | {"dialect_or_accent": 0.0, "pitch": 0.3}), 0.5, 13.3 / 14),
        (1, verdict(False, 0.7, ALL), 0.0, 0.0),
        # Two speakers, the second not judged: half.
        (2, verdict(True, 0.9, ALL), 0.9, 0.5),
        (2, verdict(True, 1, ALL, {"language": 1.0}), 1.0, (1 + 1 / 13) / 2),
        (1, "```json\n" + verdict(True, 0.25, ALL) + "\n```", 0.25, 1.0),
        (1, verdict(True, 80, ALL), math.nan, 1.0),
        (1, verdict(True, True, ALL | {"gender": 7.0}), math.nan, 14 / 15),
    ],
)
def test_caption_marks(questions, clip, reply, official, strict):
    mark = judged("step_caption", questions["step_caption"][clip], "一位男士。", reply)
    assert same(mark.official, official) and mark.strict == pytest.approx(strict)
    assert mark.parsed


def test_a_caption_s_parts_are_its_labels(questions):
    reply = verdict(True, 0.9, ALL | {"gender": 0.5}, ALL)
    parts = judged("step_caption", questions["step_caption"][2], "两位。", reply).parts
    # The second speaker's sex cannot be told, so only the first counts.
    assert parts["gender"] == 0.5 and parts["pitch"] == 1.0 and parts["speaker count"] == 1.0


@pytest.mark.parametrize("name", ["step_caption", "step_dialogue_understanding", "step_eval_360"])
@pytest.mark.parametrize("replies", [(), ("",), ("好的",), ("{",), ("[1]",), ('{"score": "1"}',)])
def test_a_judge_that_cannot_be_read_is_left_out_officially_and_wrong_strictly(
    questions, name, replies
):
    mark = judged(name, questions[name][0], "青年男性", *replies)
    assert math.isnan(mark.official) and (mark.strict, mark.parsed) == (0.0, False)


def test_dialogue_understanding_keeps_references_as_they_are(questions):
    speed = questions["step_dialogue_understanding"][1]
    assert speed.answers == ("快速 ",) and speed.key == "step_dialogue_understanding/2"
    (plea,) = asked("step_dialogue_understanding", speed, "很快")
    assert plea.user.startswith(
        "请评估下面这个音频理解任务中的模型回答得分。\n\n任务维度：语速理解\n"
        "问题：请你分析音频中说话人的语速是快还是慢\n标准标签：快速 \n模型回答：很快\n"
    )
    assert plea.user.endswith('  "reason": "..."\n}\n') and plea.system == step_r15.DU_SYSTEM


@pytest.mark.parametrize(
    ("said", "reply", "official", "strict"),
    [
        ("青年男性", '{"score": 1.0, "reason": "命中"}', 1.0, 1.0),
        ("青年", '结果：{"score": 0.5}', 0.5, 0.5),
        ("老年", '{"score": 0}', 0.0, 0.0),
        ("青年男性", '{"score": 1.5}', math.nan, 0.0),
        ("青年男性", '{"score": true}', math.nan, 0.0),
        (" ", '{"score": 1.0}', 1.0, 0.0),
    ],
)
def test_dialogue_understanding_marks(questions, said, reply, official, strict):
    question = questions["step_dialogue_understanding"][0]
    mark = judged("step_dialogue_understanding", question, said, reply)
    assert same(mark.official, official) and mark.strict == strict


# StepEval-Audio-360


def test_the_user_s_last_turn_is_the_question_and_the_rest_its_history(questions):
    role = questions["step_eval_360"][0]
    assert [turn.role for turn in role.history] == ["human", "assistant"]
    assert role.history[0].text == "" and len(role.history[0].sounds[0].read()) > 1000
    assert role.history[1].text == "好的，同学们好。" and role.history[1].sounds == ()
    assert (role.transcript, role.text, role.task) == ("今天讲什么？", "", "Role-playing")
    assert questions["step_eval_360"][1].history == ()


@pytest.mark.parametrize("write", [fixture_step.eval_360_lines, fixture_step.eval_360_rows])
def test_other_forms_give_the_same_dialogues(questions, tmp_path, write):
    write(tmp_path)
    for a, b in zip(questions["step_eval_360"], step_eval_360.load(tmp_path), strict=True):
        assert (a.key, a.task, a.transcript, a.extra) == (b.key, b.task, b.transcript, b.extra)
        assert [(t.role, t.text, len(t.sounds)) for t in a.history] == [
            (t.role, t.text, len(t.sounds)) for t in b.history
        ]


def test_what_the_assistant_says_last_is_a_reference_and_parts_are_read(tmp_path):
    row = {"id": 1, "messages": [
        {"role": "system", "content": "你是老师。"},
        {"role": "user", "content": [{"type": "text", "text": "你好"}]},
        {"role": "assistant", "content": "同学好。"},
    ]}  # fmt: skip
    (tmp_path / "x.jsonl").write_text(json.dumps(row), encoding="utf-8")
    (question,) = step_eval_360.load(tmp_path)
    assert (question.text, question.answers) == ("你好", ("同学好。",))
    assert question.history[0].role == "system" and question.sounds == ()
    assert SUITES["step_eval_360"].prompts["auscult"].word(question).after == "你好"


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ({"id": 1, "speech": "a"}, "a turn has the columns id, speech; expected words under"),
        ({"id": 1, "role": "narrator", "text": "a"}, "unknown role"),
        ({"id": 1, "role": "assistant", "text": "a"}, "dialogue 1 has no turn of the user"),
        ({"id": 1, "turns": ["a"]}, "expected a list of turns"),
    ],
)
def test_an_unknown_form_is_an_error_that_says_what_is_read(tmp_path, row, complaint):
    (tmp_path / "x.jsonl").write_text(json.dumps(row), encoding="utf-8")
    with pytest.raises(ValueError, match=complaint):
        step_eval_360.load(tmp_path)


def test_recordings_still_packed_are_an_error_that_says_so(tmp_path):
    row = {"id": 1, "text": "a", "audio": "audios/a.wav"}
    (tmp_path / "x.jsonl").write_text(json.dumps(row), encoding="utf-8")
    with pytest.raises(MissingData, match=r"unpack audios\.tar\.gz"):
        step_eval_360.load(tmp_path)


def test_the_judge_of_dialogues_sees_the_whole_dialogue(questions):
    (plea,) = asked("step_eval_360", questions["step_eval_360"][0], "讲{kind}数学。")
    assert (
        "Ability under test: Role-playing\n\nDialogue:\nhuman: 你好，请扮演一位老师。\n"
        "assistant: 好的，同学们好。\nhuman: 今天讲什么？\n\nReply to judge:\n讲{kind}数学。\n"
    ) in plea.user
    assert '{"factuality": true, "relevance": true, "chat": 4' in plea.user


def test_dialogue_marks_have_the_chat_score_and_two_verdicts(questions):
    reply = '{"factuality": true, "relevance": false, "chat": 3, "why": "短"}'
    mark = judged("step_eval_360", questions["step_eval_360"][0], "数学。", reply)
    assert (mark.official, mark.strict, mark.why) == (3.0, 3.0, "短")
    assert mark.parts == {"factuality": 1.0, "relevance": 0.0}
    assert not judged("step_eval_360", questions["step_eval_360"][0], "x", '{"chat": 3}').parsed


# What any judge may reply


@given(reply=st.text(), said=st.text(max_size=20))
def test_no_reply_of_a_judge_stops_a_run(questions, reply, said):
    for name, suite in SUITES.items():
        mark = judged(name, questions[name][0], said, reply, reply[::-1])
        top = 5.0 if suite.unit == "points of 5" else 1.0
        assert 0.0 <= mark.strict <= top
        assert math.isnan(mark.official) or 0.0 <= mark.official <= top
        assert mark.strict == 0.0 or mark.parsed


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["speakers", "field_scores", "score", "gender", "speaker_index"]), inner
        )
    ),
)


@given(cells=JSON, overall=JSON)
def test_no_shape_of_a_caption_s_scores_stops_a_run(questions, cells, overall):
    reply = json.dumps(
        {"multi_speaker_judgment_correct": True, "overall_score": overall, "speakers": cells}
    )
    mark = judged("step_caption", questions["step_caption"][2], "两位", reply)
    assert 0.0 <= mark.strict <= 1.0 and mark.parsed


@given(st.text(), st.text())
def test_filling_replaces_names_once_and_leaves_other_braces(a, b):
    filled = step_eval_360.fill('{x}{"k": {y}}{z}', x=a, y=b)
    assert filled == f'{a}{{"k": {b}}}{{z}}'
