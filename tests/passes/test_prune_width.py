"""The residual width: all that writes it, reads it, or norms it goes together; norms count what is left."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

import mctc.rewrite.validate
from bench.reduced import SIZES
from mctc.coded import opened
from mctc.compress.sorting import kept_tensors, orders, sorted_tensors
from mctc.driver import BuildOptions, build
from mctc.driver.load import load_program
from mctc.ir.ops.leaf import Constant
from mctc.ir.ops.norm import ChannelNorm
from mctc.ir.program import Program
from mctc.ir.recipes import compose, with_recipe
from mctc.ir.text import parse_program
from mctc.passes.prune import Prune
from mctc.rewrite.axis_groups import Groups
from mctc.rewrite.masked_program import masked_program, recounted
from mctc.rewrite.removed_groups import removed
from mctc.rewrite.validate import ValidationError, validate
from tests.passes.pruned import checkpoint, drawn_scores, program_of, pruned, results

IR = """program @m {{ dim B: batch dim T: time {prune}
    source @i: f32[4, 3] = normal() source @w: f32[4] = {scale}() source @b: f32[4] = normal()
    source @u: f32[5, 4] = normal() source @d: f32[4, 5] = normal() source @o: f32[2, 4] = normal()
    param @i param @w param @b param @u param @d param @o
    function @f(%x: f32[batch B, time T, channel 3]) {{
        %i = parameter @i %w = parameter @w %b = parameter @b
        %u = parameter @u %d = parameter @d %o = parameter @o
        %y = linear(%x, %i) in f.first
        %n = {norm}
        %h = linear(%n, %u) in f.up
        %r = linear(%h, %d) in f.down
        %z = add(%y, %r)
        %a = linear(%z, %o) in f.last
        return out = %a
    }} }}"""
RULE = 'prune { "f.down.channels" = 0.5 }'
NORMS = ["layer_norm(%y, %w, %b)", "layer_norm(%y)", "rms_norm(%y, %w)", "batch_norm(%y, %b, %w)"]


def of_norm(norm: str, prune: str = RULE) -> Program:
    scale = "ones" if norm.startswith("batch_norm") else "normal"  # a variance is not below zero
    return parse_program(IR.format(prune=prune, scale=scale, norm=norm))


@pytest.mark.parametrize("norm", NORMS)
def test_writers_readers_and_norms_of_the_width_shrink(norm: str) -> None:
    before = of_norm(norm)
    after = pruned(before)
    assert validate(Prune(), before, after) < 1e-9
    shapes = {"i": (2, 3), "w": (2,), "b": (2,), "u": (5, 2), "d": (2, 5), "o": (2, 2)}
    assert {name: each.type.shape for name, each in after.parameters.items()} == {
        name: shapes[name] for name in after.parameters
    }
    (op,) = (op for _, op in after.ops() if isinstance(op, ChannelNorm))
    assert op.x.type.extents[-1].value == 2
    assert len(recounted(before)) == (0 if norm.startswith("batch_norm") else 1)


@pytest.mark.parametrize("norm", NORMS[:3])
def test_zeros_that_a_norm_counts_are_another_function(norm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = of_norm(norm)
    after = pruned(before)
    monkeypatch.setattr(mctc.rewrite.validate, "masked_program", lambda program: program)
    with pytest.raises(ValidationError, match="promised masks"):
        validate(Prune(), before, after)


def test_the_proof_fails_where_a_norm_has_the_weights_of_other_channels() -> None:
    before = of_norm(NORMS[0])
    after = pruned(before)
    smaller = after.parameters["w"]
    other = compose("slice", [before.parameters["w"].recipe], {"axis": 0, "begin": 2, "end": 4})
    after.parameters = {**after.parameters, "w": with_recipe(smaller, "w", other)}
    with pytest.raises(ValidationError, match="promised masks"):
        validate(Prune(), before, after)


def test_a_norm_whose_channels_stay_is_left_as_it_is() -> None:
    before = of_norm(NORMS[0], 'prune { "f.up.channels" = 0.4 }')
    assert recounted(before) == []
    assert [op.name for _, op in masked_program(before).ops()] == [op.name for _, op in before.ops()]


SPEC = """import "lib/mamba.mct"

