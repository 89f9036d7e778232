"""A checkpoint of a pruned model binds where passes have joined its tensors with others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from mctc.ir.program import Program
from mctc.ir.text import parse_program
from mctc.late_shapes import late_shapes
from mctc.passes.fold_batch_norm import FoldBatchNorm
from mctc.recipe_values import rearranged
from mctc.rewrite.base import Context
from mctc.weights import Weights, WeightsError
from tests.passes.pruned import pruned

NORMED = """program @m { dim B: batch dim T: time prune { "f.c.channels" = 0.5 }
    source @c: f32[8, 4, 1, 3] = normal() source @bias: f32[8] = normal() source @m: f32[8] = normal()
    source @v: f32[8] = ones() source @w: f32[8] = normal() source @b: f32[8] = normal() source @o: f32[2, 8] = normal()
    param @c param @bias param @m param @v param @w param @b param @o
    function @f(%x: f32[batch B, channel 4, unit 1, time T]) {
        %c = parameter @c %bias = parameter @bias %m = parameter @m %v = parameter @v %w = parameter @w
        %b = parameter @b %o = parameter @o
        %y = conv2d(%x, %c, %bias, pad = [1, 1]) in f.c
        %n = batch_norm(%y, %m, %v, %w, %b)
        %z = linear(%n, %o)
        return out = %z
    } }"""


def folded() -> Program:
    made = FoldBatchNorm().run(pruned(parse_program(NORMED)), Context())
    assert not {"m", "v", "w"} & made.parameters.keys()
    return made


def test_tensors_that_a_norm_was_folded_from_may_be_cut(tmp_path: Path) -> None:
    program, random = folded(), np.random.default_rng(1)
    whole = {
        name: random.uniform(0.5, 2, type_.shape).astype(np.float32) for name, (type_, _) in program.sources.items()
    }
    cut = {name: each[:, :4] if name == "o" else each[:4] for name, each in whole.items()}
    save_file(whole, tmp_path / "whole")
    save_file({name: np.ascontiguousarray(each) for name, each in cut.items()}, tmp_path / "cut")
    found, wanted = (Weights.load(program, tmp_path / name) for name in ("cut", "whole"))
    for parameter in program.parameters.values():
        np.testing.assert_array_equal(found.exact(parameter), wanted.exact(parameter))
    assert {name: late_shapes(program.parameters.values(), name, rearranged) for name in "mvo"} == {
        "m": {(4,)}, "v": {(4,)}, "o": {(2, 4)},
    }  # fmt: skip


def test_a_tensor_of_no_such_shape_is_refused(tmp_path: Path) -> None:
    program = folded()
    tensors = {name: np.ones(type_.shape, np.float32) for name, (type_, _) in program.sources.items()}
    save_file({**tensors, "v": np.ones(5, np.float32)}, tmp_path / "other")
    with pytest.raises(WeightsError, match=r"v is \[5\], the program takes \[8\]"):
        Weights.load(program, tmp_path / "other")


PARTS = """program @m { dim B: batch dim T: time source @w: f32[4, 3] = normal()
    param @a = slice(@w, axis = 0, begin = 0, end = 2): f32[2, 3]
    param @b = slice(@w, axis = 0, begin = 2, end = 4): f32[2, 3]
    function @f(%x: f32[batch B, time T, channel 3]) {
        %a = parameter @a %b = parameter @b
        %y = linear(%x, %a) %z = linear(%x, %b)
        return y = %y, z = %z
    } }"""


def test_a_part_that_some_uses_read_is_no_shape_of_the_tensor(tmp_path: Path) -> None:
    program = parse_program(PARTS)
    assert late_shapes(program.parameters.values(), "w", rearranged) == set()
    save_file({"w": np.ones((2, 3), np.float32)}, tmp_path / "part")
    with pytest.raises(WeightsError, match=r"w is \[2, 3\]"):
        Weights.load(program, tmp_path / "part")
