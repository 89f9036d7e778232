"""Damaged packages: each ends in a report or a refusal, in time, and nothing outside of it is opened."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Lint = Callable[..., Any]
DRIVER = Path(__file__).with_name("damage.py")


@pytest.fixture(scope="module")
def package(coremltools: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package with states, weights in a file, a palette, branches and several kinds of ops."""
    import numpy as np
    from coremltools.converters.mil import Builder as mb
    from coremltools.converters.mil.mil import types

    rng = np.random.default_rng(0)
    specs = [mb.TensorSpec((1, 8, 1, 32), dtype=types.fp16), mb.StateTensorSpec((1, 8, 1, 32), dtype=types.fp16)]

    @mb.program(input_specs=specs, opset_version=coremltools.target.iOS18)
    def program(x: Any, past: Any) -> Any:
        indices = np.arange(64, dtype=np.uint8).reshape(8, 8, 1, 1) % 16
        lut = rng.normal(size=(1, 1, 1, 1, 16, 1)).astype(np.float16)
        weight = mb.constexpr_lut_to_dense(indices=indices.astype(types.np_uint4_dtype), lut=lut)
        joined = mb.concat(values=[mb.read_state(input=past), x], axis=3, interleave=False)
        y = mb.conv(x=joined, weight=weight, pad_type="valid")
        y = mb.conv(x=y, weight=rng.normal(size=(8, 8, 1, 3)).astype(np.float16), pad_type="same")
        y = mb.layer_norm(x=mb.gelu(x=y, mode="TANH_APPROXIMATION"), axes=[1])
        first = mb.slice_by_index(x=y, begin=[0, 0, 0, 0], end=[1, 8, 1, 32])
        mb.coreml_update_state(state=past, value=first)
        scores = mb.softmax(x=mb.matmul(x=first, y=first, transpose_y=True), axis=-1)
        best = mb.reduce_argmax(x=scores, axis=-1, keep_dims=True)
        return mb.mul(x=mb.reduce_sum(x=y, axes=[-1], keep_dims=True), y=mb.cast(x=best, dtype="fp16"), name="y")

    model = coremltools.convert(
        program, minimum_deployment_target=coremltools.target.iOS18, skip_model_load=True,
        compute_units=coremltools.ComputeUnit.CPU_ONLY,
    )  # fmt: skip
    path = tmp_path_factory.mktemp("whole") / "whole.mlpackage"
    model.save(str(path))
    return path


@pytest.mark.quick("100")
@pytest.mark.parametrize("count", [100, 1000])
def test_damaged_packages_end_in_a_report_or_a_refusal(package: Path, tmp_path: Path, count: int) -> None:
    command = [sys.executable, str(DRIVER), str(package), str(tmp_path), str(count), "1"]
    done = subprocess.run(command, text=True, capture_output=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout)
    assert told["escaped"] == []
    assert told["opened"] == []
    assert told["slowest"] < 10
    assert sum(told["ended"].values()) == count
    assert min(told["ended"]["report"], told["ended"]["refused"]) > count // 10  # the damages reach both
