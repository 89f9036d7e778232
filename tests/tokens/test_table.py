"""Ids become text and words, texts become ids."""

from __future__ import annotations

import pytest

from mctc.tokens import Tokens, TokensError, Word, fitted
from mctc.tokens.letters import of_symbols

LETTERS = of_symbols(" 'abcdefghijklmnopqrstuvwxyz")


def test_letters_spell_a_text_and_give_it_back() -> None:
    ids = LETTERS.encode("don't go")
    assert ids == [5, 16, 15, 1, 21, 0, 8, 16]
    assert LETTERS.text(ids) == "don't go"


def test_words_say_which_ids_they_were_made_from() -> None:
    ids = LETTERS.encode(" on  deck ")
    assert LETTERS.words(ids) == [Word("on", 1, 3), Word("deck", 5, 9)]


def test_a_piece_that_holds_a_space_ends_one_word_and_begins_another() -> None:
    tokens = Tokens("pieces", (b" the", b" ca", b"t a", b"nd", b"\xe5\x8c", b"\x97"))
    assert tokens.words([0, 1, 2, 3]) == [Word("the", 0, 1), Word("cat", 1, 3), Word("and", 2, 4)]
    assert tokens.words([4, 5]) == [Word("北", 0, 2)]


def test_ids_without_text_and_ids_beyond_the_table_say_nothing() -> None:
    tokens = fitted(LETTERS, 29, 0)
    assert tokens.text([0, 4, 3, 0, 5, 400]) == "bac"
    assert tokens.text([]) == ""


def test_half_a_character_is_shown_as_such() -> None:
    assert Tokens("pieces", (b"\xe5\x8c",)).text([0]) == "\N{REPLACEMENT CHARACTER}"


def test_a_text_that_no_token_spells_is_an_error() -> None:
    with pytest.raises(TokensError, match="no token spells 'Ü' of 'Über'"):
        LETTERS.encode("Über")


def test_special_tokens_have_names() -> None:
    tokens = Tokens("pieces", (b"", b"a"), {0: "<|end|>"})
    assert tokens.named("<|end|>") == 0
    with pytest.raises(TokensError, match=r"no <\|start\|>"):
        tokens.named("<|start|>")


@pytest.mark.parametrize("blank", [0, 3, 28])
def test_a_blank_beside_the_tokens_moves_those_behind_it(blank: int) -> None:
    tokens = fitted(LETTERS, 29, blank)
    assert tokens.blank == blank
    assert tokens.pieces[blank] == b""
    assert tokens.encode("a z") == [each + (each >= blank) for each in LETTERS.encode("a z")]
    assert tokens.text(tokens.encode("a z")) == "a z"


def test_a_token_that_is_no_text_can_be_the_blank() -> None:
    tokens = fitted(Tokens("pieces", (b"", b"a"), {0: "<blk>"}), 2, 0)
    assert (tokens.blank, tokens.inserted) == (0, False)


def test_the_unknown_piece_can_be_the_blank() -> None:
    tokens = fitted(Tokens("pieces", (" ⁇ ".encode(), b"a"), {0: "<unk>"}), 2, 0)
    assert tokens.pieces == (b"", b"a")


def test_a_token_that_is_text_can_be_no_blank() -> None:
    with pytest.raises(TokensError, match="blank is class 1, and the tokens have 'b' there"):
        fitted(of_symbols("abc"), 3, 1)


@pytest.mark.parametrize(("classes", "blank"), [(27, 0), (40, 0), (27, None), (40, None)])
def test_letters_fit_a_vocabulary_exactly(classes: int, blank: int | None) -> None:
    with pytest.raises(TokensError, match=f"28 tokens, and the vocabulary has {classes} classes"):
        fitted(LETTERS, classes, blank)


def test_a_vocabulary_of_a_language_model_may_be_padded() -> None:
    tokens = Tokens("tokenizer.json", (b"a", b"b"))
    assert fitted(tokens, 64, None) == tokens
    with pytest.raises(TokensError, match="2 tokens, and the vocabulary has 1 classes"):
        fitted(tokens, 1, None)
