"""A build: from a spec to a folder that is written whole or not at all, the same bytes each time, and proven.

options · chunk (frames a call) · compile (spec to deployed program) · target (what a target is) · refusal (what one
refuses) · check (what a build would refuse, without building) · make (all of it) · manifest (what the folder says about
itself) · front_end (the log-mel frames in it) · folder (writing it atomically).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mctc.driver.compile import compile_program, program_at
    from mctc.driver.compiled import Compiled
    from mctc.driver.make import BuildResult, build
    from mctc.driver.options import BuildOptions

__all__ = ["BuildOptions", "BuildResult", "Compiled", "build", "compile_program", "program_at"]

_HOME = {
    "BuildOptions": "options",
    "BuildResult": "make",
    "Compiled": "compile",
    "build": "make",
    "compile_program": "compile",
    "program_at": "compile",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"mctc.driver.{_HOME[name]}"), name)
