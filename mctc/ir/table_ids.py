"""Which inputs are ids: an embedding takes rows of its table by them, so there is a last one."""

from __future__ import annotations

from mctc.ir.domain import Domain, Interval
from mctc.ir.ops.linear import Embedding
from mctc.ir.program import Function, Value


def table_ids(function: Function) -> dict[Value, int]:
    """The inputs that are ids, and how many rows every table has that is read by them."""
    rows: dict[Value, int] = {}
    for op in function.ops:
        if isinstance(op, Embedding) and op.token in function.inputs and op.table.type.extents[0].is_static:
            rows[op.token] = min(op.table.type.shape[0], rows.get(op.token, op.table.type.shape[0]))
    return rows


def id_domains(function: Function) -> dict[str, Domain]:
    """The domains of ids of which the spec says nothing."""
    unsaid = {value: rows for value, rows in table_ids(function).items() if value.type.bound is None}
    return {value.name: Interval(0, rows, (False, True), whole=True) for value, rows in unsaid.items()}
