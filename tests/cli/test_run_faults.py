"""`mctc run --faults` and `mctc lint --effects`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mctc.cli.run_faults import _wrapped
from mctc.driver import BuildOptions, build
from tests.cli.conftest import Command

SPEC = """model loud(width = 8) {
    dim B: batch
    dim T: time @ 100 Hz
    dim V: vocabulary = 6

    component encoder(mel: f32[B, T, 80]) -> f32[B, T, V] {
        return linear(softplus(conv1d(mel, width, kernel = 3)), V)
    }

    train { objective = ctc(blank = 0) }
    stream { chunk = 40 ms }
}
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faults")
    (folder / "loud.mct").write_text(SPEC)
    return build(folder / "loud.mct", folder / "loud", BuildOptions()).folder


def test_a_run_over_arrays_tells_what_faults_change(command: Command, built: Path, tmp_path: Path) -> None:
    (package,) = built.glob("*.mlpackage")
    spread = np.random.default_rng(0).standard_normal((1, 80, 1, 4)) * 6000
    np.save(tmp_path / "x.npy", spread.astype(np.float16))
    done = command("run", package, "--input", tmp_path / "x.npy", "--faults", "slice-overflow,softplus-cliff,mod-sign")
    assert done.code == 0, done.err
    first, *_, last = done.out.splitlines()
    assert "fp16 [1, 6, 1, 4]" in first or "float16" in first
    assert "slice-overflow: encoder changes, to or from infinity of " in done.out
    assert "  on Neural Engine, H13 and H14; macOS (M1, M2), past Core ML" in done.out
    assert "softplus-cliff: encoder stays as it is, in 1 call\n  though it has " in done.out
    assert last == "nothing to act on here: mod-sign"


def test_lines_of_names_are_wrapped_between_names() -> None:
    names = [f"encoder_layers_{layer}_mamba_softplus_softplus" for layer in range(3)]
    wrapped = _wrapped(f"  though it has {', '.join(names)} and round-away, slice-overflow")
    assert max(map(len, wrapped)) <= 80
    assert all(any(name in line for line in wrapped) for name in [*names, "round-away", "slice-overflow"])


def test_a_run_over_speech_tells_what_stays(command: Command, built: Path) -> None:
    done = command("run", built, "--speech", "--faults", "softplus-cliff", "--json")
    assert done.code == 0, done.err
    (record,) = json.loads(done.out)
    assert record["fault"] == "softplus-cliff"
    assert record["function"] == "encoder"
    assert record["calls"] > 100
    assert record["operations"]


def test_a_fault_is_part_of_an_arithmetic(command: Command, built: Path) -> None:
    done = command("run", built, "--speech", "--arithmetic", "fp16+softplus-cliff", "--json")
    assert done.code == 0, done.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--speech", "--faults", "softplus"], "there is no fault `softplus`"),
        (["--speech", "--faults", ""], "no fault is named"),
        (["-", "--faults", "all"], "--faults runs more than once"),
        (["--speech", "--arithmetic", "fp16+nothing"], "there is no fault `nothing`"),
    ],
    ids=["unknown", "none", "pipe", "arithmetic"],
)
def test_what_cannot_be_asked_is_told(command: Command, built: Path, options: list[str], message: str) -> None:
    done = command("run", built, *options)
    assert done.code == 2
    assert message in done.err


def test_lint_runs_functions_on_noise(command: Command, built: Path) -> None:
    (package,) = built.glob("*.mlpackage")
    done = command("lint", package, "--effects", "--fail-on", "never")
    assert done.code == 0, done.err
    told = done.out.partition("known miscompiles (docs/faults.md):")[2]
    assert "slice-overflow (Neural Engine, H13 and H14): results change on noise of 4096" in " ".join(told.split())
    assert max(map(len, told.splitlines())) <= 80
    assert "--effects has no form 'json'" in command("lint", package, "--effects", "--format", "json").err
