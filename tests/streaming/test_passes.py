"""Random programs through the common and the deploy passes: every pass keeps its promise on each of them."""

from __future__ import annotations

import os
from dataclasses import replace

from hypothesis import HealthCheck, given, settings

from mctc.ir.program import Initializer, Program
from mctc.ir.types import Role
from mctc.plugins import registry
from mctc.rewrite.base import Context
from mctc.rewrite.pipeline import run_stage
from mctc.streaming.derive import derive_program

from .programs import Case, cases

EXAMPLES = int(os.environ.get("MCTC_EXAMPLES", "60"))
few = settings(max_examples=max(1, EXAMPLES // 3), deadline=None, suppress_health_check=list(HealthCheck))


def sown(case: Case) -> Program:
    """The program with initialisers that tell weights apart; variances are ones."""
    sources = {
        name: (type_, Initializer("ones") if (case.weights[name] > 0).all() else Initializer("normal", (("std", 0.6),)))
        for name, (type_, _) in case.program.sources.items()
    }
    return replace(case.program, sources=sources)


def through(program: Program, stage: str) -> Program:
    return run_stage(program, stage, registry().passes().values(), Context(), each=True)[0]


@few
@given(cases())
def test_every_pass_keeps_its_promise_over_time(case: Case) -> None:
    whole = through(sown(case), "common")
    assert not {op.name for _, op in whole.ops()} & {"transpose", "linear", "conv1d"}
    steps, _ = derive_program(whole, 2 * case.multiple)
    through(steps, "deploy")


@few
@given(cases(Role.LABEL))
def test_every_pass_keeps_its_promise_over_labels(case: Case) -> None:
    steps, _ = derive_program(through(sown(case), "common"), 1)
    through(steps, "deploy")