model m(width = 12) {
    dim B: batch
    dim T: time @ 100 Hz
    component e(x: f32[B, T, 20]) -> f32[B, T, 5] {
        y = linear(x, width) as first
        repeat 2 { y = y + mamba(layer_norm(y) as norm, state = 6) as scan }
        return linear(rms_norm(y) as norm, 5) as last
    }
    stream { chunk = 80 ms }
    PRUNE
}
"""
RULES = "e.first.channels: 0.25; **.state: 0.5"


def test_a_sorted_checkpoint_is_of_the_same_function_and_cut_binds(tmp_path: Path) -> None:
    program, plain = program_of(SPEC, tmp_path, RULES), program_of(SPEC, tmp_path, "")
    assert validate(Prune(), program, pruned(program)) < 1e-9
    path, after, cut = checkpoint(program, tmp_path / "w"), tmp_path / "sorted", tmp_path / "cut"
    held = opened(path)
    groups, order = orders(program, held, drawn_scores(held, tmp_path))
    assert [len(each.groups) for each in order if each.dimension.name == "e.first.channels"] == [12]
    tensors = sorted_tensors(program, groups, order, held)
    assert not np.array_equal(tensors["e.layers.1.norm.weight"], held.read("e.layers.1.norm.weight"))
    save_file(dict(tensors), after)
    np.testing.assert_allclose(results(plain, after), results(plain, path), rtol=1e-9, atol=1e-12)
    save_file(dict(kept_tensors(program, groups, removed(program, groups), tensors)), cut)
    smaller = pruned(program)
    assert opened(cut).shapes["e.layers.0.norm.bias"] == (9,)
    assert opened(cut).shapes["e.layers.1.scan.in_proj.weight"][1] == 9
    np.testing.assert_array_equal(results(smaller, cut), results(smaller, after))


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("conmamba_ctc", "encoder.subsample.proj.channels: 0.25"),
        ("conformer_ctc", "encoder.subsample.proj.channels: 0.25; **.heads: 0.5"),
        ("whisper_tiny", "decoder.position.channels: 0.25"),
    ],
)
def test_specs_become_narrower(name: str, rule: str, tmp_path: Path) -> None:
    path = tmp_path / f"{name}.mct"
    held = Path(f"spec/{name}.mct").read_text().rstrip().removesuffix("}")
    path.write_text(f"{held} prune {{ {rule} }} }}\n")
    before = load_program(path, None, dict(SIZES[name]))
    after = pruned(before)
    assert validate(Prune(), before, after) < 1e-9
    sizes = [sum(each.type.size for each in program.parameters.values()) for program in (before, after)]
    assert sizes[1] < 0.9 * sizes[0]


JOINED = """program @m { dim B: batch dim T: time prune { "f.first.channels" = 0.5 }
    source @i: f32[4, 3] = normal() source @j: f32[2, 3] = normal() source @o: f32[2, 10] = normal()
    source @w: f32[10] = normal() source @b: f32[10] = normal() param @i param @j param @o param @w param @b
    function @f(%x: f32[batch B, time T, channel 3]) {
        %i = parameter @i %j = parameter @j %o = parameter @o %w = parameter @w %b = parameter @b
        %y = linear(%x, %i) in f.first
        %z = linear(%x, %j) in f.second
        %s = square(%y)
        %c = concat(%y, %z, %s)
        %n = layer_norm(%c, %w, %b)
        %a = linear(%n, %o)
        return out = %a
    } }"""


def test_a_norm_counts_what_is_left_between_what_goes() -> None:
    before = parse_program(JOINED)
    after = pruned(before)
    assert validate(Prune(), before, after) < 1e-9
    assert {name: each.type.shape for name, each in after.parameters.items()} == {
        "i": (2, 3), "j": (2, 3), "o": (2, 6), "w": (6,), "b": (6,),
    }  # fmt: skip


ARRAYS = """model m(width = 8) {
    dim B: batch
    dim T: time @ 100 Hz
    component e(x: f32[B, T, 20]) -> f32[B, T, 5] {
        rows = op.constant([[1.0, 2, 3, 4, 5, 6, 7, 8], [4, 5, 6, 7, 8, 9, 10, 11]], "f32", ["plain", "plain"])
        y = linear(x, width) as first
        y = y * op.constant([1.0, 2, 3, 4, 5, 6, 7, 9], "f32", ["channel"])
        y = y + positional_embedding(y, rows, cyclic = true)
        return linear(layer_norm(y), 5) as last
    }
    prune { e.first.channels: 0.25 }
}
"""


def test_arrays_of_a_spec_lose_the_entries_that_meet_what_goes(tmp_path: Path) -> None:
    (tmp_path / "m.mct").write_text(ARRAYS)
    before = load_program(tmp_path / "m.mct")
    after = pruned(before)
    assert validate(Prune(), before, after) < 1e-9
    values = [op.value for _, op in after.ops() if isinstance(op, Constant) and op.value.ndim]
    assert sorted(value.shape for value in values) == [(2, 6), (6,)]
    assert any(np.array_equal(value, [1, 2, 3, 4, 5, 6]) for value in values)


GROUPED = """model m() {
    dim B: batch
    dim T: time @ 100 Hz
    component e(x: f32[B, T, 20]) -> f32[B, T, 5] {
        y = conv1d(linear(x, 8) as first, 8, 3, groups = 2) as grouped
        return linear(gelu(linear(y, 10) as up), 5) as last
    }
    prune { e.up.channels: 0.5 }
}
"""


def test_a_convolution_in_groups_stays_as_it_is_beside_what_goes(tmp_path: Path) -> None:
    (tmp_path / "m.mct").write_text(GROUPED)
    before = load_program(tmp_path / "m.mct")
    assert validate(Prune(), before, pruned(before)) < 1e-9


@pytest.mark.slow
def test_a_build_of_a_narrower_spec_is_proven_and_trains(tmp_path: Path) -> None:
    program_of(SPEC, tmp_path, RULES)
    build(tmp_path / "m.mct", tmp_path / "built", BuildOptions(verify_each=True))
    text = (tmp_path / "built/training/m.py").read_text()
    assert "(9," in text


@pytest.mark.slow
def test_packages_of_a_sorted_checkpoint_and_of_what_is_kept_of_it_are_the_same(tmp_path: Path) -> None:
    settings = 'y, 4, 24, 3, left = 3, right = 1, look_ahead = 1, norm = "batch"'
    text = SPEC.replace("lib/mamba.mct", "lib/conformer.mct").replace(
        "y = y + mamba(layer_norm(y) as norm, state = 6) as scan", f"y = conformer_layer({settings}) as layer"
    )
    rules = "prune { e.first.channels: 0.25; **.heads: 0.5; **.depthwise.channels: 0.5 }"
    (tmp_path / "m.mct").write_text(text.replace("PRUNE", rules))
    program = load_program(tmp_path / "m.mct")
    path, cut, groups = checkpoint(program, tmp_path / "whole"), tmp_path / "cut", Groups(program)
    held = opened(path)
    tensors = {name: np.abs(held.read(name)) if "running_var" in name else held.read(name) for name in held.shapes}
    save_file(tensors, path)
    save_file(dict(kept_tensors(program, groups, removed(program, groups), tensors)), cut)
    models = []
    for weights in (path, cut):
        build(tmp_path / "m.mct", tmp_path / f"built-{weights.name}", BuildOptions(target="onnx", weights=weights))
        models.append((tmp_path / f"built-{weights.name}" / "m_e.onnx").read_bytes())
    assert models[0] == models[1]
