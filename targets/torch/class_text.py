"""Text of the parts of a class: methods, docstrings, shapes, parameters and modules."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from textwrap import wrap

from mctc.ir.program import Function, Quantization, Value
from mctc.ir.types import Role, TensorType
from mctc.targets.torch.expressions.text import escaped, literal, number
from mctc.targets.torch.frames import Frames
from mctc.targets.torch.initial_text import initial_text
from mctc.targets.torch.method import Method
from mctc.targets.torch.parameters import StoredTensor
from mctc.targets.torch.quantize_text import constant_name
from mctc.targets.torch.tree import Node, rounds_of
from mctc.targets.torch.wrap import WIDTH

Lines = list[str]


def frames_of(name: str, frames: Frames | None, imports: set[str]) -> Lines:
    """The line that makes an input's frames those of its utterances, in whole strides."""
    if frames is None:
        return []
    text, up, down = name, frames.rate.numerator, frames.rate.denominator
    silence = f", value={number(frames.silence).text}" if frames.silence else ""
    if frames.batched:
        imports |= {"masked", "valid_frames"}
        text = f"masked({text}, valid_frames({text}, lengths{stated(up=up, down=down)}){silence})"
    if frames.multiple > 1:
        imports.add("whole_strides")
        text = f"whole_strides({text}, {frames.multiple}{silence})"
    return [f"{name} = {text}"] if text != name else []


def stated(**numbers: int) -> str:
    """Keyword arguments, but those that are 1."""
    return "".join(f", {name}={number}" for name, number in numbers.items() if number != 1)


def parameter_line(tensor: StoredTensor, imports: set[str], schemes: set[Quantization]) -> str:
    """`self.new_parameter("A_log", (512, 16), log_arange())`."""
    quantize = ""
    if tensor.quantization is not None:
        schemes.add(tensor.quantization)
        quantize = f", {constant_name(tensor.quantization)}"
    attribute = tensor.name.rpartition(".")[2]
    return f"self.new_parameter({literal(attribute)}, {tensor.shape}, {start_text(tensor, imports)}{quantize})"


def start_text(tensor: StoredTensor, imports: set[str]) -> str:
    text = initial_text(tensor.start, tensor.recipe)
    imports |= set(re.findall(r"(\w+)\(", text))
    return text


def definition(name: str, arguments: Sequence[str], returns: str, docs: str, body: Lines) -> Lines:
    head = f"    def {name}({', '.join(['self', *arguments])}) -> {returns}:"
    return [head, *docstring(docs), *(f"        {line}" for line in body), ""]


def docstring(text: str) -> Lines:
    text = escaped(text)
    lines = wrap(f'"""{text}"""', WIDTH - 8, break_on_hyphens=False)
    if len(lines) > 1:
        lines = [*wrap(f'"""{text}', WIDTH - 8, break_on_hyphens=False), '"""']
    return [f"        {line}" for line in lines]


def without_docs(lines: Iterable[str]) -> list[str]:
    """The lines that say what a class does: docstrings name shapes and places, which may differ."""
    kept: list[str] = []
    inside = False
    for line in lines:
        quotes = line.count('"""')
        if not inside and not quotes:
            kept.append(line.partition("  # ")[0])
        inside = inside != (quotes == 1)
    return kept


def shape_text(type_: TensorType, *, batch: bool = False) -> str:
    """`(B, 256, 1, T/4)`; of a step, whose batch the derivation sets to one, with `batch`."""
    texts = ["B" if batch and axis.role is Role.BATCH else str(axis.extent) for axis in type_.axes]
    return f"({', '.join(texts)}{',' if len(texts) == 1 else ''})"


def sizes(type_: TensorType) -> list[str]:
    return ["batch" if axis.role is Role.BATCH else str(axis.extent) for axis in type_.axes]


def shapes(method: Method, function: Function, *, chunk: bool = False, frames: bool = False) -> str:
    """`x (B, 80, 1, T) to (B, 256, 1, T/4).`, and behind an input of the component what its entries may be."""
    domains = {v: f" {function.domains[v.name]}" for v in function.inputs if v.name in function.domains}

    def text(value: Value) -> str:
        return shape_text(value.type, batch=chunk)

    taken = [f"{name} {text(value)}{domains.get(value, '')}" for name, value in method.arguments]
    taken += ["valid (B, T)"] if frames else []
    return f"{', '.join(taken)} to {', '.join(map(text, method.results))}."


def camel(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def singular(name: str) -> str:
    return name[:-1] if name.endswith("s") and len(name) > 1 else name


def module_list(attribute: str, parent: Node, classes: dict[str, str]) -> str:
    rounds = rounds_of(attribute, parent)
    names = [classes[child.path] for child in rounds]
    if [child.index for child in rounds] != [*range(len(rounds))]:
        return "nn.ModuleDict(" + mapping_text({str(child.index): f"{classes[child.path]}()" for child in rounds}) + ")"
    if len(set(names)) == 1:
        return f"nn.ModuleList({names[0]}() for _ in range({len(names)}))"
    return f"nn.ModuleList([{', '.join(f'{name}()' for name in names)}])"


def mapping_text(items: dict[str, str]) -> str:
    return "{" + ", ".join(f"{literal(key)}: {value}" for key, value in items.items()) + "}"
