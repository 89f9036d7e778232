"""Random programs through the common and the deploy passes: every pass keeps its promise on each of them."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from mctc.ir.program import Initializer, Program
from mctc.ir.text import parse_program, print_program
from mctc.ir.types import Role
from mctc.plugins import registry
from mctc.rewrite.base import Context
from mctc.rewrite.pipeline import run_stage
from mctc.streaming.derive import derive_program

sys.path.insert(0, str(Path(__file__).parent.parent / "streaming"))
from programs import Case, cases  # noqa: E402

few = settings(
    max_examples=int(os.environ.get("MCTC_EXAMPLES", "60")) // 3, deadline=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip


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
    assert print_program(parse_program(print_program(whole))) == print_program(whole)
    steps, _ = derive_program(whole, 2 * case.multiple)
    through(steps, "deploy")
