"""Everything that is wrong with a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mctc.diagnostics.diagnostic import Diagnostic
from mctc.language.elaborate import elaborate_model
from mctc.language.failure import FaultError
from mctc.language.modules import Loader
from mctc.language.variants import choose


def check_file(
    path: Path | str, *, model: str | None = None, defines: Mapping[str, Any] | None = None
) -> list[Diagnostic]:
    """Errors and warnings of a file: its model is elaborated, and the names in its own blocks are looked up."""
    loader = Loader()
    module = loader.load(Path(path))
    if module is None or loader.problems:
        return loader.problems
    found: list[Diagnostic] = []
    if module.models() or model is not None:
        try:
            _, found = elaborate_model(choose(module, model, defines or {}))
        except FaultError as failure:
            return [failure.diagnostic]
    return found
