"""The segmenter finds the cheapest path: against trying every path, and at the thresholds that its rule implies."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mctc.linter.coreml.segment import Backend, shortest_path, total

ANE, CPU = Backend.ANE, Backend.CPU
times = st.floats(0, 400, allow_nan=False)


@given(st.lists(st.tuples(st.none() | times, times), min_size=1, max_size=8), st.sampled_from(Backend))
def test_no_path_is_cheaper(costs: list[tuple[float | None, float]], ties: Backend) -> None:
    found = total(costs, shortest_path(costs, ties=ties))
    possible = product(*[(CPU,) if on_ane is None else (ANE, CPU) for on_ane, _ in costs])
    assert found == pytest.approx(min(total(costs, path) for path in possible))


@pytest.mark.parametrize(("saving", "where"), [(249.0, CPU), (251.0, ANE)])
def test_a_whole_graph_must_save_a_quarter_of_a_millisecond(saving: float, where: Backend) -> None:
    assert shortest_path([(10.0, 10.0 + saving)]) == [where]


@pytest.mark.parametrize(("saving", "where"), [(374.0, CPU), (376.0, ANE)])
def test_an_island_must_save_three_eighths_of_a_millisecond(saving: float, where: Backend) -> None:
    assert shortest_path([(None, 5.0), (10.0, 10.0 + saving), (None, 5.0)]) == [CPU, where, CPU]


def test_what_cannot_run_there_never_does() -> None:
    assert shortest_path([(1.0, 5000.0), (None, 5000.0), (1.0, 5000.0)]) == [ANE, CPU, ANE]


def test_a_tie_goes_to_the_engine_and_nothing_has_no_path() -> None:
    assert shortest_path([(0.0, 250.0)]) == [ANE]
    assert shortest_path([]) == []


def test_a_tie_can_be_broken_either_way_up_to_rounding() -> None:
    last = [(10.0, 800.0), (0.1 + 0.2, 0.3)]  # to end on the engine costs what a change of the backend costs
    assert shortest_path(last) == [ANE, ANE]
    assert shortest_path(last, ties=CPU) == [ANE, CPU]
