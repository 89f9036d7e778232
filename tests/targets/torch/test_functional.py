"""Functions on laid-out tensors: padded batches, compiled and exported graphs, gradients, autocast."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mctc.evaluate.reference import evaluate
from mctc.ir.program import Function
from mctc.ir.text import parse_program
from mctc.targets.torch.expressions import UnsupportedError, expression
from mctc.targets.torch.runtime import functional, recurrence_op
from mctc.targets.torch.runtime.recurrence_op import GRU, LSTM

from .written import imported, tensor

X = "f32[batch B, channel 8, unit 1, time T]"
LENGTHS = (8, 6, 1)


def function_of(line: str, results: int = 1, **inputs: str) -> Function:
    names = ", ".join(f"%{i}" for i in range(results))
    args = ", ".join(f"%{name}: {type_}" for name, type_ in ({"x": X} | inputs).items())
    returned = ", ".join(f"r{i} = %{i}" for i in range(results))
    return parse_program(f"function @f({args}) {{ {names} = {line} return {returned} }}").functions["f"]


def drawn(function: Function, batch: int, frames: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    sizes = {"B": batch, "T": frames, "U": 3}
    return {value.name: rng.normal(size=value.type.substitute(sizes).shape) for value in function.inputs}


def written(function: Function, inputs: dict[str, np.ndarray], valid: Tensor | None) -> list[np.ndarray]:
    (op,) = function.ops
    names = [None if value is None else value.name for value in op.operands]
    made = expression(op, names, None if valid is None else "valid")
    scope = imported(made.imports) | {name: tensor(array, torch.float64) for name, array in inputs.items()}
    back = eval(made.text, scope | {"valid": valid})
    return [each.numpy() for each in (back if isinstance(back, tuple) else (back,))]


RNN = {"i": "f32[16, 8]", "h": "f32[16, 4]", "b": "f32[16]"}
CELL = {"i": "f32[12, 8]", "h": "f32[12, 4]"}
SCAN = {"d": X, "a": "f32[8, 2]", "s": "f32[batch B, channel 2, unit 1, time T]"}
HEADS = "f32[batch B, channel 4, unit 1, time T]"
RELATIVE = {"p": "f32[8, 6]", "u": "f32[8]"}
SEES_PADDING = [
    ("attention(%x, %x, %x, heads = 2)", 1, {}),
    ("attention(%x, %x, %x, heads = 2, kv_heads = 2, left = 1, right = 2)", 1, {}),
    ("attention(%q, %x, %x, heads = 2)", 1, {"q": "f32[batch B, channel 8, unit 1, label U]"}),
    ("relative_attention(%x, %x, %x, %p, %u, %u, heads = 2)", 1, RELATIVE),
    ("relative_attention(%x, %x, %x, %p, %u, %u, heads = 4, left = 1, right = 2, symmetric = true)", 1, RELATIVE),
    ("conv2d(%x, %w, pad = [1, 1])", 1, {"w": "f32[4, 8, 1, 3]"}),
    ("conv2d(%x, %w, pad = [0, 4], groups = 8)", 1, {"w": "f32[8, 1, 1, 5]"}),
    ("reverse(%x)", 1, {}),
    ("reduce_sum(%x, axis = time)", 1, {}),
    ("reduce_mean(%x, axis = time)", 1, {}),
    ("reduce_max(%x, axis = time)", 1, {}),
    ("reduce_min(%x, axis = time)", 1, {}),
    ("lstm(%x, %i, %h, %b)", 3, RNN),
    ("gru(%x, %i, %h)", 2, CELL),
    ("selective_scan(%x, %d, %a, %s, %s)", 2, SCAN),
    ("ssd(%x, %e, %f, %s, %s)", 2, SCAN | {"e": "f32[batch B, channel 4, unit 1, time T]", "f": "f32[4]"}),
    ("ssd(%x, %e, %g, %s, %s)", 2, SCAN | {"e": HEADS, "g": HEADS}),
    ("ssd(%x, %e, %s, %e, %s)", 2, SCAN | {"e": HEADS}),
    ("ssd(%x, %e, %f, %s, %s, %f, none, none, %e)", 2, SCAN | {"e": HEADS, "f": "f32[4]"}),
    ("ssd(%x, %e, %s, %e, %e, %f, none, none, %e)", 2, SCAN | {"e": HEADS, "f": "f32[2]"}),
    ("ssd(%x, %e, %s, %x, %e, groups = 2)", 2, SCAN | {"e": HEADS}),
]
SEES_NONE = [
    ("attention(%x, %x, %x, heads = 2, right = 0)", {}),
    ("attention(%x, %x, %x, heads = 2, left = 2, right = 0)", {}),
    ("relative_attention(%x, %x, %x, %p, %u, %u, heads = 2, left = 2, right = 0, scale = 0.2)", RELATIVE),
    ("conv2d(%x, %w, pad = [2, 0])", {"w": "f32[4, 8, 1, 3]"}),
    ("conv2d(%x, %w, stride = [1, 2], pad = [1, 1])", {"w": "f32[4, 8, 1, 3]"}),
    ("layer_norm(%x)", {}),
    ("silu(%x)", {}),
    ("reduce_mean(%x, axis = channel)", {}),
]


def one_by_one(function: Function, inputs: dict[str, np.ndarray], length: int, row: int) -> list[np.ndarray]:
    """The reference on one utterance without its padding."""
    alone = {}
    for value in function.inputs:
        array = inputs[value.name]
        array = array[row : row + 1] if value.type.axes[0].role.value == "batch" else array
        alone[value.name] = array[..., :length] if value.type.axes[-1].role.value == "time" else array
    results, _ = evaluate(function, alone, lambda name: np.zeros(0))
    return list(results.values())


def assert_each_alone(function: Function, inputs: dict[str, np.ndarray], got: list[np.ndarray]) -> None:
    for row, length in enumerate(LENGTHS):
        if any(value.type.extents[-1].symbols and length % 2 for value in function.ops[0].results) and length > 1:
            continue
        for mine, want in zip(got, one_by_one(function, inputs, length, row), strict=True):
            np.testing.assert_allclose(mine[row : row + 1, ..., : want.shape[-1]], want, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(("line", "results", "inputs"), SEES_PADDING)
def test_a_padded_batch_gives_what_each_utterance_gives_alone(line: str, results: int, inputs: dict[str, str]) -> None:
    function = function_of(line, results, **inputs)
    assert function.ops[0].padded() is not None
    arrays = drawn(function, len(LENGTHS), max(LENGTHS))
    valid = (torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None]).float()
    assert_each_alone(function, arrays, written(function, arrays, valid))


@pytest.mark.parametrize(("line", "inputs"), SEES_NONE)
def test_what_sees_no_padding_needs_no_mask(line: str, inputs: dict[str, str]) -> None:
    function = function_of(line, **inputs)
    assert function.ops[0].padded() is None
    arrays = drawn(function, 2, 8)
    got = written(function, arrays, None)
    (want,) = one_by_one(function, arrays, 6, 1)
    np.testing.assert_allclose(got[0][1:2, ..., : want.shape[-1]], want, rtol=1e-6, atol=1e-9)


def test_a_recurrent_op_needs_a_mask_only_where_its_final_state_is_read() -> None:
    op = function_of("lstm(%x, %i, %h, %b)", 3, **RNN).ops[0]
    assert op.padded(read=[0]) is None
    assert op.padded(read=[0, 2]) is not None
    assert op.padded() is op.operand("x")


def test_ends_joined_to_ends_have_no_padded_form() -> None:
    op = function_of("concat(%x, %x, axis = time)").ops[0]
    with pytest.raises(UnsupportedError, match="utterance by utterance"):
        expression(op, ["x", "x"], "valid")


@pytest.mark.parametrize(("name", "more"), [("attention", ""), ("relative_attention", "%p, %u, %u, ")])
def test_a_query_that_sees_no_key_averages_over_its_band(name: str, more: str) -> None:
    text = f"{name}(%x, %x, %x, {more}%m, heads = 2, left = 1, right = 1)"
    function = function_of(text, m="f32[time T]", **(RELATIVE if more else {}))
    arrays = drawn(function, 2, 6) | {"m": np.array([1.0, 0, 0, 0, 0, 1])}
    want, _ = evaluate(function, arrays, lambda name: np.zeros(0))
    np.testing.assert_allclose(written(function, arrays, None)[0], want["r0"], rtol=1e-6)


def test_relative_positions_of_a_context_that_is_handed_over() -> None:
    shapes = {"q": "f32[batch B, channel 8, unit 1, time 3]", "k": "f32[batch B, channel 8, unit 1, time 8]"}
    text = "relative_attention(%q, %k, %k, %p, %u, %u, heads = 2, left = 4, right = 1, given = true)"
    function = function_of(text, **shapes, **RELATIVE)
    arrays = drawn(function, 2, 6)
    want, _ = evaluate(function, arrays, lambda name: np.zeros(0))
    np.testing.assert_allclose(written(function, arrays, None)[0], want["r0"], rtol=1e-6)


def laid_out(*shape: int, **options: Any) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)), **options)


def beginning(x: Tensor) -> Tensor:
    """All frames of the first utterance exist and but three of the others'."""
    frames = torch.arange(x.shape[-1], device=x.device)
    ends = torch.where(torch.arange(x.shape[0], device=x.device) > 0, x.shape[-1] - 3, x.shape[-1])
    return (frames < ends[:, None]).float()


