"""Changes of a package that a read-back has to see: another operand, a constant with another number or bit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from mctc.package.model import Constant, Function, Operation, Reference


def changes(function: Function) -> Iterator[tuple[str, Function]]:
    """What was changed, and a function in which an operand is another of its type, or the last number of a constant."""
    types = {item.name: item.type for item in function.inputs}
    for place, operation in enumerate(function.operations):
        for key, bound in operation.inputs.items():
            for each in bound:
                if isinstance(each, Reference):
                    others = [
                        name for name, type_ in types.items() if type_ == types.get(each.name) and name != each.name
                    ]
                    for other in others[-1:]:
                        led = tuple(Reference(other) if one is each else one for one in bound)
                        yield (
                            f"{operation}: {key} is {other}",
                            with_operation(function, place, replace(operation, inputs={**operation.inputs, key: led})),
                        )
        if operation.type == "const" and (changed := changed_constant(operation.attributes["val"])) is not None:
            attributes = {**operation.attributes, "val": changed}
            yield f"{operation} changed", with_operation(function, place, replace(operation, attributes=attributes))
        types.update((item.name, item.type) for item in operation.outputs)


def with_operation(function: Function, place: int, operation: Operation) -> Function:
    """A function with another operation at a place."""
    operations = (*function.operations[:place], operation, *function.operations[place + 1 :])
    return replace(function, body=replace(function.body, operations=operations))


@dataclass(frozen=True)
class Numbers:
    """Numbers in place of those that a file holds."""

    value: np.ndarray
    stored_bytes: int = 0

    def load(self) -> np.ndarray:
        return self.value


def changed_constant(constant: Constant) -> Constant | None:
    """A constant of numbers with its last one changed."""
    value = constant.value()
    if not isinstance(value, np.ndarray) or not value.size or value.dtype.kind not in "fb":
        return None
    changed = value.copy()
    last = changed.reshape(-1)
    last[-1] = not last[-1] if value.dtype.kind == "b" else 2 * last[-1] + 1
    return Constant(constant.type, Numbers(changed))


def with_last_bit(constant: Constant) -> Constant:
    """A constant whose last number has another last bit."""
    array = constant.value().copy()
    array.reshape(-1).view(f"u{array.itemsize}")[-1] ^= 1
    return Constant(constant.type, Numbers(array))
