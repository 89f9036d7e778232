"""The class of one instance: its layers and parameters, `forward`, and the `step` that carries state."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field
from keyword import iskeyword
from typing import ClassVar

from mctc.driver.names import identifier
from mctc.ir.program import Program, Quantization, State
from mctc.ir.types import Role, TensorType
from mctc.records import dataclass
from mctc.targets.torch.class_text import (
    Lines,
    camel,
    definition,
    frames_of,
    mapping_text,
    module_list,
    parameter_line,
    shape_text,
    shapes,
    singular,
    sizes,
    start_text,
    stated,
    without_docs,
)
from mctc.targets.torch.component import Component, Shared
from mctc.targets.torch.expressions.text import escaped, literal
from mctc.targets.torch.frame_loop import write_loop
from mctc.targets.torch.imports import IMPORTED
from mctc.targets.torch.layer_table import layer_of
from mctc.targets.torch.loops import Loop
from mctc.targets.torch.method import CLASS, Method, Writer
from mctc.targets.torch.parameters import StoredTensor
from mctc.targets.torch.quantize_text import constant_name
from mctc.targets.torch.rates import held_rates, lines
from mctc.targets.torch.streams import valid_input
from mctc.targets.torch.tree import Node, elements, index_text
from mctc.targets.torch.usual_start import starts_as_usual


@dataclass
class ClassNames:
    """Class names that are taken, and what stands under them: equal texts share a class."""

    taken: dict[str, str] = field(default_factory=lambda: dict.fromkeys(IMPORTED, ""))

    def claim(self, wanted: str, code: str) -> tuple[str, bool]:
        """A name for a class of this code, and whether it is new."""
        wanted = identifier(wanted)
        wanted = f"Block{wanted}" if wanted.startswith("_") else wanted
        wanted = f"{wanted}Block" if wanted in IMPORTED or iskeyword(wanted) else wanted
        name, number = wanted, 1
        while name in self.taken:
            if self.taken[name] == code:
                return name, False
            number += 1
            name = f"{wanted}{number}"
        self.taken[name] = code
        return name, True


@dataclass(frozen=True)
class ClassText:
    """A finished class: `imports` are the names it uses, `schemes` how it stores weights."""

    name: str
    lines: tuple[str, ...]
    imports: frozenset[str]
    schemes: frozenset[Quantization]


class ClassWriter:
    """Writes the classes of a component, inner ones first. `step` is None where the component can't be streamed.

    The language is torch; a subclass has another. base: the class of blocks. tensor: the type of a tensor. call: the
    method over whole utterances. start, started: arguments of `initial_state`, and those that it hands on. rounds: an
    empty list of blocks. annotates: whether classes name the types of their tensors.
    """

    base: ClassVar[str] = "Block"
    tensor: ClassVar[str] = "Tensor"
    call: ClassVar[str] = "forward"
    start: ClassVar[tuple[str, ...]] = ("batch: int = 1",)
    started: ClassVar[str] = "batch"
    rounds: ClassVar[str] = "nn.ModuleList()"
    annotates: ClassVar[bool] = True

    def __init__(
        self, program: Program, shared: Shared, whole: Component, step: Component | None, names: ClassNames
    ) -> None:
        self.program, self.shared, self.whole, self.names = program, shared, whole, names
        self.step = step
        self.stepped = {node.path: node for node in step.root.nodes()} if step else {}
        self.written: list[ClassText] = []
        self.schemes: set[Quantization] = set()

    def write(self) -> list[ClassText]:
        for node in inner_first(self.whole.root):
            self._class(node)
        return self.written

    def _class(self, node: Node) -> None:
        forward = Writer(self.whole, node, write_loop).write()
        step = self._step(node, forward)
        imports, self.schemes = set(forward.imports), set()
        body = self._init(node, imports)
        body += self._forward(node, forward, imports)
        if step is not None and self.step is not None:
            self.shared.steps.add(node.path)
            imports |= step.imports
            body += self._initial_state(step) + self._step_method(step, imports)
        state = self._state(step) if step is not None else []
        name, new = self.names.claim(self._wanted(node), "\n".join(without_docs([*state, *body])))
        self.shared.classes[node.path] = name
        if not new:
            return
        lines = [*state, f"class {CLASS}({self.base}):", f'    """{escaped(self._about(node))}"""', "", *body]
        text = tuple(line.replace(CLASS, name) for line in lines)
        imports |= {"Quantize"} if self.schemes else set()
        self.written.append(ClassText(name, text, frozenset(imports), frozenset(self.schemes)))

    def _step(self, node: Node, forward: Method) -> Method | None:
        """The step of a node, or None where it does nothing but what `forward` does."""
        if self.step is None or node.path not in self.stepped:
            return None
        step = Writer(self.step, self.stepped[node.path], write_loop).write()
        same = [line.replace("self.run(layer, ", "layer(") for line in forward.lines] == step.lines
        if same and not step.fields and not forward.valid:
            return None
        return step

    def _wanted(self, node: Node) -> str:
        if node.index is None:
            return camel(self.program.instances.get(node.path, node.element))
        parent = node.path[: -len(node.element) - 1]
        return camel(self.program.instances.get(parent, elements(parent)[-1].partition(".")[0])) + camel(
            singular(node.attribute)
        )

    def _about(self, node: Node) -> str:
        if node.index is not None:
            return f"One round of `{node.path.rpartition('.')[0]}`."
        block = self.program.instances.get(node.path)
        return f"Block `{block}`, as `{node.path}`." if block else f"Component `{node.path}` of {self.program.name}."

    # what the module holds

    def _init(self, node: Node, imports: set[str]) -> Lines:
        made: dict[str, str] = {}
        annotations: Lines = []
        layers, classes = self.whole.layers, self.shared.classes
        children = {child.path: child for child in node.children}
        for name in [*self.shared.held.inside.get(node.path, ()), *children]:
            path = f"{node.path}.{elements(name[len(node.path) + 1 :])[0]}"
            attribute = elements(path)[-1].partition(".")[0]
            if attribute in made:
                continue
            if path in layers:
                made[attribute] = f"self.{attribute} = {self._layer(path, imports)}"
            elif path in children and children[path].index is not None:
                made[attribute] = f"self.{attribute} = {self._rounds(attribute, node, imports)}"
            elif path in children:
                made[attribute] = f"self.{attribute} = {classes[path]}()"
            elif path == name:
                made[attribute] = self._parameter(self.shared.held.tensors[name], imports)
                annotations.append(f"    {attribute}: {self.tensor}")
            else:
                made |= self._without_ops(f"{node.path}.{attribute}", node, imports)
        for attribute, text in self.shared.buffers.get(node.path, {}).items():
            made[attribute] = self._buffer(attribute, text)
            annotations.append(f"    {attribute}: {self.tensor}")
            imports.add(text.partition("(")[0].partition(".")[0])
        for attribute, how in self.shared.quantizers.get(node.path, {}).items():
            made[attribute] = f"self.{attribute} = FakeQuantizer({self._scheme(how)})"
            imports.add("FakeQuantizer")
        for attribute in held_rates(node, self.whole.rates):
            made[attribute] = f"self.{attribute} = 0.0"
        if node is self.whole.root:
            made |= {line: line for line in lines(node, self.whole.rates)}
        if not made:
            return []
        head = [*annotations, ""] if annotations and self.annotates else []
        return [
            *head,
            "    def __init__(self) -> None:",
            "        super().__init__()",
            *(f"        {line}" for line in made.values() if line),
            "",
        ]

    def _without_ops(self, path: str, node: Node, imports: set[str]) -> dict[str, str]:
        """The tensors of an instance in which nothing is computed, in modules that do no more than hold them."""
        made = {path.rpartition(".")[2]: ""}
        for name in self.shared.held.inside.get(path, ()):
            tensor = self.shared.held.tensors[name]
            *owners, _ = name[len(node.path) + 1 :].split(".")
            place = "self"
            for part, behind in zip(owners, [*owners[1:], ""]):
                holds = self.rounds if behind.isdigit() else f"{self.base}()"
                place, line = (
                    (f"{place}[{part}]", f"{place}.append({holds})")
                    if part.isdigit()
                    else (f"{place}.{part}", f"{place}.{part} = {holds}")
                )
                imports |= {"nn"} if behind.isdigit() else set()
                made.setdefault(place, line)
            made[name] = self._parameter(tensor, imports).replace("self.", f"{place}.", 1)
        return made

    def _parameter(self, tensor: StoredTensor, imports: set[str]) -> str:
        """The line that makes a parameter."""
        return parameter_line(tensor, imports, self.schemes)

    def _buffer(self, attribute: str, text: str) -> str:
        """The line that makes a constant."""
        return f"self.register_buffer({literal(attribute)}, {text}, persistent=False)"

    def _rounds(self, attribute: str, node: Node, imports: set[str]) -> str:
        """The rounds of a repeat."""
        imports.add("nn")
        return module_list(attribute, node, self.shared.classes)

    def _layer(self, path: str, imports: set[str]) -> str:
        op = self.whole.layers[path]
        layer = layer_of(op)
        assert layer is not None, "component.layers_of asked"
        imports.add(layer.name)
        starts: dict[str, str] = {}
        schemes: dict[str, str] = {}
        for attribute in layer.parameters:
            tensor = self.shared.held.tensors.get(f"{path}.{attribute}")
            if tensor is None:
                continue
            if not starts_as_usual(tensor, op, attribute):
                starts[attribute] = start_text(tensor, imports)
            if tensor.quantization is not None:
                schemes[attribute] = self._scheme(tensor.quantization)
        extra = [f"initial={mapping_text(starts)}"] if starts else []
        if schemes:
            weights = [name for name in layer.parameters if name.startswith("weight")]
            alike = len(set(schemes.values())) == 1 and len(schemes) == len(weights)
            extra.append(f"quantize={next(iter(schemes.values())) if alike else mapping_text(schemes)}")
        return layer.constructor(op, *extra)

    def _scheme(self, how: Quantization) -> str:
        self.schemes.add(how)
        return constant_name(how)

    # methods

    def _forward(self, node: Node, method: Method, imports: set[str]) -> Lines:
        arguments = [f"{name}: {self.tensor}" for name, _ in method.arguments]
        before: Lines = []
        if node is self.whole.root and self.whole.takes_lengths:
            arguments.append("lengths: Tensor | None = None")
            before = self._masks(method, imports)
        elif method.valid:
            arguments.append("valid: Tensor")
        docs = shapes(method, self.whole.function, frames=node is not self.whole.root and method.valid)
        if before:
            docs += " `lengths` (B,) count the frames of each utterance."
        lines = definition(self.call, arguments, self._tensors(method), docs, [*before, *method.lines])
        return lines + self._output_lengths(node)

    def _masks(self, method: Method, imports: set[str]) -> Lines:
        """Silence in every frame behind an utterance, up to whole strides, and which frames then count."""
        whole = self.whole
        lines = [line for name, value in method.arguments for line in frames_of(name, whole.frames(value), imports)]
        if method.valid:
            name = next(name for name, value in method.arguments if value is whole.framed)
            imports.add("valid_frames")
            lines.append(f"valid = valid_frames({name}, lengths{stated(multiple=whole.multiple)})")
        return lines

    def _output_lengths(self, node: Node) -> Lines:
        if node is not self.whole.root or not self.whole.takes_lengths or not self.whole.strides:
            return []
        stride = self.whole.strides
        value = "lengths" if stride == 1 else f"-(-lengths // {stride})"
        value += f" + {self.whole.in_front}" if self.whole.in_front else ""
        docs = "Frames of the result for utterances of `lengths` (B,) frames."
        return definition("output_lengths", ["lengths: Tensor"], "Tensor", docs, [f"return {value}"])

    def _step_method(self, method: Method, imports: set[str]) -> Lines:
        arguments = [f"{name}: {self.tensor}" for name, _ in method.arguments]
        returns = self._tensors(method)
        if method.fields:
            arguments.append(f"state: {CLASS}State")
            inner = returns.removeprefix("tuple[").removesuffix("]")
            returns = f"tuple[{inner}, {CLASS}State]"
        assert self.step is not None, "only then there is a method"
        docs = f"One chunk: {shapes(method, self.step.function, chunk=True)}"
        streams = self._streams(method, imports)
        if streams:
            docs += " `valid` says which frames exist, (S,) for all streams or (B, S)."
        return definition("step", arguments, returns, docs, [*streams, *method.lines])

    def _tensors(self, method: Method) -> str:
        """What a method returns."""
        count = len(method.results)
        return self.tensor if count == 1 else f"tuple[{', '.join([self.tensor] * count)}]"

    def _streams(self, method: Method, imports: set[str]) -> Lines:
        """The line that gives each stream its row of valid frames, in the step of a component that takes them."""
        assert self.step is not None, "only then there is a method"
        valid = valid_input(self.step.function)
        if method.node is not self.step.root or valid is None or valid.type.rank == 1:
            return []
        imports.add("each_stream")
        names = {value: name for name, value in method.arguments}
        first = next(name for value, name in names.items() if Role.BATCH in value.type.roles and value is not valid)
        return [f"{names[valid]} = each_stream({names[valid]}, {first}, self.kind)"]

    def _initial_state(self, method: Method) -> Lines:
        if not method.fields:
            return []
        parts = []
        for _, item in method.fields:
            if isinstance(item, State):
                parts.append(self._zeros(item.value.type))
            elif isinstance(item, Loop):
                parts.append(f"tuple(layer.initial_state({self.started}) for layer in self.{item.nodes[0].attribute})")
            else:
                index = index_text(item, self.stepped[method.node.path])
                parts.append(f"self.{item.attribute}{index}.initial_state({self.started})")
        made = [f"return {CLASS}State({', '.join(parts)})"]
        docs = "The state before the first frame: zeros."
        return definition("initial_state", self.start, f"{CLASS}State", docs, made)

    def _zeros(self, type_: TensorType) -> str:
        """A state before the first frame."""
        return f"self.zeros({', '.join(sizes(type_))})"

    def _state(self, method: Method) -> Lines:
        if not method.fields:
            return []
        lines = [f"class {CLASS}State(NamedTuple):", f'    """What `{CLASS}.step` carries from chunk to chunk."""', ""]
        for name, item in method.fields:
            if isinstance(item, State):
                lines.append(f"    {name}: {self.tensor}  # {escaped(shape_text(item.value.type, batch=True))}")
            elif isinstance(item, Loop):
                lines.append(f"    {name}: tuple[{self.shared.classes[item.nodes[0].path]}State, ...]")
            else:
                lines.append(f"    {name}: {self.shared.classes[item.path]}State")
        return [*lines, "", ""]


def inner_first(node: Node) -> Iterable[Node]:
    for child in node.children:
        yield from inner_first(child)
    yield node
