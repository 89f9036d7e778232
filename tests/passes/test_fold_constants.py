"""What is known before run time leaves the functions: computed, dropped, or moved into recipes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from mctc.passes.fold_constants import FoldConstants, FoldDeployConstants
from mctc.weights import Weights

X = "%x: f32[batch B, channel 4, unit 1, time T]"


def program(body: str, parameters: str = "") -> str:
    return f"program @m {{ dim B: batch dim T: time {parameters} function @f({X}) {{ {body} }} }}"


@pytest.mark.parametrize(
    "op",
    [
        "scale(%x, factor = 1.0, offset = 0.0)",
        "reshape(%x, axes = [batch B, channel 4, unit 1, time T])",
        "transpose(%x, order = [0, 1, 2, 3])",
        "slice(%x, axis = channel)",
        "pad(%x, axis = channel)",
        "split(%x, parts = 1)",
        "concat(%x)",
        'cast(%x, dtype = "f32")',
    ],
)
def test_ops_that_do_nothing_are_dropped(rewrites, op):
    before = program(f"%y = {op} %z = relu(%y) return out = %z")
    rewrites(FoldConstants, before, program("%z = relu(%x) return out = %z"))


def test_two_reshapes_become_one(rewrites):
    before = """
        %a = reshape(%x, axes = [batch B, unit 1, channel 4, time T])
        %b = reshape(%a, axes = [batch B, channel 2, feature 2, time T])
        return out = %b"""
    after = "%b = reshape(%x, axes = [batch B, channel 2, feature 2, time T]) return out = %b"
    rewrites(FoldConstants, program(before), program(after))


def test_two_reshapes_that_undo_each_other_vanish(rewrites):
    before = """
        %a = reshape(%x, axes = [batch B, unit 1, channel 4, time T])
        %b = reshape(%a, axes = [batch B, channel 4, unit 1, time T])
        %c = relu(%b)
        return out = %c"""
    rewrites(FoldConstants, program(before), program("%c = relu(%x) return out = %c"))


def test_ops_on_constants_are_computed(rewrites):
    before = """
        %c = constant 3.0: f32[]
        %d = square(%c)
        %e = scale(%d, offset = 1.0)
        %y = mul(%x, %e)
        return out = %y"""
    made, _ = rewrites(FoldConstants, program(before))
    assert [op.name for op in made.functions["f"].ops] == ["constant", "mul"]
    assert made.functions["f"].ops[0].attributes["value"] == 10


A_LOG = "source @A_log: f32[4, 2] = log_arange() param @A_log"
A = "source @A_log: f32[4, 2] = log_arange() param @A_log: f32[4, 2] = neg(exp(@A_log): f32[4, 2])"
DECAY = """
    %w = parameter @A_log
    %e = exp(%w)
    %n = neg(%e)
    %b = slice(%x, axis = channel, end = 2)
    %y, %h = selective_scan(%x, %x, %n, %b, %b)
    return out = %y"""
FOLDED = """
    %n = parameter @A_log
    %b = slice(%x, axis = channel, end = 2)
    %y, %h = selective_scan(%x, %x, %n, %b, %b)
    return out = %y"""


def test_arithmetic_on_a_weight_stays_before_the_fork(rewrites):
    text = program(DECAY, A_LOG)
    rewrites(FoldConstants, text, text)


def test_arithmetic_on_a_weight_moves_into_its_recipe_for_deployment(rewrites):
    rewrites(FoldDeployConstants, program(DECAY, A_LOG), program(FOLDED, A))


def test_a_checkpoint_is_read_through_the_arithmetic(rewrites, tmp_path: Path):
    made, _ = rewrites(FoldDeployConstants, program(DECAY, A_LOG))
    save_file({"A_log": np.zeros((4, 2), np.float32)}, tmp_path / "m.safetensors")
    value = Weights.load(made, tmp_path / "m.safetensors").value(made.parameters["A_log"])
    assert np.array_equal(value, np.full((4, 2), -1.0))


def test_a_weight_used_in_two_forms_keeps_both(rewrites):
    before = """
        %w = parameter @g
        %n = neg(%w)
        %a = mul(%x, %w)
        %b = mul(%x, %n)
        %y = maximum(%a, %b)
        return out = %y"""
    after = """
        %w = parameter @g
        %n = parameter @g.neg
        %a = mul(%x, %w)
        %b = mul(%x, %n)
        %y = maximum(%a, %b)
        return out = %y"""
    source = "source @g: f32[4, 1, 1] = normal() param @g"
    made, _ = rewrites(FoldDeployConstants, program(before, source))
    assert set(made.parameters) == {"g", "g.neg"}
    rewrites(FoldDeployConstants, program(after, source + " param @g.neg: f32[4, 1, 1] = neg(@g)"))


def test_arithmetic_on_a_parameter_that_is_returned_stays(rewrites):
    """A result is not rounded as a stored parameter is."""
    text = program(
        "%p = parameter @p %e = exp(%p) %c = scale(%e, offset = 1.0) return a = %x, c = %c",
        "source @p: f32[4] = normal() param @p",
    )
    made, _ = rewrites(FoldDeployConstants, text)
    assert [op.name for op in made.functions["f"].ops] == ["parameter", "exp", "scale"]


def test_what_a_layer_makes_of_a_parameter_stays(rewrites):
    """The first recurrent product of a cell that starts from a parameter: its factors are rounded, not the product."""
    text = program(
        "%p = parameter @p %h = reshape(%p, axes = [batch 1, channel 4, unit 1, time 1]) %w = parameter @w"
        " %y = conv2d(%h, %w) %z = add(%x, %y) return out = %z",
        "source @p: f32[4] = normal() param @p source @w: f32[4, 4, 1, 1] = normal() param @w",
    )
    made, _ = rewrites(FoldDeployConstants, text)
    assert "conv2d" in [op.name for op in made.functions["f"].ops]


def test_a_broadcast_is_not_stored(rewrites):
    text = program(
        """%a = parameter @a
        %b = parameter @b
        %t = mul(%a, %b)
        %y = add(%x, %t)
        return out = %y""",
        "source @a: f32[4, 1, 1] = normal() source @b: f32[1, 50, 1] = normal() param @a param @b",
    )
    made, _ = rewrites(FoldDeployConstants, text)
    assert "mul" in [op.name for op in made.functions["f"].ops]


def test_history_tells_what_was_folded(rewrites):
    made, _ = rewrites(FoldDeployConstants, program(DECAY, A_LOG))
    history = next(op for op in made.functions["f"].ops if op.name == "parameter").origin.history
    assert [(event.by, event.change) for event in history] == [
        ("fold-deploy-constants", "neg folded into parameter A_log")
    ]


def test_what_several_ops_read_is_computed_once(rewrites):
    """A recurrence on constants: each value is read twice, so that 2 ** 40 paths lead to the first."""
    steps = " ".join(f"%c{i + 1} = add(%c{i}, %c{i})" for i in range(40))
    made, _ = rewrites(FoldConstants, program(f"%c0 = constant 1.0: f32[] {steps} %z = mul(%x, %c40) return out = %z"))
    assert [op.name for op in made.functions["f"].ops] == ["constant", "mul"]


def test_a_slice_behind_a_reshape_that_moves_entries_stays_behind_it(rewrites):
    source = "source @g: f32[4, 3] = normal(std = 1) param @g"
    body = """%g = parameter @g %a = reshape(%g, axes = [plain 2, plain 2, plain 3])
        %b = pad(%a, axis = 1, before = 2) %c = reshape(%b, axes = [plain 8, plain 3])
        %d = slice(%c, axis = 0, begin = 0, end = 6) return out = %d"""
    made, _ = rewrites(FoldDeployConstants, program(body, source))
    assert made.functions["f"].results[0][1].type.shape == (6, 3)
