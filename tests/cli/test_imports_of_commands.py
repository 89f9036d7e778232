"""What each command costs at start: torch is never imported, and little else where little is needed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

ImportedBy = Callable[..., set[str]]
HEAVY = {"scipy", "coremltools", "networkx", "rich", "torch", "soundfile", "soxr", "safetensors"}


@pytest.fixture
def spec(root: Path) -> Path:
    return root / "examples/custom_pass/swish.mct"


def test_checking_a_spec_needs_no_more_than_what_orders_the_passes(imported_by: ImportedBy, spec: Path) -> None:
    assert not (HEAVY - {"networkx"}) & imported_by("check", spec)


@pytest.mark.parametrize("command", [("fmt", "--check"), ("show",)])
def test_reading_a_spec_needs_numpy_and_the_parser_alone(
    imported_by: ImportedBy, spec: Path, command: tuple[str, ...]
) -> None:
    assert not HEAVY & imported_by(*command, spec)


def test_explaining_a_code_needs_neither(imported_by: ImportedBy) -> None:
    assert not (HEAVY | {"numpy", "lark"}) & imported_by("explain", "MCT0001")


def test_building_for_the_neural_engine_and_running_the_build_need_no_torch(
    imported_by: ImportedBy, spec: Path, tmp_path: Path
) -> None:
    assert "torch" not in imported_by("build", spec, "--target", "ane", "--verify-each")
    np.save(tmp_path / "x.npy", np.ones((1, 32, 1, 32), np.float32))
    package = tmp_path / "build/swish/swish.mlpackage"
    assert not {"torch", "coremltools"} & imported_by("run", package, "--input", "x.npy")


def test_listing_passes_needs_no_torch(imported_by: ImportedBy) -> None:
    assert not {"torch", "coremltools"} & imported_by("passes")
