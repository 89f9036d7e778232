"""Places in the spec as Core AI's debug information, so that its tools point at lines of the spec, and back again."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from coreai.authoring import CompileUnitScope, DebugInfo, FileInfo, Operation, SubprogramScope

from mctc.ir.location import Origin

LANGUAGE = "DW_LANG_lo_user"  # DWARF's for a language that has no number
NOWHERE = "-"  # the file that coreai reads back where none was noted
NO_TYPE = "() -> ()"  # of a block of the spec; Core AI wants a type of everything that holds operations


def debug_info(origin: Origin) -> Any:
    """An op's place in the spec, by the name of its file, inside of its instance path."""
    place = origin.location
    if place is None:
        return DebugInfo.unknown()
    file = FileInfo(PurePath(place.file).name)
    unit = CompileUnitScope(file, source_language=LANGUAGE, producer="mctc")
    scope = SubprogramScope(name=origin.path or file.filename, file=file, compile_unit=unit, mlir_type_str=NO_TYPE)
    return DebugInfo.file(file.filename, place.line, place.column).with_scope(scope)


def place_of(operation: Any) -> str:
    """'encoder.layers.0 (model.mct:12:9)' of a raw operation that was read back; '' where it has no place."""
    found = Operation._from_mlir(operation).debug_info
    if found.filename in (None, NOWHERE):
        return ""
    name = getattr(found.scope, "name", "")
    return f"{name} ({found.filename}:{found.line}:{found.col})"
