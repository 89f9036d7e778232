"""docs/ops.md, from the declarations of ops."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from mctc.ir.declared import registry
from mctc.ir.fields import OperandField
from mctc.ir.literals import type_text, value_text
from mctc.ir.op import REQUIRED, Op
from mctc.ir.ops.elementwise import Binary, Unary
from mctc.ir.text import parse_program
from mctc.ir.time import Recurrent, Spread, TimeBehaviour, Whole, Window

PREFACE = """# Ops of the IR

Generated from the declarations in `mctc/ir/ops` by `python -m docs.pages ops.md`; do not edit.

A declaration is one class: operands (`?` optional, `*` any number), attributes with their defaults, type inference, the
numpy reference that defines what the op computes, and its time behaviour, from which step functions are derived. The
examples show what inference gives and how the op behaves in time; [ir.md](ir.md) describes the notation.
"""


def page() -> str:
    """The text of docs/ops.md: the built-in ops by family, each with its live examples."""
    families: dict[str, list[type[Op]]] = {}
    for definition in own():
        families.setdefault(definition.__module__, []).append(definition)
    lines = [PREFACE.rstrip()]
    for module, definitions in sorted(families.items()):
        title = (sys.modules[module].__doc__ or module).strip().splitlines()[0].rstrip(".")
        lines += ["", f"## {title}"]
        lines += _table([definition for definition in definitions if _is_plain(definition)])
        for definition in definitions:
            if not _is_plain(definition):
                lines += ["", *entry(definition)]
    return "\n".join([*lines, ""])


def own() -> list[type[Op]]:
    """The ops that come with mctc."""
    return [definition for definition in registry().values() if definition.__module__.startswith("mctc.ir.ops.")]


def _is_plain(definition: type[Op]) -> bool:
    """Elementwise ops without attributes: a line of a table says it all."""
    return issubclass(definition, (Unary, Binary))


def _table(definitions: list[type[Op]]) -> Iterator[str]:
    if definitions:
        yield from ("", "Pointwise in time; the result has the axes that the operands meet in.", "")
        yield from ("| op | result |", "|---|---|")
    for definition in definitions:
        yield f"| `{_heading(definition)}` | {_prose((definition.__doc__ or '').strip().rstrip('.'))} |"


def _prose(text: str) -> str:
    """Markdown in which a product such as heads*W is no emphasis."""
    return "`".join(part if i % 2 else part.replace("*", "\\*") for i, part in enumerate(text.split("`")))


def _heading(definition: type[Op]) -> str:
    attributes = [
        name if default is REQUIRED else f"{name} = {value_text(default)}"
        for name, default in definition.defaults.items()
    ]
    return f"{definition.name}({', '.join([*map(_operand, definition.fields), *attributes])})"


def _operand(field: OperandField) -> str:
    return f"{field.name}{'?' if field.optional else '*' if field.variadic else ''}"


def entry(definition: type[Op]) -> Iterator[str]:
    """Lines of an op's section: what it is called with, what it computes, and its live examples."""
    yield f"### `{_heading(definition)}`"
    yield ""
    yield from (_prose(line.strip()) for line in (definition.__doc__ or "").strip().splitlines())
    yield ""
    yield "```"
    yield from _examples(definition)
    yield "```"


def _examples(definition: type[Op]) -> Iterator[str]:
    inputs, lines = definition.example.of(definition.name)
    names = ", ".join(f"%{name}: {type_}" for name, type_ in inputs.items())
    if names:
        yield f"({names})"
    for line in lines:
        yield from _example(names, line)


def _example(inputs: str, line: str) -> Iterator[str]:
    line = line if line.startswith("%") else f"%0 = {line}"
    ops = parse_program(f"function @f({inputs}) {{ {line} }}").functions["f"].ops
    for op, text in zip(ops, line.splitlines(), strict=True):
        yield text
        yield from (f"    {type_text(result.type)}" for result in op.results)
        if op.operands:
            yield f"    {in_words(op.time)}"


def in_words(time: TimeBehaviour) -> str:
    """A time behaviour as a sentence of the catalogue."""
    if isinstance(time, Window):
        stride = f", one in {time.stride}" if time.stride > 1 else ""
        return f"window: {time.left} frames before, {time.right} after{stride} ({', '.join(time.operands)})"
    if isinstance(time, Spread):
        return f"spread: {time.factor} frames from each"
    if isinstance(time, Recurrent):
        return f"recurrent: {', '.join(name for name, _ in time.states) or 'states'} from frame to frame"
    if isinstance(time, Whole):
        return f"whole: {time.reason}"
    return "pointwise: frame t from frame t"
