"""Padded bytes, and the most that is alive at once."""

from __future__ import annotations

import pytest

from mctc.linter.coreml.graph import FunctionGraph, PackageGraph
from mctc.linter.coreml.memory import measure, padded_bytes
from mctc.linter.coreml.notation import read_notation
from mctc.package import StateType, TensorType


def function(text: str) -> FunctionGraph:
    return PackageGraph(read_notation(text)).functions["main"]


@pytest.mark.parametrize(
    ("dtype", "shape", "padded"),
    [
        ("fp16", (1, 256, 1, 1), 256 * 64),  # 32 times
        ("int8", (1, 256, 1, 1), 256 * 64),  # 64 times
        ("fp16", (1, 256, 1, 32), 256 * 64),
        ("fp16", (1, 256, 1, 33), 256 * 128),
        ("fp32", (4, 16), 4 * 64),
        ("fp16", (), 64),
        ("fp16", (3, None), 3 * 64),
        ("fp16", None, 0),
        ("string", (2,), 0),
    ],
)
def test_the_last_axis_is_padded_to_64_bytes(dtype: str, shape: tuple[int, ...] | None, padded: int) -> None:
    assert padded_bytes(TensorType(dtype, shape)) == padded
    assert padded_bytes(StateType(TensorType(dtype, shape))) == padded


def test_a_value_is_alive_from_its_op_to_its_last_use() -> None:
    memory = measure(
        function("""
x: fp16[1, 32]
a: fp16[10, 32] = tile(x=x, reps=[10, 1])
b: fp16[20, 32] = tile(x=a, reps=[2, 1])
c: fp16[1, 32] = reduce_sum(x=b, axes=[0])
y: fp16[1, 32] = add(x=c, y=x)
return y
""")
    )
    assert memory.bytes == memory.padded == 64 * (1 + 10 + 20 + 1 + 1)
    assert memory.peak == 64 * (1 + 10 + 20)
    assert memory.peak_at == "b"


def test_states_live_for_ever_and_are_part_of_the_interface() -> None:
    memory = measure(
        function("""
x: fp16[1, 32]
s: state[fp16[5, 8]]
r: fp16[5, 8] = read_state(input=s)
y: fp16[5, 32] = add(x=x, y=x)
return y
""")
    )
    assert [(each.name, each.kind, each.bytes, each.padded) for each in memory.interface] == [
        ("x", "input", 64, 64),
        ("s", "state", 80, 320),
        ("y", "output", 320, 320),
    ]
    assert [each.name for each in memory.wasteful] == ["s", "r"]
    assert memory.peak >= 320 + 64
