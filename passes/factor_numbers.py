"""Numbers beyond fp16's range become products of numbers that it holds."""

from __future__ import annotations

import numpy as np

from mctc.ir.islands import computes_wide, held_wide
from mctc.ir.ops.elementwise import (
    Abs,
    Add,
    Clip,
    Div,
    Log,
    Maximum,
    Minimum,
    Mul,
    Reciprocal,
    Relu,
    Rsqrt,
    Scale,
    Sqrt,
    Square,
)
from mctc.ir.ops.reduce import ReduceMax
from mctc.ir.program import Function, Op, Program, Value
from mctc.passes.numbers.floors import Floor, Squares, beyond, has_form, inverse_is_multiplied
from mctc.passes.numbers.half import LARGEST, SMALLEST_NORMAL, factors, holds
from mctc.passes.numbers.surroundings import Surroundings
from mctc.rewrite.base import Context, Exact, Pass
from mctc.rewrite.rewriter import Rewriter, rewrite_functions


class FactorNumbers(Pass):
    """Writes numbers that fp16 can't hold as products: a factor as two, y + 1e-9 as m and y/m + (F/m) (1e-9/F).

    m is the larger of |y| and F, or the largest magnitude where y is a sum of squares: nothing vanishes or overflows
    that the result doesn't. The logarithm, root or quotient that such a sum keeps from zero is taken of both factors.
    Parts that a spec keeps in f32 have their numbers as they are, on the stack that has such parts.
    """

    name = "factor-numbers"
    promise = Exact()
    stage = "deploy"
    before = ("legalise", "fold-deploy-constants")

    def run(self, program: Program, context: Context) -> Program:
        if context.precision != "fp16" or all(_held(op) for _, op in program.ops()):
            return program
        mixed = context.stack == "coreml"
        return rewrite_functions(program, lambda new, function: _Factoring(new, function, self.name, mixed).factored())


def _held(op: Op) -> bool:
    """Whether fp16 holds the numbers that an op is given, itself or as a constant."""
    if beyond(op) is not None:
        return False
    return all(holds(op.number(name)) for name in op.numbers)


class _Factoring(Rewriter):
    """mixed: parts that a spec keeps in fp32 are."""

    def __init__(self, program: Program, function: Function, by: str, mixed: bool) -> None:
        super().__init__(program, function, by)
        self._mixed, self._wide = mixed, held_wide(program, function) if mixed else frozenset()
        self.around = Surroundings(function)
        self._pairs: dict[Op, tuple[Value, Value]] = {}

    def factored(self) -> Function:
        return self.rebuild(lambda op, _: self._op(op))

    def _op(self, op: Op) -> Value | None:
        match op:
            case Scale() if not holds(op.factor):
                return self._scaled(op)
            case Log():
                return _log(self, op)
            case Sqrt():
                return _root(self, op)
            case Rsqrt() | Reciprocal():
                return _inverse(self, op)
            case Div():
                return _quotient(self, op)
            case Mul():
                return _product(self, op)
        return None

    def _scaled(self, op: Scale) -> Value | None:
        found = factors(op.factor)
        if found is None or op.result in self.around.early or (self._mixed and computes_wide(self.program, op)):
            return None
        self.note(f"a factor of {op.factor:g} became two")
        return self.op(Scale, self.op(Scale, self[op.x], factor=found[1]), factor=found[0], offset=op.offset)

    def floor(self, value: Value) -> tuple[Op, Floor] | None:
        """The op that makes an old value by a number beyond fp16's range, where it has a form as a product."""
        op = value.owner
        floor = beyond(op) if op is not None else None
        if op is None or floor is None or op in self._wide or op.result in self.around.early:
            return None
        if not has_form(op, floor, self.around):
            return None
        return op, floor

    def pair(self, op: Op, floor: Floor) -> tuple[Value, Value]:
        """(m, q) with y + e = m q or, beside squares, m^2 q."""
        if op not in self._pairs:
            squares = floor.squares
            self._pairs[op] = self._of_value(floor) if squares is None else self._of_squares(floor, squares)
        return self._pairs[op]

    def _of_value(self, floor: Floor) -> tuple[Value, Value]:
        base = self.constant(np.float64(floor.base))
        if floor.length is not None:
            m, total = self._summed(floor.length, floor.base)
            part = self.op(Sqrt, total)
        else:
            y = self._scaled_by(self[floor.y], floor.factor)
            y = self.op(Relu, y) if floor.bound else y
            m = self.op(Clip, y if floor.bound else self.op(Abs, y), low=floor.base, high=LARGEST)
            part = self.op(Div, y, m)
        least = self._scaled_by(self.op(Div, base, m), floor.ratio)
        q = self.op(Maximum if floor.bound else "add", part, least)
        if floor.high is not None:
            q = self.op(Minimum, q, self.op(Div, self.constant(np.float64(floor.high)), m))
        return m, q

    def _of_squares(self, floor: Floor, squares: Squares) -> tuple[Value, Value]:
        m, total = self._summed(squares, SMALLEST_NORMAL)
        least = self.op(Square, self.op(Div, self.constant(np.float64(SMALLEST_NORMAL)), m))
        least = self._scaled_by(least, floor.value / SMALLEST_NORMAL**2)
        return m, self.op(Add, self._scaled_by(total, floor.factor), least)

    def _summed(self, squares: Squares, base: float) -> tuple[Value, Value]:
        """The largest magnitude m of what is squared, at least `base`, and the sums of the squares of it over m."""
        x = self[squares.x]
        m = self.op(Abs, x)
        for _, axis in squares.reductions:
            m = self.op(ReduceMax, m, axis=axis)
        m = self.op(Clip, m, low=base, high=LARGEST)
        total = self.op(Square, self.op(Div, x, m))
        for kind, axis in squares.reductions:
            total = self.op(kind, total, axis=axis)
        return m, total

    def _scaled_by(self, x: Value, factor: float) -> Value:
        return x if factor == 1 else self.op(Scale, x, factor=factor)


