"""The scan's static forms: equal to the definition in float64, and close to it when every op rounds to fp16."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mctc.evaluate.reference import evaluate
from mctc.ir.build import Builder
from mctc.ir.dims import Extent
from mctc.ir.program import Function, Op, Program, State, Value
from mctc.ir.types import Axis, DType, Role, TensorType
from mctc.passes.lower_selective_scan import LowerSelectiveScan
from mctc.passes.selective_scan.channels_last import sums
from mctc.passes.selective_scan.cost import CHUNKS, FORMS, Size, choose, plan
from mctc.passes.selective_scan.decay import matrices
from mctc.rewrite.base import Context
from mctc.rewrite.options import options_of


def laid_out(channels: int, frames: int) -> TensorType:
    roles = (Role.BATCH, Role.CHANNEL, Role.UNIT, Role.TIME)
    return TensorType(DType.F32, tuple(Axis(r, Extent.of(n)) for r, n in zip(roles, (1, channels, 1, frames))))


def scan_program(channels: int, states: int, frames: int, carried: bool = True, masked: bool = False) -> Program:
    program = Program("scans")
    b = Builder(program)
    x, delta = Value(laid_out(channels, frames), "x"), Value(laid_out(channels, frames), "delta")
    B, C = Value(laid_out(states, frames), "B"), Value(laid_out(states, frames), "C")
    mask = Value(TensorType(DType.F32, (Axis(Role.TIME, Extent.of(frames)),)), "mask") if masked else None
    rng = np.random.default_rng(1)
    A = b.constant(-np.exp(rng.uniform(0, np.log(16), (channels, states))).astype(np.float32))
    D = b.constant(rng.normal(size=channels).astype(np.float32))
    roles = (Role.BATCH, Role.CHANNEL, Role.UNIT, Role.FEATURE)
    state = TensorType(DType.F32, tuple(Axis(r, Extent.of(n)) for r, n in zip(roles, (1, channels, 1, states))))
    h = Value(state, "h") if carried else None
    y, new = b.emit("selective_scan", x, delta, A, B, C, D, h, mask)
    inputs = [v for v in (x, delta, B, C, mask) if v is not None]
    states_ = [State("h", h, new)] if h is not None else []
    program.functions["f"] = Function("f", inputs, b.ops, [("y", y)], states_)
    return program


def draw(program: Program, rng: np.random.Generator, slowest: float) -> dict[str, Any]:
    shapes = {v.name: v.type.shape for v in program.functions["f"].inputs}
    arrays: dict[str, Any] = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    arrays["delta"] = slowest * np.exp(rng.uniform(0, 1, shapes["delta"]))
    if "mask" in arrays:
        arrays["mask"] = (rng.random(shapes["mask"]) < 0.6).astype(np.float64)
    return arrays


def lowered(program: Program, form: Any = None) -> tuple[Program, Context]:
    context = Context()
    return LowerSelectiveScan(form).run(program, context), context


def no_parameters(name: str) -> Any:
    raise AssertionError(name)


def run(program: Program, chunks: list[dict[str, Any]], **how: Any) -> tuple[np.ndarray, Any]:
    state, ys = None, []
    for chunk in chunks:
        results, state = evaluate(program.functions["f"], chunk, no_parameters, state, **how)
        ys.append(results["y"])
    return np.concatenate(ys, -1), state


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("frames", "carried", "masked"),
    [
        (1, True, False),
        (2, True, True),
        (5, True, False),
        (8, True, True),
        (6, False, False),
        (75, True, True),
        (64, False, False),
    ],
)
def test_every_form_equals_the_definition_over_chained_chunks(
    form: str, frames: int, carried: bool, masked: bool
) -> None:
    program = scan_program(6, 4, frames, carried, masked)
    after, _ = lowered(program, form)
    rng = np.random.default_rng(frames)
    chunks = [draw(program, rng, 0.02) for _ in range(3)]
    expected, state = run(program, chunks)
    actual, new_state = run(after, chunks)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-9 * np.abs(expected).max())
    if carried:
        np.testing.assert_allclose(new_state["h"], state["h"], rtol=0, atol=1e-9 * np.abs(state["h"]).max())


def round_to_half(op: Op, results: list[np.ndarray]) -> None:
    for array in results:
        array[...] = array.astype(np.float16)


# Relative rms of the error, with room for other seeds. The slow modes (steps of 0.001) tell the forms apart.
@pytest.mark.parametrize(
    ("form", "slowest", "bound"),
    [
        ("channels_last", 0.001, 3e-3),
        ("channels_last", 0.02, 1.5e-3),
        ("channels_last", 0.3, 1.5e-3),
        ("decay", 0.001, 3e-3),
        ("prefix", 0.001, 1.2e-2),
        ("unrolled", 0.001, 2e-2),
        ("decay", 0.02, 1.5e-3),
        ("prefix", 0.02, 1.5e-3),
        ("unrolled", 0.02, 2e-3),
        ("decay", 0.3, 1.5e-3),
        ("prefix", 0.3, 1.5e-3),
        ("unrolled", 0.3, 1.5e-3),
    ],
)
def test_fp16_error_stays_bounded_for_slow_and_fast_modes(form: str, slowest: float, bound: float) -> None:
    program = scan_program(16, 16, 8)
    after, _ = lowered(program, form)
    rng = np.random.default_rng(3)
    chunks = [
        {k: v.astype(np.float16).astype(np.float64) for k, v in draw(program, rng, slowest).items()} for _ in range(60)
    ]
    expected, _ = run(program, chunks)
    actual, _ = run(after, chunks, dtype=np.float32, observe=round_to_half)
    error = np.sqrt(np.mean((actual - expected)[..., 80:] ** 2) / np.mean(expected[..., 80:] ** 2))
    assert error < bound


def test_decay_form_has_no_transpose_no_deny_listed_op_and_few_ops() -> None:
    after, _ = lowered(scan_program(6, 4, 8), "decay")
    ops = [op.name for op in after.functions["f"].ops if op.name not in ("constant", "parameter")]
    assert sorted(set(ops)) == ["add", "concat", "exp", "matmul", "mul", "reduce_sum", "reshape", "slice"]
    assert len(ops) == 20  # 14 of the scan and skip, 2 reshapes of parameters that fold away, 4 of B, C and the state
    assert all(value.type.rank <= 4 for op in after.functions["f"].ops for value in op.results)


def test_decay_pairs_name_every_contribution_once() -> None:
    exponents, spread, collect = matrices(3, carried=True)
    assert exponents.shape == (3, 9)
    assert spread.shape == (4, 9)
    log_decay = np.array([0.1, 0.2, 0.4]) @ exponents
    weights = spread @ np.diag(np.exp(-log_decay)) @ collect  # source by frame
    expected = np.exp(-np.array([[0.1, 0.3, 0.7], [0, 0.2, 0.6], [np.inf, 0, 0.4], [np.inf, np.inf, 0]]))
    np.testing.assert_allclose(weights, expected)


@pytest.mark.parametrize("frames", [1, 2, 8, 13, 75])
@pytest.mark.parametrize("form", FORMS)
def test_the_cost_is_that_of_the_ops_that_a_form_makes(form: str, frames: int) -> None:
    after, _ = lowered(scan_program(6, 4, frames), form)
    folded = {"constant", "parameter", "reshape", "transpose"}
    made = sum(op.name not in folded for op in after.functions["f"].ops)
    around = 2  # D * x and its sum
    chosen = plan(form, Size(6, 4, frames))
    pieces = -(-frames // chosen.chunk)
    moved = {"channels_last": 4 if frames > 1 else 5, "decay": 2, "prefix": 2, "unrolled": 2}[form]  # reshapes
    assert chosen.ops == made - around * pieces + moved * pieces


def test_channels_last_have_no_transpose_inside_and_no_padded_row() -> None:
    after, _ = lowered(scan_program(64, 16, 8), "channels_last")
    ops = after.functions["f"].ops
    inside = [op for op in ops if op.name == "transpose" and op.operands[0].name != "h" and op.result.type.rank == 4]
    assert [op.result.type.shape for op in inside] == [(1, 64, 1, 16)]  # the state, which fold-state-reshapes keeps
    wide = [v.type.shape for op in ops for v in op.results if v.type.size >= 64 * 16 and op.name != "transpose"]
    assert {shape[-1] for shape in wide if len(shape) == 4} <= {64, 2 * (64 + 16), 8}


def test_what_a_state_decays_to_is_taken_of_sums_of_steps() -> None:
    np.testing.assert_array_equal(sums(3, False), [[0, 1, 0], [0, 0, 1]])
    np.testing.assert_array_equal(sums(3, True)[2:], np.tril(np.ones((3, 3))))


def test_elementwise_ops_on_the_steps_are_done_with_channels_last() -> None:
    program = scan_program(6, 4, 8)
    function = program.functions["f"]
    (scan,) = (op for op in function.ops if op.name == "selective_scan")
    builder = Builder(program)
    raw = function.inputs[1]
    steps = builder.op("scale", builder.op("softplus", raw), offset=0.25)
    operands = [steps if value is raw else value for value in scan.operands]
    y, new = builder.emit("selective_scan", *operands)
    ops = [*(op for op in function.ops if op is not scan), *builder.ops]
    program.functions["f"] = Function(
        "f", function.inputs, ops, [("y", y)], [State("h", function.states[0].value, new)]
    )
    after, _ = lowered(program, "channels_last")
    shapes = {op.name: op.result.type.shape for op in after.functions["f"].ops}
    assert shapes["softplus"] == shapes["scale"] == (1, 8, 1, 6)
    chunks = [draw(program, np.random.default_rng(1), 0.1)]
    np.testing.assert_allclose(run(after, chunks)[0], run(program, chunks)[0], rtol=0, atol=1e-9)


@pytest.mark.parametrize("size", [(512, 16, 8), (1024, 16, 32), (512, 16, 1), (288, 16, 16), (1024, 16, 500)])
def test_a_form_is_taken_for_sure_only_where_every_reading_agrees(size: tuple[int, int, int]) -> None:
    choice = choose(Size(*size))
    best = {plan.form for plan in choice.plans if all(plan is p or plan.beats(p) for p in choice.plans)}
    assert choice.doubtful == (not best)
    assert choice.taken.form == (best or {"channels_last"}).pop()
    assert choice.taken.chunk in (*CHUNKS, size[2])
    assert ("doubtful" in choice.why()) == choice.doubtful


def test_a_single_frame_is_surely_cheapest_with_channels_last() -> None:
    choice = choose(Size(512, 16, 1))
    assert (choice.taken.form, choice.doubtful) == ("channels_last", False)


def test_the_choice_is_explained_and_recorded() -> None:
    after, context = lowered(scan_program(6, 4, 8))
    ((by, _, why),) = context.explanations
    assert by == "lower-selective-scan"
    assert "D=6, N=4, T=8" in why
    histories = {event.change for op in after.functions["f"].ops for event in op.origin.history}
    assert histories == {"selective_scan became its channels_last form"}
    for form in FORMS:
        assert f"{form}: " in why


def test_the_option_takes_the_forms_that_there_are() -> None:
    assert options_of(LowerSelectiveScan)["form"].choices == tuple(FORMS)


BEFORE = """function @f(%x: f32[batch 1, channel 4, unit 1, time 2], %d: f32[batch 1, channel 4, unit 1, time 2],
        %B: f32[batch 1, channel 3, unit 1, time 2], %C: f32[batch 1, channel 3, unit 1, time 2]) {
    %A = parameter @A: f32[4, 3]
    %y, %h = selective_scan(%x, %d, %A, %B, %C)
    return y = %y }"""

DECAY = """function @f(%x: f32[batch 1, channel 4, unit 1, time 2], %d: f32[batch 1, channel 4, unit 1, time 2],
        %B: f32[batch 1, channel 3, unit 1, time 2], %C: f32[batch 1, channel 3, unit 1, time 2]) {
    %A = parameter @A: f32[4, 3]
    %exponents = constant [[0.0, 0.0, 0.0], [0.0, 1.0, 0.0]]: f32[2, 3]
    %spread = constant [[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]: f32[2, 3]
    %collect = constant [[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]: f32[3, 2]
    %s = matmul(%d, %exponents)
    %a = reshape(%A, axes = [unit 1, channel 4, feature 3, unit 1]) %l = mul(%s, %a)
    %u = mul(%d, %x) %b = reshape(%B, axes = [unit 1, unit 1, feature 3, time 2]) %v = mul(%u, %b)
    %e = exp(%l) %w = matmul(%v, %spread) %p = mul(%e, %w)
    %H = matmul(%p, %collect)
    %c = reshape(%C, axes = [unit 1, unit 1, feature 3, time 2]) %r = mul(%H, %c) %y = reduce_sum(%r, axis = 2)
    return y = %y }"""


def test_two_frames_as_three_pairs(rewrites: Any) -> None:
    rewrites(LowerSelectiveScan(form="decay"), BEFORE, DECAY)
