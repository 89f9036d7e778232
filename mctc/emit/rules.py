"""The rules of a target: what writes an op, by the op.

RULES: Rules[FunctionEmitter, None] = Rules()

@RULES.of(Softmax)
def softmax(op: Softmax, e: FunctionEmitter) -> None: ...
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from mctc.ir.op import Op

Writer = TypeVar("Writer")  # what a rule writes with
Made = TypeVar("Made")  # what it returns
Written = TypeVar("Written", bound=Op)


class Rules(dict[str, Callable[[Any, Writer], Made]], Generic[Writer, Made]):
    """Rules by the names of ops. mypy holds a rule to the class of the ops that it is given for."""

    def of(
        self, *ops: type[Written]
    ) -> Callable[[Callable[[Written, Writer], Made]], Callable[[Written, Writer], Made]]:
        """Notes the function below as the rule of these ops."""

        def note(rule: Callable[[Written, Writer], Made]) -> Callable[[Written, Writer], Made]:
            self.update((op.name, rule) for op in ops)
            return rule

        return note
