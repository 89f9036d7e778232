"""What a target is: it writes a deployed program's files, then checks them by reading them back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

from mctc.driver.compiled import PACKING, Compiled, Requirements, Watch
from mctc.driver.options import LAYOUTS, BuildError, BuildOptions
from mctc.driver.refusal import Refusal, port_clashes
from mctc.ir.program import Program
from mctc.ir.types import TensorType
from mctc.plugins import PluginError, registry
from mctc.records import dataclass

if TYPE_CHECKING:
    from mctc.driver.engine import Engine
    from mctc.driver.learner import Learner
    from mctc.weights import Weights

Load = Callable[[Program], "Weights"]  # the values of a program's parameters


@dataclass(frozen=True)
class Port:
    """An input, output or state: `spec` is its name in the program, `name` the one in the artifact.

    shape: an extent that differs from call to call is written as in the program ('T/4').
    `bound`: the entries are ids (whole numbers, whatever the dtype) from 0 up to, but not including, it.
    table: the file of the rows that the caller looks up by what are ids in the program.
    """

    spec: str
    name: str
    shape: tuple[int | str, ...]
    dtype: str
    roles: tuple[str, ...]
    bound: int | None = None
    table: str | None = None

    @classmethod
    def of(cls, spec: str, name: str, type_: TensorType, dtype: str, table: str | None = None) -> Port:
        """The port of a type."""
        bound = type_.bound.value if type_.bound is not None and type_.bound.is_static else None
        shape = tuple(extent.value if extent.is_static else str(extent) for extent in type_.extents)
        return cls(spec, name, shape, dtype, tuple(role.value for role in type_.roles), bound, table)


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
    """How far a result (or a state's new value) of an artifact is from the program's, of its largest magnitude.

    undefined: which op of the program is the first that is not finite, and on what, where one is.
    explained: the limit was passed, by no more than rounding to the artifact's precision explains.
    beyond: which op gives numbers beyond the range of what a device computes in, where the result depends on them.
    op_by_op: each op was compared alone (mctc.proof.op_by_op); then the error is that of the worst.
    """

    function: str
    result: str
    error: float
    undefined: str | None = None
    explained: bool = False
    beyond: str | None = None
    op_by_op: bool = False


@dataclass(frozen=True)
class Written:
    """What a target wrote: artifacts (names in the folder), interfaces by function, and where operations came from.

    origins: for every function, the position of the IR op that each of the artifact's operations was made from.
    whole: interfaces of functions over whole utterances, where the target writes those as well.
    """

    artifacts: tuple[str, ...]
    interfaces: Mapping[str, Interface]
    origins: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    whole: Mapping[str, Interface] = field(default_factory=dict)


class Target(ABC):
    """A target class, found in the registry by its name and made without arguments.

    requirements: how far a program is compiled for it, and by which rules.
    forms: what can be asked of it, by the name of the option; of each the first is what a build does unasked.
    extra_targets: names of targets that a build for this one writes as well.
    stands_on: the target whose artifacts it writes; `mctc check` asks that one alone, unless this one is wanted.
    packages: whether a build for it is packaged for apps (`package`) unasked.
    suffix: how the names of its artifacts end, if something other than a build can be run from them.
    runtime: what executes its artifacts, in words; None where nothing does. computes: precisions that it can compute in
    whatever an artifact was built in. cross_checks: `mctc verify` asks it about builds for other targets too.
    mixed_precision: parts that a spec keeps in f32 are in fp32 in its artifacts, whatever the rest is in.
    own_threads: its runtime computes outside of Python, and long: `mctc verify` goes on with other checks meanwhile.
    as_engine: what executes its artifacts also computes as the Neural Engine does.
    carries_source: its artifacts have the text of the spec among their metadata.
    budgets: what of its artifacts' cost on a device it predicts, and a build can be held to (mctc.driver.budget).
    splits: whether a function can be cut into a chain of them (`--split`).
    judge, verdict: who says in `report` what is wrong with artifacts, and the file that says it at length.
    """

    name: ClassVar[str]
    requirements: ClassVar[Requirements] = Requirements()
    forms: ClassVar[Mapping[str, tuple[str, ...]]] = {"state": ("packed",), "layout": LAYOUTS, "precision": ("fp16",)}
    extra_targets: ClassVar[tuple[str, ...]] = ()
    stands_on: ClassVar[str | None] = None
    packages: ClassVar[bool] = False
    suffix: ClassVar[str | None] = None
    runtime: ClassVar[str | None] = None
    computes: ClassVar[tuple[str, ...]] = ()
    cross_checks: ClassVar[bool] = False
    mixed_precision: ClassVar[bool] = False
    own_threads: ClassVar[bool] = False
    as_engine: ClassVar[bool] = False
    carries_source: ClassVar[bool] = False
    budgets: ClassVar[tuple[str, ...]] = ()
    splits: ClassVar[bool] = False
    judge: ClassVar[str] = "mctc lint"
    verdict: ClassVar[str] = "placement.html"

    def refuses(self, compiled: Compiled, options: BuildOptions) -> Iterator[Refusal]:
        """What of a program the target can't take, from names and types alone, by no imports of weight.

        `mctc check` asks every target, of a program that no deploy pass has been over; a build asks its own before it
        writes. `write` may take for granted that nothing is refused.
        """
        state = options.state or self.forms["state"][0]
        packed = PACKING not in self.requirements.without and state != "separate"
        yield from port_clashes(compiled.deployed, "packed" if packed else state)

    def rehearse(self, compiled: Compiled, options: BuildOptions) -> None:  # noqa: B027
        """Composes what can be without weights, and keeps nothing: what `mctc check --target` asks for besides.

        Raises MctcError, as `write` would. A target without such a part does nothing.
        """

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

    def summary(self, folder: Path) -> Sequence[str]:
        """What the end of a build says of the artifacts in its folder, a line each: what `report` found, in short."""
        return ()

    def package(self, folder: Path) -> Sequence[str]:
        """Writes what an app takes a finished build in, beside its artifacts; returns the names of what was written.

        `mctc build --with NAME` asks for it of a target that the build is not for. Raises BuildError for a build of no
        use to it.
        """
        raise BuildError(f"target {self.name} packages no builds", hint="leave --with out")

    def engine(self, artifact: Path, precision: str, load: Load | None = None) -> Engine:
        """What executes an artifact. `load` gives the weights of a program to a target whose artifacts hold none.

        precision: the one that the artifact was built in, or another that what executes it can compute in all the same:
        'fp32', 'fp16', or an engine's arithmetic such as 'engine:h18'.
        Raises MctcError when the artifact can't be read, and BuildError when nothing here executes it.
        """
        raise BuildError(f"{artifact}: nothing here executes what target {self.name} writes")

    def learner(self, artifact: Path, load: Load) -> Learner:
        """What computes the loss of an artifact that can be trained. Raises MctcError, and BuildError where it can't
        be."""
        raise BuildError(f"{artifact}: a build for {self.name} has no loss", hint="mctc build SPEC --target torch")


def compile_for(target: Target, program: Program, options: BuildOptions, watch: Watch | None = None) -> Compiled:
    """`compile_program` as a target wants it."""
    from mctc.driver.compile import compile_program  # a process that runs a build compiles nothing

    return compile_program(program, options, watch, requirements=target.requirements)


def compile_whole_for(target: Target, whole: Program, options: BuildOptions) -> Compiled:
    """`compile_whole` as a target wants it."""
    from mctc.driver.compile import compile_whole

    return compile_whole(whole, options, requirements=target.requirements)


def target_named(name: str) -> Target:
    """A target of the registry. Raises PluginError when there is none of that name."""
    made = cast("Callable[[], Target]", registry().load("targets", name))
    try:
        return made()
    except TypeError as error:
        origin = registry().origin("targets", name)
        raise PluginError(f"target `{name}` of {origin} can't be made without arguments: {error}") from error
