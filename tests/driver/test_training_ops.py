"""What acts in training alone leaves no trace in what is deployed, and its tensors bind without a fuss."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from mctc.checkpoint import WeightsError
from mctc.cli.build import summary
from mctc.driver import BuildOptions, BuildResult, build

from .conftest import SPEC

HEAD = "model small(mels = 16, width = 32, depth = 2, vocab = 40, rate = 0.1, weight = 0.3)"
TRAINED = SPEC.replace("model small(mels = 16, width = 32, depth = 2, vocab = 40)", HEAD)
TRAINED = TRAINED.replace("x = x + mamba(layer_norm(x), state = 4)", """
            y = x + dropout(mamba(layer_norm(x), state = 4), rate, "utterance")
            x = layer_drop(dropout(y, rate), x, rate)
        """)  # fmt: skip
TRAINED = TRAINED.replace("lstm(embedding(token, V, width)", 'lstm(dropout(embedding(token, V, width), rate, "time")')
TRAINED = TRAINED.replace(
    "rnnt(blank = 0)", 'rnnt(blank = 0); auxiliary = ctc(of = "encoder.layers.1", weight = weight)'
)


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("trained") / "small.mct"
    path.write_text(TRAINED)
    return path


def deployed(result: BuildResult) -> dict[str, bytes]:
    """The files of a build but those that a training run reads, and those that name the options."""
    skipped = ("training", "manifest.json", "whole.mir", "program.mir")
    files = (path for path in sorted(result.folder.rglob("*")) if path.is_file())
    kept = {str(path.relative_to(result.folder)): path.read_bytes() for path in files}
    return {name: data for name, data in kept.items() if not name.startswith(skipped)}


@pytest.mark.quick("ane")
@pytest.mark.parametrize("target", ["ane", "onnx", "coreai"])
def test_artifacts_are_byte_for_byte_those_of_the_spec_without(spec: Path, tmp_path: Path, target: str) -> None:
    if target == "onnx":
        pytest.importorskip("onnx")
    built = [
        build(spec, tmp_path / str(rate), BuildOptions(target=target, defines=(("rate", rate), ("weight", weight))))
        for rate, weight in ((0.4, 0.3), (0, 0))
    ]
    some, none = map(deployed, built)
    assert len(some) > 3
    assert some == none
    programs = [(each.folder / "program.mir").read_text().splitlines() for each in built]
    assert len({"\n".join(line for line in lines if "auxiliary =" not in line) for lines in programs}) == 1


def test_a_checkpoint_with_the_head_binds_and_says_so_in_a_line(spec: Path, tmp_path: Path) -> None:
    first = build(spec, tmp_path / "first", BuildOptions(target="torch"))
    rng = np.random.default_rng(0)
    sources = first.compiled.whole.sources
    tensors = {name: rng.normal(size=type_.shape).astype(np.float32) for name, (type_, _) in sources.items()}
    tensors |= {"auxiliary_ctc.weight": np.zeros((41, 32, 1, 1), np.float32), "auxiliary_ctc.bias": np.zeros(41, "f4")}
    for prefix in ("", "module."):
        save_file({prefix + name: value for name, value in tensors.items()}, tmp_path / "w.safetensors")
        options = BuildOptions(target="torch", weights=tmp_path / "w.safetensors")
        result = build(spec, tmp_path / "second", options)
        assert result.manifest["weights"]["unused"] == ["auxiliary_ctc.bias", "auxiliary_ctc.weight"]
        (line,) = [line for line in summary(result) if "auxiliary_ctc" in line]
        assert line == "  for training alone, so in no artifact: auxiliary_ctc.bias, auxiliary_ctc.weight"
    tensors["auxiliary_ctc_1.weight"] = np.zeros((41, 32, 1, 1), np.float32)  # there is one head, not two
    save_file(tensors, tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match=r"extra: auxiliary_ctc_1\.weight"):
        build(spec, tmp_path / "third", options)
