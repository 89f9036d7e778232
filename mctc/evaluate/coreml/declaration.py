"""One declaration per MIL op: its numpy function, what element type it returns, since which iOS it exists."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from mctc.records import dataclass

Function = Callable[..., Any]
ResultRule = Callable[[Mapping[str, str], Mapping[str, Any]], tuple[str, ...]]
Specialise = Callable[[Mapping[str, Any]], "Function | None"]


@dataclass(frozen=True)
class OpDeclaration:
    """How the evaluator executes one op.

    name: the op's type in MIL.
    function: called with one keyword argument per input that is bound; returns an array, or a tuple for several
        outputs. Floats arrive as float32. It must not write into its arguments, and may return views of them. One with
        `out` as a keyword alone works element by element and writes its result into that array where one is given.
    since: the opset that introduced the op ("iOS15" … "iOS18").
    family: the file it is declared in.
    result: element type of the outputs: the name of the operand that gives it, or a MIL type name; one for all
        outputs or one each; or a function of the operands' types and the constant operands.
    same: operands that must have one element type (checked against the declared types).
    exact: the result consists of operands' values (or 0, 1): no rounding is needed.
    lists: operands that always arrive as a list, whatever their number.
    specialise: given the constant operands, returns a faster function of the remaining ones, or None. It runs once.
    note: what a reader of the op table should know.
    """

    name: str
    function: Function
    since: str
    family: str
    result: tuple[str, ...] | ResultRule
    same: tuple[str, ...] = ()
    exact: bool = False
    lists: frozenset[str] = frozenset()
    specialise: Specialise | None = None
    note: str = ""

    @cached_property
    def operands(self) -> dict[str, bool]:
        """Names of the operands, and whether each must be given."""
        code, given = self.function.__code__, len(self.function.__defaults__ or ())  # inspect tells it more slowly
        return {name: at < code.co_argcount - given for at, name in enumerate(code.co_varnames[: code.co_argcount])}

    @cached_property
    def takes_out(self) -> bool:
        """Whether the result can be written over an operand."""
        code = self.function.__code__
        return "out" in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]


REGISTRY: dict[str, OpDeclaration] = {}


def op(
    name: str,
    *,
    since: str = "iOS15",
    result: str | tuple[str, ...] | ResultRule = "x",
    same: tuple[str, ...] = (),
    exact: bool = False,
    lists: tuple[str, ...] = (),
    specialise: Specialise | None = None,
    note: str = "",
) -> Callable[[Function], Function]:
    """Declares the decorated function as the meaning of the op `name`; see OpDeclaration for the arguments."""

    def declare(function: Function) -> Function:
        if name in REGISTRY:
            raise ValueError(f"op {name} is declared twice")
        rule = (result,) if isinstance(result, str) else result
        family = function.__module__.rpartition(".")[2]
        REGISTRY[name] = OpDeclaration(
            name, function, since, family, rule, same, exact, frozenset(lists), specialise, note
        )
        return function

    return declare
