"""Receptive fields and delays against measurement: one input frame is changed; which frames of the results change?"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mctc.ir.types import Role

from .programs import DENSE, GENERATORS, Case, cases, spread
from .test_equals_whole import few

FRAMES = 48  # of the fastest rate


def measured(case: Case, frame: int) -> dict[str, list[int]]:
    """The frames of every result that a change of the input frame `frame` changes."""
    inputs = case.inputs(FRAMES)
    changed = {name: array.copy() for name, array in inputs.items()}
    for value in case.function.inputs:
        axis = value.type.find(case.role)
        assert axis is not None
        np.moveaxis(changed[value.name], axis, 0)[frame] += 1.0
    before, after = case.whole(inputs), case.whole(changed)
    found = {}
    for name, value in case.function.results:
        axis = value.type.find(case.role)
        assert axis is not None
        differs = np.moveaxis(before[name] != after[name], axis, 0)
        found[name] = [int(i) for i in np.flatnonzero(differs.reshape(differs.shape[0], -1).any(1))]
    return found


@few
@given(cases(), st.integers(0, FRAMES - 1))
def test_no_result_depends_on_a_frame_outside_its_receptive_field(case: Case, frame: int) -> None:
    timings = case.step(case.multiple)[1].timings
    for name, changed in measured(case, frame).items():
        timing = timings[name]
        for j in changed:
            assert frame <= j * timing.jump + timing.ahead
            assert timing.past is None or frame >= j * timing.jump - timing.past


@few
@given(cases(generators=DENSE, most=3))  # through more ops, an influence can sink below what a float64 resolves
def test_the_receptive_field_of_dense_ops_is_no_wider_than_what_is_measured(case: Case) -> None:
    timings = case.step(case.multiple)[1].timings
    middle = FRAMES // 2
    fields = {t: measured(case, t) for t in range(FRAMES)}
    for name, timing in timings.items():
        j = int(middle / timing.jump)
        seen = [t for t in fields if j in fields[t][name]]
        assert max(seen) == min(FRAMES - 1, j * timing.jump + timing.ahead)
        if timing.past is not None:
            assert min(seen) == max(0, j * timing.jump - timing.past)


@few
@given(cases(generators=tuple(g for g in GENERATORS if g is not spread)))  # the frames that one becomes share `ahead`
def test_a_result_comes_as_early_as_its_receptive_field_allows(case: Case) -> None:
    """A call ends with frame j, which needs input frame j*jump + ahead; with less delay it would lie in the future."""
    chunk = 3 * case.multiple
    for timing in case.step(chunk)[1].timings.values():
        last = chunk / timing.jump - 1 - timing.delay
        assert last * timing.jump + timing.ahead <= chunk - 1
        assert timing.delay == 0 or (last + 1) * timing.jump + timing.ahead > chunk - 1


@few
@given(cases(Role.LABEL))
def test_labels_have_receptive_fields_too(case: Case) -> None:
    for timing in case.step(1)[1].timings.values():
        assert (timing.jump, timing.delay) == (Fraction(1), timing.ahead)
