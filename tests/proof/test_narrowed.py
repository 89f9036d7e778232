"""Parts that a spec keeps in fp32, and a runtime that computes all in fp16: it is not asked for what it can't hold."""

from __future__ import annotations

from pathlib import Path

import pytest

import mctc
from mctc.numerics.undefined import told
from mctc.proof.narrowed import lost_in_half
from mctc.proof.proof import Proof

from .test_wide_parts import SPEC

BODIES = {
    "a parameter": ("0.0001 * (x * centre)", "parameter c.centre of c at apart.mct:7:26"),
    "a result": ("0.0001 * (300 * x) ** 2", "square of c at apart.mct:7:25"),
    "a result that a limit makes another": ("tanh(0.00001 * (60000 * (5 * x)))", "scale of c at apart.mct:7:32"),
    "what a limit cuts in fp16 too": ("clip(1000000 * x, low = -1, high = 1)", None),
    "nothing beyond": ("0.0001 * (30 * x) ** 2", None),
}


def built(body: str, folder: Path) -> Path:
    (folder / "apart.mct").write_text(SPEC.replace("BODY", body))
    return mctc.build(folder / "apart.mct", folder / "built").folder


@pytest.mark.parametrize("name", BODIES)
def test_what_fp16_makes_something_else_is_found(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body, expected = BODIES[name]
    monkeypatch.chdir(tmp_path)
    op = lost_in_half(Proof(built(body, Path())).subject, "c")
    assert (None if op is None else told(op)) == expected


def test_a_runtime_without_such_parts_is_not_run_in_fp16_and_says_why(tmp_path: Path) -> None:
    pytest.importorskip("coreai")
    proof = Proof(built(BODIES["a result"][0], tmp_path), runtimes=["coreai"])
    (told,) = (check for check in proof.checks() if check.name == "Core AI runtime, fp16")
    assert told.ok is None
    assert told.measured.startswith("it has no parts in fp32, and square of c at ")
    assert told.measured.endswith(" is beyond fp16")


def test_a_runtime_without_such_parts_is_asked_for_what_it_holds(tmp_path: Path) -> None:
    pytest.importorskip("coreai")
    proof = Proof(built(BODIES["nothing beyond"][0], tmp_path), runtimes=["coreai"])
    (told,) = (check for check in proof.checks() if check.name == "Core AI runtime, fp16")
    assert told.ok is True
