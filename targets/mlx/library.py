"""mlx, which is an optional extra: imported where it is needed, with a way out where it is missing."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from mctc.driver.engine import RuntimeMissingError


def import_mlx() -> Any:
    """mlx.core. Raises RuntimeMissingError where it is not installed."""
    try:
        return import_module("mlx.core")
    except ImportError as error:
        hint = "pip install 'mctc[mlx]'"
        raise RuntimeMissingError("mlx is not installed, and target mlx needs it", hint=hint) from error
