"""The model with its weights, from the folder that holds config.json."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import reduce
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from .model import Model

FOLDER = Path(__file__).resolve().parents[1]


def config(folder: Path = FOLDER) -> dict[str, Any]:
    """config.json of the folder. Raises OSError, and ValueError for a file that is none."""
    path = folder / "config.json"
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} is damaged: {error}") from error


def load(folder: Path = FOLDER, dtype: mx.Dtype = mx.float32) -> Model:
    """The model in evaluation mode. dtype: what it computes in; codes of quantised layers stay codes.

    Weights are evaluated here: a thread can't evaluate what another one has only begun. Raises OSError, and ValueError
    for files that are damaged or don't fit the model.
    """
    model = Model()
    table = config(folder).get("quantization", {})
    layers = {path: how for path, how in table.items() if isinstance(how, dict)}
    if layers:
        nn.quantize(model, class_predicate=lambda path, _: layers.get(path, False))
    try:
        model.load_weights(str(folder / "model.safetensors"))
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"{folder / 'model.safetensors'} can't be loaded: {error}") from error
    model.set_dtype(dtype)
    model.eval()
    mx.eval(model.parameters())
    return model


def bound(model: Model, told: Mapping[str, Any], name: str, step: str | None = None) -> Callable[..., Any]:
    """A component over whole utterances, or its step of that name, as config.json (`told`) has them: called with its
    inputs, and with the state where it has one. Tensors of the model itself that it takes are given to it."""
    component, has = getattr(model, name), told["components"][name]
    stepped = step is not None and hasattr(component, "step")
    call, how = (component.step, has["steps"][step]) if stepped else (component, has["whole"])
    shared, inputs = [reduce(getattr, each.split("."), model) for each in how["shared"]], len(how["inputs"])
    return (lambda *given: call(*given[:inputs], *shared, *given[inputs:])) if shared else call
