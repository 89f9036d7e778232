"""coreai-core: an optional package, a beta, with wheels for few systems."""

from __future__ import annotations

import sys
from importlib import import_module

from mctc.driver.engine import RuntimeMissingError

OLDEST_PYTHON = (3, 11)
WHEELS = "coreai-core has wheels for Python 3.11 and later on Linux (x86-64) and macOS 26 (Apple silicon)"


def require_coreai() -> None:
    """Raises RuntimeMissingError with the way to get it where coreai can't be imported."""
    if sys.version_info < OLDEST_PYTHON:
        have = sys.version.split()[0]
        raise RuntimeMissingError(f"target coreai needs Python 3.11 or later, this is {have}", hint=WHEELS)
    try:
        for part in ("coreai.authoring", "coreai.runtime"):
            import_module(part)
    except ModuleNotFoundError as error:
        missing = "target coreai needs the package coreai-core, which is not installed"
        if error.name is not None and error.name.split(".")[0] != "coreai":
            missing = f"coreai can't be imported: {error}"
        raise RuntimeMissingError(missing, hint=f"pip install 'mctc[coreai]'; {WHEELS}") from error
    except (ImportError, OSError) as error:
        raise RuntimeMissingError(f"coreai can't be imported here: {error}", hint=WHEELS) from error
