"""Each form that the fuzzer counts is seen in a spec that has it, and not in one that has not."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.fuzz.forms import FORMS, forms
from mctc.language import elaborate_file

HEAD = """
model m(width = 4, vocab = 5) {
    dim B: batch
    dim T: time @ 100 Hz
    dim U: label
    param table: f32[vocab, 4] = normal(std = 0.5)
"""
PLAIN = "component c(x: f32[B, T, 4]) -> f32[B, T, 4] { return tanh(x) }"


def cell(given: str, inputs: str = "B, T, 4", first: str = "") -> str:
    """A component of one GRU, given this beside its weights."""
    inputs, _, other = inputs.partition("; ")
    header = f"x: f32[{inputs}]{', ' if other else ''}{other}"
    body = f"{first}param a: f32[12, 4]; param b: f32[12, 4]; return op.gru(x, a, b, {given})"
    return f"component c({header}) -> f32[{inputs}] {{ {body} }}"


def dual(writes: int, reads: int, given: str = "") -> str:
    """A component of one scan with two heads and a decay of each frame."""
    parts = {"v": 4 * writes, "w": 2 * writes, "a": 2, "b": 3 * writes, "c": 3 * reads}
    body = "; ".join(f"{name} = linear(x, {channels})" for name, channels in parts.items())
    return f"component c(x: f32[B, T, 4]) -> f32[B, T, {4 * reads}] {{ {body}; return ssd(v, w, a, b, c{given}) }}"


SPECS = {
    "labels beside time": (
        "component c(x: f32[B, T, 4], p: f32[B, U, 4]) -> f32[B, T, U, 4] { return x + p }",
    ),
    "labels of a fixed number": (
        "dim P: label = 5",
        "component c(x: f32[B, T, 4], p: f32[B, P, 4]) -> f32[B, T, 4] { return attention(x, p, p, heads = 1) }",
    ),
    "mask": (cell("mask = m", "B, T, 4; m: f32[T]"),),
    "mask of its own in each row": (cell("mask = m", "B, T, 4; m: f32[B, T]"),),
    "ssd with a decay of each frame": (dual(1, 1),),
    "ssd of several writes": (dual(2, 1),),
    "ssd of several reads": (dual(1, 2),),
    "ssd that reads itself apart": (dual(1, 1, ", diagonal = w"),),
    "bool input": (
        'component c(x: f32[B, T, 4], m: bool[B, T, 1]) -> f32[B, T, 4] { return x * cast(m, "f32") }',
    ),
    "ids over time": (
        "component c(x: f32[B, T, 4], i: i32[B, T] < 3) -> f32[B, T, 4] { return x + embedding(i, 3, 4) }",
    ),
    "input in {0, 1}": (
        "component c(x: f32[B, T, 4], m: f32[B, T, 4] in {0, 1}) -> f32[B, T, 4] { return x * m }",
    ),
    "input of other numbers": (
        "component c(x: f32[B, T, 4], m: f32[B, T, 4] in {0, 2}) -> f32[B, T, 4] { return x * m }",
    ),
    "input in a range": ("component c(x: f32[B, T, 4] in [-1, 1]) -> f32[B, T, 4] { return exp(x) }",),
    "input with one limit": ("component c(x: f32[B, T, 4] > 0) -> f32[B, T, 4] { return log(x) }",),
    "input above the base rate": ("component c(x: f32[B, 2 * T, 4]) -> f32[B, 2 * T, 4] { return tanh(x) }",),
    "input below the base rate": ("component c(x: f32[B, T/2, 4]) -> f32[B, T/2, 4] { return tanh(x) }",),
    "two time dimensions": ("dim A: time @ 25 Hz", PLAIN),
    "attention to another sequence": (
        "component c(x: f32[B, U, 4], m: f32[B, T, 4]) -> f32[B, U, 4] { return attention(x, m, m, heads = 1) }",
        "utterance { length = 4 frames }",
    ),
    "state that starts from an input": (cell("h = h", "B, T, 4; h: f32[B, 4]"),),
    "state that starts from a parameter": (
        cell('h = reshape(p, [["channel", 4]])', "T, 4", "param p: f32[4]; "),
    ),
    "result without time": (
        "component c(x: f32[B, T, 4]) -> (a: f32[B, T, 4], b: f32[4]) { param p: f32[4]; return tanh(x), exp(p) }",
    ),
    "shared table": (
        "component c(t: i32[B, U] < vocab) -> f32[B, U, vocab] { return op.linear(op.embedding(t, table), table) }",
    ),
    "shared table, compressed": (
        "component c(t: i32[B, U] < vocab) -> f32[B, U, vocab] { return op.linear(op.embedding(t, table), table) }",
        "quantize { table: int8(per_channel) }",
    ),
    "utterance of so many frames": (PLAIN, "utterance { length = 4 frames }"),
    "utterance of so many labels": (PLAIN, "utterance { length = 4 frames; labels = 3 }"),
    "prefill": (PLAIN, "utterance { length = 4 frames; prefill = 2 }"),
    "number that fp16 rounds": ("component c(x: f32[B, T, 4]) -> f32[B, T, 4] { return 0.1 * x }",),
    "number below fp16": (
        "component c(x: f32[B, T, 4]) -> f32[B, T, 4] { return layer_norm(x, epsilon = 1e-12) }",
    ),
    "number above fp16": ("component c(x: f32[B, T, 4]) -> f32[B, T, 4] { return clip(x, -1e9, 1e9) }",),
}  # fmt: skip


def seen(folder: Path, *parts: str) -> set[str]:
    path = folder / "m.mct"
    path.write_text(HEAD + "".join(f"    {part}\n" for part in parts) + "}\n")
    return forms(elaborate_file(path))


@pytest.mark.parametrize("form", SPECS)
def test_a_form_is_seen_where_it_is(form: str, tmp_path: Path) -> None:
    assert form in seen(tmp_path, *SPECS[form])


def test_a_plain_program_has_no_form(tmp_path: Path) -> None:
    assert seen(tmp_path, PLAIN) == set()


def test_masks_are_counted_by_the_op_that_takes_them(tmp_path: Path) -> None:
    assert {name for name in seen(tmp_path, *SPECS["mask"]) if "mask on" in name} == {"mask on gru"}
    assert {name for name in FORMS if "mask on" not in name} == set(SPECS)