def _log(new: _Factoring, op: Log) -> Value | None:
    found = new.floor(op.x)
    if found is None:
        return None
    m, q = new.pair(*found)
    new.note("the logarithm of a product became a sum")
    log = new.op(Log, m)
    return new.op(Add, log if found[1].squares is None else new.op(Scale, log, factor=2.0), new.op(Log, q))


def _root(new: _Factoring, op: Sqrt) -> Value | None:
    """sqrt(y + e): m sqrt(q) beside squares, else sqrt(m) sqrt(q)."""
    found = new.floor(op.x)
    if found is None:
        return None
    m, q = new.pair(*found)
    root = m if found[1].squares is not None else new.op(Sqrt, m)
    new.note("the root of a product became a product")
    return new.op(Mul, root, new.op(Sqrt, q))


def _inverse(new: _Factoring, op: Rsqrt | Reciprocal) -> Value | None:
    """1 / (y + e) or its root, where the result is in fp16's range; what is multiplied by it is divided instead."""
    found = new.floor(op.x)
    if found is None or inverse_is_multiplied(op, new.around):
        return None
    one = new.constant(np.float64(1))
    return _divided(new, one, found, rooted=isinstance(op, Rsqrt))


def _quotient(new: _Factoring, op: Div) -> Value | None:
    """a / (y + e), and a / sqrt(y + e)."""
    found, rooted, root = new.floor(op.right), False, op.right.owner
    if found is None and isinstance(root, Sqrt):
        found, rooted = new.floor(root.x), True
    return None if found is None else _divided(new, new[op.left], found, rooted=rooted)


def _product(new: _Factoring, op: Mul) -> Value | None:
    """a * rsqrt(y + e), and a * (1 / (y + e))."""
    for a, b in ((op.left, op.right), (op.right, op.left)):
        inverse = b.owner
        if not isinstance(inverse, (Rsqrt, Reciprocal)):
            continue
        found = new.floor(inverse.x)
        if found is not None and inverse_is_multiplied(inverse, new.around):
            return _divided(new, new[a], found, rooted=isinstance(inverse, Rsqrt))
    return None


def _divided(new: _Factoring, a: Value, found: tuple[Op, Floor], rooted: bool) -> Value:
    m, q = new.pair(*found)
    squared = found[1].squares is not None
    if rooted:
        m, q = m if squared else new.op(Sqrt, m), new.op(Sqrt, q)
    elif squared:
        a = new.op(Div, a, m)
    new.note("a quotient by a product became two")
    return new.op(Div, new.op(Div, a, m), q)
