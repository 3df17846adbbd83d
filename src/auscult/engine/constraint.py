"""What an answer may look like: one of some options, or JSON of a schema.

Options are a trie of tokens. Schemas are compiled by `llguidance` (extra `schema`), which refuses
what it does not support instead of ignoring it. Only the answer is held to its form; the thought
before it is free.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from transformers import PreTrainedTokenizerBase

from auscult.engine.sampling import is_list, is_text
from auscult.model.processor import plain_ids

Trie = dict[int, Any]
"""Tokens that may come next, each with the trie of what follows it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """One of `options`, or JSON that fits `schema` (a JSON text); exactly one is given.

    Examples: Form(options=("higher", "lower")); Form(schema='{"type": "integer"}').
    """

    options: tuple[str, ...] = ()
    schema: str = ""

    def __post_init__(self) -> None:
        if bool(self.options) == bool(self.schema):
            raise ValueError(
                "a form takes either options or a JSON schema; got "
                f"{'both' if self.schema else 'neither'}"
            )
        if not is_list(self.options) or not all(is_text(o) for o in self.options):
            raise ValueError(f"options must be a tuple of texts; got {self.options!r}")
        if not all(option and option == option.strip() for option in self.options):
            raise ValueError(
                "an option must hold at least one letter and neither begin nor end with white "
                f"space; got {self.options}"
            )


@runtime_checkable
class Progress(Protocol):
    """An answer in a form, as far as it is written."""

    def allowed(self) -> np.ndarray:
        """Ids that may come next; an end-of-turn token where the answer is complete."""
        ...

    def take(self, token: int) -> None:
        """One of the allowed tokens was chosen."""
        ...


class Forms:
    """Forms for one tokenizer; schemas are compiled once."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, size: int, ends: Iterable[int]) -> None:
        """size: of the vocabulary, padding rows included; ends: tokens that end a reply."""
        self.tokenizer, self.size, self.ends = tokenizer, size, sorted(ends)
        self.schemas: dict[str, tuple[Any, str]] = {}  # by text: tokenizer and grammar
        self._guide: Any = None

    def begin(self, form: Form) -> Progress:
        """An answer that is still empty. Raises `ValueError` for a form that cannot be kept."""
        if form.options:
            return _OneOf(self._trie(form.options), self.ends)
        guide, grammar = self._compiled(form.schema)
        return _Guided(guide, grammar, self.size)

    def _trie(self, options: Iterable[str]) -> Trie:
        root: Trie = {}
        for option in options:
            at = root
            for token in plain_ids(self.tokenizer, option):
                at = at.setdefault(token, {})
            at |= {end: {} for end in self.ends}
        return root

    def _compiled(self, schema: str) -> tuple[Any, str]:
        if schema in self.schemas:
            return self.schemas[schema]
        try:
            import llguidance
            import llguidance.hf
        except ImportError as error:
            raise ValueError(
                "answers in a JSON schema need the extra 'schema': pip install 'auscult[schema]'"
            ) from error
        if self._guide is None:
            tokenizer: Any = self.tokenizer
            self._guide = llguidance.hf.from_tokenizer(tokenizer, self.size, list(self.ends))
        try:
            wanted = json.loads(schema)
        except ValueError as error:
            raise ValueError(f"the schema is not JSON: {error}; got {schema[:80]!r}") from error
        if not isinstance(wanted, dict):
            raise ValueError(f"a JSON schema is an object; got {schema[:80]!r}")
        # Free white space would let a model write nothing else for ever.
        grammar = llguidance.LLMatcher.grammar_from_json_schema(
            wanted, overrides={"whitespace_flexible": False}
        )
        bad, why = llguidance.LLMatcher.validate_grammar_with_warnings(grammar, self._guide)
        if bad or why:
            raise ValueError(f"the schema cannot be kept: {'; '.join(why)}")
        if len(self.schemas) >= 256:
            self.schemas.clear()
        self.schemas[schema] = self._guide, grammar
        return self.schemas[schema]


class _OneOf:
    """A place in the trie of options."""

    def __init__(self, root: Trie, ends: list[int]) -> None:
        self.at, self.ends = root, ends

    def allowed(self) -> np.ndarray:
        return np.array(list(self.at), dtype=np.int64)

    def take(self, token: int) -> None:
        self.at = self.at[token]


class _Guided:
    """A grammar as far as it is matched."""

    def __init__(self, guide: Any, grammar: str, size: int) -> None:
        import llguidance

        self.matcher: Any = llguidance.LLMatcher(guide, grammar)
        self.size = size

    def allowed(self) -> np.ndarray:
        bias = np.frombuffer(self.matcher.compute_logit_bias(), dtype=np.uint8)
        self._check()
        return np.flatnonzero(bias[: self.size])

    def take(self, token: int) -> None:
        self.matcher.consume_token(token)
        self._check()

    def _check(self) -> None:
        if self.matcher.is_error():
            raise ValueError(f"the answer cannot go on in its schema: {self.matcher.get_error()}")
