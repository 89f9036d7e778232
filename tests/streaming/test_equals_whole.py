"""The promise: for every program and every chunking, the step over the chunks equals the whole over the sequence.

MCTC_EXAMPLES=500 looks at so many programs; 60 if it is not set.
"""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mctc.ir.types import Role

from .mixed import at_rates, beside_labels
from .programs import Case, cases

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")  # what is not finite outlives every mask
EXAMPLES = int(os.environ.get("MCTC_EXAMPLES", "60"))
many = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
few = settings(many, max_examples=max(1, EXAMPLES // 4))


def assert_equal(whole: dict[str, np.ndarray], streamed: dict[str, np.ndarray]) -> None:
    assert whole.keys() == streamed.keys()
    for name, expected in whole.items():
        np.testing.assert_allclose(streamed[name], expected, rtol=1e-6, atol=1e-8, err_msg=name)


@many
@given(cases(), st.lists(st.integers(1, 5), min_size=1, max_size=5), st.integers(1, 9))
def test_a_step_over_any_chunks_equals_the_whole_over_time(case: Case, chunks: list[int], length: int) -> None:
    inputs = case.inputs(length * case.multiple)
    assert_equal(case.whole(inputs), case.streamed(inputs, [n * case.multiple for n in chunks]))


@few
@given(cases(Role.LABEL), st.integers(1, 9))
def test_a_step_a_label_equals_the_whole_over_labels(case: Case, length: int) -> None:
    inputs = case.inputs(length)
    assert_equal(case.whole(inputs), case.streamed(inputs, [1]))


@few
@given(at_rates(), st.lists(st.integers(1, 5), min_size=1, max_size=5), st.integers(1, 9))
def test_inputs_of_several_rates_come_chunk_by_chunk(case: Case, chunks: list[int], length: int) -> None:
    inputs = case.inputs(length * case.multiple)
    assert_equal(case.whole(inputs), case.streamed(inputs, [n * case.multiple for n in chunks]))


@few
@given(beside_labels(), st.lists(st.integers(1, 5), min_size=1, max_size=5), st.integers(1, 9))
def test_a_step_over_time_for_each_label_equals_the_whole(case: Case, chunks: list[int], length: int) -> None:
    inputs = case.inputs(length * case.multiple)
    assert_equal(case.whole(inputs), case.streamed(inputs, [n * case.multiple for n in chunks]))
