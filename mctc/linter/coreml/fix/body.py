"""The messages of one function's body, to be edited: who makes a value, who takes it, new constants, renamed uses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from mctc.package.dtypes import BY_NUMBER, DTYPES

Shape = tuple[int, ...]
WRITES = ("write_state", "coreml_update_state", "while_loop", "cond")
"""Ops that may do more than make a value."""


class Body:
    """`ops` is the order of the program; `flush` writes it back. Operations of nested blocks are read, never moved."""

    def __init__(self, function: Any) -> None:
        self.block = function.block_specializations[function.opset]
        self.ops: list[Any] = list(self.block.operations)
        self.results = set(self.block.outputs)
        self.made: dict[str, Any] = {}
        self.types: dict[str, Any] = {each.name: each.type for each in function.inputs}
        self.uses: dict[str, list[tuple[Any, str]]] = {}
        for op in self.every():
            for output in op.outputs:
                self.made[output.name] = op
                self.types[output.name] = output.type
            for key, operand in op.inputs.items():
                for argument in operand.arguments:
                    if argument.WhichOneof("binding") == "name":
                        self.uses.setdefault(argument.name, []).append((op, key))
        self._top = {id(op) for op in self.ops}
        self._added: dict[int, list[Any]] = {}
        self._removed: set[int] = set()
        self._count = 0

    def every(self) -> Iterator[Any]:
        """Every operation in order, those of nested blocks included."""
        stack = list(reversed(self.ops))
        while stack:
            op = stack.pop()
            yield op
            for block in reversed(op.blocks):
                stack.extend(reversed(block.operations))

    def operand(self, op: Any, key: str) -> str | None:
        """The name that an operand with one value refers to."""
        arguments = arguments_of(op, key)
        return arguments[0].name if len(arguments) == 1 and arguments[0].WhichOneof("binding") == "name" else None

    def constant(self, op: Any, key: str) -> Any:
        """The immediate value message of a constant operand; None where it is not one."""
        arguments = arguments_of(op, key)
        if len(arguments) != 1:
            return None
        if arguments[0].WhichOneof("binding") == "value":
            value = arguments[0].value
        else:
            maker = self.made.get(arguments[0].name)
            if maker is None or maker.type != "const" or "val" not in maker.attributes:
                return None
            value = maker.attributes["val"]
        return value if value.WhichOneof("value") == "immediateValue" else None

    def integers(self, op: Any, key: str) -> tuple[int, ...] | None:
        """A small constant of int32, flat."""
        value = self.constant(op, key)
        return None if value is None else tuple(value.immediateValue.tensor.ints.values) or None

    def text(self, op: Any, key: str) -> str | None:
        value = self.constant(op, key)
        values = list(value.immediateValue.tensor.strings.values) if value is not None else []
        return str(values[0]) if len(values) == 1 else None

    def type_of(self, name: str | None) -> tuple[str, Shape] | None:
        """Element type and extents of a value with a definite shape."""
        message = self.types.get(name or "")
        if message is None or message.WhichOneof("type") != "tensorType":
            return None
        tensor = message.tensorType
        if tensor.dataType not in BY_NUMBER:
            return None
        if any(dim.WhichOneof("dimension") != "constant" for dim in tensor.dimensions):
            return None
        return BY_NUMBER[tensor.dataType].name, tuple(dim.constant.size for dim in tensor.dimensions)

    def redirect(self, old: str, new: str) -> bool:
        """Every use of `old` becomes one of `new`. False where `old` is a result of the function, whose name must stay,
        or is used nowhere."""
        if old in self.results or old not in self.uses:
            return False
        for op, key in self.uses.pop(old):
            for argument in op.inputs[key].arguments:
                if argument.name == old:
                    argument.name = new
            self.uses.setdefault(new, []).append((op, key))
        for op in self.every():
            for block in op.blocks:
                for place, name in enumerate(block.outputs):
                    if name == old:
                        block.outputs[place] = new
        return True

    def drop(self, op: Any) -> None:
        """Removes an operation of the body itself whose results are no longer used, and then what fed it alone."""
        waiting = [op]
        while waiting:
            each = waiting.pop()
            names = [output.name for output in each.outputs]
            if any(self.uses.get(name) or name in self.results for name in names) or id(each) not in self._top:
                continue
            self._removed.add(id(each))
            for operand in each.inputs.values():
                for argument in operand.arguments:
                    self.uses[argument.name] = [use for use in self.uses.get(argument.name, []) if use[0] is not each]
                    maker = self.made.get(argument.name)
                    if maker is not None and maker.type not in WRITES:
                        waiting.append(maker)

    def add_integers(self, before: Any, values: Sequence[int], *, scalar: bool = False) -> str:
        """A new int32 constant in front of an operation; returns its name."""
        return self._add(before, "int32", values, scalar)

    def add_flags(self, before: Any, values: Sequence[bool]) -> str:
        return self._add(before, "bool", values, scalar=False)

    def flush(self) -> None:
        """Writes the order back, with what was added and without what was removed."""
        kept: list[Any] = []
        for op in self.ops:
            kept += self._added.get(id(op), [])
            if id(op) not in self._removed:
                kept.append(op)
        copies = [type(op).FromString(op.SerializeToString()) for op in kept]
        del self.block.operations[:]
        self.block.operations.extend(copies)

    def _add(self, before: Any, dtype: str, values: Sequence[Any], scalar: bool) -> str:
        self._count += 1
        name = f"mctc_fix_{self._count}"
        while name in self.types:
            self._count += 1
            name = f"mctc_fix_{self._count}"
        op = type(before)(type="const")
        label = op.attributes["name"]
        label.type.tensorType.dataType = DTYPES["string"].number
        label.immediateValue.tensor.strings.values.append(name)
        value = op.attributes["val"]
        value.type.tensorType.dataType = DTYPES[dtype].number
        if not scalar:
            value.type.tensorType.rank = 1
            value.type.tensorType.dimensions.add().constant.size = len(values)
        tensor = value.immediateValue.tensor
        (tensor.ints if dtype == "int32" else tensor.bools).values.extend(values)
        output = op.outputs.add(name=name)
        output.type.CopyFrom(value.type)
        self.types[name] = output.type
        self.made[name] = op
        self._added.setdefault(id(before), []).append(op)
        return name


def arguments_of(op: Any, key: str) -> list[Any]:
    """The arguments that an operand is bound to; none where it isn't bound."""
    return list(op.inputs[key].arguments) if key in op.inputs else []
