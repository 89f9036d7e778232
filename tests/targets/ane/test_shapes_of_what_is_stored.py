"""The read-back of compressed weights: the right numbers in another shape are other weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mctc.driver.options import BuildOptions
from mctc.ir.program import Quantization
from mctc.package.model import Constant
from mctc.package.types import TensorType
from mctc.passes.round_numbers import RoundNumbers
from mctc.rewrite.base import Context
from mctc.targets.ane.errors import EmitError
from mctc.targets.ane.target import AneTarget
from mctc.weights import Weights

from .conftest import compiled
from .hand_made import streaming_program
from .package_changes import Numbers, with_operation
from .test_op_by_op import Artifact


@pytest.mark.parametrize("form", ["int8", "int4"])
@pytest.mark.parametrize("layer", [0, 1])
def test_a_scale_along_the_other_axis_of_a_square_weight_is_seen(tmp_path: Path, form: str, layer: int) -> None:
    """In the first weight of a kind, whose numbers are decoded, and in the next one, of which the bits are compared."""
    bits = int(form[3:])
    quantised = {f"encoder.layers.{i}.proj.weight": Quantization(form, bits) for i in range(2)}
    program, target = RoundNumbers().run(streaming_program(2, quantised), Context()), AneTarget()
    weights = Weights(program.sources)
    written = target.write(compiled(program), weights, tmp_path, BuildOptions(), {})
    made = Artifact(program, weights, tmp_path, target, written)
    package, function = made.package, made.package.functions["encoder"]
    found = [i for i, each in enumerate(function.operations) if each.type == "constexpr_blockwise_shift_scale"]
    place = found[layer]
    operation = function.operations[place]
    (scale,) = operation.inputs["scale"]
    assert isinstance(scale, Constant)
    assert isinstance(scale.type, TensorType)
    turned = np.swapaxes(scale.value(), 0, 1)
    assert turned.shape == (1, 16, 1, 1)
    other = Constant(replace(scale.type, shape=turned.shape), Numbers(turned))
    changed = with_operation(function, place, replace(operation, inputs={**operation.inputs, "scale": (other,)}))
    with pytest.raises(EmitError, match="differs from the program"):
        made.read_back(replace(package, functions={**package.functions, "encoder": changed}), "encoder")
