"""Parts that a spec keeps in 32 bits: what they hold need have no place in fp16, what leaves them has to."""

from __future__ import annotations

from pathlib import Path

import pytest

import mctc
from mctc.diagnostics.errors import MctcError
from mctc.ir.islands import held_wide
from mctc.ir.text import parse_program

SPEC = """
model apart(width = 8) {
    dim B: batch
    dim T: time @ 100 Hz
    component c(x: f32[B, T, width]) -> f32[B, T, width] {
        param centre: f32[width] = constant(70000)
        return BODY
    }
    stream { chunk = 80 ms }
    quantize { c.**: f32 }
}
"""


def built(body: str, folder: Path) -> list[object]:
    (folder / "apart.mct").write_text(SPEC.replace("BODY", body))
    return list(mctc.build(folder / "apart.mct", folder / "built").manifest["verification"])


def test_numbers_inside_are_held_to_no_range(tmp_path: Path) -> None:
    assert built("0.0001 * ((300 * x) ** 2 + x * centre)", tmp_path)


def test_what_leaves_is_held_to_that_of_fp16(tmp_path: Path) -> None:
    with pytest.raises(MctcError, match=r"output of c, on noise, is not finite in fp16: mul of c at .* is the first"):
        built("x * centre", tmp_path)


def test_a_result_stays_wide_where_only_the_part_reads_it() -> None:
    program = parse_program("""program @p { quantize { "c": f32(bits = 32) }
        function @f(%x: f32[batch 1, channel 4]) {
            %k = constant 2.0: f32[] in c
            %a = mul(%x, %k) in c
            %b = square(%a) in c
            %y = sqrt(%b) in d
            return y = %y
        } }""")
    function = program.functions["f"]
    assert [op.name for op in function.ops if op in held_wide(program, function)] == ["constant", "mul"]
