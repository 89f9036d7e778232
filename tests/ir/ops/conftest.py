"""Running one op on arrays: in plain types [batch, time, channel] and in laid-out ones [batch, channel, unit, time]."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from mctc.evaluate.adapt import adapt
from mctc.evaluate.reference import evaluate
from mctc.ir.build import Builder
from mctc.ir.dims import Extent
from mctc.ir.op import Array
from mctc.ir.program import Function, Op, Program, Value
from mctc.ir.types import Axis, DType, Role, TensorType

Operand = tuple[Array, str] | None  # an array and the roles of its axes, 'batch time channel'
DTYPES = {"f": DType.F32, "i": DType.I32, "b": DType.BOOL}


def typed(array: Array, roles: str) -> TensorType:
    axes = [Axis(Role(role), Extent.of(n)) for role, n in zip(roles.split(), array.shape, strict=True)]
    return TensorType(DTYPES[array.dtype.kind], tuple(axes))


def laid_out(type_: TensorType) -> TensorType:
    """(batch, channel, feature | label | unit, time | label | unit); a scan's state has its feature last."""
    if Role.BATCH not in type_.roles:
        return type_
    unit = Axis(Role.UNIT, Extent.of(1))
    by_role = {axis.role: axis for axis in type_.axes}
    channel = by_role.get(Role.CHANNEL) or by_role.get(Role.VOCABULARY) or unit
    time, label, feature = (by_role.get(role) for role in (Role.TIME, Role.LABEL, Role.FEATURE))
    last = time or label
    if last is None:
        middle, last = unit, feature or unit
    else:
        middle = feature or (label if time else None) or unit
    return type_.with_axes((by_role[Role.BATCH], channel, middle, last))


class Bench:
    """Applies ops; `agree` compares with expected arrays in both kinds of types."""

    def op(self, name: str, types: Sequence[TensorType | None], **attributes: Any) -> Op:
        builder = Builder(Program("bench"))
        builder.emit(name, *(None if t is None else Value(t, f"x{i}") for i, t in enumerate(types)), **attributes)
        return builder.ops[-1]

    def run(self, name: str, operands: Sequence[tuple[Array, TensorType] | None], **attributes: Any) -> list[Array]:
        op = self.op(name, [None if o is None else o[1] for o in operands], **attributes)
        inputs = {v.name: o[0] for v, o in zip(op.operands, operands) if v is not None and o is not None}
        function = Function("f", [v for v in op.operands if v], [op], [(str(i), v) for i, v in enumerate(op.results)])
        results, _ = evaluate(function, inputs, lambda name: np.zeros(0))
        return [results[str(i)] for i in range(len(op.results))]

    def plain(self, operands: Sequence[Operand]) -> list[tuple[Array, TensorType] | None]:
        """The operands with plain types."""
        return [None if o is None else (o[0], typed(*o)) for o in operands]

    def result_types(self, name: str, operands: Sequence[Operand], **attributes: Any) -> list[str]:
        op = self.op(name, [None if o is None else typed(*o) for o in operands], **attributes)
        return [str(result.type) for result in op.results]

    def agree(
        self, name: str, operands: Sequence[Operand], expected: Sequence[Array], *, both: bool = True, **attributes: Any
    ) -> None:
        plain = self.plain(operands)
        for got, want in zip(self.run(name, plain, **attributes), expected, strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-12)
        if both:
            self._agree_laid_out(name, plain, expected, attributes)

    def _agree_laid_out(
        self,
        name: str,
        plain: Sequence[tuple[Array, TensorType] | None],
        expected: Sequence[Array],
        attributes: dict[str, Any],
    ) -> None:
        moved = [None if o is None else (adapt(o[0], o[1], laid_out(o[1])), laid_out(o[1])) for o in plain]
        old = self.op(name, [None if o is None else o[1] for o in plain], **attributes).results
        new = self.op(name, [None if o is None else o[1] for o in moved], **attributes).results
        for got, want, before, after in zip(self.run(name, moved, **attributes), expected, old, new, strict=True):
            assert after.type == laid_out(before.type)
            np.testing.assert_allclose(adapt(got, after.type, before.type), want, rtol=1e-9, atol=1e-12)


@pytest.fixture(scope="session")
def bench() -> Bench:
    return Bench()
