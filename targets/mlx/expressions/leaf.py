"""Constants: arrays that a module holds beside its parameters."""

from __future__ import annotations

import numpy as np

from mctc.emit.rules import Rules
from mctc.ir.ops.leaf import Constant
from mctc.targets.torch.expressions.application import Application
from mctc.targets.torch.expressions.leaf import INLINE, STORED, entries, packed
from mctc.targets.torch.expressions.text import Expression, call, literal, named

RULES = Rules[Application, Expression]()


@RULES.of(Constant)
def _constant(op: Constant, use: Application) -> Expression:
    """Equal entries become mx.full, few ones a literal, more of them base64 of zlib bytes for functional.unpacked."""
    dtype = STORED[op.result.type.dtype]
    array = np.asarray(op.value).astype(dtype)
    kind = named(f"mx.{dtype}{'_' if dtype == 'bool' else ''}")
    keywords: dict[str, object] = {} if dtype == "float32" else {"dtype": kind}
    if not array.size:
        return call(named("mx.zeros"), array.shape, **keywords)
    if array.size > 1 and bool((array == array.flat[0]).all()):
        return call(named("mx.full"), array.shape, entries(array.flat[0]), **keywords)
    if array.size <= INLINE:
        return call(named("mx.array"), Expression(literal(entries(array))), **keywords)
    return call(named("unpacked"), packed(array), array.shape, **({"dtype": dtype} if keywords else {}))
