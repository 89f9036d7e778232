"""The text of model.py: a class for every block of the spec, in one file that reads from the inside out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

from mctc.driver.names import place
from mctc.emit.unsupported import UnsupportedError
from mctc.ir.ops.convolution import Conv1d, Conv2d
from mctc.ir.ops.leaf import parameter_of
from mctc.ir.program import Function, Initializer, Op, Program, State
from mctc.ir.types import TensorType
from mctc.records import dataclass
from mctc.targets.mlx.expressions import expression
from mctc.targets.mlx.expressions.elementwise import DTYPES
from mctc.targets.mlx.expressions.sequence import CONV1D, CONV2D
from mctc.targets.mlx.imports import IMPORTED, import_lines, siblings
from mctc.targets.mlx.layer_table import layer_call, layer_of
from mctc.targets.torch.associations import gathered_alike
from mctc.targets.torch.class_text import camel, mapping_text, sizes
from mctc.targets.torch.classes import ClassNames, ClassText, ClassWriter
from mctc.targets.torch.component import Component, Shared, layers_of
from mctc.targets.torch.expressions import Expression, Text
from mctc.targets.torch.expressions.text import escaped
from mctc.targets.torch.loops import Loop
from mctc.targets.torch.parameters import Parameters, StoredTensor
from mctc.targets.torch.tree import Node, rounds_of
from mctc.targets.torch.wrap import wrapped

ABOUT = (
    "Tensors are (batch, frames, channels). A component called takes whole utterances; its `step` takes one chunk of a",
    "stream and its state, and returns the new state. Weights bind by the names of the spec.",
)
ZEROS = Initializer("zeros")


class Held(Parameters):
    """Every parameter of a program is a tensor of the module as it is, kernels in MLX's order of axes."""

    def __init__(self, program: Program) -> None:
        self.program, self.moved = program, set(program.parameters)
        self.orders = _kernels(program, self)
        self.tensors = {
            name: StoredTensor(name, self._shape(name), ZEROS, each.recipe, None)
            for name, each in program.parameters.items()
        }

    def _shape(self, name: str) -> tuple[int, ...]:
        shape = self.program.parameters[name].type.shape
        return tuple(shape[axis] for axis in self.orders.get(name, range(len(shape))))


def _kernels(program: Program, held: Parameters) -> dict[str, tuple[int, ...]]:
    """The order in which MLX has the axes of the kernels that a layer holds, by parameter."""
    layers = (layers_of(function, program, held, layer_of) for function in program.functions.values())
    orders = {Conv1d: CONV1D, Conv2d: CONV2D}
    held_by = {path: op for each in layers for path, op in each.items()}
    return {f"{path}.weight": orders[type(op)] for path, op in held_by.items() if type(op) in orders}


class MlxComponent(Component):
    """A component in MLX's words. It counts no utterances of a padded batch."""

    imported: ClassVar[frozenset[str]] = IMPORTED
    repeat: ClassVar[str] = "layer({})"
    constant: ClassVar[str] = "_"  # MLX takes what begins so for no parameter
    batches: ClassVar[bool] = False
    takes_lengths = False

    def express(
        self,
        op: Op,
        operands: Sequence[Text | None],
        valid: Text | None = None,
        held: Mapping[str, Expression] = {},
    ) -> Expression:
        try:
            return expression(op, operands)
        except UnsupportedError as error:
            raise UnsupportedError(f"{place(op)}: {error}", error.hint) from error

    def layer_call(
        self,
        built: Op,
        op: Op,
        module: str,
        operands: Sequence[Text | None],
        valid: Text | None,
    ) -> Expression:
        return layer_call(built, op, module, operands)

    def zeros(self, like: str, sizes: Sequence[str]) -> Expression:
        return Expression(f"mx.zeros([{', '.join(sizes)}], {like}.dtype)", frozenset({"mx"}))

    def joined(self, rows: str, axis: int) -> Expression:
        return Expression(f"mx.concatenate({rows}, axis={axis})", frozenset({"mx"}))


class MlxClasses(ClassWriter):
    """The classes of a component as mlx.nn has them."""

    base: ClassVar[str] = "nn.Module"
    tensor: ClassVar[str] = "mx.array"
    call: ClassVar[str] = "__call__"
    start: ClassVar[tuple[str, ...]] = ("batch: int = 1", "dtype: mx.Dtype = mx.float32")
    started: ClassVar[str] = "batch, dtype"
    rounds: ClassVar[str] = "[]"
    annotates: ClassVar[bool] = False

    def _layer(self, path: str, imports: set[str]) -> str:
        op = self.whole.layers[path]
        layer = layer_of(op)
        assert layer is not None, "layers_of asked"
        imports.add(layer.name.partition(".")[0])
        return layer.constructor(op)

    def _parameter(self, tensor: StoredTensor, imports: set[str]) -> str:
        imports.add("mx")
        return f"self.{tensor.name.rpartition('.')[2]} = mx.zeros({tensor.shape})"

    def _buffer(self, attribute: str, text: str) -> str:
        return f"self.{attribute} = {text}"

    def _rounds(self, attribute: str, node: Node, imports: set[str]) -> str:
        rounds = rounds_of(attribute, node)
        names = [self.shared.classes[child.path] for child in rounds]
        if [child.index for child in rounds] != [*range(len(rounds))]:
            return mapping_text({str(child.index): f"{name}()" for child, name in zip(rounds, names)})
        if len(set(names)) == 1:
            return f"[{names[0]}() for _ in range({len(names)})]"
        return f"[{', '.join(f'{name}()' for name in names)}]"

    def _zeros(self, type_: TensorType) -> str:
        dtype = "dtype" if type_.dtype.is_float else DTYPES[type_.dtype]
        listed = sizes(type_)
        return f"mx.zeros(({', '.join(listed)}{',' if len(listed) == 1 else ''}), {dtype})"


