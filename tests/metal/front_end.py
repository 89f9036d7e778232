"""Clang's front end on Metal text, without generating code: types, conversions and, above all, address spaces.

C++ for OpenCL 2021 is the nearest public relative of Metal's language: the same compiler, and `__global`, `__constant`,
`__local`, `__private` for Metal's device, constant, threadgroup and thread. Without its generic address space a pointer
never leads into another space by conversion, as in Metal. No fp64. The libclang wheel has the whole front end.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from pathlib import Path

try:
    from clang.cindex import Cursor, CursorKind, Diagnostic, Index, TypeKind
except ImportError:
    Index = None

HEADERS = Path(__file__).parent / "front_end"
MAIN = "kernel.metal"
SPACE = re.compile(r"\b(device|constant|threadgroup|thread)\b")
ARGUMENTS = [
    "-xcl",
    "--target=x86_64-linux-gnu",  # on every machine; the only one whose clang has __bf16 beside OpenCL
    "-cl-std=clc++2021",
    "-cl-no-stdinc",
    "-nostdinc",
    "-Xclang",
    "-cl-ext=-all,+cl_khr_fp16,+__opencl_c_int64",
    f"-I{HEADERS}",
    "-Wall",
    "-Wextra",
    "-Wimplicit-float-conversion",  # to half or bfloat
    "-Wshorten-64-to-32",  # an index past 2^31
    "-Wno-unknown-attributes",  # [[buffer(0)]]: text_rules.py reads those
    "-Wno-unused",  # what the flags of a variant leave out
    "-Wno-unused-parameter",
    "-Wno-unused-but-set-parameter",
    "-Wno-missing-prototypes",
]


def missing() -> str | None:
    """Why the front end can't run here, if it can't."""
    return "no libclang: pip install 'libclang>=17'" if Index is None else None


@functools.cache
def complaints(text: str) -> tuple[str, ...]:
    """What clang says against the text, warnings included, and pointers that name no address space."""
    unit = Index.create().parse(MAIN, args=ARGUMENTS, unsaved_files=[(MAIN, text)])
    said = [
        f"line {each.location.line}: {each.spelling}"
        for each in unit.diagnostics
        if each.severity >= Diagnostic.Warning
    ]
    return (*said, *unnamed_spaces(text, unit.cursor))


def unnamed_spaces(text: str, cursor: Cursor) -> list[str]:
    """Pointers and references in the text whose declaration names no address space, which Metal demands."""
    code = without_comments(text)
    return [
        f"line {each.location.line}: {each.spelling} names no address space"
        for top in cursor.get_children()
        if str(top.location.file) == MAIN
        for each in declarations(top)
        if each.type.kind in (TypeKind.POINTER, TypeKind.LVALUEREFERENCE)
        and not SPACE.search(re.split(r"[(,;{}]", code[: each.location.offset])[-1])
    ]


def declarations(cursor: Cursor) -> Iterator[Cursor]:
    """The variables and parameters that are declared within."""
    if cursor.kind in (CursorKind.PARM_DECL, CursorKind.VAR_DECL):
        yield cursor
    elif not cursor.kind.is_expression():
        for each in cursor.get_children():
            yield from declarations(each)


def without_comments(text: str) -> str:
    """The text with blanks in place of its comments, so that every other character stays where it is."""
    return re.sub(r"//[^\n]*|/\*.*?\*/", lambda comment: re.sub(r"[^\n]", " ", comment[0]), text, flags=re.DOTALL)
