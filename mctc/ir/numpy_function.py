"""Functions of numpy as fields of ops, found when they are first called: declaring an op takes no numpy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


class _Numpys:
    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, op: object, owner: type) -> Callable[..., Any]:
        found: Callable[..., Any] = getattr(np, self.name)
        return found


def numpys(name: str) -> Any:
    """The `function` of an op that is numpy's of that name."""
    return _Numpys(name)
