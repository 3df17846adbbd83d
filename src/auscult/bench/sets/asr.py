"""Speech recognition: LibriSpeech (word error rate) and AISHELL-1 (character error rate).

Files: the archives of openslr.org (12 and 33) as they unpack. Neither set has a scorer or a prompt
of its own, and three ways to count are in use; all are given, and nothing is dropped: an empty
answer is all deletions, a wild one has all its insertions.

    official       github MoonshotAI/Kimi-Audio-Evalkit ("qwen2-audio-impl"), over the corpus: marks
                   like <|en|> removed; English by Whisper's English, then its basic normaliser;
                   Chinese with digits read out and punctuation removed, a token per character and
                   per Latin word. (That script drops answers of "null"; here they are errors.)
    open_asr       huggingface Open ASR: Whisper's English normaliser alone. (Since 2026 that board
                   also folds names and abbreviations; here it is the plain one.)
    per_utterance  seed-tts-eval: punctuation removed, lower case, no other forgiveness; its mean
                   over utterances is not weighted. `strict` is this one.

Corpus rates: the mean of `official` weighted by `weight`, or the sum of `..._edits` over that of
`..._length`. Whisper's normaliser also maps British to American spelling by a list that
transformers does not ship: it is read from `openai-whisper` or `whisper-normalizer` where one is
installed (their lists are equal). Without it "colour" for "color" is an error; the part `spelling`
says which (1 or 0). Digits are read as Chinese by rules of our own that follow the script's (years
and codes digit by digit, amounts as numbers); telephone numbers may differ.
"""

import json
import re
import string
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path

from auscult.bench.files import MissingData, file_sound, need, unique
from auscult.bench.question import Answer, Mark, Prompt, Question, Suite, Worded
from auscult.files import read_text

AISHELL_TEST = tuple(
    f"S{n:04d}" for n in (*range(764, 771), *range(901, 909), *range(912, 917))
)  # the 20 speakers of the test set


def _lines(file: Path) -> list[tuple[str, str]]:
    """(utterance, words) of a file of lines "ID words ..."."""
    rows = [line.split(maxsplit=1) for line in read_text(file).split("\n")]
    return [(row[0], row[1].strip() if len(row) > 1 else "") for row in rows if row]


def _question(suite: str, name: str, words: str, sound: Path, speaker: str) -> Question:
    return Question(
        key=f"{suite}/{name}",
        sounds=(file_sound(sound),),
        answers=(words,),
        task="transcription",
        cluster=f"speaker {speaker}",
        transcript=words,
    )


def load_librispeech(split: str, folder: Path) -> list[Question]:
    """`<split>/<speaker>/<chapter>/<speaker>-<chapter>.trans.txt` beside FLAC files, below `folder`
    at any depth. Every line must have its recording."""
    places = [folder] if folder.name == split else sorted(folder.glob(f"**/{split}"))
    lists = sorted(file for place in places[:1] for file in place.glob("*/*/*.trans.txt"))
    if not lists:
        raise MissingData(f"{folder} holds no {split}/<speaker>/<chapter>/*.trans.txt")
    suite = f"librispeech_{split.replace('-', '_')}"
    return unique(
        [
            _question(suite, name, words, file.parent / f"{name}.flac", name.split("-")[0])
            for file in lists
            for name, words in _lines(file)
        ],
        folder,
    )


def load_aishell1(folder: Path) -> list[Question]:
    """`transcript/aishell_transcript_v0.8.txt` and `wav/test/<speaker>/*.wav`. The transcript
    covers all splits: the lines of the 20 test speakers are taken, and each must have its recording
    (the inner archives `wav/S0764.tar.gz` ... have to be unpacked)."""
    lists = sorted(folder.glob("**/aishell_transcript_v0.8.txt"))
    if not lists:
        raise MissingData(f"{folder} holds no transcript/aishell_transcript_v0.8.txt")
    test = lists[0].parent.parent / "wav" / "test"
    need(test, "the unpacked archives wav/S0764.tar.gz ... of the test speakers")
    # BAC009S0764W0121: speaker S0764, utterance 121.
    named = [(name, words, name[6:11]) for name, words in _lines(lists[0])]
    return unique(
        [
            _question("aishell1_test", name, words, test / speaker / f"{name}.wav", speaker)
            for name, words, speaker in named
            if speaker in AISHELL_TEST
        ],
        folder,
    )


