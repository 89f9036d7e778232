"""Importing coremltools, which only its check of a package does: a build neither needs nor imports it.

coremltools imports torch, scikit-learn, XGBoost, TensorFlow and transformers when it can (measured: torch alone is
three quarters of its start-up), and warns at each import that it isn't on a Mac.
"""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

HIDDEN = ("torch", "sklearn", "xgboost", "tensorflow", "libsvm", "transformers")


def import_coremltools(*, hide: bool = False) -> ModuleType:
    """The coremltools module. `hide` keeps it from importing torch and its like: for a process that is mctc's own.

    With `hide` left out the user's process is left alone: nothing of sys.modules is touched.
    """
    if "coremltools" in sys.modules or not hide:
        return importlib.import_module("coremltools")
    with _hidden(), _quiet():
        return importlib.import_module("coremltools")


@contextmanager
def _hidden() -> Iterator[None]:
    """Makes the import of HIDDEN modules fail inside the context; those already imported stay."""
    blocked = [name for name in HIDDEN if name not in sys.modules]
    sys.modules.update(dict.fromkeys(blocked))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in blocked:
            sys.modules.pop(name, None)


@contextmanager
def _quiet() -> Iterator[None]:
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
