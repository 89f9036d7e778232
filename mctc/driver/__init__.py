"""A build: from a spec to a folder that is written whole or not at all, the same bytes each time, and proven.

options · chunk (frames a call) · compile (spec to deployed program) · target (what a target is) · refusal (what one
refuses) · check (what a build would refuse, without building) · make (all of it) · manifest (what the folder says about
itself) · front_end (the log-mel frames in it) · folder (writing it atomically).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mctc.driver.compile import compile_program, program_at
    from mctc.driver.compiled import Compiled
    from mctc.driver.make import BuildResult, build
    from mctc.driver.options import BuildOptions
else:
    from mctc.lazy_names import lazy

    __getattr__ = lazy(
        __name__,
        {
            "BuildOptions": "options",
            "BuildResult": "make",
            "Compiled": "compiled",
            "build": "make",
            "compile_program": "compile",
            "program_at": "compile",
        },
    )

__all__ = ["BuildOptions", "BuildResult", "Compiled", "build", "compile_program", "program_at"]
