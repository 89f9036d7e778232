"""What a pass is: a name, a promise, its place in the order, and `run`."""

from __future__ import annotations

from dataclasses import field
from typing import ClassVar

from mctc.diagnostics.diagnostic import Diagnostic
from mctc.ir.location import Origin
from mctc.ir.program import Op, Program
from mctc.records import dataclass


@dataclass(frozen=True)
class Exact:
    """The same function of the same inputs, up to the order of floating-point operations."""

    def __str__(self) -> str:
        return "exact"


@dataclass(frozen=True)
class Within:
    """The same function up to a relative error of `tolerance` (of the largest magnitude in a result)."""

    tolerance: float

    def __str__(self) -> str:
        return f"within {self.tolerance:g}"


@dataclass(frozen=True)
class Reshapes:
    """The same function behind a changed interface: axes permuted by role, unit axes added, padded entries appended."""

    def __str__(self) -> str:
        return "reshapes"


@dataclass(frozen=True)
class Rounds:
    """The same ops with other numbers: each rounded to the 11 significant bits of fp16, or brought into its range."""

    def __str__(self) -> str:
        return "rounds"


@dataclass(frozen=True)
class Stores:
    """The same ops on the same parameters, some of which take fewer bits: numbers are as near as a scheme has them."""

    def __str__(self) -> str:
        return "stores"


@dataclass(frozen=True)
class Quantizes:
    """The same function but for activations that some ops hold in 8 bits: without these ops it is the old one."""

    def __str__(self) -> str:
        return "quantizes"


@dataclass(frozen=True)
class Masks:
    """The same function as the old one where entries of its parameters that the new one lacks are zeros, norms take
    their statistics over channels that are left and scans write states that are left (mctc.rewrite.masked_program).
    What components hand on to one another has lost the channels that go."""

    def __str__(self) -> str:
        return "masks"


Promise = Exact | Within | Reshapes | Rounds | Stores | Masks | Quantizes


@dataclass(frozen=True)
class Refused:
    """A pass that looked at an op and let go of it: the op's name and origin, as the pass found it, and why."""

    by: str
    function: str
    op: str
    origin: Origin
    why: str


@dataclass
class Context:
    """What a build tells its passes. `explain` collects one line per decision, `refusals` what passes let go of (for
    the build's folder and `mctc why`)."""

    device: str | None = None  # chip family or name, None: the oldest supported
    state: str = "packed"  # packed | separate | io
    explanations: list[tuple[str, str, str]] = field(default_factory=list)  # (pass, where, why)
    refusals: list[Refused] = field(default_factory=list)
    stack: str = "coreml"  # whose rules the program is held to: coreml | coreai | one of a plugin's
    warnings: list[Diagnostic] = field(default_factory=list)
    precision: str = "fp16"  # what artifacts store and compute in: fp16 | fp32

    def explain(self, by: str, where: str, why: str) -> None:
        self.explanations.append((by, where, why))

    def refuse(self, by: str, function: str, op: Op, why: str) -> None:
        self.refusals.append(Refused(by, function, op.name, op.origin, why))

    def warn(self, warning: Diagnostic) -> None:
        """Something of the spec that a pass leaves undone: told by `mctc check` and `mctc build`."""
        self.warnings.append(warning)


@dataclass(frozen=True)
class Pass:
    """Base of all passes. Subclasses set the class variables and implement `run`. Fields are options: a pass that has
    some is a frozen dataclass (mctc.rewrite.options).

    stage: 'common' passes run on whole-utterance programs before training and deployment part ways; 'number' passes
    on them after that, on the way to deployment; 'deploy' passes on the step functions that are derived then, and
    'number' passes on these once more.
    after, before: names of passes; an unknown name is an error unless it ends with '?'.
    """

    name: ClassVar[str]
    promise: ClassVar[Promise]
    stage: ClassVar[str] = "common"
    after: ClassVar[tuple[str, ...]] = ()
    before: ClassVar[tuple[str, ...]] = ()

    def run(self, program: Program, context: Context) -> Program:
        """A new program; `program` is left as it is."""
        raise TypeError(f"pass {self.name} does not implement run")

    @classmethod
    def summary(cls) -> str:
        """The first line of the docstring."""
        return (cls.__doc__ or "").strip().partition("\n")[0].rstrip()
