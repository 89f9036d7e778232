"""From names in a build back to the spec."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from mctc.cli.why import why
from mctc.driver import BuildOptions, build
from mctc.driver.options import BuildError
from mctc.runtime.trace import Traces

from .conftest import SPEC

NORMED = """\
block normed(x: f32[..., C], width) -> f32[..., width] {
    return batch_norm(conv1d(x, width, kernel = 1) as conv) as norm
}

model two_norms(width = 64) {
    dim B: batch
    dim T: time @ 100 Hz
    component encoder(x: f32[B, T, width]) -> f32[B, T, width] {
        return normed(normed(x, width) as first, width) as second
    }
    stream { chunk = 80 ms }
    quantize { encoder.first.**: none; encoder.second.**: int8(per_channel) }
}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("traced")
    (place / "small.mct").write_text(SPEC)
    return build(place / "small.mct", place / "small", BuildOptions()).folder


def lines(folder: Path, name: str) -> list[str]:
    done = CliRunner().invoke(why, [name, "--build", str(folder)], catch_exceptions=False)
    assert done.exit_code == 0
    return done.output.splitlines()


def test_an_operation_leads_to_its_line_and_to_every_pass_that_touched_it(folder: Path) -> None:
    told = lines(folder, "encoder_layers_1_mamba_in_proj_conv2d")
    assert told[0] == "encoder_layers_1_mamba_in_proj_conv2d: conv2d of encoder"
    assert "  instance: encoder.layers.1.mamba.in_proj" in told
    assert "    repeat depth { x = x + mamba(layer_norm(x), state = 4) }" in told
    passes = [line.split()[0] for line in told[told.index("  touched by:") + 1 :]]
    assert passes == ["channels-first", "linear-to-conv"]


def test_a_parameter_tells_how_it_is_stored_and_how_it_came_to_its_shape(folder: Path) -> None:
    told = lines(folder, "encoder.layers.0.mamba.in_proj.weight")
    assert told[1] == "  f32[128, 32, 1, 1], stored in int4, a scale for each output channel"
    assert told[2] == "  from the checkpoint's encoder.layers.0.mamba.in_proj.weight"
    assert told[-2].split() == [
        "linear-to-conv",
        "reshape:",
        "f32[128,",
        "32]",
        "became",
        "f32[128,",
        "32,",
        "1,",
        "1]",
    ]
    assert told[-1].split() == ["annotate-quantization", "int4:", "rule", "encoder.**.in_proj"]
    assert lines(folder, "encoder_layers_0_mamba_in_proj_weight") == told


def test_an_instance_path_stands_for_every_op_below_it(folder: Path) -> None:
    names = {line.split()[0] for line in lines(folder, "encoder.layers.0.mamba")}
    assert "encoder_layers_0_mamba_in_proj_conv2d" in names
    assert all(name.startswith("encoder_layers_0_mamba") for name in names)


def test_an_op_of_the_compiler_is_told_as_such(folder: Path) -> None:
    assert "  made by the compiler: no line of the spec stands for it" in lines(folder, "encoder_split")


def test_every_operation_of_the_package_can_be_found(folder: Path) -> None:
    traces = Traces(folder)
    for function, name in traces.operations:
        assert function in {trace.function for trace in traces.find(name)}


def test_what_a_pass_decided_and_what_it_let_go_of_is_told_with_the_reason(tmp_path: Path) -> None:
    """Two batch norms behind convolutions; the weights of one are stored as int8."""
    (tmp_path / "normed.mct").write_text(NORMED)
    built = build(tmp_path / "normed.mct", tmp_path / "normed", BuildOptions()).folder
    why = "batch_norm: the weight of the conv2d before it is stored as int8, and its codes stay as trained"
    (scaled,) = [trace.name for trace in Traces(built).find("encoder.second") if trace.name.endswith("mul")]
    assert lines(built, scaled)[-2:] == ["  let go by:", f"    fold-batch-norm  {why}"]
    first = [trace.name for trace in Traces(built).find("encoder.first")]
    assert not any("let go" in told for name in first for told in lines(built, name))
    decided = lines(built, "encoder.first.conv.weight")
    assert decided[decided.index("  decided by:") + 1].endswith("fp16: the rule says none")


def test_an_unknown_name_is_told_with_near_ones(folder: Path) -> None:
    with pytest.raises(BuildError, match="called `encoder_layers_0_mamba_in_prj_conv2d`") as caught:
        Traces(folder).find("encoder_layers_0_mamba_in_prj_conv2d")
    assert caught.value.hint is not None
    assert "encoder_layers_0_mamba_in_proj_conv2d" in caught.value.hint


def test_a_folder_that_is_no_build_or_is_damaged_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="is no build"):
        Traces(tmp_path)
    damaged = tmp_path / "damaged"
    shutil.copytree(folder, damaged)
    (damaged / "origins.json").write_text("{")
    with pytest.raises(BuildError, match="is damaged"):
        Traces(damaged)


def test_the_only_build_is_found_without_being_named(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    runner = CliRunner()
    assert "there is no build" in str(runner.invoke(why, ["encoder_split"]).exception)
    shutil.copytree(folder, tmp_path / "build" / "small")
    assert runner.invoke(why, ["encoder_split"]).exit_code == 0
