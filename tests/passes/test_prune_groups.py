"""Heads and states of a scan with a decay a head, and convolutions of several groups: as much of each group goes, or
whole groups where a rule says so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

import mctc.rewrite.validate
from mctc.coded import opened
from mctc.compress.sorting import orders, sorted_tensors
from mctc.diagnostics.diagnostic import LocatedError
from mctc.ir.ops.convolution import Conv1d
from mctc.ir.ops.ssd import Sizes, Ssd
from mctc.ir.program import Program
from mctc.ir.recipes import compose, with_recipe
from mctc.passes.prune import Prune
from mctc.rewrite.masked_program import recounted
from mctc.rewrite.validate import ValidationError, validate
from tests.passes.pruned import checkpoint, drawn_scores, program_of, pruned, results

SCAN = """model m(heads = 4, groups = 2, states = 3) {
    dim B: batch
    dim T: time @ 100 Hz
    component e(x: f32[B, T, 20]) -> f32[B, T, 5] {
        y = scanned(linear(x, 6) as first, heads, groups, states) as scan
        return linear(y, 5) as last
    }
    PRUNE
}

block scanned(x: f32[B, T, C], heads, groups, states) -> f32[B, T, 2 * heads] {
    u, d, b, c = split(linear(x, 3 * heads + 2 * groups * states) as into, sizes = [2 * heads, heads, groups * states, groups * states])
    param A: f32[heads] = normal()
    param D: f32[heads] = normal()
    return op.ssd(u, softplus(d), -exp(A), WRITTEN, c, D, groups = groups)
}
"""  # noqa: E501
PLAIN = SCAN.replace("WRITTEN", "b")


def sizes(program: Program) -> Sizes:
    (op,) = (op for _, op in program.ops() if isinstance(op, Ssd))
    return Sizes.of(op)


@pytest.mark.parametrize(
    ("shape", "rules", "left"),
    [
        ((4, 1, 4), "e.scan.heads: 0.25", (3, 1, 4)),
        ((4, 1, 4), "e.scan.state: 0.5", (4, 1, 2)),
        ((4, 2, 3), "e.scan.heads: 0.5; e.scan.state: 0.3", (2, 2, 2)),
        ((4, 2, 3), "e.scan.groups: 0.5", (2, 1, 3)),
        ((4, 4, 3), "e.scan.heads: 0.5", (2, 2, 3)),
        ((4, 4, 3), "e.scan.groups: 0.25", (3, 3, 3)),
        ((4, 4, 3), "e.scan.state: 0.6", (4, 4, 1)),
    ],
)
def test_heads_groups_and_states_of_a_scan_go(
    shape: tuple[int, int, int], rules: str, left: tuple[int, int, int], tmp_path: Path
) -> None:
    named = dict(zip(("heads", "groups", "states"), shape))
    told = ", ".join(f"{name} = {value}" for name, value in named.items())
    text = PLAIN.replace("heads = 4, groups = 2, states = 3", told)
    before = program_of(text, tmp_path, rules)
    after = pruned(before)
    assert validate(Prune(), before, after) < 1e-9
    found = sizes(after)
    assert (found.heads, found.groups, found.states) == left
    assert found.width == 2
    into = left[0] * 3 + 2 * left[1] * left[2]
    assert after.parameters["e.scan.into.weight"].type.shape == (into, 6)
    assert_sorted(before, program_of(text, tmp_path, ""), tmp_path, moves=shape[1] == 1)


def assert_sorted(program: Program, plain: Program, folder: Path, moves: bool = True) -> None:
    """Sorting moves something, unless it happens to lie so, and changes no result."""
    path, after = checkpoint(program, folder / "w"), folder / "sorted"
    held = opened(path)
    groups, order = orders(program, held, drawn_scores(held, folder))
    tensors = sorted_tensors(program, groups, order, held)
    assert not moves or any(not np.array_equal(each, held.read(name)) for name, each in tensors.items())
    save_file(dict(tensors), after)
    np.testing.assert_allclose(results(plain, after), results(plain, path), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ("e.scan.groups: 0.5; e.scan.state: 0.5", "e.scan.state can't be cut: its entries are those of ssd of e.scan"),
        ("e.scan.groups: 0.5; e.scan.heads: 0.5", "whose entries `e.scan.groups` cuts already"),
        ("e.scan.group: 0.5", "did you mean `e.scan.groups`"),
    ],
)
def test_what_is_no_sound_cut_of_a_scan_is_told(rules: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(LocatedError, match="MCT0158") as caught:
        pruned(program_of(PLAIN, tmp_path, rules))
    assert told in caught.value.render()


def test_a_state_that_goes_is_not_written_whatever_is_made_of_masked_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = program_of(SCAN.replace("WRITTEN, c", "sigmoid(b), sigmoid(c)"), tmp_path, "e.scan.state: 0.6")
    after = pruned(before)
    assert validate(Prune(), before, after) < 1e-9
    assert recounted(before) == ["e.scan"]
    assert recounted(program_of(PLAIN, tmp_path, "e.scan.state: 0.6")) == []
    monkeypatch.setattr(mctc.rewrite.validate, "masked_program", lambda program: program)
    with pytest.raises(ValidationError, match="promised masks"):
        validate(Prune(), before, after)


CONVOLVED = """model m(channels = 12, out = 8, groups = 4) {
    dim B: batch
    dim T: time @ 100 Hz
    component e(x: f32[B, T, 20]) -> f32[B, T, 5] {
        y = linear(x, channels) as first
        y = gelu(conv1d(y, out, 3, groups = groups) as grouped)
        return linear(y, 5) as last
    }
    PRUNE
}
"""


@pytest.mark.parametrize(
    ("rules", "weight", "groups", "first", "last"),
    [
        ("e.grouped.channels: 0.5", (4, 3, 3), 4, 12, 4),
        ("e.first.channels: 0.3", (8, 2, 3), 4, 8, 8),
        ("e.grouped.groups: 0.25", (6, 3, 3), 3, 9, 6),
        ("e.grouped.channels: 0.5; e.first.channels: 0.5", (4, 2, 3), 4, 8, 4),
    ],
)
def test_channels_of_each_group_go_or_whole_groups(
    rules: str, weight: tuple[int, int, int], groups: int, first: int, last: int, tmp_path: Path
) -> None:
    before = program_of(CONVOLVED, tmp_path, rules)
    after = pruned(before)
    assert validate(Prune(), before, after) < 1e-9
    (op,) = (op for _, op in after.ops() if isinstance(op, Conv1d))
    assert (op.weight.type.shape, op.groups) == (weight, groups)
    assert after.parameters["e.first.weight"].type.shape == (first, 20)
    assert after.parameters["e.last.weight"].type.shape == (5, last)
    assert_sorted(before, program_of(CONVOLVED, tmp_path, ""), tmp_path)


def test_kernels_of_one_channel_go_with_it(tmp_path: Path) -> None:
    text = CONVOLVED.replace("groups = 4)", "groups = 12)").replace("out = 8", "out = 24")
    before = program_of(text, tmp_path, "e.grouped.channels: 0.25")
    after = pruned(before)
    assert validate(Prune(), before, after) < 1e-9
    assert after.parameters["e.grouped.weight"].type.shape == (18, 1, 3)
    assert after.parameters["e.first.weight"].type.shape == (9, 20)


def test_the_proof_fails_where_groups_lose_different_channels(tmp_path: Path) -> None:
    before = program_of(CONVOLVED, tmp_path, "e.grouped.channels: 0.5")
    after = pruned(before)
    whole, smaller = before.parameters["e.last.weight"], after.parameters["e.last.weight"]
    other = compose("slice", [whole.recipe], {"axis": 1, "begin": 0, "end": 4})
    after.parameters = {**after.parameters, "e.last.weight": with_recipe(smaller, "e.last.weight", other)}
    with pytest.raises(ValidationError, match="promised masks"):
        validate(Prune(), before, after)


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ("e.grouped.groups: 0.5; e.grouped.channels: 0.5", "whose entries `e.grouped.groups` cuts already"),
        ("e.grouped.groups: 0.5; e.first.channels: 0.5", "whose entries `e.grouped.groups` cuts already"),
    ],
)
def test_groups_and_channels_are_not_cut_at_once(rules: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(LocatedError, match="MCT0158") as caught:
        pruned(program_of(CONVOLVED, tmp_path, rules))
    assert told in caught.value.render()


MOVED = """model m(width = 8) {
    dim B: batch
    dim T: time @ 100 Hz
    component e(x: f32[B, T, 20]) -> f32[B, T, 5] {
        y = linear(x, width) as first
        param direction: f32[5, width] = normal()
        z = BODY
        return linear(z, 5) as last
    }
    PRUNE
}
"""
PARTS, WHOLE = '[["plain", 5], ["plain", 2], ["plain", width / 2]]', '[["plain", 5], ["plain", width]]'
BODIES = {
    "late": "y + delay(y)",
    "folded and back": "unfold_time(gelu(fold_time(y, 2)), 2) + y",
    "twice and halved": "fold_time(upsample(y, 2), 2)",
    "parts": 'concat(slice(y, "channel", 2, 8), slice(y, "channel", 0, 2))',
    "padded": 'pad(y, axis = "channel", before = 2, after = 1)',
    "by a weight in parts": f"op.linear(y, op.reshape(op.reshape(direction, axes = {PARTS}), axes = {WHOLE}))",
    "by a weight turned round": "op.linear(y, transpose(transpose(direction, order = [1, 0]), order = [1, 0]))",
    "of unit length": "op.linear(y, direction * rsqrt(reduce_sum(direction ** 2, 1) + 1e-3))",
}


@pytest.mark.parametrize("name", BODIES)
def test_what_moves_or_sums_channels_takes_fewer(name: str, tmp_path: Path) -> None:
    before = program_of(MOVED.replace("BODY", BODIES[name]), tmp_path, "e.first.channels: 0.5")
    after = pruned(before)
    assert validate(Prune(), before, after) < 1e-9
    assert after.parameters["e.first.weight"].type.shape == (4, 20)


MIXED = PARTS.replace("5], [", "4], [").replace("2], [", "5], [").replace("width / 2]", "2]")


@pytest.mark.parametrize(
    ("body", "share", "told"),
    [
        (BODIES["by a weight in parts"], 0.25, "some of its entries go together with others of it"),
        (BODIES["by a weight in parts"].replace(PARTS, MIXED), 0.5, "its entries are those of reshape of e"),
    ],
)
def test_parts_of_what_is_cut_up_stay(body: str, share: float, told: str, tmp_path: Path) -> None:
    with pytest.raises(LocatedError, match=told):
        pruned(program_of(MOVED.replace("BODY", body), tmp_path, f"e.first.channels: {share}"))


@pytest.mark.parametrize("body", ["y - reduce_mean(y, 2)", "y * reduce_max(y, 2)", "y + reduce_sum(sigmoid(y), 2)"])
def test_what_counts_channels_holds_them(body: str, tmp_path: Path) -> None:
    with pytest.raises(LocatedError, match=r"its entries are those of reduce_(mean|max|sum)"):
        pruned(program_of(MOVED.replace("BODY", body), tmp_path, "e.first.channels: 0.5"))


HALVES = """model m(width = 8) {
    dim B: batch
    dim T: time @ 100 Hz
    component e(x: f32[B, T, 20]) -> f32[B, T, 5] {
        y = linear(x, width) as first
        a = linear(slice(y, "channel", 0, 4), 6) as one
        return linear(a + (linear(slice(y, "channel", 4, 8), 6) as other), 5) as last
    }
    PRUNE
}
"""
COUNTED = MOVED.replace("BODY", 'y * op.constant([1.0, 2, 1, 2, 1, 2, 3, 4], "f32", ["channel"])')


@pytest.mark.parametrize("text", [HALVES, COUNTED])
def test_sorting_moves_entries_among_those_that_are_read_alike(text: str, tmp_path: Path) -> None:
    program = program_of(text, tmp_path, "e.first.channels: 0.25")
    assert validate(Prune(), program, pruned(program)) < 1e-9
    assert_sorted(program, program_of(text, tmp_path, ""), tmp_path)
