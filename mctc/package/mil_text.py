"""Parses the text of an ML program into the records that the protobuf form gives.

By hand and not with a parser generator: lark's tables took ten times as long on a text of 55,000 statements. A pattern
of mil_scan.py takes several words at once; what it is too narrow for goes word by word.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from sys import intern

from mctc.package import mil_scan as scan
from mctc.package.errors import PackageError
from mctc.package.functions import NO_INPUTS, Limits, make_function, operation_name
from mctc.package.mil_values import Values
from mctc.package.model import Block, Constant, Function, Operation
from mctc.package.place import Place
from mctc.package.types import NamedType
from mctc.package.weights import Weights

_MAX_BLOCKS = 64
"""Blocks inside one another; protobuf's own limit allows 49."""
_OPSETS = {"ios15": "CoreML5", "ios16": "CoreML6", "ios17": "CoreML7", "ios18": "CoreML8", "ios26": "CoreML9"}


def parse_text(text: str, path: Path, weights: Weights) -> dict[str, Function]:
    """The functions of a program, by name. Raises PackageError with the line of what can't be parsed."""
    return _Parser(scan.Cursor(text, path), weights).program()


class _Parser:
    def __init__(self, cursor: scan.Cursor, weights: Weights) -> None:
        self._at = cursor
        self._values = Values(cursor, weights)
        self._limits = Limits()
        self._function_name = ""
        self._count = 0

    def program(self) -> dict[str, Function]:
        """The whole text."""
        self._at.need(scan.PROGRAM, "'program(version)'")
        self._listed_attributes()
        self._at.need_mark("{")
        functions: dict[str, Function] = {}
        while (head := self._at.take(scan.FUNCTION)) is not None:
            name = intern(head.group(1))
            if name in functions:
                self._at.fail(f"a second function '{name}'")
            functions[name] = self._function(name, head.group(2) or "")
        self._at.need_mark("}")
        self._at.need(scan.END, "the end")
        return dict(sorted(functions.items()))

    def _function(self, name: str, opset: str) -> Function:
        self._function_name, self._count = name, 0
        place = Place(name, line=self._at.line())
        inputs = self._parameters()
        attributes = self._listed_attributes()
        self._at.need_mark("{")
        body = self._body((), 0)
        self._at.mark(";")
        return replace(make_function(place, _OPSETS.get(opset.lower(), opset), inputs, body), attributes=attributes)

    def _listed_attributes(self) -> dict[str, Constant]:
        """Attributes of a program or function."""
        found: dict[str, Constant] = {}
        while self._at.mark("["):
            found.update(self._attributes(Place(self._function_name, line=self._at.line())))
        return found

    def _parameters(self) -> tuple[NamedType, ...]:
        """Behind the opening parenthesis: types and names up to the closing one."""
        items: list[NamedType] = []
        while not self._at.mark(")"):
            if items and not self._at.mark(","):
                self._at.fail("',' or ')' is expected")
            items.append(self._named())
        return tuple(items)

    def _named(self) -> NamedType:
        type_ = self._values.type()
        return NamedType(intern(self._at.need(scan.NAME, "a name").group(1)), type_)

    def _body(self, inputs: tuple[NamedType, ...], depth: int) -> Block:
        """Behind the opening brace: operations up to the closing one, then the names of the results."""
        operations: list[Operation] = []
        while not self._at.mark("}"):
            operations.append(self._operation(depth))
        results = self._at.take(scan.RESULTS)
        names = results.group(1).split(",") if results and not results.group(1).isspace() else []
        return Block(inputs, tuple(intern(name.strip()) for name in names if name), tuple(operations))

    def _operation(self, depth: int) -> Operation:
        outputs = self._results()
        head = self._at.need(scan.CALL, "an operation")
        index, type_ = self._count, intern(head.group(1))
        place = Place(self._function_name, index, type_, self._at.line())
        self._count += 1
        self._limits.take(place)
        inputs = NO_INPUTS if head.group(2) else dict(sorted(self._values.bindings(")", place).items()))
        attributes: dict[str, Constant] = {}
        blocks: list[Block] = []
        while not self._at.mark(";"):
            if self._at.mark("["):
                attributes.update(self._attributes(place))
            else:
                blocks.append(self._block(self._at.need(scan.BLOCK, "';'").group(1), depth))
        while (late := self._at.take(scan.LATE_BLOCK)) is not None:
            blocks.append(self._block(late.group(1), depth))
            self._at.mark(";")
        return Operation(
            index=index,
            type=type_,
            name=operation_name(attributes, outputs, index),
            inputs=inputs,
            outputs=outputs,
            attributes=attributes,
            blocks=tuple(blocks),
        )

    def _results(self) -> tuple[NamedType, ...]:
        """Types and names up to '='; none where the operation itself stands here."""
        items: list[NamedType] = []
        while True:
            quick = self._at.take(scan.RESULT)
            if quick is not None:
                type_, name, follows = quick.groups()
                items.append(NamedType(intern(name), self._values.simple_type(type_)))
                if follows == "=":
                    return tuple(items)
            elif not items and self._at.sees(scan.CALL):
                return ()
            else:
                items.append(self._named())
                if self._at.mark("="):
                    return tuple(items)
                self._at.need_mark(",")

    def _attributes(self, place: Place) -> dict[str, Constant]:
        found: dict[str, Constant] = {}
        for key, values in sorted(self._values.bindings("]", place).items()):
            if len(values) != 1 or not isinstance(values[0], Constant):
                raise PackageError(f"{place}: the attribute '{key}' isn't a value")
            found[key] = values[0]
        return found

    def _block(self, opening: str, depth: int) -> Block:
        if depth == _MAX_BLOCKS:
            self._at.fail(f"blocks more than {_MAX_BLOCKS} deep aren't read")
        inputs: tuple[NamedType, ...] = ()
        if opening == "(":
            inputs = self._parameters()
            self._at.need_mark("{")
        return self._body(inputs, depth + 1)
