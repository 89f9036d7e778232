"""Pruning: the smaller program is the masked one, checkpoints of either size bind, what must stay stays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from mctc.coded import opened
from mctc.compress.growing_sums import GrowingSums
from mctc.compress.sorting import kept_tensors, orders, sorted_tensors
from mctc.compress.statistics import Statistics
from mctc.diagnostics.diagnostic import LocatedError
from mctc.driver import BuildOptions, build
from mctc.driver.load import load_program
from mctc.driver.manifest import count_parameters
from mctc.ir.program import Program
from mctc.ir.recipes import compose, with_recipe
from mctc.passes.prune import Prune
from mctc.rewrite.axis_groups import Groups
from mctc.rewrite.base import Context
from mctc.rewrite.removed_groups import kept, removed
from mctc.rewrite.validate import ValidationError, validate
from mctc.weights import Weights
from tests.passes.pruned import checkpoint, pruned, results

SPEC = """import "lib/mamba.mct"

model m(width = 12) {
    dim B: batch
    dim T: time @ 100 Hz
    component e(x: f32[B, T, 20]) -> f32[B, T, width] {
        y = linear(x, width) as first
        y = y + mamba(layer_norm(y) as norm, state = 6) as scan
        z = lstm(gelu(linear(y, 10) as up), 8) as cell
        return linear(z, width) as last
    }
    stream { chunk = 80 ms }
    PRUNE
}
"""
RULES = {
    "states": "e.**.state: 0.5",
    "inner channels": "e.scan.inner: 0.25",
    "cells": "e.cell.cells: 0.5",
    "inner channels, by what writes them twice": "e.scan.in_proj.channels: 0.25",
    "channels": "e.up.channels: 0.3",
    "all of them": "**.state: 0.3; e.scan.inner: 0.5; **.cells: 0.25; e.{up}.channels: 0.5",
}


def program_of(folder: Path, rules: str) -> Program:
    path = folder / "m.mct"
    path.write_text(SPEC.replace("PRUNE", f"prune {{ {rules} }}" if rules else ""))
    return load_program(path)


@pytest.mark.parametrize("name", RULES)
def test_the_pruned_program_is_the_masked_one(name: str, tmp_path: Path) -> None:
    before = program_of(tmp_path, RULES[name])
    after = pruned(before)
    sizes = [sum(p.type.size for p in each.parameters.values()) for each in (before, after)]
    assert sizes[1] < 0.97 * sizes[0]
    assert validate(Prune(), before, after) < 1e-9


def test_the_proof_fails_where_something_else_was_cut(tmp_path: Path) -> None:
    before = program_of(tmp_path, RULES["states"])
    after, name = pruned(before), "e.scan.x_proj.weight"
    smaller = after.parameters[name]
    turned = compose("reverse", [smaller.recipe], {"axis": 0})
    after.parameters = {**after.parameters, name: with_recipe(smaller, name, turned)}
    with pytest.raises(ValidationError, match="promised masks"):
        validate(Prune(), before, after)


def test_counts_are_rounded_up_and_wide_dimensions_to_multiples() -> None:
    assert [kept(16, 0.5), kept(6, 0.5), kept(3, 0.9), kept(512, 0.3), kept(512, 0.5), kept(72, 0.5)] == [
        8, 3, 1, 368, 256, 48,
    ]  # fmt: skip


@pytest.mark.parametrize(("share", "warned"), [(0, True), (0.01, True), (0.5, False)])
def test_a_share_that_cuts_nothing_is_told(share: float, warned: bool, tmp_path: Path) -> None:
    context = Context()
    Prune().run(program_of(tmp_path, f"e.**.state: {share}"), context)
    told = [each.message for each in context.warnings]
    assert told == ([f"`e.**.state: {share:g}` cuts nothing of 6 entries"] if warned else [])


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ("e.last.channels: 0.5", "its entries are those of `output`, a result of e"),
        ("e.scan.x_proj.channels: 0.1", "can't be cut: some of its entries go together with others"),
        ("e.sacn.state: 0.5", "names no dimension"),
        (
            "**.state: 0.5; e.scan.state: 0.25",
            "`e.scan.state` cuts e.scan.state, whose entries `**.state` cuts already",
        ),
        ("e.scan.inner: 0.5; e.scan.conv.channels: 0.5", "whose entries `e.scan.inner` cuts already"),
    ],
)
def test_what_must_stay_is_told(rules: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(LocatedError, match="MCT0158") as caught:
        pruned(program_of(tmp_path, rules))
    assert told in caught.value.render()


def test_a_checkpoint_of_a_module_of_the_whole_spec_binds(tmp_path: Path) -> None:
    program = program_of(tmp_path, RULES["all of them"])
    large, module = checkpoint(program, tmp_path / "large.safetensors"), tmp_path / "module.safetensors"
    held = opened(large)
    tensors = {name: held.read(name) for name in held.shapes}
    tensors["e.scan.x_proj.weight"] = tensors["e.scan.x_proj.weight"][:, :, None, None]  # as a kernel
    save_file({name: np.ascontiguousarray(each) for name, each in tensors.items()}, module)
    after = pruned(program)
    np.testing.assert_array_equal(results(after, module), results(after, large))


def test_checkpoints_of_either_size_bind(tmp_path: Path) -> None:
    program = program_of(tmp_path, RULES["all of them"])
    large = checkpoint(program, tmp_path / "large.safetensors")
    small = tmp_path / "small.safetensors"
    after = pruned(program)
    weights = Weights.load(after, large)
    save_file({name: np.array(weights.value(p)) for name, p in after.parameters.items()}, small)
    assert opened(small).shapes["e.scan.A_log"] == (12, 4)
    np.testing.assert_allclose(results(after, small), results(after, large), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("rules", ["", RULES["all of them"]])
def test_parameters_are_counted_without_what_was_cut(rules: str, tmp_path: Path) -> None:
    program = program_of(tmp_path, rules)
    after = pruned(program)
    assert count_parameters(after) == sum(each.type.size for each in after.parameters.values())
    assert (count_parameters(after) < sum(type_.size for type_, _ in program.sources.values())) == bool(rules)


class Held(dict[str, np.ndarray]):
    """Tensors as a checkpoint has them."""

    @property
    def shapes(self) -> list[str]:
        return list(self)

    def read(self, name: str) -> np.ndarray:
        return self[name]


def test_a_sorted_checkpoint_is_of_the_same_function_and_loses_the_least(tmp_path: Path) -> None:
    program = program_of(tmp_path, RULES["all of them"])
    path = checkpoint(program, tmp_path / "w.safetensors")
    found = opened(path)
    statistics = Statistics({}, 1, GrowingSums.of(tmp_path, {}))
    random = np.random.default_rng(3)
    fisher = {name: random.uniform(0, 1, shape) ** 4 for name, shape in found.shapes.items()}
    statistics.fisher = fisher.get  # type: ignore[method-assign]
    groups, order = orders(program, found, statistics)
    assert {each.dimension.name for each in order} == {"e.scan.state", "e.scan.inner", "e.cell.cells", "e.up.channels"}
    after = tmp_path / "sorted.safetensors"
    save_file(dict(sorted_tensors(program, groups, order, found)), after)
    plain = program_of(tmp_path, "")
    np.testing.assert_allclose(results(plain, after), results(plain, path), rtol=1e-9, atol=1e-12)
    cut = tmp_path / "cut.safetensors"
    kept = kept_tensors(program, groups, removed(program, groups), sorted_tensors(program, groups, order, found))
    save_file(dict(kept), cut)
    assert sum(each.size for each in kept.values()) < sum(int(np.prod(shape)) for shape in found.shapes.values())
    smaller = pruned(program)
    np.testing.assert_array_equal(results(smaller, cut), results(smaller, after))
    for each in order:
        best, first = each.lost(len(each.groups) // 2)
        assert best <= first
    statistics.fisher = dict(sorted_tensors(program, groups, order, Held(fisher))).get  # type: ignore[method-assign]
    for each in orders(program, opened(after), statistics)[1]:
        best, first = each.lost(len(each.groups) // 2)
        assert best == pytest.approx(first)


PICTURE = """import "lib/subsample.mct"

