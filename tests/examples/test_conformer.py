"""examples/conformer: attention and convolutions that look ahead, from the spec to a proven package."""

from __future__ import annotations

from pathlib import Path

import pytest

from mctc.driver import BuildOptions, build
from mctc.proof.proof import Proof


@pytest.mark.quick("the package")
@pytest.mark.parametrize("runtimes", [[], None], ids=["the package", "every runtime"])
def test_a_conformer_streams_with_the_delay_of_its_views_and_every_rung_holds(
    root: Path, tmp_path: Path, runtimes: list[str] | None
) -> None:
    folder = tmp_path / "conformer"
    result = build(root / "examples/conformer/conformer.mct", folder, BuildOptions())
    (output,) = result.manifest["functions"]["ctc"]["outputs"]
    blocks, attention_ahead, convolution_ahead = 2, 4, 4
    assert output["delay_frames"] == blocks * (attention_ahead + convolution_ahead)
    assert output["delay_ms"] == output["delay_frames"] * 40
    assert len(result.manifest["functions"]["ctc"]["states"]) == 1
    checks = list(Proof(folder, runtimes=runtimes).checks())
    assert [check for check in checks if check.ok is not True] == []


def test_its_weights_are_stored_as_the_spec_says(root: Path, tmp_path: Path) -> None:
    compiled = build(root / "examples/conformer/conformer.mct", tmp_path / "c", BuildOptions()).compiled
    stored = {name: p.quantization for name, p in compiled.deployed.parameters.items() if p.quantization is not None}
    palettes = {name: (q.bits, q.group) for name, q in stored.items() if q.scheme == "palette"}
    assert set(palettes.values()) == {(4, None), (6, 16)}
    assert all(name.endswith("up.weight") == (found == (4, None)) for name, found in palettes.items())
    assert stored["ctc.head.weight"].scheme == "int8"  # type: ignore[union-attr]
