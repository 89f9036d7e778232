"""What counts as an op, and what rules see of its operands."""

from __future__ import annotations

from inspect import cleandoc

import numpy as np

from mctc.linter.coreml.graph import FunctionGraph, PackageGraph
from mctc.linter.coreml.notation import read_notation


def function(text: str, name: str = "main") -> FunctionGraph:
    return PackageGraph(read_notation(cleandoc(text))).functions[name]


def test_constants_compressed_constants_and_what_is_computed_from_them_are_no_ops() -> None:
    graph = function("""
        x: fp16[1, 4, 1, 8]
        w: fp16[4, 4, 1, 1] = constexpr_lut_to_dense(indices=uint4[4, 4, 1, 1], lut=fp16[1, 1, 1, 1, 16, 1])
        v: fp16[4, 4, 1, 1] = transpose(x=w, perm=[1, 0, 2, 3])
        y: fp16[1, 4, 1, 8] = conv(x=x, weight=v)
        return y
    """)
    assert [op.type for op in graph.ops] == ["conv"]
    conv = graph.ops[0]
    assert conv.is_constant("weight")
    assert not conv.is_constant("x")
    assert graph.constexprs[0].type == "constexpr_lut_to_dense"


def test_operands_are_looked_up() -> None:
    graph = function("""
        x: fp16[1, 4, 1, 8]
        a: (fp16[1, 2, 1, 8], fp16[1, 2, 1, 8]) = split(x=x, num_splits=2, axis=1)
        y: fp16[1, 4, 1, 8] = concat(values=[a, a_1], axis=-3, interleave=False)
        return y
    """)
    split, concat = graph.ops
    assert concat.value("axis") == -3
    assert concat.value("interleave") is False
    assert concat.value("nothing", "default") == "default"
    assert split.numbers("num_splits") == (2,)
    assert [str(each) for each in concat.types("values")] == ["fp16[1, 2, 1, 8]"] * 2
    assert list(concat.producers()) == [split, split]
    assert split.users() == [concat, concat]
    assert (split.producer("x"), concat.producer("values")) == (None, split)


def test_a_large_constant_is_not_read() -> None:
    graph = function("""
        x: fp16[1, 4, 1, 8]
        y: fp16[1, 4, 1, 8] = add(x=x, y=fp16[4000000](1))
        z: fp16[1, 4, 1, 8] = add(x=y, y=fp16[1, 4, 1, 1](-inf))
        return z
    """)
    assert graph.ops[0].value("y") is None
    assert np.isneginf(graph.ops[1].value("y")).all()


def test_nested_ops_know_what_they_are_inside_of() -> None:
    from mctc.package import Block, NamedType, Operation, Package, TensorType

    package = read_notation("x: fp16[4]\ny: fp16[4] = cond(pred=x)\nreturn y")
    main = package.functions["main"]
    inner = Operation(1, "relu", "inner", {}, (NamedType("z", TensorType("fp16", (4,))),), {})
    outer = main.body.operations[0]
    nested = Operation(0, "cond", "y", outer.inputs, outer.outputs, {}, (Block((), ("z",), (inner,)),))
    body = Block((), ("y",), (nested,))
    changed = type(main)(main.name, main.opset, main.inputs, main.states, main.outputs, body)
    graph = PackageGraph(Package(package.path, 9, package.metadata, {"main": changed}, "main")).functions["main"]
    assert [(op.type, op.inside and op.inside.type) for op in graph.ops] == [("cond", None), ("relu", "cond")]


def test_weights_are_counted_once_however_often_they_are_used() -> None:
    text = """
def one():
    x: fp16[1, 4]
    y: fp16[1, 4] = linear(x=x, weight=fp16[4, 4])
    z: fp16[1, 4] = linear(x=y, weight=int8[4, 4])
    return z
"""
    assert PackageGraph(read_notation(text)).weight_bytes == 32 + 16
