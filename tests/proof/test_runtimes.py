"""Builds in passing for other runtimes: what is compared are the programs that lie in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from mctc.driver.manifest import PROGRAM, WHOLE
from mctc.driver.reading import read_program
from mctc.driver.target import target_named
from mctc.ir.text import equal
from mctc.proof.proof import Proof
from mctc.proof.runtimes import build_other


def test_a_build_for_another_runtime_is_not_read_back_and_holds_the_programs_that_it_is_held_to(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime")
    proof, target = Proof(small), target_named("onnx")
    monkeypatch.setattr(type(target), "check", lambda *_: pytest.fail("it is read back"))
    other = build_other(target, proof.whole, proof._options(), "fp32", proof.built, tmp_path / "other")
    assert equal(read_program(other.built.folder / WHOLE), other.whole)
    assert equal(read_program(other.built.folder / PROGRAM), other.deployed)
    assert other.built.manifest["verification"] == []