W_LSTM = laid_out(16, 8), laid_out(16, 4), laid_out(16)
W_GRU = laid_out(12, 8), laid_out(12, 4), laid_out(12), laid_out(12, 1).flatten()
MASK = torch.tensor([1.0, 0, 1, 1, 0, 1, 1])
CALLS: dict[str, Callable[[Tensor], Any]] = {
    "attention": lambda x: functional.attention(x, x, x, heads=2, left=2, right=1),
    "causal attention": lambda x: functional.attention(x, x, x, heads=4, kv_heads=4, right=0),
    "padded attention": lambda x: functional.attention(x, x, x, heads=2, valid=beginning(x)),
    "layer_norm": functional.layer_norm,
    "rms_norm": functional.rms_norm,
    "masked_mean": lambda x: functional.masked_mean(x, beginning(x)),
    "reverse": lambda x: functional.reverse(x, beginning(x)),
    "lstm": lambda x: functional.lstm(x, *W_LSTM)[0],
    "gru": lambda x: functional.gru(x, *W_GRU)[0],
}


class Calling(nn.Module):
    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def forward(self, x: Tensor) -> Any:
        return CALLS[self.name](x)


@pytest.mark.quick("padded attention", "lstm", "rms_norm")
@pytest.mark.parametrize("name", CALLS)
def test_it_compiles_to_one_graph_and_differentiates(name: str) -> None:
    module, x = Calling(name), laid_out(2, 8, 1, 7, requires_grad=True)
    torch._dynamo.reset()
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    want, got = module(x), compiled(x)
    torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-6)
    weight = torch.linspace(-1, 1, want.numel()).reshape(want.shape)
    (a,), (b,) = (torch.autograd.grad((y * weight).sum(), x) for y in (want, got))
    torch.testing.assert_close(b, a, rtol=1e-4, atol=1e-6)


