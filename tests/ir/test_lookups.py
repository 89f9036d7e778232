"""Lookups that are left to the caller: what an artifact takes and does instead."""

from __future__ import annotations

import pytest

from mctc.ir.lookups import device_inputs, device_ops, lookups, reason_against
from mctc.ir.program import Function
from mctc.ir.text import parse_program

IDS = "i32[batch 1, unit 1, unit 1, label 3] < 9"
LOOKED_UP = "%t = parameter @table %e = embedding(%token, %t, host = true) %y = relu(%e) return out = %y"


def function(body: str, inputs: str = f"%token: {IDS}, %x: f32[batch 1, channel 4, unit 1, label 3]") -> Function:
    """A function with a table of nine rows."""
    head = "program @m { dim B: batch dim U: label source @table: f32[9, 4] = normal() param @table"
    return parse_program(f"{head} function @f({inputs}) {{ {body} }} }}").functions["f"]


def test_an_artifact_takes_rows_under_the_name_of_the_ids_and_has_no_table() -> None:
    f = function(LOOKED_UP)
    (lookup,) = lookups(f).values()
    assert (lookup.op.name, lookup.table) == ("embedding", "table")
    assert [(name, value.type.shape) for name, value in device_inputs(f)] == [
        ("token", (1, 4, 1, 3)),
        ("x", (1, 4, 1, 3)),
    ]
    assert [op.name for op in device_ops(f)] == ["relu"]


def test_a_table_of_numbers_is_the_callers_too() -> None:
    rows = [[float(entry), 0.5, 0.5, 0.5] for entry in range(9)]
    f = function(LOOKED_UP.replace("parameter @table", f"constant {rows}: f32[9, 4]"))
    (lookup,) = lookups(f).values()
    assert lookup.table == "f.token"
    assert lookup.constant is not None
    assert lookup.constant.tolist() == rows
    assert [op.name for op in device_ops(f)] == ["relu"]


def test_a_table_that_other_ops_read_stays() -> None:
    f = function(LOOKED_UP.replace("%y = relu(%e)", "%p = matmul(%t, %t, transpose_right = true) %y = relu(%e)"))
    assert [op.name for op in device_ops(f)] == ["parameter", "matmul", "relu"]


def test_a_lookup_that_is_not_marked_is_the_artifacts_own() -> None:
    f = function(LOOKED_UP.replace(", host = true", ""))
    assert lookups(f) == {}
    assert [name for name, value in device_inputs(f) if value in f.inputs] == ["token", "x"]
    assert list(device_ops(f)) == f.ops


OTHER_USE = """%c = cast(%token, dtype = "f32") %t = parameter @table
    %e = embedding(%token, %t, host = true) %y = mul(%e, %c) return out = %y"""
COMPUTED = """%s = concat(%token, axis = 3) %t = parameter @table
    %e = embedding(%s, %t, host = true) %y = relu(%e) return out = %y"""
COMPUTED_TABLE = """%t = parameter @table %a = abs(%t)
    %e = embedding(%token, %a, host = true) %y = relu(%e) return out = %y"""
ALL = "%t = parameter @table %e = embedding(%token, %t, host = true) return out = %e"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (OTHER_USE, "other ops use the ids too"),
        (COMPUTED, "its ids are computed"),
        (COMPUTED_TABLE, "its table is computed"),
        (ALL, "it is all that the function does"),
    ],
)
def test_what_a_caller_cannot_look_up_says_why_and_stays(body: str, reason: str) -> None:
    f = function(body)
    (op,) = (op for op in f.ops if op.name == "embedding")
    assert reason_against(op, f) == reason
    assert lookups(f) == {}
    assert list(device_ops(f)) == f.ops


def test_ids_without_a_place_for_channels_stay() -> None:
    f = function(LOOKED_UP, "%token: i32[batch 1, label 3] < 9")
    (op,) = (op for op in f.ops if op.name == "embedding")
    assert reason_against(op, f) == "i32[batch 1, label 3] < 9 has no place for channels"
    assert lookups(f) == {}
