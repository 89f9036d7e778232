"""A checkpoint whose groups are in the order of what the loss feels of them: the last are those that pruning cuts.

Entries that go together (mctc.rewrite.axis_groups) can change places together, in every tensor: the model computes
the same. The score of a group is the sum of Fisher x weight^2 over its entries, twice the predicted loss of making them
zero (LeCun et al. 1990; Theis et al. 2018, arXiv:1801.05787).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from mctc.checkpoint import SafeTensors, WeightsError
from mctc.checkpoint_writer import write_all
from mctc.coded import TABLE, opened
from mctc.compress.errors import CompressError
from mctc.compress.layers import stored_as
from mctc.compress.statistics import Statistics
from mctc.driver.options import BuildOptions
from mctc.ir.op import Array
from mctc.ir.ops.linear import channel_axis
from mctc.ir.path_pattern import matches
from mctc.ir.program import Program, Section
from mctc.objectives.narrowed_heads import heads_of
from mctc.records import dataclass
from mctc.rewrite.axis_groups import Groups
from mctc.rewrite.dimensions import Dimension, dimensions
from mctc.rewrite.removed_groups import removed
from mctc.weights import Weights


@dataclass(frozen=True)
class Order:
    """A dimension, its groups as they lie in the checkpoint, the score of each, and its kind: groups of one kind can
    change places."""

    dimension: Dimension
    groups: Array
    scores: Array
    kinds: Array

    @property
    def places(self) -> Array:
        """Which group comes to each place: of a kind, the one of the highest score first."""
        found = np.arange(len(self.groups))
        for kind in np.unique(self.kinds):
            at = np.flatnonzero(self.kinds == kind)
            found[at] = at[np.argsort(-self.scores[at], kind="stable")]
        return found

    @property
    def sorted(self) -> Array:
        """The groups in their new places."""
        return np.asarray(self.groups[self.places])

    def lost(self, keep: int) -> tuple[float, float]:
        """The predicted loss, in nats, of keeping so many: sorted, and of the first as they lie."""
        return float(self.scores[self.places][keep:].sum() / 2), float(self.scores[keep:].sum() / 2)


def check_fits(program: Program, checkpoint: Path) -> None:
    """Raises CompressError for a checkpoint that is none of the program before it is pruned."""
    try:
        Weights.load(stored_as(replace(program, prune=Section()), (), BuildOptions()), checkpoint, calibrated=False)
    except WeightsError as error:
        hint = (
            "the checkpoint is that of the spec before it is pruned: give the -D and --model that it was trained with"
        )
        raise CompressError(error.message, hint=hint) from error


def orders(program: Program, checkpoint: SafeTensors, statistics: Statistics) -> tuple[Groups, list[Order]]:
    """Of each dimension that the `prune` section of a program names. Raises CompressError for one that can't be
    sorted, and for statistics of other tensors; PruneError for a rule that a build refuses."""
    if not program.prune.settings:
        raise CompressError(f"{program.name} prunes nothing", hint="a model says `prune { encoder.**.state: 0.5 }`")
    groups = Groups(program)
    removed(program, groups)
    score, kinds = _scores(program, groups, checkpoint, statistics), groups.kinds()
    found = []
    for each in dimensions(program):
        if any(matches(pattern, each.name) for pattern in program.prune.settings):
            entries = each.groups(groups)
            if len(np.unique(entries)) != len(entries) or any(int(group) in groups.stays for group in entries):
                raise CompressError(f"{each.name} can't be sorted: its entries go together with others, or must stay")
            found.append(Order(each, entries, score[entries], kinds[entries]))
    return groups, found


def sorted_tensors(
    program: Program, groups: Groups, found: list[Order], checkpoint: SafeTensors
) -> Mapping[str, Array]:
    """All tensors of the checkpoint, those of the groups with their entries in the new places."""
    tensors = {name: checkpoint.read(name) for name in checkpoint.shapes}
    for name, shape, axis, entries in _axes(program, groups, tensors):
        places = np.arange(len(entries))
        for order in found:
            for old, new in zip(order.groups, order.sorted):
                places[entries == old] = np.flatnonzero(entries == new)
        if not np.array_equal(places, np.arange(len(entries))):
            tensors[name] = _moved(tensors[name], shape, axis, places, name)
    return tensors


def kept_tensors(program: Program, groups: Groups, gone: Array, tensors: Mapping[str, Array]) -> Mapping[str, Array]:
    """The tensors without the groups that are gone: a checkpoint of the smaller model alone."""
    result = dict(tensors)
    for name, shape, axis, entries in _axes(program, groups, tensors):
        if not (out := np.isin(entries, gone)).any():
            continue
        whole = tensors[name].shape
        wide = [at for at, extent in enumerate(whole) if extent != 1]
        mine = [at for at, extent in enumerate(shape) if extent != 1].index(axis)
        if mine >= len(wide) or whole[wide[mine]] != len(entries):
            told = f"{name} is {list(whole)} in the checkpoint, which is no {list(shape)}"
            raise CompressError(told)
        result[name] = np.compress(~out, result[name], wide[mine])
    return result


def _axes(
    program: Program, groups: Groups, tensors: Mapping[str, Array]
) -> Iterator[tuple[str, tuple[int, ...], int, Array]]:
    """The tensors that hold entries of groups: name, the program's shape, an axis, the group of each entry. Heads that
    are there in training alone have the groups of what they read."""
    for name, parameter in program.parameters.items():
        for axis in range(parameter.type.rank):
            entries = groups.of_parameter(name, axis)
            if entries is not None and name in tensors:
                yield name, parameter.type.shape, axis, entries
    for head in heads_of(program):
        if (name := f"{head.name}.weight") in tensors:
            yield name, (head.classes, head.width), 1, groups.of(head.value, channel_axis(head.value.type))


def write_sorted(checkpoint: Path, tensors: Mapping[str, Array], metadata: Mapping[str, str], out: Path) -> None:
    """A checkpoint of fp32 numbers, whole or not at all. Raises OSError."""
    told = {key: str(value) for key, value in opened(checkpoint).metadata.items() if key != TABLE}
    write_all(out, tensors, {**told, **metadata})


def _scores(program: Program, groups: Groups, checkpoint: SafeTensors, statistics: Statistics) -> Array:
    total = np.zeros(groups.count)
    for name, parameter in program.parameters.items():
        fisher = statistics.fisher(name)
        if fisher is None or name not in checkpoint.shapes:
            continue
        value = checkpoint.read(name)
        felt = _trimmed(fisher, value.shape, name) * value.astype(np.float64) ** 2
        for axis in range(parameter.type.rank):
            entries = groups.of_parameter(name, axis)
            if entries is not None and axis < felt.ndim and felt.shape[axis] == len(entries):
                others = tuple(each for each in range(felt.ndim) if each != axis)
                np.add.at(total, entries, felt.sum(axis=others))
    return total


def _trimmed(fisher: Array, shape: tuple[int, ...], name: str) -> Array:
    """Of the module's tensor, in the shape of the checkpoint's: that has no rows that pad a vocabulary, and perhaps no
    axes of extent 1."""
    if fisher.size == np.prod(shape):
        return fisher.reshape(shape)
    held, wanted = np.squeeze(fisher), [extent for extent in shape if extent > 1]
    if held.ndim != len(wanted) or any(have < want for have, want in zip(held.shape, wanted)):
        raise CompressError(f"the statistics of {name} are of another shape than {list(shape)}")
    return np.asarray(held[tuple(map(slice, wanted))].reshape(shape))


def _moved(value: Array, shape: tuple[int, ...], axis: int, places: Array, name: str) -> Array:
    """The entries of an axis in other places. The checkpoint may hold the tensor with axes of extent 1 more, or with
    another axis padded."""
    if value.size == np.prod(shape):
        return np.asarray(np.take(value.reshape(shape), places, axis).reshape(value.shape))
    if axis < value.ndim and value.shape[axis] == len(places):
        return np.asarray(np.take(value, places, axis))
    raise CompressError(f"{name} is {list(value.shape)} in the checkpoint, which is no {list(shape)}")