@cache
def spelling() -> dict[str, str]:
    """British to American spelling, as Whisper has it; {} where no package brings the list."""
    for package in ("whisper", "whisper_normalizer"):
        found = find_spec(package)
        for place in (found.submodule_search_locations or ()) if found else ():
            file = Path(place) / "normalizers" / "english.json"
            if file.exists():
                return json.loads(file.read_text(encoding="utf-8"))
    return {}


@cache
def _whisper() -> tuple[Callable[[str], str], Callable[[str], str]]:
    """Whisper's English and basic normaliser."""
    from transformers.models.whisper.english_normalizer import (
        BasicTextNormalizer,
        EnglishTextNormalizer,
    )

    return EnglishTextNormalizer(spelling()), BasicTextNormalizer()


def _unmarked(said: str) -> str:
    """Without <|marks|>, with single spaces and none before punctuation."""
    said = re.sub(r"\s+", " ", re.sub(r"<\|.*?\|>", " ", said))
    return re.sub(r" ?([!,.?;:])", r"\1", said).lstrip(" ")


_HAN = r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_TOKEN = re.compile(rf"[{_HAN}]|[^\s{_HAN}]+")
_DIGITS = "零一二三四五六七八九"
_AMOUNT = frozenset(
    "元块角毛分万亿千百个条件名位家户层本页只支辆张双对口头片棵斤两年月日天时周秒岁季场座"
)  # what is counted: the number before it is no code
_READ = re.compile(
    r"(?<![0-9])(?P<year>[089][0-9]|(?:19|20)[0-9]{2})(?=年)"
    r"|(?P<over>[0-9]+)/(?P<under>[0-9]+)"
    r"|(?P<share>[0-9]+(?:\.[0-9]+)?)[%％]"
    r"|(?P<plain>[0-9]+(?:\.[0-9]+)?)"
)


def _spelt(digits: str) -> str:
    return "".join(_DIGITS[int(d)] for d in digits)


def _below_ten_thousand(number: int) -> str:
    out, gap = "", False
    for power, unit in ((1000, "千"), (100, "百"), (10, "十"), (1, "")):
        digit = number // power % 10
        if digit:
            out += ("零" if gap and out else "") + _DIGITS[digit] + unit
        gap = not digit
    return out


def cardinal(number: str) -> str:
    """A number read in Chinese: "205" -> "两百零五", "12" -> "十二", "10.5" -> "十点五". Above 16
    digits it is read digit by digit."""
    whole, _, rest = number.partition(".")
    if rest:
        return f"{cardinal(whole)}点{_spelt(rest)}"
    if len(whole) > 16 or not int(whole):
        return _spelt(whole if len(whole) > 16 else "0")
    out = ""
    for power, unit in ((12, "万亿"), (8, "亿"), (4, "万"), (0, "")):
        part = int(whole) // 10**power % 10_000
        if part:
            out += ("零" if out and part < 1000 else "") + _below_ten_thousand(part) + unit
    out = re.sub(r"(?<![十零])二(?=[百千万亿])", "两", out)
    return out[1:] if out.startswith("一十") else out


def read_digits(said: str) -> str:
    """Digits as they are spoken in Chinese: "2016年" -> "二零一六年", "5.5%" -> "百分之五点五"."""

    def read(match: re.Match[str]) -> str:
        if match["year"]:
            return _spelt(match["year"])
        if match["over"]:
            return f"{cardinal(match['under'])}分之{cardinal(match['over'])}"
        if match["share"]:
            return f"百分之{cardinal(match['share'])}"
        plain, after = match["plain"], match.string[match.end() : match.end() + 1]
        code = len(plain) >= 4 and "." not in plain and after not in _AMOUNT
        return _spelt(plain) if code else cardinal(plain)

    return _READ.sub(read, said)


def _no_marks(said: str, keep: str = "", put: str = "") -> str:
    """Without punctuation, Western or Chinese."""
    drop = set(string.punctuation + "＄＋＜＝＞＾｀｜～") - set(keep)
    return "".join(
        put if c in drop or (c not in keep and unicodedata.category(c)[0] == "P") else c
        for c in unicodedata.normalize("NFC", said)
    )


def kimi_english(said: str) -> list[str]:
    """Words of an English text as Kimi-Audio-Evalkit counts them."""
    english, basic = _whisper()
    return [t.lower() for t in _TOKEN.findall(basic(english(_unmarked(said))))]


def kimi_chinese(said: str) -> list[str]:
    """Characters and Latin words of a Chinese text as Kimi-Audio-Evalkit counts them."""
    said = _no_marks(read_digits(re.sub(r"\s+", "", _unmarked(said))), put=" ")
    return [t.lower() for t in _TOKEN.findall(said)]


