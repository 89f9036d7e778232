"""Running a function of the IR as the Python text that its ops are written as."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from mctc.ir.op import Array
from mctc.ir.program import Function, Value
from mctc.targets.torch.expressions import Expression, expression
from mctc.targets.torch.runtime import dropping, functional, input_quantizer, selective_scan, ssd

MODULES = {"torch": torch, "F": F, "selective_scan": selective_scan.selective_scan, "ssd": ssd.ssd}
MODULES |= {"dropout": dropping.dropout, "layer_drop": dropping.layer_drop}
MODULES |= {"fake_quantize": input_quantizer.fake_quantize}
IN_EVALUATION = SimpleNamespace(training=False)  # what a text calls self


def imported(names: frozenset[str]) -> dict[str, Any]:
    """The names that a text says it uses, and no others."""
    return {name: MODULES.get(name) or getattr(functional, name) for name in names}


class Written:
    """A function as text: a line for each op, or each value that is used once nested where it is used."""

    def __init__(self, function: Function, nested: bool = False) -> None:
        self.function, self.imports, self.lines = function, frozenset[str](), list[str]()
        self.buffers: dict[str, torch.Tensor] = {}
        self.parameters: dict[str, str] = {}
        self.names: dict[Value, Expression] = {}
        uses = function.uses()
        kept = set(function.outputs)
        for i, value in enumerate([*function.inputs, *(state.value for state in function.states)]):
            self.names[value] = Expression(f"x{i}")
        for i, op in enumerate(function.ops):
            made = self._leaf(op.name, f"p{i}", dict(op.attributes)) or expression(
                op, [None if v is None else self.names[v] for v in op.operands]
            )
            if op.name == "constant":
                self.buffers[f"p{i}"] = eval(made.text, imported(made.imports))
                made = Expression(f"p{i}")
            once = len(op.results) == 1 and len(uses.get(op.result, ())) == 1 and op.result not in kept
            if nested and once:
                self.names[op.result] = made
                continue
            names = [f"v{i}_{j}" for j in range(len(op.results))]
            self.lines.append(f"{', '.join(names)} = {made.text}")
            self.imports |= made.imports
            self.names.update(zip(op.results, map(Expression, names)))

    def _leaf(self, op: str, name: str, attributes: dict[str, Any]) -> Expression | None:
        if op == "parameter":
            self.parameters[name] = attributes["name"]
            return Expression(name)
        return None

    def run(
        self,
        inputs: Mapping[str, Array],
        parameter: Any,
        state: Mapping[str, Array] | None = None,
        dtype: torch.dtype = torch.float64,
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """Results and new states by name, as mctc.evaluate.reference gives them."""
        entered = [np.asarray(inputs[value.name]) for value in self.function.inputs]
        states = self.function.states
        entered += [np.zeros(s.value.type.shape) if state is None else state[s.name] for s in states]
        scope = imported(self.imports) | {"self": IN_EVALUATION}
        scope |= {f"x{i}": tensor(array, dtype) for i, array in enumerate(entered)}
        scope |= {name: tensor(parameter(path), dtype) for name, path in self.parameters.items()}
        scope |= {name: tensor(buffer.numpy(), dtype) for name, buffer in self.buffers.items()}
        exec("\n".join(self.lines), scope)
        back = {value: eval(made.text, scope) for value, made in self.names.items() if value in self.function.outputs}
        results = {name: back[value].numpy() for name, value in self.function.results}
        return results, {entry.name: back[entry.update].numpy() for entry in self.function.states}


def tensor(array: Array, dtype: torch.dtype) -> torch.Tensor:
    made = torch.from_numpy(np.array(array))
    return made.to(dtype) if made.is_floating_point() else made
