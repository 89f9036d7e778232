"""The shapes that a compiled program allows its inputs, as the attribute FlexibleShapeInformation of a function says.

It is a tuple of pairs: "DefaultShapes" with the shape of each input, "RangeDims" with the bounds of each axis, or
"EnumeratedShapes" with combinations of shapes by the name of a configuration. Core ML's compiler writes it; what of it
isn't of that form is passed over.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from mctc.package.features import enumerated, extent_range
from mctc.package.model import Description, Feature, Function
from mctc.package.types import TensorType

_ATTRIBUTE = re.compile(r"func\s+([\w@$%.]+)[^{}()]*\([^(){}]*\)\s*\[\s*FlexibleShapeInformation\s*=[^(){}]*(?=\()")
_LONGEST = 1 << 20
_BRACKETS = str.maketrans("({)}", "[[]]")


def described_shapes(text: str, functions: Mapping[str, Function]) -> dict[str, Description]:
    """The inputs of each function that has the attribute, with the shapes that they can have."""
    found = {}
    for match in _ATTRIBUTE.finditer(text):
        function = functions.get(match.group(1))
        sections = _sections(_literal(text, match.end()))
        if function is not None and sections:
            features = (_feature(item.name, item.type, sections) for item in function.inputs)
            found[function.name] = Description(tuple(each for each in features if each is not None), (), ())
    return found


def _literal(text: str, start: int) -> Any:
    """What stands in the parentheses from `start` on, tuples and dictionaries as lists; None where it can't be read."""
    depth = 0
    for place in range(start, min(len(text), start + _LONGEST)):
        depth += (text[place] in "([{") - (text[place] in ")]}")
        if not depth:
            try:
                return json.loads(text[start : place + 1].translate(_BRACKETS))
            except (ValueError, RecursionError):
                return None
    return None


def _sections(value: Any) -> dict[str, Any]:
    """The pairs of a name and a list of pairs, however deep they lie."""
    if not isinstance(value, list):
        return {}
    if len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], list):
        return {value[0]: value[1]}
    return {name: inner for each in value for name, inner in _sections(each).items()}


def _feature(name: str, type_: Any, sections: Mapping[str, Any]) -> Feature | None:
    if not isinstance(type_, TensorType):
        return None
    default = _extents(_entry(sections.get("DefaultShapes"), name))
    combinations = [pair[1] for pair in sections.get("EnumeratedShapes", ()) if _is_pair(pair)]
    listed = [shape for each in combinations if (shape := _extents(_entry(each, name)))]
    bounds = [_extents(pair) for pair in _entry(sections.get("RangeDims"), name) or ()]
    ranges = tuple(extent_range(*pair) for pair in bounds) if all(len(pair) == 2 for pair in bounds) else ()
    if not default and not listed and not ranges:
        return None
    return Feature(
        name,
        "tensor",
        TensorType(type_.dtype, default) if default else None,
        flexible=True,
        enumerated=enumerated(default, listed),
        ranges=ranges,
    )


def _entry(pairs: Any, name: str) -> Any:
    """The value that a list of pairs has for a name."""
    return next((pair[1] for pair in pairs or () if _is_pair(pair) and pair[0] == name), None)


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and isinstance(value[1], list)


def _extents(value: Any) -> tuple[int, ...]:
    """A list of whole numbers; empty for anything else."""
    numbers = isinstance(value, list) and all(type(each) is int for each in value)
    return tuple(value) if numbers else ()