@dataclass(frozen=True)
class ModuleText:
    """An emitted module: `name` is the model's class, `siblings` the modules that it imports.

    states: by component that streams, its states in the order in which they lie in its state. shared: by component,
    the tensors of the model itself that its call is given behind its inputs, and those of its step.
    """

    name: str
    text: str
    siblings: frozenset[str]
    states: Mapping[str, tuple[str, ...]]
    shared: Mapping[str, tuple[list[str], list[str]]]
    orders: Mapping[str, tuple[int, ...]]


def write_module(whole: Program, deployed: Program, source: str) -> ModuleText:
    """The module of a program and its steps. Raises UnsupportedError for an op that has no MLX form."""
    whole, deployed = gathered_alike(whole, deployed)
    held, names = Held(whole), ClassNames(dict.fromkeys(IMPORTED, ""))
    texts: list[ClassText] = []
    components: dict[str, str] = {}
    states: dict[str, tuple[str, ...]] = {}
    shared_tensors: dict[str, tuple[list[str], list[str]]] = {}
    for name, function in whole.functions.items():
        shared = Shared(whole, held, layers_of(function, whole, held, layer_of))
        component = MlxComponent(function, shared, streams=False)
        step = _step(deployed.functions.get(name), shared)
        texts += MlxClasses(whole, shared, component, step, names).write()
        components[name] = shared.classes[name]
        states[name] = tuple(_states(step, step.root)) if step is not None else ()
        shared_tensors[name] = _shared(component), [] if step is None else _shared(step)
    model, _ = names.claim(camel(whole.name), "the model")
    own = [tensor for tensor in held.tensors.values() if tensor.name.partition(".")[0] not in components]
    texts.append(_model(whole, model, components, own))
    used = frozenset[str]().union(*(text.imports for text in texts))
    body = "\n".join(wrapped([*_head(whole, texts, source, used), *_bodies(texts)])) + "\n"
    return ModuleText(model, body, siblings(used), states, shared_tensors, held.orders)


def _step(function: Function | None, shared: Shared) -> MlxComponent | None:
    return None if function is None else MlxComponent(function, shared, streams=True)


def _shared(component: Component) -> list[str]:
    """Tensors of the model that a method of the component takes, in their order."""
    return [name for value in component.flow.inputs(component.root) if (name := parameter_of(value))]


def _states(component: Component, node: Node) -> Iterable[str]:
    """Names of the states of a node, as its state class has them one after the other."""
    for item in component.fields(node):
        if isinstance(item, State):
            yield item.name
        else:
            for inner in item.nodes if isinstance(item, Loop) else (item,):
                yield from _states(component, inner)


def _model(whole: Program, name: str, components: Mapping[str, str], own: Sequence[StoredTensor]) -> ClassText:
    lines = [f"class {name}(nn.Module):", f'    """The model {escaped(whole.name)}."""', ""]
    lines += ["    def __init__(self) -> None:", "        super().__init__()"]
    holders = dict.fromkeys(tensor.name.rpartition(".")[0] for tensor in own if "." in tensor.name)
    lines += [f"        self.{holder} = nn.Module()" for holder in holders]
    lines += [f"        self.{tensor.name} = mx.zeros({tensor.shape})" for tensor in own]
    lines += [f"        self.{path} = {cls}()" for path, cls in components.items()]
    lines += ["", "", f"Model = {name}"]
    return ClassText(name, tuple(lines), frozenset({"nn"}), frozenset())


def _head(whole: Program, texts: Sequence[ClassText], source: str, used: frozenset[str]) -> Iterable[str]:
    about = f"{whole.name} as MLX modules, made by mctc from {source}: change the spec, not this file."
    yield from (f'"""{escaped(about)}', "", *ABOUT, '"""', "", "from __future__ import annotations", "")
    if any("NamedTuple" in line for text in texts for line in text.lines):
        yield from ("from typing import NamedTuple", "")
    yield from ("import mlx.core as mx", "import mlx.nn as nn")
    if lines := list(import_lines(used)):
        yield from ("", *lines)


def _bodies(texts: Sequence[ClassText]) -> Iterable[str]:
    for text in texts:
        kept = list(text.lines)
        while kept and not kept[-1]:
            kept.pop()
        yield from ("", "", *kept)
