"""SSD as decay matrices of heads: equal to the definition in float64, close to it when every op rounds to fp16."""

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
from mctc.rewrite.base import Context

HEADS, WIDTH, STATES = 4, 3, 5


def laid_out(channels: int, frames: int) -> TensorType:
    roles = (Role.BATCH, Role.CHANNEL, Role.UNIT, Role.TIME)
    return TensorType(DType.F32, tuple(Axis(r, Extent.of(n)) for r, n in zip(roles, (1, channels, 1, frames))))


def ssd_program(frames: int, carried: bool, masked: bool, groups: int = 1) -> Program:
    program, rng = Program("dual"), np.random.default_rng(1)
    b = Builder(program)
    x, delta = Value(laid_out(HEADS * WIDTH, frames), "x"), Value(laid_out(HEADS, frames), "delta")
    B, C = (Value(laid_out(groups * STATES, frames), name) for name in "BC")
    mask = Value(TensorType(DType.F32, (Axis(Role.TIME, Extent.of(frames)),)), "mask") if masked else None
    A = b.constant(-np.exp(rng.uniform(0, np.log(16), HEADS)).astype(np.float32))
    D = b.constant(rng.normal(size=HEADS).astype(np.float32))
    roles = (Role.BATCH, Role.CHANNEL, Role.UNIT, Role.FEATURE)
    extents = (1, HEADS * WIDTH, 1, STATES)
    state = TensorType(DType.F32, tuple(Axis(r, Extent.of(n)) for r, n in zip(roles, extents)))
    h = Value(state, "h") if carried else None
    y, new = b.emit("ssd", x, delta, A, B, C, D, h, mask, groups=groups)
    inputs = [v for v in (x, delta, B, C, mask) if v is not None]
    states = [] if h is None else [State("h", h, new)]
    program.functions["f"] = Function("f", inputs, b.ops, [("y", y), ("last", new)], states)
    return program


def written_program(frames: int, writes: int, reads: int, groups: int, masked: bool, diagonal: bool) -> Program:
    """A decay of each frame, several writes and reads, and a weight of its own for what a frame reads of itself."""
    program = Program("dual")
    b = Builder(program)
    sizes = {"x": writes * HEADS * WIDTH, "delta": writes * HEADS, "A": HEADS}
    sizes |= {"B": writes * groups * STATES, "C": reads * groups * STATES}
    x, delta, decay, B, C = (Value(laid_out(channels, frames), name) for name, channels in sizes.items())
    own = Value(laid_out(writes * HEADS, frames), "own") if diagonal else None
    mask = Value(TensorType(DType.F32, (Axis(Role.TIME, Extent.of(frames)),)), "mask") if masked else None
    roles, extents = (Role.BATCH, Role.CHANNEL, Role.UNIT, Role.FEATURE), (1, HEADS * WIDTH, 1, STATES)
    h = Value(TensorType(DType.F32, tuple(Axis(r, Extent.of(n)) for r, n in zip(roles, extents))), "h")
    D = b.constant(np.arange(1.0, HEADS + 1, dtype=np.float32)) if writes == reads else None
    a = b.op("neg", b.op("softplus", decay))
    y, new = b.emit("ssd", x, delta, a, B, C, D, h, mask, own, groups=groups)
    inputs = [v for v in (x, delta, decay, B, C, own, mask) if v is not None]
    program.functions["f"] = Function("f", inputs, b.ops, [("y", y), ("last", new)], [State("h", h, new)])
    return program


def draw(program: Program, rng: np.random.Generator, slowest: float) -> dict[str, Any]:
    shapes = {v.name: v.type.shape for v in program.functions["f"].inputs}
    arrays: dict[str, Any] = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    arrays["delta"] = slowest * np.exp(rng.uniform(0, 1, shapes["delta"]))
    if "mask" in arrays:
        arrays["mask"] = (rng.random(shapes["mask"]) < 0.6).astype(np.float64)
    return arrays


