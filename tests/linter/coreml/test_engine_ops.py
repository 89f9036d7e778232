"""The operations that are executed as the engine does: those of the report's segments."""

from __future__ import annotations

from mctc.linter.coreml.engine_ops import engine_ops
from mctc.linter.coreml.notation import read_notation

PROGRAM = """
x: fp16[1, 512, 1, 64]
for _ in range(6):
    x: fp16[1, 512, 1, 64] = conv(x=x, weight=fp16[512, 512, 1, 3], pad_type="custom", pad=[0, 0, 1, 1])
n: int32[1, 512, 1, 64] = cast(x=x, dtype="int32")
y: int32[1, 512, 1, 64] = add(x=n, y=n)
return y
"""


def test_convolutions_are_and_integers_are_not() -> None:
    package = read_notation(PROGRAM)
    types = {op.index: op.type for op in package.functions["main"].operations}
    found = engine_ops(package, "H16")["main"]
    assert [types[index] for index in sorted(found)].count("conv") == 6
    assert not {types[index] for index in found} & {"add", "const"}
    assert engine_ops(read_notation("x: fp16[1, 8]\ny: fp16[1, 8] = relu(x=x)\nreturn y"), "H16") == {
        "main": frozenset()
    }