@pytest.mark.quick("causal attention", "gru", "layer_norm")
@pytest.mark.parametrize("name", CALLS)
def test_it_exports_for_any_number_of_frames(name: str) -> None:
    module = Calling(name)
    frames = {3: torch.export.Dim("frames", min=2, max=512)}
    graph = torch.export.export(module, (laid_out(2, 8, 1, 7),), dynamic_shapes=(frames,)).module()
    other = laid_out(2, 8, 1, 12)
    torch.testing.assert_close(graph(other), module(other), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_under_autocast_it_stays_near(name: str, dtype: torch.dtype) -> None:
    x = laid_out(2, 8, 1, 7)
    with torch.autocast("cpu", dtype):
        got = CALLS[name](x.to(dtype))
    torch.testing.assert_close(got.float(), CALLS[name](x), rtol=0.05, atol=0.05)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("norm", [functional.layer_norm, functional.rms_norm])
def test_a_norm_keeps_the_frames_type_and_time_innermost(norm: Callable[..., Tensor]) -> None:
    x, weight = laid_out(2, 8, 1, 7).bfloat16(), torch.linspace(0.5, 1.5, 8)
    got = norm(x, weight)
    assert got.dtype == torch.bfloat16
    assert got.stride() == x.stride()
    torch.testing.assert_close(got.float(), norm(x.float(), weight), rtol=0.01, atol=0.01)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(("op", "gates"), [("lstm_recurrence", 4), ("gru_recurrence", 3)])
def test_a_recurrence_is_a_sound_operation(op: str, gates: int, masked: bool) -> None:
    """Schema, fake tensors, autograd registration and AOT by torch's own checks; gradients against differences."""
    from_x, weight, bias, h = (
        laid_out(*s, dtype=torch.float64) for s in ((5, 2, gates * 3), (gates * 3, 3), (9,), (2, 3))
    )
    tensors = [from_x, weight, h, h * 0.5] if gates == 4 else [from_x, weight, bias, h]
    marks = torch.tensor([[1, 1], [1, 0], [0, 0], [1, 1], [0, 1]], dtype=torch.bool)[..., None] if masked else None
    given = [each.clone().requires_grad_() for each in tensors]
    operation = getattr(torch.ops.mctc, op)
    assert {len(LSTM.split(",")), len(GRU.split(","))} == {len(given) + 1}
    torch.library.opcheck(operation.default, (*given, marks))
    assert torch.autograd.gradcheck(lambda *t: operation(*t, marks), given)


def test_a_second_copy_of_the_operations_takes_the_first_ones(tmp_path: Path) -> None:
    copied = tmp_path / "recurrence_op.py"
    copied.write_text(Path(recurrence_op.__file__).read_text(encoding="utf-8"), encoding="utf-8")
    spec = importlib.util.spec_from_file_location("copied_recurrence_op", copied)
    assert spec is not None
    assert spec.loader is not None
    before = torch.ops.mctc.lstm_recurrence
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    assert torch.ops.mctc.lstm_recurrence is before


def test_a_mean_of_many_frames_stays_within_fp16() -> None:
    x = torch.full((1, 2, 1, 3000), 100.0, dtype=torch.float16)
    valid = (torch.arange(3000) < 2000)[None].float()
    torch.testing.assert_close(functional.masked_mean(x, valid), torch.full((1, 2, 1, 1), 100.0).half())


def test_a_mask_of_ones_changes_nothing() -> None:
    x, ones = laid_out(2, 8, 1, 7), torch.ones(7)
    for cell, weights in ((functional.lstm, W_LSTM), (functional.gru, W_GRU)):
        for a, b in zip(cell(x, *weights), cell(x, *weights, mask=ones), strict=True):
            torch.testing.assert_close(a, b)


def test_masked_frames_leave_the_state_as_it_was() -> None:
    x = laid_out(2, 8, 1, 7)
    kept = x[..., MASK > 0]
    for cell, weights in ((functional.lstm, W_LSTM), (functional.gru, W_GRU)):
        masked, plain = cell(x, *weights, mask=MASK), cell(kept, *weights)
        torch.testing.assert_close(masked[0][..., MASK > 0], plain[0])
        torch.testing.assert_close(masked[1:], plain[1:])
