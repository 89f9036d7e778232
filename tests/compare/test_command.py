"""`mctc compare`: specs and builds side by side, whatever is wrong with one of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mctc.cli.main import run
from mctc.driver import BuildResult, build

LAYERS = """
model layers(width = 64, depth = 2) {
    dim B: batch
    dim T: time @ 100 Hz
    component encoder(x: f32[B, T, 64]) -> f32[B, T/2, width] {
        x = conv1d(x, width, 3, stride = 2, look_ahead = 1)
        repeat depth { x = x + conv1d(silu(x), width, 5, look_ahead = 0) as conv }
        return x
    }
    component head(x: f32[B, T/2, width]) -> f32[B, T/2, 10] { return linear(x, 10) }
    stream { chunk = 160 ms }
    quantize { encoder.layers.**: int4(per_channel) }
}
model wide = layers(width = 128)
"""


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("spec") / "layers.mct"
    path.write_text(LAYERS)
    return path


@pytest.fixture(scope="module")
def built(spec: Path) -> BuildResult:
    return build(spec, spec.parent / "built")


def compared(capsys: pytest.CaptureFixture[str], *arguments: str | Path, code: int = 0) -> dict[str, Any]:
    assert run(["compare", *map(str, arguments), "--format", "json"]) == code
    return dict(json.loads(capsys.readouterr().out))


def test_a_spec_is_counted_from_its_steps(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By hand: 50 frames a second behind the stride, and a state of the frames that each kernel sees before."""
    (model,) = compared(capsys, spec, "-D", "width=32")["models"]
    first, layers, head = 32 * 64 * 3, 2 * 32 * 32 * 5, 10 * 32
    assert model["parameters"] == first + 32 + layers + 2 * 32 + head + 10
    assert model["weight_bytes"] == 2 * (first + 32 + 2 * 32 + head + 10) + layers // 2 + 2 * 2 * 32
    assert model["macs_per_second"] == pytest.approx(50 * (first + layers + head))
    assert (model["macs_per_label"], model["streams"], model["latency_s"]) == (None, True, 0.16)
    assert (model["states"], model["state_bytes"]) == (3, 2 * (1 * 64 + 2 * 4 * 32))
    assert [each["name"] for each in model["components"]] == ["encoder", "head"]
    assert model["deployed"] is None


def test_a_build_counts_as_its_spec_does_and_says_what_its_package_does(
    spec: Path, built: BuildResult, capsys: pytest.CaptureFixture[str]
) -> None:
    from_spec, from_build = compared(capsys, spec, built.folder)["models"]
    deployed = from_build.pop("deployed")
    assert {**from_build, "source": "", "weight_bytes": 0} == {
        **{key: value for key, value in from_spec.items() if key != "deployed"}, "source": "", "weight_bytes": 0
    }  # fmt: skip
    (weights,) = built.folder.rglob("weight.bin")
    assert 0.8 * weights.stat().st_size < from_build["weight_bytes"] < weights.stat().st_size
    assert deployed["ops"] == sum(entry["operations"] for entry in built.manifest["functions"].values())
    assert 0 < deployed["eligible"] <= deployed["ops"]
    assert deployed["memory"] < deployed["padded"]
    assert deployed["errors"] == 0


def test_a_spec_is_built_in_passing_if_asked(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (model,) = compared(capsys, spec, "--build", "-D", "depth=1")["models"]
    assert model["source"] == str(spec)
    assert model["deployed"]["ops"] > 0


def test_what_is_wrong_with_one_hides_no_other(spec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing, folder = tmp_path / "missing.mct", tmp_path / "empty"
    folder.mkdir()
    found = compared(capsys, missing, spec, folder, code=1)
    assert [each["model"] for each in found["models"]] == ["wide"]
    assert list(found["failed"]) == [str(missing), str(folder)]


def test_tables_fit_a_terminal_and_name_what_they_compare(
    spec: Path, built: BuildResult, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["compare", str(spec), str(built.folder), str(spec), str(spec)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert sum(line.startswith("parameters") for line in lines) == 2  # three models a table
    assert any(line.split() == ["latency", "160", "ms", "160", "ms", "160", "ms"] for line in lines)


def test_markdown_has_a_column_for_each_model(
    spec: Path, built: BuildResult, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["compare", str(spec), str(built.folder), "--format", "markdown"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert {line.count("|") for line in lines} == {4}
    assert "| parameters | 190 k | 190 k |" in lines
