"""coreai-core: an optional package, a beta, with wheels for few systems."""

from __future__ import annotations

import sys
from importlib import import_module

from mctc.targets.coreai.errors import CoreAiError

OLDEST_PYTHON = (3, 11)
WHEELS = "coreai-core has wheels for Python 3.11 and later on Linux (x86-64) and macOS 26 (Apple silicon)"


def require_coreai() -> None:
    """Raises CoreAiError with the way to get it where coreai can't be imported."""
    if sys.version_info < OLDEST_PYTHON:
        raise CoreAiError(f"target coreai needs Python 3.11 or later, this is {sys.version.split()[0]}", hint=WHEELS)
    try:
        for part in ("coreai.authoring", "coreai.runtime"):
            import_module(part)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != "coreai":
            raise CoreAiError(f"coreai can't be imported: {error}", hint="pip install 'mctc[coreai]'") from error
        hint = f"pip install 'mctc[coreai]'; {WHEELS}"
        raise CoreAiError("target coreai needs the package coreai-core, which is not installed", hint=hint) from error
    except ImportError as error:
        raise CoreAiError(f"coreai can't be imported here: {error}", hint=WHEELS) from error
