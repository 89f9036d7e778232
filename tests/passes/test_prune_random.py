"""Random specs and random prunings: what is left is the masked program, sorting changes no function, a cut checkpoint
is the sorted one.

MCTC_EXAMPLES=500 looks at so many specs; 6 if it is not set.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from bench.fuzz.pipeline import read
from bench.fuzz.specs import Spec, specs
from bench.reduced import SIZES
from mctc.coded import opened
from mctc.compress.errors import CompressError
from mctc.compress.sorting import Order, kept_tensors, orders, sorted_tensors
from mctc.driver.load import load_program
from mctc.evaluate.reference import evaluate
from mctc.ir.op import Array
from mctc.ir.program import Program, Section, Value
from mctc.numerics.battery import draw
from mctc.numerics.sizes import symbol_sizes
from mctc.passes.prune import Prune
from mctc.rewrite.axis_groups import Groups
from mctc.rewrite.dimensions import dimensions
from mctc.rewrite.removed_groups import PruneError, removed
from mctc.rewrite.validate import validate
from mctc.weights import Weights
from tests.passes.pruned import checkpoint, drawn_scores, pruned

EXAMPLES = int(os.environ.get("MCTC_EXAMPLES", "6"))
many = settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate]
)  # to make a spec smaller takes minutes


def with_rules(program: Program, seed: int, most: int = 4) -> Program | None:
    """The program with up to so many rules that it takes; None where it takes none."""
    random, found = np.random.default_rng(seed), dict[str, float]()
    names = [each.name for each in dimensions(program)]
    for at in random.permutation(len(names))[: 3 * most]:
        rules = {**found, names[at]: float(random.choice([0.25, 0.5, 0.75]))}
        trial = replace(program, prune=Section(rules))
        try:
            gone = removed(trial, Groups(trial))
        except PruneError:
            continue
        if len(gone):
            found = rules
        if len(found) == most:
            break
    return replace(program, prune=Section(found)) if found else None


def moved(array: Array, value: Value, groups: Groups, order: list[Order]) -> Array:
    """An array with its entries in the places that sorting gives them."""
    for axis, extent in enumerate(value.type.extents):
        if extent.is_static:
            entries, places = groups.of(value, axis), np.arange(extent.value)
            for each in order:
                for old, new in zip(each.groups, each.sorted):
                    places[entries == old] = np.flatnonzero(entries == new)
            array = np.take(array, places, axis)
    return array


def made_by(
    program: Program, path: Path, groups: Groups | None = None, order: list[Order] | None = None
) -> list[Array]:
    """Results of all components over noise: moved as sorting does, or, where `groups` are given, of moved inputs."""
    weights, found = Weights.load(program, path), list[Array]()
    for function in program.functions.values():
        fed = draw(function, symbol_sizes(function))
        if groups is not None and order is not None:
            fed = {value.name: moved(fed[value.name], value, groups, order) for value in function.inputs}
        made, _ = evaluate(function, fed, lambda name: weights.exact(program.parameters[name]))
        found += [made[name] for name, _ in function.results]
    return found


def check(program: Program, folder: Path) -> None:
    """All that is promised of a program with a `prune` section."""
    after = pruned(program)
    assert validate(Prune(), program, after) < 1e-7
    path, put, cut = checkpoint(program, folder / "w"), folder / "sorted", folder / "cut"
    held = opened(path)
    try:
        groups, order = orders(program, held, drawn_scores(held, folder))
    except CompressError as error:
        assert "can't be sorted" in error.message  # noqa: PT017
        return
    tensors = sorted_tensors(program, groups, order, held)
    save_file({name: np.ascontiguousarray(each) for name, each in tensors.items()}, put)
    values = [value for f in program.functions.values() for _, value in f.results]
    wanted = [moved(each, value, groups, order) for each, value in zip(made_by(program, path), values)]
    for want, have in zip(wanted, made_by(program, put, groups, order), strict=True):
        np.testing.assert_allclose(have, want, rtol=1e-6, atol=1e-6 * max(1.0, float(np.abs(want).max(initial=0))))
    less = kept_tensors(program, groups, removed(program, groups), tensors)
    save_file({name: np.ascontiguousarray(each) for name, each in less.items()}, cut)
    for want, have in zip(made_by(after, put), made_by(after, cut), strict=True):
        np.testing.assert_array_equal(have, want)


@pytest.mark.slow
@many
@given(specs(most=6), st.integers(0, 1 << 30))
def test_random_prunings_of_random_specs_are_what_they_promise(spec: Spec, seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        program = with_rules(read(spec.text, Path(folder) / "m.mct"), seed)
        assume(program is not None)
        assert program is not None
        check(program, Path(folder))


QUICK = ("mct_small", "mct2_small", "whisper_tiny")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow]) for name in sorted(SIZES)]
)
def test_random_prunings_of_a_spec_are_what_they_promise(name: str, tmp_path: Path) -> None:
    plain = load_program(Path(f"spec/{name}.mct"), None, dict(SIZES[name]))
    for seed in range(max(1, EXAMPLES // 6)):
        program = with_rules(plain, seed)
        if program is not None:
            check(program, tmp_path)