model m(width = 12) {
    dim B: batch
    dim T: time @ 100 Hz
    component e(x: f32[B, T, 20]) -> f32[B, T/2, width] {
        y = relu(conv2d(split_channels(x), 8, stride = [2, 1]) as first)
        y = relu(separable_conv2d(y) as both)
        return linear(merge_channels(y), width) as last
    }
    prune { RULES }
}
"""


@pytest.mark.parametrize(
    ("rules", "columns"),
    [
        ("e.first.channels: 0.25", 40),
        ("e.both.pointwise.channels: 0.5", 20),
        ("e.both.depthwise.channels: 0.5; **.pointwise.channels: 0.25", 30),
    ],
)
def test_channels_of_a_picture_go_with_all_their_features(rules: str, columns: int, tmp_path: Path) -> None:
    (tmp_path / "m.mct").write_text(PICTURE.replace("RULES", rules))
    (tmp_path / "plain.mct").write_text(PICTURE.replace("prune { RULES }", ""))
    before, plain = load_program(tmp_path / "m.mct"), load_program(tmp_path / "plain.mct")
    after = pruned(before)
    assert validate(Prune(), before, after) < 1e-9
    assert after.parameters["e.last.weight"].type.shape == (12, columns)
    path, found = checkpoint(before, tmp_path / "w.safetensors"), tmp_path / "sorted.safetensors"
    statistics = Statistics({}, 1, GrowingSums.of(tmp_path, {}))
    random, held = np.random.default_rng(3), opened(path)
    statistics.fisher = {name: random.uniform(0, 1, shape) for name, shape in held.shapes.items()}.get  # type: ignore[method-assign]
    groups, order = orders(before, held, statistics)
    tensors = sorted_tensors(before, groups, order, held)
    assert any(not np.array_equal(each, held.read(name)) for name, each in tensors.items())
    save_file(dict(tensors), found)
    np.testing.assert_allclose(results(plain, found), results(plain, path), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ("e.last.channels: 0.5", "its entries are those of `output`, a result of e"),
        ("e.first.filters: 0.5", "did you mean `e.first.channels`"),
    ],
)
def test_of_a_picture_what_must_stay_is_told(rules: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "m.mct").write_text(PICTURE.replace("RULES", rules))
    with pytest.raises(LocatedError, match="MCT0158") as caught:
        pruned(load_program(tmp_path / "m.mct"))
    assert told in caught.value.render()


@pytest.mark.slow
def test_a_build_of_a_pruned_spec_trains_and_streams(tmp_path: Path) -> None:
    program_of(tmp_path, RULES["all of them"])
    result = build(tmp_path / "m.mct", tmp_path / "built", BuildOptions(verify_each=True))
    text = (tmp_path / "built/training/m.py").read_text()
    assert 'self.new_parameter("A_log", (12, 4)' in text
    assert result.compiled.whole.prune.settings == {}


def test_a_layer_cut_to_one_row_loses_columns_too(tmp_path: Path) -> None:
    program = program_of(tmp_path, "e.up.channels: 0.9; e.first.channels: 0.25")
    path, cut = checkpoint(program, tmp_path / "w"), tmp_path / "cut"
    held, groups = opened(path), Groups(program)
    tensors = {name: held.read(name) for name in held.shapes}
    save_file(dict(kept_tensors(program, groups, removed(program, groups), tensors)), cut)
    assert opened(cut).shapes["e.up.weight"] == (1, 9)
    np.testing.assert_array_equal(results(pruned(program), cut), results(pruned(program), path))
