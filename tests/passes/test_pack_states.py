"""Packed states: one tensor of the right width, the same results call after call, and few ops to get there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mctc.evaluate.reference import evaluate
from mctc.ir.build import Builder
from mctc.ir.dims import Extent
from mctc.ir.program import Function, Program, State, Value
from mctc.ir.text import parse_program, print_program
from mctc.ir.types import Axis, DType, Role, TensorType
from mctc.passes.fold_state_reshapes import FoldStateReshapes
from mctc.passes.lower_selective_scan import LowerSelectiveScan
from mctc.passes.pack_states import PackStates
from mctc.rewrite.base import Context

CHUNK, CHANNELS, STATES = 4, 6, 3


def tensor(**axes: int) -> TensorType:
    """tensor(batch=1, channel=6, unit=1, time=4)."""
    return TensorType(DType.F32, tuple(Axis(Role(role), Extent.of(n)) for role, n in axes.items()))


def streaming(layers: int, channels: int = CHANNELS) -> Program:
    """Layers of a causal window and a scan, plus a delay line of other width and a state without a channel axis."""
    program = Program("packed")
    b = Builder(program)
    frames = tensor(batch=1, channel=channels, unit=1, time=CHUNK)
    x = mel = Value(frames, "x")
    valid = Value(tensor(time=CHUNK), "valid")
    rng, states = np.random.default_rng(5), []
    for layer in range(layers):
        past = Value(tensor(batch=1, channel=channels, unit=1, time=2), f"{layer}.context")
        joined = b.op("concat", past, x, axis=3)
        states.append(State(past.name, past, b.op("slice", joined, axis=3, begin=CHUNK)))
        weight = b.constant(rng.normal(size=(channels, 1, 1, 3)).astype(np.float32))
        u = b.op("silu", b.op("conv2d", joined, weight, groups=channels))
        gates = b.op("conv2d", u, b.constant(rng.normal(size=(2 * STATES, channels, 1, 1)).astype(np.float32)))
        B, C = b.emit("split", gates, parts=2)
        A = b.constant(-rng.uniform(0.5, 2, (channels, STATES)).astype(np.float32))
        h = Value(
            TensorType(
                DType.F32,
                tuple(
                    Axis(role, Extent.of(n))
                    for role, n in zip((Role.BATCH, Role.CHANNEL, Role.UNIT, Role.FEATURE), (1, channels, 1, STATES))
                ),
            ),
            f"{layer}.h",
        )
        y, new = b.emit("selective_scan", u, b.op("softplus", x), A, B, C, None, h)
        states.append(State(h.name, h, new))
        x = b.op("add", x, y)
    late = Value(tensor(time=2), "valid.delay")
    marks = b.op("concat", late, valid, axis=0)
    states.append(State(late.name, late, b.op("slice", marks, axis=0, begin=CHUNK)))
    x = b.op("mul", x, b.op("slice", marks, axis=0, begin=0, end=CHUNK))
    narrow = Value(tensor(batch=1, channel=2, unit=1, time=1), "narrow")
    low = b.op("concat", narrow, b.op("slice", x, axis="channel", begin=0, end=2), axis=3)
    states.append(State(narrow.name, narrow, b.op("slice", low, axis=3, begin=CHUNK)))
    program.functions["f"] = Function("f", [mel, valid], b.ops, [("y", x), ("low", low)], states)
    return program


def deploy(program: Program, state: str = "packed", limit: int | None = None, form: Any = "decay") -> Program:
    context = Context(state=state)
    for each in (LowerSelectiveScan(form), FoldStateReshapes(), PackStates(limit)):
        program = each.run(program, context)
    return program


def calls(program: Program, count: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    rng, state, results, states = np.random.default_rng(0), None, [], []
    for _ in range(count):
        function = program.functions["f"]
        inputs = {v.name: rng.normal(size=v.type.shape) for v in function.inputs}
        result, state = evaluate(function, inputs, lambda name: np.empty(0), state)
        results.append(result)
        states.append(dict(state))
    return results, states


@pytest.mark.parametrize("layers", [1, 5])
@pytest.mark.parametrize("how", ["packed", "separate", "io"])
def test_results_of_chained_calls_stay_the_same(layers: int, how: str) -> None:
    expected, _ = calls(streaming(layers), 4)
    actual, _ = calls(deploy(streaming(layers), how), 4)
    for old, new in zip(expected, actual):
        for name, array in old.items():
            np.testing.assert_allclose(new[name], array, rtol=0, atol=1e-9 * np.abs(array).max())


@pytest.mark.parametrize("how", ["packed", "io"])
def test_one_state_is_left_and_its_last_axis_is_a_multiple_of_32(how: str) -> None:
    (state,) = deploy(streaming(5), how).functions["f"].states
    assert state.name == "state"
    assert state.value.type == state.update.type
    assert state.value.type.shape == (1, CHANNELS + 1 + 2, 1, 32)


def test_separate_states_are_each_padded_to_a_multiple_of_32() -> None:
    states = deploy(streaming(2), "separate").functions["f"].states
    assert [s.name for s in states] == [s.name for s in streaming(2).functions["f"].states]
    assert {s.value.type.shape[-1] % 32 for s in states} == {0}


@pytest.mark.parametrize("how", ["packed", "separate"])
def test_the_packing_tells_where_every_state_lies(how: str) -> None:
    old, new = streaming(3), deploy(streaming(3), how)
    _, expected = calls(old, 2)
    _, (_, actual) = calls(new, 2)
    packing = new.functions["f"].packing
    assert {place.name for place in packing} == {state.name for state in old.functions["f"].states}
    for place in packing:
        rows = place.shape[1] if len(place.shape) > 2 else 1
        columns = int(np.prod(place.shape)) // rows
        part = actual[place.tensor][0, place.row : place.row + rows, 0, place.column : place.column + columns]
        np.testing.assert_allclose(part.ravel(), expected[1][place.name].ravel(), atol=1e-9)


def lined(layers: int) -> Program:
    """Layers of a window over frames of 2 channels and 3 features, whose contexts are lines of 32 or of 4 entries."""
    program = Program("packed")
    b, states = Builder(program), []
    x = mel = Value(tensor(batch=1, channel=2, feature=3, time=CHUNK), "x")
    for layer in range(layers):
        for frames in (32, 4):
            past = Value(tensor(batch=1, channel=2, feature=3, time=frames), f"{layer}.{frames}")
            joined = b.op("concat", past, x, axis=3)
            states.append(State(past.name, past, b.op("slice", joined, axis=3, begin=CHUNK)))
            x = b.op("tanh", b.op("add", x, b.op("slice", joined, axis=3, begin=0, end=CHUNK)))
    program.functions["f"] = Function("f", [mel], b.ops, [("y", x)], states)
    return program


@pytest.mark.parametrize("layers", [1, 2, 5])
def test_lines_that_fill_a_row_are_rows(layers: int) -> None:
    new = deploy(lined(layers))
    expected, _ = calls(lined(layers), 12)
    actual, _ = calls(new, 12)
    for old, got in zip(expected, actual):
        np.testing.assert_allclose(got["y"], old["y"], rtol=0, atol=1e-9)
    (state,) = new.functions["f"].states
    flat = -(-2 * 3 * 4 * layers // 32)  # lines of 4 stand in rows of 32, where each line of 32 has one of its own
    assert state.value.type.shape == (1, 1, 2 * 3 * layers + flat, 32)


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("how", ["packed", "io"])
@pytest.mark.parametrize(("channels", "width"), [(32, 32), (40, 64)])
def test_states_that_fill_rows_stand_on_rows_of_their_own_and_the_rest_lies_flat(
    layers: int, how: str, channels: int, width: int
) -> None:
    """Scans with channels last, 32 of them, beside windows of 32 channels by 2 frames; of 40 channels all lie flat."""
    old, new = streaming(layers, channels), deploy(streaming(layers, channels), how, form="channels_last")
    expected, before = calls(old, 4)
    actual, after = calls(new, 4)
    for one, got in zip(expected, actual):
        for name, array in one.items():
            np.testing.assert_allclose(got[name], array, rtol=0, atol=1e-9 * np.abs(array).max())
    (state,) = new.functions["f"].states
    rows = [-(-entries * layers * channels // width) for entries in (STATES, 2)]
    assert state.value.type.shape == (1, 1, sum(rows) + 1 + 1, width)
    for place in new.functions["f"].packing:
        held = before[-1][place.name]
        held = held.transpose(0, 2, 3, 1) if place.name.endswith(".h") else held
        rows = place.shape[1] if len(place.shape) > 2 else 1
        pitch, start = place.pitch or width, place.row * width + place.column
        columns = held.size // rows
        flat = after[-1][place.tensor].ravel()
        found = [flat[start + c * pitch : start + c * pitch + columns] for c in range(rows)]
        np.testing.assert_allclose(np.concatenate(found), held.ravel(), atol=1e-9)
    assert parse_program(print_program(new)).functions["f"].packing == new.functions["f"].packing


def test_no_states_lie_flat_in_a_row_wider_than_the_limit() -> None:
    old, new = streaming(3, 40), deploy(streaming(3, 40), limit=160, form="channels_last")
    assert new.functions["f"].states[0].value.type.shape[-1] == 64
    cut = [op for op in new.functions["f"].ops if op.name == "reshape" and op.origin.path == "f"]
    assert max(max(op.results[0].type.shape) for op in cut) <= 160
    for one, got in zip(calls(old, 3)[0], calls(new, 3)[0]):
        for name, array in one.items():
            np.testing.assert_allclose(got[name], array, rtol=0, atol=1e-9 * np.abs(array).max())


@pytest.mark.parametrize("limit", [16, 12, 8])
def test_no_packed_state_is_wider_than_the_limit(limit: int) -> None:
    """States of one kind stand in several bins, in equal parts."""
    new = deploy(streaming(5), limit=limit)
    expected, _ = calls(streaming(5), 4)
    actual, _ = calls(new, 4)
    for old, got in zip(expected, actual):
        for name, array in old.items():
            np.testing.assert_allclose(got[name], array, rtol=0, atol=1e-9 * np.abs(array).max())
    places = new.functions["f"].packing
    widths = [
        place.column + int(np.prod(place.shape)) // (place.shape[1] if len(place.shape) > 2 else 1) for place in places
    ]
    assert max(widths) <= limit
    (state,) = new.functions["f"].states
    assert state.value.type.shape[1] > CHANNELS + 1 + 2


def count(program: Program) -> int:
    """Ops that compute or move something."""
    moved = 0
    for op in program.functions["f"].ops:
        source = op.operands[0] if op.operands else None
        relabels = op.name == "reshape" and source is not None and source.type.shape == op.result.type.shape
        moved += not relabels and op.name not in ("constant", "parameter")
    return moved


def test_reading_and_writing_costs_ops_per_kind_of_state_not_per_layer() -> None:
    lowered = [LowerSelectiveScan("decay").run(streaming(layers), Context()) for layers in (5, 6, 7)]
    packed = [deploy(streaming(layers)) for layers in (5, 6, 7)]
    per_layer = count(lowered[1]) - count(lowered[0])
    assert count(packed[1]) - count(packed[0]) == count(packed[2]) - count(packed[1])
    assert count(packed[2]) - count(packed[1]) == per_layer - 4  # no slice of a new state, no reshape of h


def test_a_state_reshaped_both_ways_is_kept_in_the_other_shape() -> None:
    lowered = LowerSelectiveScan("decay").run(streaming(1), Context())
    folded = FoldStateReshapes().run(lowered, Context())
    shapes = {s.name: s.value.type.shape for s in folded.functions["f"].states}
    assert shapes["0.h"] == (1, CHANNELS, STATES, 1)
    assert count(folded) == count(lowered) - 2


WINDOWS = """function @f(%x: f32[batch 1, channel 4, unit 1, time 8]) {
    state %a: f32[batch 1, channel 4, unit 1, time 2]
    state %b: f32[batch 1, channel 4, unit 1, time 3]
    %j = concat(%a, %x, axis = 3) %p = slice(%j, axis = 3, begin = 8)
    %k = concat(%b, %x, axis = 3) %q = slice(%k, axis = 3, begin = 8)
    next %a = %p next %b = %q
    return j = %j, k = %k }"""

PACKED = """function @f(%x: f32[batch 1, channel 4, unit 1, time 8]) {
    state %state: f32[batch 1, channel 4, unit 1, unit 32]
    %u, %v, %rest = split(%state, sizes = [2, 3, 27], axis = 3)
    %a = reshape(%u, axes = [batch 1, channel 4, unit 1, time 2])
    %b = reshape(%v, axes = [batch 1, channel 4, unit 1, time 3])
    %j = concat(%a, %x, axis = 3) %p = slice(%j, axis = 3, begin = 8)
    %k = concat(%b, %x, axis = 3) %q = slice(%k, axis = 3, begin = 8)
    %s = reshape(%p, axes = [batch 1, channel 4, unit 1, unit 2])
    %t = reshape(%q, axes = [batch 1, channel 4, unit 1, unit 3])
    %z = constant splat 0.0: f32[batch 1, channel 4, unit 1, unit 27]
    %new = concat(%s, %t, %z, axis = 3)
    next %state = %new
    packed a: [1, 4, 1, 2] in state[0, 0]
    packed b: [1, 4, 1, 3] in state[0, 2]
    return j = %j, k = %k }"""


def test_two_windows_become_columns_of_one_state(rewrites: Any) -> None:
    rewrites(PackStates, WINDOWS, PACKED)


COLUMN = "f32[batch 1, unit 1, feature 80, unit 1]"


def accumulating(layers: int, update: str, extra: str = "") -> str:
    """Layers that keep rows [1, 1, 16, 512] as `update` says, of the state %h, inputs %a and %b; and a column."""
    rows = "f32[batch 1, unit 1, feature 16, channel 512]"
    inputs = ", ".join([f"%t: {COLUMN}", *(f"%a{i}: {rows}, %b{i}: {rows}" for i in range(layers))])
    states = " ".join([f"state %c: {COLUMN}", *(f"state %h{i}: {rows}" for i in range(layers))])
    body = " ".join([*(update.replace("#", str(i)) for i in range(layers)), "%y = add(%a0, %b0) %v = tanh(%c)"])
    kept = " ".join(["next %c = %t", *(f"next %h{i} = %n{i}" for i in range(layers))])
    return f"""program @m {{ function @f({inputs}) {{ {states} {body} {kept} return y = %y, v = %v{extra} }} }}"""


def test_new_states_of_many_layers_are_made_at_once(rewrites: Any) -> None:
    made, _ = rewrites(PackStates, accumulating(8, "%k# = mul(%a#, %h#) %n# = add(%k#, %b#)"))
    ops = [(op.name, op.result.type.shape[2]) for op in made.functions["f"].ops if op.result.type.shape[3] == 512]
    assert [op for op in ops if op[0] in ("add", "mul", "concat")] == [
        ("add", 16), ("concat", 1), ("concat", 128), ("mul", 128), ("concat", 128), ("add", 128), ("concat", 129)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("update", "extra"),
    [("%n# = add(%a#, %h#)", ""), ("%k# = mul(%a#, %h#) %n# = add(%k#, %b#)", ", k = %k0")],
    ids=["a sum alone", "read elsewhere"],
)
def test_new_states_are_made_one_by_one_where_that_takes_no_more(rewrites: Any, update: str, extra: str) -> None:
    made, _ = rewrites(PackStates, accumulating(8, update, extra))
    sums = [op for op in made.functions["f"].ops if op.name == "add"]
    assert [op.result.type.shape[2] for op in sums] == [16] * 9


def test_states_of_some_rows_each_are_cut_out_of_one_reshape(rewrites: Any) -> None:
    rows, long = (f"f32[batch 1, time {frames}, unit 1, channel 64]" for frames in (3, 8))
    inputs = ", ".join([f"%t: {COLUMN}", *(f"%x{i}: {long}" for i in range(5))])
    states = " ".join([f"state %c: {COLUMN}", *(f"state %h{i}: {rows}" for i in range(5))])
    body = "".join(
        f" %j{i} = concat(%h{i}, %x{i}, axis = 1) %n{i} = slice(%j{i}, axis = 1, begin = 8)" for i in range(5)
    )
    kept = "".join(f" next %h{i} = %n{i}" for i in range(5))
    results = ", ".join(f"y{i} = %j{i}" for i in range(5))
    body = f"{states} %v = tanh(%c) {body} next %c = %t {kept} return v = %v, {results}"
    made, _ = rewrites(PackStates, f"program @m {{ function @f({inputs}) {{ {body} }} }}")
    cut = [op for op in made.functions["f"].ops if op.result.type.shape[1:] == (3, 1, 64)]
    assert [(op.name, len(op.results)) for op in cut if op.name != "reshape"] == [("split", 5)]
    assert [op.result.type.shape for op in made.functions["f"].ops if op.name == "slice"] == [(1, 3, 1, 320)]
