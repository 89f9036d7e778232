"""Embeddings by arithmetic: the rows of the table, exact in fp16 too, with no integer left."""

from __future__ import annotations

import numpy as np
import pytest

from mctc.evaluate.reference import evaluate
from mctc.ir.build import Builder
from mctc.ir.dims import Extent
from mctc.ir.program import Function, Initializer, Op, Parameter, Program, Quantization, Source, Value
from mctc.ir.text import parse_program
from mctc.ir.types import Axis, DType, Role, TensorType, plain
from mctc.passes.lower_embedding import LowerEmbedding
from mctc.quantize import quantize
from mctc.rewrite.base import Context
from mctc.weights import Weights

WIDTH = 4


NOTHING_LOWERED = ["parameter", "embedding", "relu"]


def with_more_behind(program: Program) -> Program:
    """The same with an op between the lookup and the result."""
    function = program.functions["f"]
    b = Builder(program)
    b.ops = [*function.ops]
    y = b.op("relu", function.results[0][1])
    program.functions["f"] = Function("f", function.inputs, b.ops, [("y", y)])
    return program


def embed_program(rows: int, labels: int, ids: int | None = None, host: bool = False) -> Program:
    program = Program("embed")
    type_ = plain(DType.F32, rows, WIDTH)
    program.sources["table"] = (type_, Initializer("normal"))
    program.parameters["table"] = Parameter("table", type_, Source("table", type_))
    b = Builder(program)
    roles = (Role.BATCH, Role.UNIT, Role.UNIT, Role.LABEL)
    axes = tuple(Axis(r, Extent.of(n)) for r, n in zip(roles, (1, 1, 1, labels)))
    token = Value(TensorType(DType.I32, axes, Extent.of(ids or rows)), "token")
    y = b.op("embedding", token, b.parameter("table"), host=host)
    program.functions["f"] = Function("f", [token], b.ops, [("y", y)])
    return program


@pytest.mark.parametrize(("rows", "count"), [(5, 5), (2049, 2049), (2112, 2049)])
def test_each_id_gives_its_row_and_nothing_is_an_integer(rows: int, count: int) -> None:
    before = embed_program(rows, 3, count)
    after = LowerEmbedding().run(before, Context())
    weights = Weights(before.sources)
    ids = np.array([0, count - 1, count // 2]).reshape(1, 1, 1, 3)
    expected, _ = evaluate(before.functions["f"], {"token": ids}, lambda n: weights.value(before.parameters[n]))

    def round_to_half(op: Op, results: list[np.ndarray]) -> None:
        if op.name not in ("conv2d", "parameter"):
            for array in results:
                array[...] = array.astype(np.float16)

    numbers = {"token": ids.astype(np.float64)}
    new = after.functions["f"]
    actual, _ = evaluate(new, numbers, lambda n: weights.value(after.parameters[n]), observe=round_to_half)
    np.testing.assert_array_equal(actual["y"], expected["y"])
    function = after.functions["f"]
    types = [v.type for v in function.inputs] + [r.type for op in function.ops for r in op.results]
    assert all(type_.dtype is DType.F32 for type_ in types)
    names = [op.name for op in function.ops if op.name not in ("parameter", "constant")]
    assert names == ["sub", "abs", "sub", "relu", "conv2d"]
    assert after.parameters["table"].type.shape == (WIDTH, rows, 1, 1)


def test_the_input_keeps_its_name_and_bound_and_the_manifest_is_told() -> None:
    context = Context()
    after = LowerEmbedding().run(embed_program(7, 1), context)
    (token,) = after.functions["f"].inputs
    assert (token.name, token.type.bound, token.type.shape) == ("token", Extent.of(7), (1, 1, 1, 1))
    assert context.explanations == [
        ("lower-embedding", "f.token", "takes the token id as a number of the model's float type, exact in fp16")
    ]


def test_the_lookup_of_ids_beyond_fp16_is_left_to_the_app_and_says_why() -> None:
    context = Context()
    after = LowerEmbedding().run(with_more_behind(embed_program(2050, 1)), context)
    assert [op.attributes["host"] for op in after.functions["f"].ops if op.name == "embedding"] == [True]
    ((_, where, why),) = context.explanations
    assert where == "f.token"
    assert "the app looks the row up" in why
    assert "ids above 2048" in why


def test_a_lookup_that_is_asked_of_the_app_is_left_to_it() -> None:
    context = Context()
    before = with_more_behind(embed_program(5, 1, host=True))
    assert [op.name for op in LowerEmbedding().run(before, context).functions["f"].ops] == NOTHING_LOWERED
    assert context.explanations[0][2].endswith("its op says host")


def test_a_table_that_can_be_left_to_nobody_stays_a_gather_and_says_why() -> None:
    context = Context()
    after = LowerEmbedding().run(embed_program(2050, 1), context)
    assert [op.name for op in after.functions["f"].ops] == ["parameter", "embedding"]
    why = context.explanations[0][2]
    assert "on the CPU (ANE-OP-022): a table of 2050 rows has ids above 2048" in why
    assert why.endswith("it can't be left to the app: it is all that the function does")


def test_a_table_in_int4_keeps_its_numbers_when_it_becomes_a_kernel():
    """Scales lie along the columns of the table, which are the output channels of the kernel."""
    table = np.random.default_rng(0).normal(size=(70, 6)) * np.logspace(-2, 2, 6)
    stored = quantize(table, Quantization("int4", 4, axis=1)).dequantize()
    kernel = quantize(table.T.reshape(6, 70, 1, 1), Quantization("int4", 4)).dequantize()
    assert np.array_equal(stored.T, kernel[:, :, 0, 0])
    assert np.abs(stored - table).max(0).max() <= np.abs(table).max(0).max() / 7


@pytest.mark.parametrize(("axis", "how"), [(0, "int8(bits = 8)"), (1, "int8(bits = 8, axis = 1)")])
def test_a_table_with_a_scale_for_each_row_is_stored_expanded(axis, how):
    """A convolution takes a scale for each output, and a row is one of its inputs (ANE-QT-001)."""
    text = f"""program @m {{ source @t: f32[64, 32] = normal() param @t as {how}
        function @f(%token: i32[batch 1, unit 1, unit 1, label 1] < 64) {{
            %w = parameter @t %y = embedding(%token, %w) return y = %y }} }}"""
    before = parse_program(text)
    made = LowerEmbedding().run(before, Context())
    (parameter,) = made.parameters.values()
    weights = Weights(before.sources)
    assert parameter.quantization.expanded == (axis == 0)
    assert isinstance(weights.stored(parameter), np.ndarray) == (axis == 0)
    expected = weights.deployed(before.parameters["t"])
    np.testing.assert_array_equal(weights.deployed(parameter)[..., 0, 0].T, expected)
