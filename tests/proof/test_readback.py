"""Artifacts against their program: what is called, what is compared, and what a disagreement says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mctc.driver.options import BuildError
from mctc.driver.target import Agreement, Interface, Port
from mctc.evaluate.reference import evaluate
from mctc.ir.op import Array, Op
from mctc.ir.program import Program
from mctc.ir.text import parse_program
from mctc.ir.value import Value
from mctc.numerics.parameters import Deployed
from mctc.proof import readback
from mctc.proof.readback import ITEMS, Readback
from mctc.weights import Weights

PROGRAM = """function @f(%x: f32[batch 1, time 4, channel 3]) {
    state %h: f32[batch 1, channel 3] as "h"
    %m = reduce_mean(%x, axis = "time")
    %n = reshape(%m, axes = [["batch", 1], ["channel", 3]])
    %u = add(%h, %n)
    %y = add(%x, %m)
    next %h = %u
    return y = %y
}"""
Change = Callable[[dict[str, Array], dict[str, Array], int], None]  # results, state and the number of the call


@dataclass
class Engine:
    """The program itself as an artifact, in float32, with a change to what it gives."""

    program: Program
    change: Change
    seen: list[Mapping[str, Array]] = field(default_factory=list)
    name: str = "f"
    inputs: tuple[Port, ...] = ()
    states: tuple[Port, ...] = ()

    def function(self, name: str | None = None) -> Engine:
        return self

    def make_state(self) -> dict[str, Array]:
        return {"h": np.zeros((1, 3))}

    def __call__(self, inputs: Mapping[str, Array], state: Any = None) -> dict[str, Array]:
        state = {} if state is None else state
        self.seen.append({**inputs, **state})
        results, updates = evaluate(self.program.functions["f"], inputs, lambda _: np.zeros(0), state, np.float32)
        self.change(results, updates, len(self.seen))
        state.update(updates)
        return results


def port(name: str, *shape: int) -> Port:
    roles = ("batch", "time", "channel") if len(shape) == 3 else ("batch", "channel")
    return Port(name, name, shape, "fp32", roles)


def read_back(folder: Path, change: Change, text: str = PROGRAM) -> tuple[list[Agreement], Engine]:
    program = parse_program(text)
    engine = Engine(program, change)
    interface = Interface("f.bin", "f", (port("x", 1, 4, 3),), (port("y", 1, 4, 3),), (port("h", 1, 3),), 5)
    read = Readback(folder, lambda _: engine, "fp32")
    return read.steps(program, Weights(program.sources), {"f": interface}), engine


def nothing(results: dict[str, Array], updates: dict[str, Array], call: int) -> None:
    pass


def test_results_and_new_states_are_compared_on_noise_constants_and_silence(tmp_path: Path) -> None:
    found, engine = read_back(tmp_path, nothing)
    assert [agreement.result for agreement in found] == ["y", "h_out"]
    assert all(0 <= agreement.error < 1e-6 for agreement in found)
    noise, constant, silence = engine.seen
    assert len(ITEMS) == 3
    assert noise["h"].any()
    assert np.ptp(constant["x"]) == 0
    assert constant["h"].any()
    assert not silence["x"].any()
    assert not silence["h"].any()


@pytest.mark.parametrize("call", [1, 2, 3])
@pytest.mark.parametrize("what", ["result", "state"])
def test_a_difference_in_any_call_is_an_error_that_names_the_result_and_the_item(
    tmp_path: Path, call: int, what: str
) -> None:
    def change(results: dict[str, Array], updates: dict[str, Array], number: int) -> None:
        if number == call:
            (results if what == "result" else updates)["y" if what == "result" else "h"] += 0.01

    named = "y" if what == "result" else "h_out"
    with pytest.raises(BuildError, match=rf"f\.bin: {named} of f, on {ITEMS[call - 1].name}, differs") as caught:
        read_back(tmp_path, change)
    assert "(limit " in str(caught.value)


def test_a_difference_that_rounding_explains_is_told_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def change(results: dict[str, Array], updates: dict[str, Array], number: int) -> None:
        updates["h"] += 0.01

    monkeypatch.setattr("mctc.proof.readback.within", lambda found, _, predicted=None: predicted or found.error < 1e-5)
    found, _ = read_back(tmp_path, change)
    assert {agreement.result: agreement.explained for agreement in found} == {"y": False, "h_out": True}


def test_a_number_that_is_lost_is_an_error_even_on_silence(tmp_path: Path) -> None:
    def change(results: dict[str, Array], updates: dict[str, Array], number: int) -> None:
        if number == 3:
            results["y"][0, 0, 0] = np.nan

    with pytest.raises(BuildError, match="y of f, on silence, is not finite where the program is"):
        read_back(tmp_path, change)


def test_another_shape_is_an_error(tmp_path: Path) -> None:
    def change(results: dict[str, Array], updates: dict[str, Array], number: int) -> None:
        results["y"] = results["y"][..., :2]

    with pytest.raises(BuildError, match=r"y came out as \[1, 4, 2\], not \[1, 4, 3\]"):
        read_back(tmp_path, change)


def test_a_model_is_held_to_single_precision_first_and_a_disagreement_to_double(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = list[Any]()

    def watched(*arguments: Any, **named: Any) -> Any:
        asked.append(arguments[4])
        return evaluate(*arguments, **named)

    monkeypatch.setattr(readback, "evaluate", watched)
    found, _ = read_back(tmp_path, nothing)
    assert all(agreement.error < 1e-6 for agreement in found)
    assert asked == [np.float32] * len(ITEMS)

    def change(results: dict[str, Array], updates: dict[str, Array], number: int) -> None:
        results["y"] += 0.01 * (number == 2)

    with pytest.raises(BuildError, match=f"y of f, on {ITEMS[1].name}, differs"):
        read_back(tmp_path, change)
    assert np.float64 in asked


def test_what_single_precision_alone_gets_wrong_is_no_disagreement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def imprecise(*arguments: Any, **named: Any) -> Any:
        results, updates = evaluate(*arguments, **named)
        return ({"y": results["y"] + 0.01} if arguments[4] is np.float32 else results), updates

    monkeypatch.setattr(readback, "evaluate", imprecise)
    found, _ = read_back(tmp_path, nothing)
    assert all(agreement.error < 1e-6 for agreement in found)


def test_numbers_that_double_precision_alone_holds_are_lost(tmp_path: Path) -> None:
    far = PROGRAM.replace("%y = add(%x, %m)", "%b = scale(%x, factor = 1e30) %y = scale(%b, factor = 1e30)")
    with pytest.raises(BuildError, match=r"y of f, on noise, .* rounded to fp32, scale is the first") as caught:
        read_back(tmp_path, nothing, far)
    assert "scale what comes before it" in str(caught.value.hint)


def test_a_function_without_states_has_no_call_on_what_one_leaves(tmp_path: Path) -> None:
    program = parse_program("program @p { function @f(%x: f32[1, 4, 3]) { %y = relu(%x) return y = %y } }")
    engine = Engine(program, nothing)
    interface = Interface("f.bin", "f", (port("x", 1, 4, 3),), (port("y", 1, 4, 3),), (), 1)
    found = Readback(tmp_path, lambda _: engine, "fp32").steps(program, Weights(program.sources), {"f": interface})
    assert [agreement.result for agreement in found] == ["y"]
    assert [bool(seen["x"].any()) for seen in engine.seen] == [True, False]


class Along:
    """Goes along with calls and computes every op."""

    same: Mapping[Op, Op] = {}

    def begin(self, inputs: Mapping[str, Array], *, shares: bool) -> Along:
        return self

    def saw(self, op: Op, values: Mapping[Value, Array]) -> None: ...

    def end(self, values: Mapping[Value, Array]) -> None: ...


GROWING = """function @f(%x: f32[batch 1, time 4, channel 3]) {{
    state %h: f32[batch 1, time 4, channel 3] as "h"
    %g = scale(%x, factor = {factor})
    %u = add(%h, %g)
    next %h = %u
    return y = %u
}}"""


@pytest.mark.parametrize(("factor", "dtype"), [(0.1, np.float16), (1e6, np.float32)])
def test_op_by_op_a_state_is_handed_on_in_fp16_where_that_holds_it(factor: float, dtype: type, tmp_path: Path) -> None:
    program = parse_program(GROWING.format(factor=factor))
    asked = Readback(tmp_path, lambda _: Engine(program, nothing), "fp32")
    values = Deployed(program, Weights(program.sources))
    function = readback._Function(asked, program.functions["f"], values, "f.bin", _none)
    (first, left), (second, reached), (silence, _) = function._calls(Along())  # type: ignore[arg-type]
    assert [each.states["h"].dtype for each in (first, second, silence)] == [np.float16, dtype, np.float16]
    np.testing.assert_array_equal(second.states["h"], left["h_out"].astype(dtype))
    assert np.isfinite(second.states["h"]).all()
    begun = second.states["h"].astype(np.float32)  # sums in single precision, whatever holds the state
    np.testing.assert_array_equal(reached["y"], begun + second.inputs["x"] * np.float32(factor))
    assert not silence.states["h"].any()


def test_a_state_that_is_no_number_is_handed_on_as_numbers() -> None:
    left = readback._left(np.array([np.nan, np.inf, 2.0], np.float32), narrows=True)
    assert np.isfinite(left).all()
    assert left[2] == 2


def _none(inputs: dict[str, Array], states: dict[str, Array]) -> tuple[dict[str, Array], dict[str, Array]]:
    raise AssertionError("nothing is called")
