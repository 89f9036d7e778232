"""Programs of IR text written as packages, executed by MLX, beside the IR's own results."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from mctc.driver.compiled import Compiled
from mctc.driver.options import BuildOptions
from mctc.evaluate.reference import evaluate
from mctc.ir.op import Array
from mctc.ir.program import Program
from mctc.passes.channels_last import ChannelsLast
from mctc.rewrite.base import Context
from mctc.streaming.lengths import Lengths
from mctc.targets.mlx.target import WHOLE, MlxTarget
from mctc.weights import Weights

pytest.importorskip("mlx.core", reason="mlx is not installed: pip install 'mctc[mlx]'")


def laid_out(program: Program) -> Program:
    """The program as the target has it."""
    return ChannelsLast().run(program, Context(stack="mlx"))


def assert_executes(
    program: Program, folder: Path, inputs: Mapping[str, Array], tolerance: float = 1e-5, weights: Weights | None = None
) -> None:
    """That MLX computes what the IR says of the program's one function over whole utterances."""
    (function,) = program.functions.values()
    values = weights or Weights(program.sources)
    place = folder / str(len(list(folder.iterdir())))
    place.mkdir()
    compiled = Compiled(*[program] * 6, Lengths(1), {}, {}, ())
    target = MlxTarget()
    (artifact,) = target.write(compiled, values, place, BuildOptions(target="mlx"), {}).artifacts
    called = target.engine(place / artifact, "fp32").function(function.name + WHOLE)
    results, _ = evaluate(function, inputs, lambda name: values.deployed(program.parameters[name]))
    actual = called(dict(inputs))
    assert actual.keys() == results.keys()
    for name, array in results.items():
        assert actual[name].shape == array.shape, name
        scale = max(1.0, float(np.abs(array).max(initial=0)))
        np.testing.assert_allclose(actual[name], array, rtol=0, atol=tolerance * scale, err_msg=name)
