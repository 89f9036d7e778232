"""The architectures that the project is for, over whole sequences of several lengths, in onnxruntime."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mctc.ir.op import Array
from mctc.ir.program import Function
from mctc.ir.types import DType
from mctc.language import elaborate_file
from mctc.plugins import registry
from mctc.rewrite.base import Context
from mctc.rewrite.pipeline import run_stage
from tests.language.conftest import HEAD
from tests.language.test_architectures import BIDIRECTIONAL_MAMBA, CONFORMER, ENCODER_DECODER, GROUPED_QUERIES

from .executed import assert_executes

SPECS = {
    "bidirectional Mamba": BIDIRECTIONAL_MAMBA,
    "Conformer with CTC": CONFORMER,
    "encoder and decoder": ENCODER_DECODER,
    "grouped queries": GROUPED_QUERIES,
}
SIZES = [{"B": 1, "T": 4, "U": 1}, {"B": 2, "T": 24, "U": 5}]


def inputs(function: Function, sizes: dict[str, int]) -> dict[str, Array]:
    rng = np.random.default_rng(0)
    types = {value.name: value.type.substitute(sizes) for value in function.inputs}
    return {
        name: rng.integers(0, 100, t.shape) if t.dtype is DType.I32 else rng.normal(size=t.shape)
        for name, t in types.items()
    }


@pytest.mark.parametrize("name", SPECS)
def test_an_architecture_runs_over_sequences_of_any_length(name: str, tmp_path: Path) -> None:
    path = tmp_path / "model.mct"
    path.write_text(SPECS[name].replace("HEAD", HEAD), encoding="utf-8")
    program, _ = run_stage(elaborate_file(path), "common", registry().passes().values(), Context(stack="onnx"))
    for each, function in program.functions.items():
        alone = replace(program, functions={each: function})
        for sizes in SIZES:
            assert_executes(alone, tmp_path, inputs(function, sizes))