def open_asr(said: str) -> list[str]:
    """Words after Whisper's English normaliser alone."""
    return _whisper()[0](said).split()


def plain_words(said: str) -> list[str]:
    """Words in lower case without punctuation; apostrophes stay."""
    return _no_marks(said, keep="'").lower().split()


def plain_characters(said: str) -> list[str]:
    """Characters in lower case without punctuation or spaces."""
    return [c for c in _no_marks(said, keep="'").lower() if not c.isspace()]


@dataclass(frozen=True, slots=True, kw_only=True)
class Errors:
    """Errors of one answer. Example: 1 wrong word of 4: Errors(edits=1, length=4)."""

    edits: int
    length: int

    @property
    def rate(self) -> float:
        """Errors per word of the reference; where that is empty, errors."""
        return self.edits / (self.length or 1)


def errors(reference: Sequence[str], said: Sequence[str]) -> Errors:
    """Substitutions, insertions and deletions between two lists of tokens without spaces."""
    try:
        from jiwer import process_words
    except ImportError as error:
        raise ValueError("error rates need jiwer: pip install 'auscult[eval]'") from error
    out = process_words(" ".join(reference), " ".join(said))
    return Errors(edits=out.substitutions + out.insertions + out.deletions, length=len(reference))


def _mark(kimi: Errors, plain: Errors, parts: dict[str, float], said: Sequence[str]) -> Mark:
    return Mark(
        official=kimi.rate,
        strict=plain.rate,
        parsed=bool(said),
        answer=" ".join(said),
        # A reference that is empty once normalised must not hide what was inserted.
        weight=float(kimi.length or bool(kimi.edits)),
        parts={
            "kimi_edits": float(kimi.edits),
            "kimi_length": float(kimi.length),
            "per_utterance": plain.rate,
        }
        | parts,
    )


def mark_words(question: Question, answer: Answer) -> Mark:
    """English: `official` is errors per reference word, which is its weight."""
    reference, said = question.answers[0], answer.text
    words = kimi_english(said)
    board = errors(open_asr(reference), open_asr(said))
    parts = {
        "open_asr_edits": float(board.edits),
        "open_asr_length": float(board.length),
        "spelling": float(bool(spelling())),
    }
    plain = errors(plain_words(reference), plain_words(said))
    return _mark(errors(kimi_english(reference), words), plain, parts, words)


def mark_characters(question: Question, answer: Answer) -> Mark:
    """Chinese: `official` is errors per reference character, which is its weight. `strict` does
    not read digits out: "5" for "五" is an error."""
    reference, said = question.answers[0], answer.text
    characters = kimi_chinese(said)
    plain = errors(plain_characters(reference), plain_characters(said))
    return _mark(errors(kimi_chinese(reference), characters), plain, {}, characters)


ENGLISH = Prompt(
    word=lambda _: Worded(before="Please transcribe the spoken content into written text.")
)
CHINESE = Prompt(word=lambda _: Worded(before="请把这段语音转录成文本。"))
"""Kimi-Audio-Evalkit's (`data/download_benchmark.py`), before the sound as in its client."""


def _librispeech(split: str) -> Suite:
    where = f"https://www.openslr.org/resources/12/{split}.tar.gz"
    return Suite(
        name=f"librispeech_{split.replace('-', '_')}",
        about=f"English speech recognition, audiobooks, {split}",
        source="LibriSpeech, ICASSP 2015; openslr.org/12, CC BY 4.0",
        fetch=f"mkdir -p DATA && curl -fL {where} | tar -xz -C DATA",
        load=partial(load_librispeech, split),
        prompts={"kimi": ENGLISH},
        mark=mark_words,
        unit="error rate",
        better="lower",
    )


AISHELL1 = Suite(
    name="aishell1_test",
    about="Chinese speech recognition, read sentences, 20 speakers",
    source="arXiv 1709.05522; openslr.org/33, Apache-2.0",
    fetch="mkdir -p DATA && "
    "curl -fL https://www.openslr.org/resources/33/data_aishell.tgz | tar -xz -C DATA && "
    'for t in DATA/data_aishell/wav/*.tar.gz; do tar -xzf "$t" -C DATA/data_aishell/wav; done',
    load=load_aishell1,
    prompts={"kimi": CHINESE},
    mark=mark_characters,
    unit="error rate",
    better="lower",
)

SUITES_HERE: tuple[Suite, ...] = (
    *(_librispeech(split) for split in ("test-clean", "test-other", "dev-clean", "dev-other")),
    AISHELL1,
)
