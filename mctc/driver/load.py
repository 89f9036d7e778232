"""A spec as a program, with the ops that plugins bring."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mctc.diagnostics.source import FileRead
from mctc.ir.program import Program
from mctc.language.elaborate import elaborate_file
from mctc.language.read import Spec
from mctc.plugin_ops import declare_ops


def load_program(
    spec: Spec,
    model: str | None = None,
    defines: Mapping[str, Any] | None = None,
    read: Callable[[FileRead], None] | None = None,
) -> Program:
    """The program of a model. Raises what `mctc.language.elaborate_file` raises, and PluginError."""
    declare_ops()  # the spec may name them
    return elaborate_file(spec, model=model, defines=defines, read=read)
