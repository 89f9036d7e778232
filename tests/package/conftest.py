"""A package with states and weights, made once by coremltools' own writer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest


@pytest.fixture(scope="session")
def weight() -> np.ndarray:
    """The weight of the made package's one convolution."""
    return np.random.default_rng(0).standard_normal((6, 4, 1, 1)).astype(np.float16)


@pytest.fixture(scope="session")
def made(coremltools: Any, weight: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved package: a convolution over an input joined to a state. Not to be changed; copy it."""
    from coremltools.converters.mil import Builder as mb
    from coremltools.converters.mil.mil import types

    specs = [mb.TensorSpec((1, 4, 1, 8), dtype=types.fp16), mb.StateTensorSpec((1, 4, 1, 3), dtype=types.fp16)]

    @mb.program(input_specs=specs, opset_version=coremltools.target.iOS18)
    def program(x: Any, past: Any) -> Any:
        joined = mb.concat(values=[mb.read_state(input=past), x], axis=3)
        y = mb.conv(x=joined, weight=weight, name="project")
        mb.coreml_update_state(state=past, value=mb.slice_by_index(x=joined, begin=[0, 0, 0, 8], end=[1, 4, 1, 11]))
        return mb.relu(x=y, name="y")

    model = coremltools.convert(
        program,
        minimum_deployment_target=coremltools.target.iOS18,
        compute_units=coremltools.ComputeUnit.CPU_ONLY,
        skip_model_load=True,
    )
    model.author, model.user_defined_metadata["note"] = "someone", "a note"
    path = tmp_path_factory.mktemp("packages") / "made.mlpackage"
    model.save(str(path))
    return path
