"""The textual form of the IR (docs/ir.md): programs as text and back.

`print_program(program, locations=True)` holds the whole program: parsed, it gives a program of equal text. The short
form leaves out origins (places in the spec, instance paths, histories). Two programs are equal when their full texts
are. A text may also hold functions alone: dimensions and parameters that they name are then declared as they are used.
"""

from __future__ import annotations

from mctc.ir.literals import LiteralError
from mctc.ir.printer import print_function, print_program
from mctc.ir.program import Program
from mctc.ir.syntax import IrSyntaxError

__all__ = ["IrSyntaxError", "LiteralError", "equal", "parse_program", "print_function", "print_program"]


def parse_program(text: str) -> Program:
    """The program of a text. Raises IrSyntaxError with line, column and what was expected or wrong."""
    from mctc.ir.parser import parse  # lark is needed for reading only
    from mctc.ir.reader import read

    return read(parse(text))


def equal(left: Program, right: Program) -> bool:
    """Whether two programs are the same in everything, origins included."""
    return print_program(left, locations=True) == print_program(right, locations=True)
