"""What inference raises, in the terms of who wrote the op's application."""

from __future__ import annotations


class InferenceError(ValueError):
    """The op cannot be applied to these operands. `operand` names the one at fault, if one is."""

    def __init__(self, message: str, operand: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.operand, self.hint = operand, hint
