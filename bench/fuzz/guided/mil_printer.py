"""Writes the program of a package as the text that a compiled model holds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from mctc.package import Block, Constant, Function, ListType, Operation, Package, Reference, StateType
from mctc.package.blob import BlobTensor

OPSETS = {"CoreML5": "ios15", "CoreML6": "ios16", "CoreML7": "ios17", "CoreML8": "ios18", "CoreML9": "ios26"}


class Printer:
    """Writes a package's functions as MIL text; `older` in the form that calls every scalar a tensor."""

    def __init__(self, older: bool) -> None:
        self.older = older

    def program(self, package: Package) -> str:
        info = self.type_text("string") + ", " + self.type_text("string")
        lines = ["program(1.3)", f'[buildInfo = dict<{info}>({{{{"coremlc-version", "1"}}}})]', "{"]
        for function in package.functions.values():
            lines += self.function(function)
        return "\n".join([*lines, "}", ""])

    def function(self, function: Function) -> Iterator[str]:
        items = ", ".join(f"{self.type(item.type)} {item.name}" for item in (*function.inputs, *function.states))
        yield f"    func {function.name}<{OPSETS.get(function.opset, function.opset)}>({items}) {{"
        yield from self.block(function.body)
        yield ";"

    def block(self, block: Block) -> Iterator[str]:
        for operation in block.operations:
            yield from self.operation(operation)
        yield f"}} -> ({', '.join(block.outputs)})"

    def operation(self, operation: Operation) -> Iterator[str]:
        results = ", ".join(f"{self.type(item.type)} {item.name}" for item in operation.outputs)
        arguments = ", ".join(f"{key} = {self.bound(value)}" for key, value in operation.inputs.items())
        attributes = ", ".join(f"{key} = {self.constant(value)}" for key, value in operation.attributes.items())
        yield (f"{results} = " if results else "") + f"{operation.type}({arguments})[{attributes}]"
        for block in operation.blocks:
            yield "(" + ", ".join(f"{self.type(item.type)} {item.name}" for item in block.inputs) + ") {"
            yield from self.block(block)
        yield ";"

    def bound(self, bindings: tuple[Reference | Constant, ...]) -> str:
        texts = [item.name if isinstance(item, Reference) else self.constant(item) for item in bindings]
        return texts[0] if len(texts) == 1 else f"({', '.join(texts)})"

    def type_text(self, dtype: str) -> str:
        return f"tensor<{dtype}, []>" if self.older else dtype

    def type(self, type_: Any) -> str:
        if isinstance(type_, StateType):
            return f"state<{self.type(type_.wrapped)}>"
        if isinstance(type_, ListType):
            return f"list<{self.type(type_.element)}, {'?' if type_.length is None else type_.length}>"
        if type_.shape == ():
            return self.type_text(type_.dtype)
        return f"tensor<{type_.dtype}, [{', '.join('?' if n is None else str(n) for n in type_.shape)}]>"

    def constant(self, constant: Constant) -> str:
        if isinstance(constant.loader, BlobTensor):
            # A record of 64 bytes stands before its data.
            place = f"{self.type_text('uint64')}({constant.loader.start - 64})"
            path = f'{self.type_text("string")}("@model_path/weights/{constant.loader.file.path.name}")'
            return f"{self.type(constant.type)}(BLOBFILE(path = {path}, offset = {place}))"
        value = constant.value()
        return f"{self.type(constant.type)}({self.literal(value.tolist() if isinstance(value, np.ndarray) else value)})"

    def literal(self, value: Any) -> str:
        if isinstance(value, list):
            return f"[{', '.join(self.literal(item) for item in value)}]"
        if isinstance(value, str):
            return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
        if isinstance(value, bool):
            return str(value).lower()
        return value.hex() if isinstance(value, float) else str(value)
