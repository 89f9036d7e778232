"""Hotwords and n-grams from files, in the tokens of a build."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from mctc.decode.fusion import Scorer
from mctc.decode.word_ngram import WordNGramScorer
from mctc.runtime.scorers import HotwordsError, hotwords_of, ngram_of
from mctc.tokens import Tokens
from mctc.tokens.letters import of_symbols

LETTERS = Tokens("letters", (b"", b" ", b"a", b"n"), {0: "<blank>"}, blank=0)
PIECES = Tokens("pieces", (b"", b" an", b" a", b"n"), {0: "<blank>"}, blank=0)


def gained(scorer: Scorer, ids: list[int]) -> float:
    state, total = scorer.start(), 0.0
    for label in ids:
        total += float(scorer.scores([state])[0, label])
        (state,) = scorer.advance([label], [state])
    return total + float(scorer.ends([state])[0])


def test_hotwords_of_letters_are_whole_words_with_their_own_boosts(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("# rare names\nann\n\nna\t3\n")
    scorer = hotwords_of(path, LETTERS, 6, 0.5)
    assert gained(scorer, LETTERS.encode("ann")) == pytest.approx(1.5)
    assert gained(scorer, LETTERS.encode("anna")) == pytest.approx(0)
    assert gained(scorer, LETTERS.encode("a na ann")) == pytest.approx(6 + 1.5)


def test_hotwords_of_pieces_go_by_their_pieces(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("n\n")
    assert gained(hotwords_of(path, PIECES, 4, 1.0), [1, 3, 2, 3]) == pytest.approx(2)


def test_a_phrase_that_cannot_be_spelled_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    for text, problem in (
        ("ann\nabc\n", r"words\.txt:2: no token spells 'b'"),
        ("ann\tmuch", r"words\.txt:1: could not"),
    ):
        path.write_text(text)
        with pytest.raises(HotwordsError, match=problem):
            hotwords_of(path, LETTERS, 4, 1.0)
    with pytest.raises(HotwordsError, match="can't be read"):
        hotwords_of(tmp_path / "none.txt", LETTERS, 4, 1.0)


def test_n_grams_know_tokens_as_their_files_write_them(tmp_path: Path) -> None:
    path = tmp_path / "pieces.arpa"
    path.write_text("\\data\\\nngram 1=3\n\\1-grams:\n-1\t\u2581an\n-2\t\u2581a\n-0.5\tn\n\\end\\\n", encoding="utf-8")
    scorer = ngram_of(path, PIECES, 6, 2.0)
    expected = 2 * math.log(10) * np.array([[0, -1, -2, -0.5, 0, 0]])
    assert scorer.scores([scorer.start()]) == pytest.approx(expected)


def test_n_grams_that_know_few_tokens_are_of_words(tmp_path: Path) -> None:
    path = tmp_path / "words.arpa"
    path.write_text(
        "\\data\\\nngram 1=4\nngram 2=1\n\\1-grams:\n-3\t<unk>\n-1\t</s>\n-0.5\tan\t-0.25\n-2\ta\n"
        "\\2-grams:\n-0.1\tan a\n\\end\\\n"
    )
    scorer, ln10 = ngram_of(path, LETTERS, 6, 2.0), math.log(10)
    expected = {
        "an": -0.5 - 0.25 - 1,
        "an a": -0.5 - 0.1 - 1,
        "a an": -2 - 0.5 - 0.25 - 1,
        " an  nan ": -0.5 - 0.25 - 3 - 1,
    }
    for text, total in expected.items():
        assert gained(scorer, LETTERS.encode(text)) == pytest.approx(2 * ln10 * total)
    (spelled,) = scorer.advance([2], [scorer.start()])
    (spelled,) = scorer.advance([3], [spelled])
    assert scorer.scores([spelled]) == pytest.approx(2 * ln10 * np.array([[0, -0.5, 0, 0, 0, 0]]))


def test_words_of_pieces_end_where_the_next_begins(tmp_path: Path) -> None:
    path = tmp_path / "words.arpa"
    path.write_text("\\data\\\nngram 1=2\n\\1-grams:\n-1\tann\n-2\tan\n\\end\\\n")
    scorer = ngram_of(path, PIECES, 4, 1.0)
    assert isinstance(scorer, WordNGramScorer)
    assert gained(scorer, [1, 3, 1, 2]) == pytest.approx(math.log(10) * (-1 - 2 - 2))  # "ann", "an", and "a": not known


def test_letters_without_a_space_have_nothing_between_words(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("an\n")
    assert gained(hotwords_of(path, of_symbols(["a", "n"]), 2, 1.0), [0, 1, 0, 1]) == pytest.approx(4)
