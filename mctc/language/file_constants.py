"""Calls of `constant(file = ...)`: the numbers, element type and roles of a constant that a file holds."""

from __future__ import annotations

from collections.abc import Mapping

from mctc.diagnostics.source import Span
from mctc.ir.attribute_value import Attributes
from mctc.language.data_files import DataError
from mctc.language.failure import fail
from mctc.language.modules import Module
from mctc.language.values import Measure, Single, describe, plain

NAMES = ("file", "tensor", "shape", "dtype", "roles")
TYPES = {"f": "f32", "i": "i32", "b": "bool"}


def constant_of_file(given: Mapping[str, tuple[Single, Span]], call: Span, module: Module) -> Attributes:
    """The attributes of op `constant`. given: values of arguments by name, and their places.

    Where no roles are told, one axis is one of channels, and several are like a weight's. Raises FaultError.
    """
    for key, (value, span) in given.items():
        if key in ("file", "tensor", "dtype") and not isinstance(value, str):
            raise fail("MCT0095", f"`{key}` of `constant` is a string, not {describe(value)}", span)
    file, place = given["file"]
    tensor = given["tensor"][0] if "tensor" in given else None
    assert isinstance(file, str)
    assert tensor is None or isinstance(tensor, str)
    try:
        array = module.data.array(file, tensor, module)
    except DataError as error:
        at = given["tensor"][1] if tensor is not None and f'"{tensor}"' in error.message else place
        raise fail(error.code, error.message, at, error.hint) from None
    name = f'"{file}"' if tensor is None else f'"{tensor}" of "{file}"'
    held = TYPES[array.dtype.kind]
    dtype, at = given.get("dtype", (held, call))
    if dtype != held:
        hint = f'leave it out, and write `cast(constant(...), "{dtype}")`' if dtype in TYPES.values() else None
        raise fail(
            "MCT0062", f"{name} holds {held}, not {dtype}", at, hint or f'write `dtype = "{held}"`, or leave it out'
        )
    if "shape" in given:
        shape, at = given["shape"]
        wanted = tuple(plain(item) for item in shape) if isinstance(shape, tuple) else shape
        if wanted != array.shape:
            raise fail("MCT0062", f"{name} has the shape {list(array.shape)}, not {describe(wanted)}", at)
    roles, at = _roles(*given["roles"]) if "roles" in given else (None, call)
    roles = roles or (("channel",) if array.ndim == 1 else ("plain",) * array.ndim)
    if len(roles) != array.ndim:
        message = f"{name} has the shape {list(array.shape)}: {array.ndim} axes for {len(roles)} roles"
        raise fail("MCT0062", message, at)
    return {"value": array, "dtype": held, "roles": roles}


def _roles(value: Single, span: Span) -> tuple[tuple[str, ...], Span]:
    """The roles of axes, told by name or by a dimension that has one."""
    roles = value if isinstance(value, tuple) else (value,)
    named = [each.role.value if isinstance(each, Measure) and each.role is not None else each for each in roles]
    for each in named:
        if not isinstance(each, str):
            raise fail("MCT0095", f'`roles` of `constant` are names such as "channel", not {describe(each)}', span)
    return tuple(map(str, named)), span
