"""What a target requires of a compilation, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from mctc.diagnostics.diagnostic import Diagnostic
from mctc.ir.program import Program
from mctc.records import dataclass

if TYPE_CHECKING:  # a program that only reads what was built has no passes to run
    from mctc.rewrite.base import Refused
    from mctc.rewrite.pipeline import Ran
    from mctc.streaming.lengths import Lengths
    from mctc.streaming.step_info import StepInfo


@dataclass(frozen=True)
class Requirements:
    """What a target requires of a compilation.

    deploys: the deploy passes, but those `without`; else it ends at the steps. stack: whose rules passes hold programs
    to. whole: the target writes functions over whole utterances too, so a component without a step is no error:
    `explanations` say why it has none. latencies: steps at every chunk that the spec lists, not only at the first.
    lays_out: number passes lay its programs out anew, so that a build for another target begins at the common passes.
    checks: nothing is written of it, so `training` is `whole`.
    """

    deploys: bool = True
    without: tuple[str, ...] = ()
    stack: str = "coreml"
    whole: bool = False
    latencies: bool = False
    lays_out: bool = False
    checks: bool = False


Watch = Callable[[str, Program], None]  # sees the program after every pass, by the pass's name
PACKING = "pack-states"  # the pass that makes one state of all, under a name that gives way
DERIVE = "derive-step"  # what the derivation is called where passes are named


@dataclass(frozen=True)
class Compiled:
    """A program on its way: `whole` after the common passes, `derived` its steps; `reference` is the whole program with
    the numbers that artifacts hold, `lowered` its steps after the deploy passes, `deployed` these with such numbers.
    `training` is `whole` with the ops that act in training alone, which none of the others has.

    others: frames of further chunks, at which what streams over time has functions of its own (streaming/latencies).
    steps: what a caller of each step function must know. ran: the passes of each stage, in order.
    explanations: (pass, where, why) for every decision that a pass explained. refusals: ops that a pass let go of.
    warnings: what a pass left undone.
    """

    whole: Program
    training: Program
    derived: Program
    reference: Program
    lowered: Program
    deployed: Program
    lengths: Lengths
    steps: Mapping[str, StepInfo]
    ran: Mapping[str, list[Ran]]
    explanations: tuple[tuple[str, str, str], ...]
    warnings: tuple[Diagnostic, ...] = ()
    refusals: tuple[Refused, ...] = ()
    others: tuple[int, ...] = ()

    @property
    def chunk(self) -> int:
        """Frames of the time dimension a call."""
        return self.lengths.chunk
