"""Where the page draws ops: what takes a value is below what makes it, and nothing is on top of anything."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from mctc.linter.coreml.formats.page.layout import NARROW, SLOT_ASPECT, Layout, lay_out


@st.composite
def graphs(draw: st.DrawFn) -> list[list[int]]:
    size = draw(st.integers(0, 120))
    return [draw(st.lists(st.integers(max(0, op - 30), op - 1), max_size=3)) if op else [] for op in range(size)]


@given(graphs())
def test_lines_point_down_and_ops_keep_apart(inputs: list[list[int]]) -> None:
    layout = lay_out(inputs)
    for op, sources in enumerate(inputs):
        assert all(layout.row[source] < layout.row[op] for source in sources)
        assert all(layout.column[source] <= layout.column[op] for source in sources)
    _assert_apart(layout)


def _assert_apart(layout: Layout) -> None:
    rows = defaultdict(list)
    for x, row, column in zip(layout.x, layout.row, layout.column, strict=True):
        left, right = layout.spans[column]
        assert left - 1e-6 <= x <= right - 1 + 1e-6
        assert layout.first_rows[column] <= row
        rows[row].append(x)
    for places in rows.values():
        places.sort()
        assert all(after - before > 1 - 1e-6 for before, after in pairwise(places))
    assert all(after[0] > before[1] for before, after in pairwise(layout.spans))


def _shape(layout: Layout) -> float:
    """Width by height of the whole drawing."""
    ends = [*layout.first_rows[1:], layout.rows]
    height = max(end - first for first, end in zip(layout.first_rows, ends, strict=True))
    return layout.spans[-1][1] * SLOT_ASPECT / height


def test_a_chain_of_15000_is_folded_into_columns() -> None:
    layout = lay_out([[op - 1] if op else [] for op in range(15_000)])
    assert layout.rows == 15_000
    assert 0.7 < _shape(layout) < 2.5
    assert list(layout.first_rows) == sorted(set(layout.first_rows))
    _assert_apart(layout)


def test_a_short_chain_is_one_straight_column() -> None:
    layout = lay_out([[op - 1] if op else [] for op in range(30)])
    assert layout.first_rows == (0,)
    assert set(layout.x) == {0.0}


def test_a_layer_of_5000_takes_many_rows() -> None:
    layout = lay_out([[], *([0] for _ in range(5_000)), [*range(1, 5_001)]])
    assert 0.5 < _shape(layout) < 3
    assert layout.row[5_001] == layout.rows - 1
    _assert_apart(layout)


def test_a_layer_that_can_be_seen_at_once_is_one_row() -> None:
    assert lay_out([[], *([0] for _ in range(NARROW))]).rows == 2


def test_what_takes_nothing_stands_above_what_takes_it() -> None:
    chain = [[op - 1] if op else [] for op in range(20)]
    layout = lay_out([*chain, [], [19, 20]])
    assert layout.row[20] == layout.row[21] - 1


def test_columns_break_where_few_lines_cross() -> None:
    block = 25  # in each block the first op's value is kept up to the last
    inputs = [[op - 1] if op else [] for op in range(40 * block)]
    for last in range(block - 1, len(inputs), block):
        inputs[last].append(last - block + 1)
    layout = lay_out(inputs)
    assert len(layout.first_rows) > 2
    assert all(first % block == 0 for first in layout.first_rows)


def test_lines_of_a_broken_package_are_passed_over() -> None:
    layout = lay_out([[0, 5, -1], [0, 2], [1]])
    assert layout.row == (0, 1, 2)
