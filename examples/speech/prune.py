"""Gradual pruning: what a pruned spec will cut becomes zero bit by bit while the whole model trains.

The share that is gone rises as 1 - (1 - t)^3 over the steps (Zhu and Gupta 2017, arXiv:1710.01878). The last entries of
each dimension go first: `mctc prune` sorts a checkpoint so that these are of least use. A build of the pruned spec then
binds what was trained, and computes the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mctc.driver.manifest import read_manifest
from mctc.driver.sources import FOLDER
from mctc.ir.ops.linear import channel_axis
from mctc.ir.program import Program
from mctc.language import elaborate_file
from mctc.objectives.narrowed_heads import heads_of
from mctc.rewrite.axis_groups import Groups
from mctc.rewrite.masked_program import recounted
from mctc.rewrite.removed_groups import removed

from .config import ConfigError, Prune


class Pruning:
    """The zeros of a model at a step."""

    def __init__(self, settings: Prune, model: nn.Module) -> None:
        self.settings, self.program = settings, _program(Path(settings.build))
        self.groups = Groups(self.program)
        self._masks: dict[str, Tensor] = {}
        self._share = 0.0
        shapes = {name: tuple(each.shape) for name, each in model.named_parameters()}
        for name, kept in _kept(self.program, self.groups, 1.0).items():
            wanted = tuple(map(len, kept))
            if name in shapes and _axes(shapes[name], wanted) is None:
                told = f"{name} is {list(shapes[name])}, in the whole model of {settings.build} {list(wanted)}"
                raise ConfigError(f"prune.build: {told}; model.training is the build without the prune section")

    def share(self, step: int) -> float:
        """How much of what the spec cuts is zero."""
        begin, end = self.settings.from_step, self.settings.until_step
        return 1 - (1 - min(max((step - begin) / (end - begin), 0.0), 1.0)) ** 3

    @torch.no_grad()
    def apply(self, step: int, parameters: Sequence[Mapping[str, Tensor]]) -> None:
        """Makes zeros of what is gone at a step, in parameters by name; more of them go every `every` steps."""
        share = self.share(step)
        if share != self._share and (step % self.settings.every == 0 or share == 1.0 or not self._masks):
            self._masks, self._share = self._masks_of(share, parameters[0]), share
        for each in parameters:
            for name, mask in self._masks.items():
                each[name].mul_(mask)

    def _masks_of(self, share: float, parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
        masks = {}
        for name, kept in _kept(self.program, self.groups, share).items():
            if name in parameters:
                like = parameters[name]
                masks[name] = _mask(kept, tuple(like.shape)).to(like.device, like.dtype)
        return masks


def _program(build: Path) -> Program:
    """The spec of a build, with its prune section. Raises ConfigError for one without, and for one of which zeros are
    no stand-in."""
    manifest = read_manifest(build)
    options, spec = manifest["options"], build / manifest["source"]["spec"]
    program = elaborate_file(spec, model=options["model"], defines=options["defines"], root=build / FOLDER)
    if not program.prune.settings:
        raise ConfigError(f"prune.build: the spec of {build} prunes nothing")
    if norms := recounted(program):
        told = f"the spec of {build} cuts channels that norms count ({norms[0]}), which zeros don't stand for"
        raise ConfigError(f"prune.build: {told}; sort and cut them (mctc prune --cut), then train the smaller model")
    return program


def _kept(program: Program, groups: Groups, share: float) -> dict[str, list[Any]]:
    """Of each parameter that a share of the pruning touches, which entries of each axis stay."""
    parts = program.prune.settings.items()
    settings = {pattern: share * part if isinstance(part, (int, float)) else part for pattern, part in parts}
    gone = removed(replace(program, prune=replace(program.prune, settings=settings)), groups)
    found = {}
    for name, parameter in program.parameters.items():
        shape = parameter.type.shape
        entries = [groups.of_parameter(name, axis) for axis in range(len(shape))]
        kept = [
            np.ones(size, bool) if each is None else ~np.isin(each, gone)
            for size, each in zip(shape, entries, strict=True)
        ]
        if not all(each.all() for each in kept):
            found[name] = kept
    for head in heads_of(program):  # of training alone: the columns of what it reads
        columns = ~np.isin(groups.of(head.value, channel_axis(head.value.type)), gone)
        if not columns.all():
            found[f"{head.name}.weight"] = [np.ones(head.classes, bool), columns]
    return found


def _mask(kept: Sequence[Any], shape: tuple[int, ...]) -> Tensor:
    """Ones for the entries that stay, in the shape of a module's tensor."""
    mask = torch.ones(())
    for each in kept:
        mask = mask[..., None] * torch.from_numpy(each.astype(np.float32))
    whole, spread = torch.ones(shape), [1] * len(shape)
    for axis, each in zip(_axes(shape, tuple(map(len, kept))) or (), kept, strict=True):
        spread[axis] = len(each)
    whole[tuple(slice(extent) for extent in spread)] = mask.reshape(spread)
    return whole


def _axes(shape: tuple[int, ...], wanted: tuple[int, ...]) -> list[int] | None:
    """The axes of a module's tensor that are those of the spec's: it may have more, of extent 1, and rows that pad a
    vocabulary. None where it is of another size."""
    found, at = [], 0
    for extent in wanted:
        while at < len(shape) and shape[at] == 1 and extent != 1:
            at += 1
        if at == len(shape) or shape[at] < extent:
            return None
        found.append(at)
        at += 1
    return found if all(extent == 1 for extent in shape[at:]) else None
