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
from mctc.ir.time import Recurrent, TimeBehaviour, Whole, Window

PREFACE = """# Ops of the IR

Generated from the declarations in `mctc/ir/ops` by `python -m docs.pages ops.md`; do not edit.

A declaration is one class: operands (`?` optional, `*` any number), attributes with their defaults, type inference, the
numpy reference that defines what the op computes, and its time behaviour, from which step functions are derived. The
examples show what inference gives and how the op behaves in time; [ir.md](ir.md) describes the notation.
"""
X = "f32[batch B, time T, channel 8]"
F = "f32[batch B, time T, feature 4, channel 8]"
# Inputs by name and lines over them (one result if none are named).
# An op whose time behaviour depends on its attributes has a line for each behaviour.
EXAMPLES: dict[str, tuple[dict[str, str], tuple[str, ...]]] = {
    "scale": ({"x": X}, ("scale(%x, factor = 2.0, offset = 1.0)",)),
    "clip": ({"x": X}, ("clip(%x, low = 0.0, high = 6.0)",)),
    "cast": ({"x": X}, ("cast(%x, dtype = f16)",)),
    "constant": ({}, ("constant [1.0, 2.0]: f32[channel 2]",)),
    "parameter": ({}, ("parameter @encoder.norm.weight: f32[8]",)),
    "linear": ({"x": X, "w": "f32[16, 8]", "b": "f32[16]"}, ("linear(%x, %w, %b)",)),
    "embedding": ({"token": "i32[batch B, label U] < 100", "table": "f32[100, 8]"}, ("embedding(%token, %table)",)),
    "positional_embedding": ({"x": X, "table": "f32[100, 8]"}, ("positional_embedding(%x, %table)",)),
    "matmul": ({"x": X, "y": "f32[8, 16]"}, ("matmul(%x, %y)",)),
    "conv1d": (
        {"x": X, "w": "f32[16, 8, 3]"},
        ("conv1d(%x, %w, pad = [2, 0])", "conv1d(%x, %w, stride = 2, pad = [1, 1])"),
    ),
    "conv2d": (
        {"x": F, "w": "f32[16, 8, 3, 3]"},
        ("conv2d(%x, %w, stride = [2, 2], pad = [2, 0], pad_feature = [1, 1])",),
    ),
    "layer_norm": ({"x": X, "w": "f32[8]", "b": "f32[8]"}, ("layer_norm(%x, %w, %b)",)),
    "rms_norm": ({"x": X, "w": "f32[8]"}, ("rms_norm(%x, %w)",)),
    "batch_norm": ({"x": X, "mean": "f32[8]", "variance": "f32[8]"}, ("batch_norm(%x, %mean, %variance)",)),
    "softmax": ({"x": X}, ("softmax(%x)",)),
    "log_softmax": ({"x": X}, ("log_softmax(%x)",)),
    "lstm": (
        {"x": X, "wi": "f32[16, 8]", "wh": "f32[16, 4]", "b": "f32[16]"},
        ("%0, %1, %2 = lstm(%x, %wi, %wh, %b)",),
    ),
    "gru": ({"x": X, "wi": "f32[12, 8]", "wh": "f32[12, 4]"}, ("%0, %1 = gru(%x, %wi, %wh)",)),
    "selective_scan": (
        {"x": X, "delta": X, "A": "f32[8, 4]", "B": "f32[batch B, time T, channel 4]", "D": "f32[8]"},
        ("%0, %1 = selective_scan(%x, %delta, %A, %B, %B, %D)",),
    ),
    "ssd": (
        {"x": X, "delta": "f32[batch B, time T, channel 2]", "A": "f32[2]", "B": "f32[batch B, time T, channel 4]"},
        ("%0, %1 = ssd(%x, %delta, %A, %B, %B)",),
    ),
    "attention": (
        {"x": X},
        (
            "attention(%x, %x, %x, heads = 2, left = 16, right = 0)",
            "attention(%x, %x, %x, heads = 2)",
            "attention(%x, %x, %x, heads = 2, within = 100)",
        ),
    ),
    "relative_attention": (
        {"x": X, "p": "f32[8, 8]", "u": "f32[8]", "w": "f32[8]"},
        ("relative_attention(%x, %x, %x, %p, %u, %w, heads = 2)",),
    ),
    "split": ({"x": X}, ("%0, %1 = split(%x, parts = 2)", "%0, %1 = split(%x, sizes = [2, 6])")),
    "concat": ({"x": X}, ("concat(%x, %x)", "concat(%x, %x, axis = time)")),
    "slice": ({"x": X}, ("slice(%x, axis = channel, begin = 2, end = 4)", "slice(%x, axis = time, stride = 2)")),
    "pad": ({"x": X}, ("pad(%x, axis = channel, after = 8)", "pad(%x, axis = time, before = 1)")),
    "reshape": ({"x": X}, ("reshape(%x, axes = [batch B, time T, feature 2, channel 4])",)),
    "transpose": ({"x": X}, ("transpose(%x, order = [0, 2, 1])",)),
    "split_channels": ({"x": X}, ("split_channels(%x, groups = 2)",)),
    "merge_channels": ({"x": F}, ("merge_channels(%x)",)),
    "dropout": ({"x": X}, ("dropout(%x, rate = 0.1)", "dropout(%x, rate = 0.1, kind = utterance)")),
    "layer_drop": ({"x": X}, ("layer_drop(%x, %x, rate = 0.1)",)),
    "reverse": ({"x": X}, ("reverse(%x)",)),
    "reduce_sum": ({"x": X}, ("reduce_sum(%x, axis = channel)", "reduce_sum(%x, axis = time)")),
}


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
    inputs, lines = EXAMPLES.get(definition.name, ({}, ()))
    if definition.name.startswith("reduce_"):
        inputs, lines = EXAMPLES["reduce_sum"]
        lines = tuple(line.replace("reduce_sum", definition.name) for line in lines)
    if _is_plain(definition):
        operands = [field.name for field in definition.fields]
        inputs, lines = (
            dict.fromkeys(operands, X),
            (f"{definition.name}({', '.join(f'%{name}' for name in operands)})",),
        )
    names = ", ".join(f"%{name}: {type_}" for name, type_ in inputs.items())
    if names:
        yield f"({names})"
    for line in lines:
        yield from _example(names, line)


def _example(inputs: str, line: str) -> Iterator[str]:
    line = line if line.startswith("%") else f"%0 = {line}"
    (op,) = parse_program(f"function @f({inputs}) {{ {line} }}").functions["f"].ops
    yield line
    yield from (f"    {type_text(result.type)}" for result in op.results)
    if op.operands:
        yield f"    {in_words(op.time)}"


def in_words(time: TimeBehaviour) -> str:
    """A time behaviour as a sentence of the catalogue."""
    if isinstance(time, Window):
        stride = f", one in {time.stride}" if time.stride > 1 else ""
        return f"window: {time.left} frames before, {time.right} after{stride} ({', '.join(time.operands)})"
    if isinstance(time, Recurrent):
        return f"recurrent: {', '.join(name for name, _ in time.states)} from frame to frame"
    if isinstance(time, Whole):
        return f"whole: {time.reason}"
    return "pointwise: frame t from frame t"
