"""Every fault model changes the program that it should, by what was published, and leaves the other alone."""

from __future__ import annotations

import numpy as np
import pytest

from mctc.diagnostics.errors import UsageError
from mctc.evaluate.coreml import Evaluator
from mctc.evaluate.engine.arithmetic import arithmetic
from mctc.evaluate.faults.compare import Effect, comparing, difference
from mctc.evaluate.faults.fault import View
from mctc.evaluate.faults.table import FAULTS, faults_of, touches
from mctc.linter.coreml.effects import effect_lines
from mctc.linter.coreml.notation import read_notation
from mctc.linter.coreml.table import table
from tests.evaluate.faults.programs import CHANGED, GATHER, ONE_OP, UNCHANGED, Case, half


def effect_of(case: Case) -> tuple[Effect | None, np.ndarray]:
    """What the fault did over the calls, and the last right result."""
    with comparing([FAULTS[case.fault]]) as comparison:
        function = Evaluator(read_notation(case.text)).function()
    state = function.make_state() if function.states else None
    for _ in range(case.calls):
        results = function(case.inputs, state)
    assert len(comparison.effects) <= 1
    return (comparison.effects[0] if comparison.effects else None), next(iter(results.values()))


def test_every_fault_has_both_cases() -> None:
    assert {case.fault for case in CHANGED} == set(FAULTS) == {case.fault for case in UNCHANGED}


@pytest.mark.parametrize("case", CHANGED, ids=[case.fault for case in CHANGED])
def test_a_fault_changes_this_program(case: Case) -> None:
    effect, _ = effect_of(case)
    assert effect is not None
    assert (effect.calls, effect.changed) == (case.calls, case.calls)
    assert effect.largest > 0
    assert effect.at is not None


@pytest.mark.parametrize("case", UNCHANGED, ids=[case.fault for case in UNCHANGED])
def test_a_fault_leaves_this_program_alone(case: Case) -> None:
    effect, _ = effect_of(case)
    assert effect is None or effect.changed == 0


KNOWN = [case for case in CHANGED if case.wrong is not None]


@pytest.mark.parametrize("case", KNOWN, ids=[case.fault for case in KNOWN])
def test_an_arithmetic_with_a_fault_gives_the_published_values(case: Case) -> None:
    results = Evaluator(read_notation(case.text), f"fp16+{case.fault}").function()(case.inputs)
    np.testing.assert_array_equal(next(iter(results.values())), np.array(case.wrong, np.float32))


def test_the_run_itself_is_the_right_one() -> None:
    case = next(case for case in CHANGED if case.fault == "softplus-cliff")
    _, right = effect_of(case)
    np.testing.assert_allclose(right.astype(np.float64), [[10, 11]], rtol=1e-3)


def test_values_that_nobody_published_are_marked() -> None:
    unknown = {name for name, fault in FAULTS.items() if not fault.known}
    assert unknown == {case.fault for case in CHANGED if case.wrong is None}


def test_every_fault_says_who_saw_it_on_what() -> None:
    rules = table().rules
    for fault in FAULTS.values():
        assert fault.source
        assert fault.systems
        assert fault.where
        assert fault.rule is None or fault.rule in rules


def test_indices_that_are_known_before_are_not_touched() -> None:
    text = "x: fp16[3, 2]\ny: fp16[1, 2] = gather_nd(x=x, indices=int32[1, 1](2))\nreturn y"
    function = read_notation(text).functions["main"]
    assert not touches(FAULTS["gather-nd-slice-0"], function)
    assert len(FAULTS["gather-nd-slice-0"].sites(View(read_notation("\n".join(
        line.strip() for line in GATHER.strip().splitlines())).functions["main"]))) == 1  # fmt: skip


def test_a_twin_follows_a_state_that_is_set_from_outside() -> None:
    case = next(case for case in CHANGED if case.fault == "second-write-lost")
    with comparing([FAULTS[case.fault]]) as comparison:
        function = Evaluator(read_notation(case.text)).function()
    state = function.make_state()
    function(case.inputs, state)
    state["s"] = np.zeros((1, 4), np.float32)
    (effect,) = comparison.effects
    effect.largest = 0.0
    function({"x": half(0, 0, 0, 0)}, state)
    assert effect.largest == 0.0  # zeros whichever write is kept


def test_differences_tell_infinities() -> None:
    a, b = np.array([1.0, 2.0]), np.array([1.0, np.inf])
    assert difference(a, b) == float("inf")
    assert difference(b, b) == 0
    assert difference(a, np.array([1.0, 1.0])) == 0.5


def test_names_are_read() -> None:
    assert [fault.name for fault in faults_of("mod-sign, softplus-cliff")] == ["mod-sign", "softplus-cliff"]
    assert len(faults_of("all")) == len(FAULTS)
    assert str(arithmetic("engine:h16+mod-sign")) == "engine:h16+mod-sign"
    for text, message in (("softplus", "there is no fault `softplus`"), (" , ", "no fault is named")):
        with pytest.raises(UsageError, match=message):
            faults_of(text)


def test_lint_tells_the_effect_and_not_only_the_pattern() -> None:
    text = "\n".join(line.strip() for line in ONE_OP.format(64, 64, "softplus").strip().splitlines())
    (line,) = effect_lines(read_notation(text))
    assert line.startswith("main, softplus-cliff (Neural Engine): results change on noise of 16, by up to ")
    quiet = text.replace("y: fp16", "z: fp16[1, 64] = tanh(x=x)\ny: fp16").replace("softplus(x=x)", "softplus(x=z)")
    (line,) = effect_lines(read_notation(quiet))
    assert line == "main, softplus-cliff (Neural Engine): results stay as they are on noise of up to 4096"