def no_parameters(name: str) -> Any:
    raise AssertionError(name)


def run(program: Program, chunks: list[dict[str, Any]], **how: Any) -> dict[str, np.ndarray]:
    state, found = None, []
    for chunk in chunks:
        results, state = evaluate(program.functions["f"], chunk, no_parameters, state, **how)
        found.append(results)
    return {"y": np.concatenate([each["y"] for each in found], -1), "last": found[-1]["last"]}


def lowered(program: Program) -> Program:
    return LowerSelectiveScan().run(program, Context())


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize(
    ("frames", "carried", "masked"),
    [(1, True, False), (2, True, True), (8, True, False), (6, False, True), (70, True, True), (130, False, False)],
)
def test_equals_the_definition_over_chained_calls(frames: int, carried: bool, masked: bool, groups: int) -> None:
    program, rng = ssd_program(frames, carried, masked, groups), np.random.default_rng(frames)
    chunks = [draw(program, rng, 0.02) for _ in range(3 if carried else 1)]
    expected, actual = run(program, chunks), run(lowered(program), chunks)
    for name, want in expected.items():
        np.testing.assert_allclose(actual[name], want, rtol=0, atol=1e-9 * np.abs(want).max(), err_msg=name)


@pytest.mark.parametrize(
    ("frames", "writes", "reads", "groups", "masked", "diagonal"),
    [
        (8, 1, 1, 2, False, True),
        (5, 2, 1, 1, True, False),
        (40, 3, 2, 2, True, True),
        (1, 2, 2, 1, False, True),
        (70, 2, 1, 4, True, True),
    ],
)
def test_writes_and_reads_of_a_frame_equal_the_definition(
    frames: int, writes: int, reads: int, groups: int, masked: bool, diagonal: bool
) -> None:
    program = written_program(frames, writes, reads, groups, masked, diagonal)
    chunks = [draw(program, np.random.default_rng(call), 0.02) for call in range(3)]
    expected, actual = run(program, chunks), run(lowered(program), chunks)
    for name, want in expected.items():
        np.testing.assert_allclose(actual[name], want, rtol=0, atol=1e-9 * np.abs(want).max(), err_msg=name)


def round_to_half(op: Op, results: list[np.ndarray]) -> None:
    for array in results:
        array[...] = array.astype(np.float16)


# Relative rms of the error, with room for other seeds.
@pytest.mark.parametrize(("slowest", "bound"), [(0.001, 3e-3), (0.02, 2e-3), (0.3, 2e-3)])
def test_fp16_error_stays_bounded_for_slow_and_fast_modes(slowest: float, bound: float) -> None:
    program, rng = ssd_program(8, True, False), np.random.default_rng(3)
    chunks = [
        {k: v.astype(np.float16).astype(np.float64) for k, v in draw(program, rng, slowest).items()} for _ in range(60)
    ]
    expected = run(program, chunks)["y"]
    actual = run(lowered(program), chunks, dtype=np.float32, observe=round_to_half)["y"]
    assert np.sqrt(np.mean((actual - expected) ** 2) / np.mean(expected**2)) < bound


def test_has_no_transpose_and_no_deny_listed_op() -> None:
    ops = {op.name for op in lowered(ssd_program(8, True, True, 2)).functions["f"].ops}
    assert ops <= {"constant", "reshape", "split", "slice", "concat", "mul", "add", "exp", "matmul"}


def test_no_exponent_is_positive_whatever_the_length() -> None:
    program = ssd_program(100, False, False)
    seen: list[float] = []

    def watch(op: Op, results: list[np.ndarray]) -> None:
        if op.name == "exp":
            seen.append(float(results[0].max()))

    evaluate(
        lowered(program).functions["f"], draw(program, np.random.default_rng(0), 2.0), no_parameters, observe=watch
    )
    assert seen
    assert max(seen) <= 1.0
