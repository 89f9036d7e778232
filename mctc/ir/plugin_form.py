"""What an op of a plugin must look like: faults in words, found as it is loaded."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping

from mctc.ir.op import Op
from mctc.plugin_form import names, shown


def faults(cls: object) -> Iterator[str]:
    """What is wrong with an object that is brought as an op, the first fault first."""
    if not (isinstance(cls, type) and issubclass(cls, Op)):
        yield "must be a class derived from mctc.ir.op.Op"
        return
    for name, kind in (("operands", "operand"), ("attributes", "attribute")):
        if name in vars(cls):
            yield f"`{name}` belongs to an application of the op; write one field for each {kind} (mctc.ir.fields)"
    if any(each.variadic for each in cls.fields[:-1]):
        yield "an operand of any number of values must be the last one"
    for name in ("infer", "reference"):
        method = inspect.getattr_static(cls, name)
        if method is inspect.getattr_static(Op, name):
            yield f"has no `{name}`"
        elif not inspect.isfunction(method):
            yield f"`{name}` must be a method of one application, `def {name}(self, ...)`"
    yield from names(cls, "nonzero", "names of operands")
    if not isinstance(cls.forms, Mapping) or not all(map(callable, cls.forms.values())):
        yield f"`forms` must be a table of functions by the name of a target, not {shown(cls.forms)}"
