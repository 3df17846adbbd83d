"""Special tokens: the published ids, and the nano model's own small tokenizer.

Nano's tokenizer is a byte-level BPE with Qwen2's splitting rule, so `<think>` and `</think>` are
ordinary text in it, as they are in Step-Audio-R1, and any Unicode question can be written.
"""

from collections.abc import Iterable, Sequence

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from auscult.model.templates import LOCAL

EOT, BOT = "<|EOT|>", "<|BOT|>"
AUDIO_START, AUDIO_END, AUDIO_PATCH = "<audio_start>", "<audio_end>", "<audio_patch>"

PUBLISHED_IDS = {
    EOT: 151665,
    BOT: 151666,
    AUDIO_START: 151688,
    AUDIO_END: 151689,
    AUDIO_PATCH: 151690,
    "<tts_start>": 151693,
    "<tts_end>": 151694,
    "<tts_pad>": 151695,
    "<audio_0>": 151696,
}
"""Where the released checkpoints keep the tokens that the code relies on."""

NANO_SPECIALS = (EOT, BOT, AUDIO_START, AUDIO_END, AUDIO_PATCH, "<pad>")

_QWEN2_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def train_nano_tokenizer(
    texts: Iterable[str], vocab_size: int, whole: Sequence[str] = ()
) -> PreTrainedTokenizerFast:
    """A byte-level BPE of at most `vocab_size` tokens, specials included. Deterministic.

    `whole`: words that are one token each, with and without a space before them, though the
    splitting rule would part them ("F#4").
    """
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.Sequence(  # pyright: ignore[reportAttributeAccessIssue]
        [
            pre_tokenizers.Split(Regex(_QWEN2_SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    core.decoder = decoders.ByteLevel()  # pyright: ignore[reportAttributeAccessIssue]
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - 2 * len(whole),
        special_tokens=list(NANO_SPECIALS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    core.train_from_iterator(texts, trainer)
    core.add_tokens([AddedToken(f" {word}", normalized=False) for word in whole])
    core.add_tokens([AddedToken(word, single_word=True, normalized=False) for word in whole])
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        eos_token=EOT,
        pad_token="<pad>",
        additional_special_tokens=[BOT, AUDIO_START, AUDIO_END, AUDIO_PATCH],
        chat_template=LOCAL,
        clean_up_tokenization_spaces=False,
    )
