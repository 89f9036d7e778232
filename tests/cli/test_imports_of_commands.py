"""What each command costs at start: torch is never imported, and little else where little is needed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

ImportedBy = Callable[..., set[str]]
HEAVY = {"scipy", "coremltools", "networkx", "rich", "torch", "soundfile", "soxr", "safetensors"}


@pytest.fixture
def spec(root: Path) -> Path:
    return root / "examples/custom_pass/swish.mct"


@pytest.mark.parametrize("command", [("check",), ("fmt", "--check"), ("show",)])
def test_reading_a_spec_needs_numpy_and_the_parser_alone(
    imported_by: ImportedBy, spec: Path, command: tuple[str, ...]
) -> None:
    assert not HEAVY & imported_by(*command, spec)


def test_explaining_a_code_needs_neither(imported_by: ImportedBy) -> None:
    assert not (HEAVY | {"numpy", "lark"}) & imported_by("explain", "MCT0001")


def test_building_for_the_neural_engine_needs_no_torch(imported_by: ImportedBy, spec: Path) -> None:
    assert "torch" not in imported_by("build", spec, "--target", "ane", "--verify-each")


def test_listing_passes_needs_no_torch(imported_by: ImportedBy) -> None:
    assert not {"torch", "coremltools"} & imported_by("passes")
