"""The text of an emitted module: a class for every block of the spec, in one file that reads from the inside out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mctc.ir.ops.leaf import parameter_of
from mctc.ir.program import Function, Program, Quantization
from mctc.records import dataclass
from mctc.targets.torch.class_text import camel, definition, parameter_line
from mctc.targets.torch.classes import ClassNames, ClassText, ClassWriter
from mctc.targets.torch.component import Component, Shared, layers_of, tensor_text
from mctc.targets.torch.expressions.text import escaped
from mctc.targets.torch.imports import import_lines, siblings
from mctc.targets.torch.loss import Calls, Loss
from mctc.targets.torch.objective import loss_of
from mctc.targets.torch.parameters import Parameters
from mctc.targets.torch.quantize_text import constant_name, constant_text
from mctc.targets.torch.streams import by_stream
from mctc.targets.torch.wrap import wrapped

ABOUT = (
    "Tensors are laid out as the Neural Engine computes, (B, C, 1, S), time last. `forward` takes whole utterances,",
    "`step` one chunk of a stream and its state; the names of the state_dict are the spec's, so `mctc build --weights`",
    "takes a checkpoint as it is. Beside this file lie the modules that it imports; all of them need torch alone.",
)


@dataclass(frozen=True)
class ModuleText:
    """An emitted module: `classes` are the components' class names, `siblings` the modules it imports."""

    name: str
    text: str
    classes: Mapping[str, str]
    siblings: frozenset[str]


def write_module(whole: Program, derived: Mapping[str, Function], source: str) -> ModuleText:
    """The module of a program after its common passes. `derived` are the step functions of components that stream.

    Raises UnsupportedError for an op that has no torch form.
    """
    held, names = Parameters(whole), ClassNames()
    texts: list[ClassText] = []
    components: dict[str, str] = {}
    whole_components: dict[str, Component] = {}
    root = Shared(whole, held, {})
    for name, function in whole.functions.items():
        shared = Shared(whole, held, layers_of(function, whole, held))
        component = Component(function, shared, streams=False)
        step = None
        if name in derived:
            known = [node.path for node in component.root.nodes()]
            step = Component(by_stream(whole, derived[name]), shared, streams=True, known=known)
        texts += ClassWriter(whole, shared, component, step, names).write()
        components[name] = shared.classes[name]
        whole_components[name] = component
    model = _root(root, components, loss_of(whole, _calls(whole_components, root)), names)
    texts.append(model)
    used = frozenset({"Block"}).union(*(text.imports for text in texts))
    lines = [*_head(whole, texts, source, used)]
    for text in texts:
        lines += ["", "", *_trimmed(text.lines)]
    body = "\n".join(wrapped(lines)) + "\n"
    return ModuleText(model.name, body, components, siblings(used))


def _calls(components: Mapping[str, Component], root: Shared) -> Calls:
    """How the loss calls the components."""
    lengths = {name for name, component in components.items() if component.takes_lengths}
    held = root.held
    return Calls(
        lengths=lengths,
        counted={name for name in lengths if components[name].strides},
        given={name: _parameters_given(component, root) for name, component in components.items()},
        masks={name for name, each in components.items() if name not in lengths and each.needs_valid(each.root)},
        multiple={name: component.multiple for name, component in components.items()},
        tables={name: tensor_text(held, name, "").text for name in held.tensors},
    )


def _parameters_given(component: Component, root: Shared) -> list[str]:
    """Arguments for tensors of the model itself that a component uses: `table=self.table`."""
    names: dict[str, None] = {}
    for value in component.flow.inputs(component.root):
        if component.is_computed(value):
            names.update(dict.fromkeys(source.name for source in component.sources(value)))
        elif name := parameter_of(value):
            names[name] = None
    return [f"{name.rpartition('.')[2]}={tensor_text(root.held, name, '').text}" for name in names]


def _root(root: Shared, components: Mapping[str, str], loss: Loss | None, names: ClassNames) -> ClassText:
    """The class of the whole model: its components, the parameters that they share, its loss."""
    whole, imports, schemes = root.program, {"Block"}, set[Quantization]()
    name, _ = names.claim(camel(whole.name), "the model")
    lines = [f"class {name}(Block):", f'    """The model {escaped(whole.name)}."""', ""]
    own = [tensor for tensor in root.held.tensors.values() if tensor.name.partition(".")[0] not in components]
    lines += [f"    {tensor.name}: Tensor" for tensor in own] + ([""] if own else [])
    lines += ["    def __init__(self) -> None:", "        super().__init__()"]
    for tensor in own:
        lines.append(f"        {parameter_line(tensor, imports, schemes)}")
    for attribute, how in root.quantizers.get("", {}).items():
        lines.append(f"        self.{attribute} = FakeQuantizer({constant_name(how)})")
        imports.add("FakeQuantizer")
        schemes.add(how)
    lines += [f"        self.{path} = {cls}()" for path, cls in components.items()]
    lines += [] if loss is None else [f"        self.{head} = {made}" for head, made in loss.heads.items()]
    lines.append("")
    if loss is not None:
        imports |= loss.imports
        lines += definition("forward", list(loss.arguments), "Tensor", loss.docs, list(loss.body))
    if schemes:
        imports.add("Quantize")
    return ClassText(name, tuple(lines), frozenset(imports), frozenset(schemes))


def _head(whole: Program, texts: Iterable[ClassText], source: str, used: frozenset[str]) -> Iterable[str]:
    about = f"{whole.name} as PyTorch modules, made by mctc from {source}: change the spec, not this file."
    yield f'"""{escaped(about)}'
    yield ""
    yield from ABOUT
    yield '"""'
    yield ""
    yield "from __future__ import annotations"
    yield ""
    if any("NamedTuple" in line for text in texts for line in text.lines):
        yield "from typing import NamedTuple"
        yield ""
    if any("torch." in line for text in texts for line in text.lines):
        yield "import torch"
    yield "from torch import Tensor, nn" if "nn" in used else "from torch import Tensor"
    if "F" in used:
        yield "from torch.nn import functional as F"
    yield ""
    yield from import_lines(used)
    schemes = {how for text in texts for how in text.schemes}
    if schemes:
        yield ""
        yield from sorted(map(constant_text, schemes))


def _trimmed(lines: Iterable[str]) -> list[str]:
    kept = list(lines)
    while kept and not kept[-1]:
        kept.pop()
    return kept
