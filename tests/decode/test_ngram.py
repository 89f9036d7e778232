"""N-grams: ARPA files read as they are written, and back-off as it is defined."""

from __future__ import annotations

import gzip
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mctc.decode.arpa import ArpaError, read_arpa
from mctc.decode.ngram import NGrams, NGramScorer, symbols_of

LN10 = math.log(10)
WRITTEN = """a line of comment

\\data\\
ngram 1=5
ngram 2=3
ngram 3=1

\\1-grams:
-1.5\t<unk>
-99\t<s>\t-0.5
-0.9\t</s>
-0.6\ta\t-0.25
-0.7\tb\t-0.125

\\2-grams:
-0.2\t<s> a\t-0.0625
-0.3\ta b\t-0.375
-0.4\tb </s>

\\3-grams:
-0.1\t<s> a b

\\end\\
"""


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "model.arpa"
    path.write_text(WRITTEN)
    return path


def test_an_arpa_file_is_read_into_natural_logarithms(written: Path, tmp_path: Path) -> None:
    model = read_arpa(written)
    assert model.order == 3
    assert len(model.entries) == 9
    assert model.entries["a", "b"] == pytest.approx((-0.3 * LN10, -0.375 * LN10))
    assert model.entries["<s>", "a", "b"] == pytest.approx((-0.1 * LN10, 0))
    packed = tmp_path / "model.arpa.gz"
    packed.write_bytes(gzip.compress(WRITTEN.encode()))
    assert read_arpa(packed) == model


def test_scores_back_off_by_hand(written: Path) -> None:
    """Label 0 is a blank that the model knows nothing of, 3 a symbol that it does not have."""
    scorer = NGramScorer(read_arpa(written), [None, "a", "b", "q"], 2.0)
    start = scorer.start()
    (after_a,) = scorer.advance([1], [start])
    (after_ab,) = scorer.advance([2], [after_a])
    (after_q,) = scorer.advance([3], [after_ab])
    expected = [
        [0, -0.2, -0.5 - 0.7, -0.5 - 1.5],
        [0, -0.0625 - 0.25 - 0.6, -0.1, -0.0625 - 0.25 - 1.5],
        [0, -0.375 - 0.125 - 0.6, -0.375 - 0.125 - 0.7, -0.375 - 0.125 - 1.5],
        [0, -0.6, -0.7, -1.5],
    ]
    states = [start, after_a, after_ab, after_q]
    assert scorer.scores(states) == pytest.approx(2 * LN10 * np.array(expected))
    ends = [-0.5 - 0.9, -0.0625 - 0.25 - 0.9, -0.375 - 0.4, -0.9]
    assert scorer.ends(states) == pytest.approx(2 * LN10 * np.array(ends))
    assert scorer.advance([0], [after_a]) == [after_a]


SYMBOLS = ("a", "b", "c")


@st.composite
def models(draw: st.DrawFn) -> NGrams:
    """Any n-grams, those without their own beginnings among them."""
    number = st.floats(-5, 0)
    entries = {(symbol,): draw(st.tuples(number, number)) for symbol in (*SYMBOLS, "<s>", "</s>")}
    longer = st.lists(st.sampled_from((*SYMBOLS, "<s>")), min_size=2, max_size=4).map(tuple)
    entries |= draw(st.dictionaries(longer, st.tuples(number, number), max_size=25))
    return NGrams(4, entries)


@settings(max_examples=60)
@given(model=models(), ids=st.lists(st.integers(0, 2), max_size=6))
def test_scores_are_those_of_the_definition(model: NGrams, ids: list[int]) -> None:
    def log_probability(context: tuple[str, ...], symbol: str) -> float:
        if (*context, symbol) in model.entries:
            return model.entries[(*context, symbol)][0]
        return model.entries.get(context, (0, 0))[1] + log_probability(context[1:], symbol)

    scorer, state = NGramScorer(model, SYMBOLS), NGramScorer(model, SYMBOLS).start()
    context: tuple[str, ...] = ("<s>",)
    for label in [*ids, None]:
        expected = [log_probability(context[-3:], symbol) for symbol in SYMBOLS]
        assert scorer.scores([state])[0] == pytest.approx(expected)
        assert scorer.ends([state])[0] == pytest.approx(log_probability(context[-3:], "</s>"))
        if label is not None:
            (state,) = scorer.advance([label], [state])
            context = (*context, SYMBOLS[label])


def test_a_symbol_is_as_likely_as_the_least_where_the_model_has_no_unknown_one() -> None:
    scorer = NGramScorer(NGrams(1, {("a",): (-1.0, 0.0), ("b",): (-2.0, 0.0)}), ["a", "q"])
    assert scorer.scores([()]) == pytest.approx(np.array([[-1.0, -2.0]]))
    assert scorer.ends([()]) == [0.0]


def test_names_of_pieces_write_a_space_as_such_files_do() -> None:
    assert symbols_of([None, " the", "re"]) == [None, "\u2581the", "re"]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("\\data\\", "", "no line"),
        ("ngram 1=5\n", "", "the counts of n-grams"),
        ("ngram 2=3", "ngram 2=4", "4 2-grams were announced, and 3 are there"),
        ("-0.2\t<s> a\t-0.0625", "-0.2\ta", r"arpa:16: a log10 probability, 2 symbols"),
        ("-0.2\t<s>", "0.2\t<s>", r"arpa:16: a log10 probability"),
        ("\\2-grams:", "\\4-grams:", r"`\\2-grams:` was expected"),
        ("\\end\\", "", "ends before"),
        ("\\end\\", "\\fin\\", r"`\\end\\` was expected"),
    ],
)
def test_a_damaged_file_is_named_with_its_line(old: str, new: str, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.arpa"
    path.write_text(WRITTEN.replace(old, new))
    with pytest.raises(ArpaError, match=problem):
        read_arpa(path)


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.arpa").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "a.arpa.gz").write_bytes(b"no gzip")
    for path in (tmp_path / "a.arpa", tmp_path / "a.arpa.gz", tmp_path / "none.arpa"):
        with pytest.raises(ArpaError, match="can't be read"):
            read_arpa(path)
