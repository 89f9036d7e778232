"""onnx and onnxruntime, which are an optional extra: imported where they are needed, with a way out where missing."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from mctc.driver.engine import RuntimeMissingError

HINT = "pip install 'mctc[onnx]'"


def import_onnx() -> Any:
    """The onnx package. Raises RuntimeMissingError where it is not installed."""
    return _imported("onnx")


def import_onnxruntime() -> Any:
    """The onnxruntime package. Raises RuntimeMissingError where it is not installed."""
    return _imported("onnxruntime")


def _imported(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise RuntimeMissingError(f"{name} is not installed, and target onnx needs it", hint=HINT) from error
