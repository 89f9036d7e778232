"""What a decoder's search takes from tokens: times, what is never said, what a text begins with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mctc.driver.tokens import tokens_of
from mctc.language import elaborate_file
from mctc.tokens import TokensError, read_tokens
from mctc.tokens.stored import as_json, of_json
from mctc.tokens.table import Tokens
from mctc.tokens.times import TimeTokens, times_of

SPEC = Path(__file__).parents[2] / "spec" / "whisper_tiny.mct"


def written(folder: Path, **left_out: object) -> Path:
    path = folder / "tokenizer.json"
    path.write_text(json.dumps({"model": {"vocab": {"a": 0, "b": 1, "c": 2}}}))
    (folder / "generation_config.json").write_text(json.dumps(left_out))
    return path


def test_what_is_never_said_travels_with_the_tokens(tmp_path: Path) -> None:
    tokens = read_tokens(written(tmp_path, suppress_tokens=[2, 0, -1], begin_suppress_tokens=[1]))
    assert (tokens.never, tokens.not_first) == ((0, 2), (1,))
    again = of_json(json.loads(as_json(tokens)))
    assert (again.never, again.not_first) == ((0, 2), (1,))


@pytest.mark.parametrize(("told", "ends"), [(1, (1,)), ([2, 1], (1, 2)), ([7, 0], (0,)), (None, ()), ("a", ())])
def test_what_ends_a_text_travels_with_the_tokens(told: object, ends: tuple[int, ...], tmp_path: Path) -> None:
    tokens = read_tokens(written(tmp_path, eos_token_id=told))
    assert tokens.ends == of_json(json.loads(as_json(tokens))).ends == ends


@pytest.mark.parametrize("bad", [[7], ["a"], 3])
def test_settings_of_another_checkpoint_are_refused(bad: object, tmp_path: Path) -> None:
    with pytest.raises(TokensError, match="there are 3 tokens"):
        read_tokens(written(tmp_path, suppress_tokens=bad))


def test_tokens_of_another_size_than_the_prompt_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TokensError, match="begins or ends with class 50258, and there are 3 tokens"):
        tokens_of(elaborate_file(SPEC), written(tmp_path))


def test_times_are_the_last_tokens_in_even_steps() -> None:
    names = {1: "<|notimestamps|>", 2: "<|0.00|>", 3: "<|0.02|>", 4: "<|0.04|>"}
    assert times_of(Tokens("letters", (b"",) * 5, names)) == TimeTokens(2, 0.02, 1)
    assert times_of(Tokens("letters", (b"",) * 6, names)) is None
    assert times_of(Tokens("letters", (b"a", b"b"))) is None
