"""What a target is: it writes a deployed program's files, then checks them by reading them back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from mctc.build.compile import Compiled
from mctc.build.options import BuildOptions
from mctc.ir.types import TensorType
from mctc.weights import Weights


@dataclass(frozen=True)
class Port:
    """An input, output or state: `spec` is its name in the program, `name` the one in the artifact.

    `bound`: the entries are ids (whole numbers, whatever the dtype) from 0 up to, but not including, it.
    """

    spec: str
    name: str
    shape: tuple[int, ...]
    dtype: str
    roles: tuple[str, ...]
    bound: int | None = None

    @classmethod
    def of(cls, spec: str, name: str, type_: TensorType, dtype: str) -> Port:
        """The port of a static type."""
        bound = type_.bound.value if type_.bound is not None and type_.bound.is_static else None
        return cls(spec, name, type_.shape, dtype, tuple(role.value for role in type_.roles), bound)


@dataclass(frozen=True)
class Interface:
    """How a function is called: the artifact that holds it, its name there, and its ports."""

    artifact: str
    name: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    states: tuple[Port, ...]
    operations: int


@dataclass(frozen=True)
class Agreement:
    """How far a result (or a state's new value) of an artifact is from the program's, of its largest magnitude."""

    function: str
    result: str
    error: float


@dataclass(frozen=True)
class Written:
    """What a target wrote: artifacts (names in the folder), interfaces by function, and where operations came from.

    origins: for every function, the position of the IR op that each of the artifact's operations was made from.
    """

    artifacts: tuple[str, ...]
    interfaces: Mapping[str, Interface]
    origins: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


class Target(ABC):
    """A target class, found in the registry by its name and made without arguments.

    deploys: whether it wants the program behind the deploy passes; else the compilation ends at the step functions.
    beside: names of targets that a build for this one writes as well.
    """

    name: ClassVar[str]
    deploys: ClassVar[bool] = True
    beside: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def write(
        self, compiled: Compiled, weights: Weights, folder: Path, options: BuildOptions, metadata: Mapping[str, str]
    ) -> Written:
        """Writes the artifacts of a compiled program into `folder`. Raises MctcError."""

    @abstractmethod
    def check(
        self, compiled: Compiled, weights: Weights, folder: Path, options: BuildOptions, written: Written
    ) -> list[Agreement]:
        """Reads the artifacts back and compares them with the program. Raises MctcError when they disagree."""

    def report(self, compiled: Compiled, folder: Path, options: BuildOptions, written: Written) -> Sequence[str]:
        """Writes what there is to say of the artifacts on a device; returns a line for each thing that is wrong with
        them there. A target that knows nothing of devices says nothing."""
        return ()
