"""What becomes of every name: the parameters of a program and the tensors of a checkpoint, through a name map."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum

import numpy as np

from mctc.checkpoint import WeightsError
from mctc.importing.checkpoint import Checkpoint
from mctc.importing.name_map import Ignored, MapEntry, NameMap
from mctc.ir.op import Array, InferenceError
from mctc.ir.program import Program, Recipe, Source
from mctc.ir.recipes import compose
from mctc.ir.types import DType, TensorType, plain
from mctc.recipe_values import apply
from mctc.records import dataclass


class Status(str, Enum):
    MAPPED = "mapped"
    IGNORED = "ignored"
    MISSING = "missing"  # the checkpoint lacks a tensor that the map asks for
    UNMAPPED = "unmapped"  # the map says nothing of the parameter
    MISSHAPEN = "misshapen"
    DIFFERENT = "different"  # ignored as another tensor's double, but it holds other numbers
    LEFT_OVER = "left over"  # neither used nor ignored

    @property
    def is_problem(self) -> bool:
        return self not in (Status.MAPPED, Status.IGNORED)


@dataclass(frozen=True)
class TensorRow:
    """One name: a parameter, or a tensor that no parameter is made of. `shape` is its own; `told` says the rest."""

    status: Status
    name: str
    shape: tuple[int, ...]
    told: str


@dataclass(frozen=True)
class ImportPlan:
    """`recipes` make the parameters out of the checkpoint's tensors, by its names; `rows` tell of every name."""

    checkpoint: Checkpoint
    recipes: Mapping[str, Recipe]
    rows: tuple[TensorRow, ...]

    @property
    def problems(self) -> list[TensorRow]:
        return [row for row in self.rows if row.status.is_problem]

    def value(self, parameter: str) -> Array:
        """A parameter in float32; its tensors are read now and not kept."""
        return np.asarray(self._evaluate(self.recipes[parameter]), np.float32)

    def _evaluate(self, recipe: Recipe) -> Array:
        if isinstance(recipe, Source):
            return self.checkpoint.read(recipe.name)
        return apply(recipe, [None if each is None else self._evaluate(each) for each in recipe.operands])


def plan(program: Program, checkpoint: Checkpoint, names: NameMap) -> ImportPlan:
    """Raises WeightsError when two tensors have one name but for the map's prefix."""
    return _Planner(checkpoint, names).plan(program)


class _Planner:
    def __init__(self, checkpoint: Checkpoint, names: NameMap) -> None:
        self.checkpoint, self.names = checkpoint, names
        self.real: dict[str, str] = {}  # of every tensor by its name without the prefix
        for name in checkpoint.shapes:
            short = name.removeprefix(names.prefix)
            if short in self.real:
                raise WeightsError(f"{checkpoint.path} holds both {self.real[short]} and {name}")
            self.real[short] = name
        self.used: set[str] = set()
        self.recipes: dict[str, Recipe] = {}

    def plan(self, program: Program) -> ImportPlan:
        rows = [self._parameter(name, type_) for name, (type_, _) in program.sources.items()]
        rows += self._others()
        return ImportPlan(self.checkpoint, self.recipes, tuple(rows))

    def _parameter(self, name: str, type_: TensorType) -> TensorRow:
        found = self.names.entry(name)
        if found is None:
            return TensorRow(Status.UNMAPPED, name, type_.shape, f"the map {self.names.name} has no entry for it")
        entry, holes = found
        tensors = [pattern.filled(holes) for pattern in entry.tensors]
        missing = [tensor for tensor in tensors if tensor not in self.real]
        self.used.update(tensors)
        if missing:
            return TensorRow(Status.MISSING, name, type_.shape, f"there is no {', '.join(missing)}")
        told = "from " + ", ".join(f"{tensor} {list(self._shape(tensor))}" for tensor in tensors)
        try:
            recipe = self._recipe(entry, tensors, type_)
        except InferenceError as error:
            return TensorRow(Status.MISSHAPEN, name, type_.shape, f"{told}: {error}")
        if recipe.type.shape != type_.shape:
            return TensorRow(Status.MISSHAPEN, name, type_.shape, f"{told}, which gives {list(recipe.type.shape)}")
        self.recipes[name] = recipe
        steps = f" by {', '.join(step.op for step in entry.steps)}" if entry.steps else ""
        return TensorRow(Status.MAPPED, name, type_.shape, told + steps)

    def _recipe(self, entry: MapEntry, tensors: list[str], wanted: TensorType) -> Recipe:
        """Raises InferenceError for steps that don't fit the tensors' shapes."""
        made: list[Recipe] = [Source(self.real[each], plain(DType.F32, *self._shape(each))) for each in tensors]
        for step in entry.steps:
            attributes = dict(step.attributes)
            if step.op == "reshape" and not attributes:
                attributes["axes"] = tuple(("plain", extent) for extent in wanted.shape)
            made = [compose(step.op, made, attributes, step.result)]
        if len(made) != 1:
            raise InferenceError(f"it is made of {len(made)} tensors, and no step joins them")
        return made[0]

    def _shape(self, tensor: str) -> tuple[int, ...]:
        return self.checkpoint.shapes[self.real[tensor]]

    def _others(self) -> Iterator[TensorRow]:
        """The tensors that no parameter is made of."""
        for tensor in self.real:
            if tensor not in self.used:
                found = ((each, each.tensor.match(tensor)) for each in self.names.ignored)
                ignored = next(((each, holes) for each, holes in found if holes is not None), None)
                yield self._left(tensor) if ignored is None else self._ignored(tensor, *ignored)

    def _left(self, tensor: str) -> TensorRow:
        return TensorRow(Status.LEFT_OVER, tensor, self._shape(tensor), "no parameter of the spec is made of it")

    def _ignored(self, tensor: str, ignored: Ignored, holes: Mapping[str, str]) -> TensorRow:
        status, told = Status.IGNORED, ignored.why
        other = ignored.same_as.filled(holes) if ignored.same_as is not None else None
        if other in self.real and other is not None:
            one, two = (self.checkpoint.read(self.real[each]) for each in (tensor, other))
            if not np.array_equal(one, two):
                status, told = Status.DIFFERENT, f"it should hold the numbers of {other} ({ignored.why}), but does not"
        return TensorRow(status, tensor, self._shape(tensor), told)
