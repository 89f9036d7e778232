"""One component of a program on its way to a class: its tree, what each instance holds, which frames exist."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import field
from fractions import Fraction
from functools import cached_property
from math import lcm
from types import MappingProxyType
from typing import ClassVar

from mctc.driver.names import identifier, place
from mctc.ir.dims import Extent
from mctc.ir.ops.leaf import Leaf, ParameterOp, parameter_of
from mctc.ir.program import Function, Op, Program, Quantization, Source, State, Value
from mctc.ir.recipes import leaves
from mctc.ir.sign import Sign, sign_of
from mctc.ir.time import Pointwise
from mctc.ir.types import Role
from mctc.records import dataclass
from mctc.streaming.lengths import dimensions
from mctc.targets.torch.expressions import Expression, Text, UnsupportedError, expression
from mctc.targets.torch.expressions.text import literal
from mctc.targets.torch.frames import Frames, at_rate, frames_axis, in_front_of, is_counted, times_of
from mctc.targets.torch.imports import IMPORTED
from mctc.targets.torch.instance_paths import around, inside
from mctc.targets.torch.layer_table import LayerClass, layer_call, layer_of
from mctc.targets.torch.loops import Loop, with_loops
from mctc.targets.torch.parameters import Parameters
from mctc.targets.torch.rates import rates_of
from mctc.targets.torch.reserved import is_reserved
from mctc.targets.torch.scan_fusion import Fusions
from mctc.targets.torch.tree import Flow, Node, grow


def layers_of(
    function: Function, program: Program, held: Parameters, layer_of: Callable[[Op], LayerClass | None] = layer_of
) -> dict[str, Op]:
    """The ops that a layer class holds with its parameters, by instance path."""
    ops_of: dict[str, list[Op]] = {}
    for op in function.ops:
        if op.operands:
            ops_of.setdefault(op.origin.path, []).append(op)
    sources, filled = inside(program.sources), {outer for path in ops_of for outer in around(path)}
    found: dict[str, Op] = {}
    for path, ops in ops_of.items():
        layer = layer_of(ops[0]) if len(ops) == 1 else None
        if layer is None or path == function.name or path in filled:
            continue
        names = {attribute: ops[0].operand(operand) for attribute, operand in layer.parameters.items()}
        bound = {f"{path}.{attribute}": value for attribute, value in names.items() if value is not None}
        owned = set(sources.get(path, ()))
        if bound and owned == set(bound) and all(_is_parameter(v, name, held) for name, v in bound.items()):
            found[path] = ops[0]
    return found


def _is_parameter(value: Value, name: str, held: Parameters) -> bool:
    op = value.owner
    return isinstance(op, ParameterOp) and op.parameter == name and name in held.moved


@dataclass(eq=False)
class Shared:
    """What the whole function and the step of a component have in common, filled from the inside out.

    classes: class names by instance path. steps: paths whose class has a `step`. By path and attribute: constants
    (buffers), and the quantisers of parameters that are computed from tensors of the checkpoint.
    """

    program: Program
    held: Parameters
    layers: Mapping[str, Op]
    classes: dict[str, str] = field(default_factory=dict)
    steps: set[str] = field(default_factory=set)
    buffers: dict[str, dict[str, str]] = field(default_factory=dict)
    quantizers: dict[str, dict[str, Quantization]] = field(default_factory=dict)


class Component:
    """A component's whole function, or its step, by instances.

    The language of its methods is torch; a subclass has another. imported: names that no local variable may have.
    batches: whether it tells utterances of a padded batch apart. repeat: how `forward` calls a round of a loop.
    constant: what names of constants begin with.
    """

    imported: ClassVar[frozenset[str]] = IMPORTED
    batches: ClassVar[bool] = True
    repeat: ClassVar[str] = "self.run(layer, {})"
    constant: ClassVar[str] = ""

    def __init__(
        self, function: Function, shared: Shared, *, streams: bool, known: Collection[str] | None = None
    ) -> None:
        """known: paths of the instances that have classes, where a step may have more than the whole function."""
        self.function, self.shared, self.streams = function, shared, streams
        self.layers = shared.layers
        self.root = grow(function, shared.layers, known)
        self.flow = Flow(function, self.root)
        self.masks = {op: mask for op in function.ops if (mask := self._mask(op)) is not None}
        self.ones = {op: masks for op in function.ops if (masks := self._ones(op))}
        self.fusions = Fusions(self.flow, set(self.masks))
        self._items: dict[Node, list[Op | Node | Loop]] = {}

    def items(self, node: Node) -> list[Op | Node | Loop]:
        """What runs in a node, in order. Asked for after the classes of the nodes inside are named."""
        if node not in self._items:
            self._items[node] = with_loops(node, self.flow, self.shared.classes)
        return self._items[node]

    # the language

    def express(
        self, op: Op, operands: Sequence[Text | None], valid: Text | None = None, held: Mapping[str, Expression] = {}
    ) -> Expression:
        """What computes an op. Raises UnsupportedError for one without a form."""
        return expression(op, operands, valid, held)

    def layer_call(
        self, built: Op, op: Op, module: str, operands: Sequence[Text | None], valid: Text | None
    ) -> Expression:
        """The call of a layer that was made for `built`."""
        return layer_call(built, op, module, operands, valid)

    def zeros(self, like: str, sizes: Sequence[str]) -> Expression:
        """Zeros of these sizes, of the kind of `like`."""
        return Expression(f"{like}.new_zeros({', '.join(sizes)})")

    def joined(self, rows: str, axis: int) -> Expression:
        """A list of frames as one tensor."""
        return Expression(f"torch.cat({rows}, {axis})", frozenset({"torch"}))

    # the mask of a padded batch

    def valid(self, op: Op) -> Text | None:
        """The mask of the frames that an op sees, where padding behind an utterance would change its result."""
        return self.masks.get(op)

    def _mask(self, op: Op) -> Text | None:
        value = op.padded(self._read(op), whole=self.framed is not None) if self._tells_padding else None
        axis = None if value is None else frames_axis(value)
        return None if value is None or axis is None else self._exist(value, axis, op)

    def _ones(self, op: Op) -> Mapping[int, Text]:
        """The masks of operands, by place, that are one in padding: there they may be zero, where the op is not finite.
        0 * inf is no number, and outlives a mask in the gradients of what is multiplied with it."""
        found: dict[int, Text] = {}
        for at, (declared, value) in enumerate(zip(op.fields, op.operands)):
            if (
                declared.name not in op.nonzero
                or value is None
                or not self._tells_padding
                or sign_of(value) is Sign.ABOVE_ZERO
            ):
                continue
            axis = frames_axis(value)
            if axis is not None and value.type.roles[0] is Role.BATCH and is_counted(value.type.extents[axis]):
                found[at] = self._exist(value, axis, op)
        return found

    def _exist(self, value: Value, axis: int, op: Op) -> Text:
        return at_rate(self._mask_rate(value, axis, op), int(in_front_of(value.type.extents[axis])))

    def _read(self, op: Op) -> list[int]:
        """Which of its results anything reads."""
        return [i for i, value in enumerate(op.results) if value in self._outputs or value in self.flow.uses]

    @cached_property
    def _outputs(self) -> frozenset[Value]:
        return frozenset(self.function.outputs)

    @cached_property
    def _tells_padding(self) -> bool:
        """Whether what lies behind an utterance is kept from what counts."""
        return self.batches and not self.streams and not self._several_times

    @cached_property
    def _several_times(self) -> bool:
        """Whether it takes frames of several time dimensions: no one length counts them, so nothing is masked."""
        return len(dimensions([self.function], Role.TIME)) > 1

    def _mask_rate(self, value: Value, axis: int, op: Op) -> Fraction:
        """Frames of a value for each that utterances are counted in."""
        extent = value.type.extents[axis]
        if not is_counted(extent):
            raise UnsupportedError(
                f"{place(op)} must know which of {extent} frames exist in a batch of utterances of different lengths; "
                "a torch module knows that of multiples of the input's, and of so many with a known number in front"
            )
        return extent.coefficient(next(iter(extent.symbols), "")) / self._counted

    @cached_property
    def framed(self) -> Value | None:
        """The input whose frames utterances are counted in: one of T frames, or the one of most, n*T for a whole n."""
        found: list[tuple[Fraction, Value]] = []
        for value in self.function.inputs:
            axis = value.type.find(Role.TIME)
            if axis == value.type.rank - 1 and not self._several_times:
                times = times_of(value.type.extents[axis])
                found += [(times, value)] if times >= 1 and times.denominator == 1 else []
        return max(found, key=lambda each: each[0])[1] if found else None

    @cached_property
    def _counted(self) -> Fraction:
        """Frames that utterances are counted in, for one of the time dimension: 2 where they are those of 2*T."""
        axis = None if self.framed is None else self.framed.type.find(Role.TIME)
        return Fraction(1) if self.framed is None or axis is None else times_of(self.framed.type.extents[axis])

    def frames(self, value: Value) -> Frames | None:
        """The frames of an input that has time last; None for a value that is no such input."""
        axis = value.type.find(Role.TIME)
        if value not in self.function.inputs or axis is None or axis != value.type.rank - 1:
            return None
        rate = self._rate(value.type.extents[axis])
        multiple = self.multiple * rate
        if multiple.denominator != 1 or not rate:
            return None
        silence = self.function.domain(value).silence
        return Frames(rate, multiple.numerator, Role.BATCH in value.type.roles, silence)

    @cached_property
    def takes_lengths(self) -> bool:
        """Whether `forward` takes the lengths of the utterances: something in it sees more than a frame at a time."""
        if self.framed is None or self.streams:
            return False
        sees_more = any(not isinstance(op.time, Pointwise) for op in self.function.ops if op.operands)
        return sees_more or self.needs_valid(self.root)  # statistics of a batch are pointwise in evaluation alone

    @cached_property
    def multiple(self) -> int:
        """The number of frames that the whole strides of the component make up."""
        values = [*self.function.inputs, *(value for op in self.function.ops for value in op.results)]
        extents = {extent for value in values for extent in value.type.extents}
        return lcm(*(self._rate(extent).denominator for extent in extents))

    @cached_property
    def strides(self) -> int:
        """How many frames of the input make one of the result, or 0 where that is no whole number."""
        rates = {self._rate(extent) for extent in self._heard}
        alike = len(rates) == 1 and len({in_front_of(extent) for extent in self._heard}) == 1
        return next(iter(rates)).denominator if alike and next(iter(rates)).numerator == 1 else 0

    @property
    def in_front(self) -> int:
        """Frames of the results in front of an utterance's own, such as those of prompts."""
        return int(in_front_of(self._heard[0])) if self._heard else 0

    @cached_property
    def _heard(self) -> list[Extent]:
        types = [value.type for _, value in self.function.results]
        return [t.extents[axis] for t in types if (axis := t.find(Role.TIME)) is not None]

    @cached_property
    def _symbols(self) -> Sequence[str]:
        return dimensions([self.function], Role.TIME)

    def _rate(self, extent: Extent) -> Fraction:
        return Fraction(0) if self.framed is None else extent.coefficient(self._symbols[0]) / self._counted

    def needs_valid(self, node: Node) -> bool:
        """Whether a node's `forward` takes the mask."""
        return not self.streams and any(op in self.masks or op in self.ones for op in node.ops())

    # what acts in training alone

    @cached_property
    def rates(self) -> Mapping[Op, str]:
        """The attribute that holds an op's rate, where that differs from round to round of a repeat."""
        return rates_of(self.root, self._names)

    def _names(self, path: str) -> bool:
        """Whether a tensor or an instance has this name, or lies in one."""
        named = (*self.shared.held.tensors, *self.shared.program.instances)
        return any(each == path or each.startswith(f"{path}.") for each in named)

    # parameters and constants

    def leaf(self, op: Leaf, node: Node) -> Expression:
        """What a parameter or constant is written as in the methods of a node."""
        if isinstance(op, ParameterOp):
            return parameter_text(self.shared, op.parameter, node.path)
        return Expression(f"self.{self._buffer(op, node)}")

    def is_computed(self, value: Value) -> bool:
        """Whether a value is a parameter that no tensor of the module is held as."""
        op = value.owner
        return isinstance(op, ParameterOp) and op.parameter not in self.shared.held.moved

    def sources(self, value: Value) -> list[Source]:
        """The tensors that a parameter is computed from."""
        return list(leaves(self.shared.program.parameters[parameter_of(value)].recipe))

    def computed(self, value: Value, node: Node, tensors: Mapping[str, Expression]) -> Expression:
        """What a parameter is written as in the methods of a node that is given its tensors."""
        return parameter_text(self.shared, parameter_of(value), node.path, tensors)

    def _buffer(self, op: Op, node: Node) -> str:
        text = self.express(op, []).text
        buffers = self.shared.buffers.setdefault(node.path, {})
        for name, other in buffers.items():
            if other == text:
                return name
        hint = identifier(op.result.name or "constant")
        if self._names(f"{node.path}.{hint}") or is_reserved(hint):
            hint += "_constant"
        hint = self.constant + hint
        name = hint if hint not in buffers else f"{hint}_{len(buffers)}"
        buffers[name] = text
        return name

    # states

    def carriers(self, node: Node) -> list[Node | Loop]:
        """The items that carry states of their own from chunk to chunk."""
        found: list[Node | Loop] = []
        for item in self.items(node):
            inner = item.nodes[0] if isinstance(item, Loop) else item
            if isinstance(inner, Node) and self.flow.carried(inner):
                found.append(item)  # type: ignore[arg-type]
        return found

    def fields(self, node: Node) -> dict[State | Node | Loop, str]:
        """The fields of a node's state class: for its own states, then for the items that carry some."""
        named: dict[State | Node | Loop, str] = {}
        for state in self.flow.states.get(node, []):
            named[state] = _apart(_state_field(node, state), named.values())
        for item in self.carriers(node):
            named[item] = _apart(_item_field(item), named.values())
        return named

    def has_step(self, node: Node) -> bool:
        return self.streams and node.path in self.shared.steps


def parameter_text(
    shared: Shared, name: str, path: str, given: Mapping[str, Expression] = MappingProxyType({})
) -> Expression:
    """A parameter of the program in the methods of the instance at `path`, as the package will hold it.

    `given` are tensors of other instances, by name.
    """
    parameter, held = shared.program.parameters[name], shared.held
    text = held.value(parameter, lambda name: given[name] if name in given else tensor_text(held, name, path))
    if parameter.quantization is None or name in held.moved:
        return text
    attribute = f"{_inside(name, path).replace('.', '_')}_quantizer"
    shared.quantizers.setdefault(path, {})[attribute] = parameter.quantization
    return Expression(f"self.{attribute}({text.text})", text.imports)


def tensor_text(held: Parameters, name: str, path: str) -> Expression:
    """A tensor of the module: `self.A_log`, or `self.stored("weight")` where the package compresses it."""
    module, _, attribute = _inside(name, path).rpartition(".")
    owner = "".join(f"[{part}]" if part.isdigit() else f".{part}" for part in module.split(".") if part)
    compressed = held.tensors[name].quantization is not None
    return Expression(f"self{owner}.stored({literal(attribute)})" if compressed else f"self{owner}.{attribute}")


def _inside(name: str, path: str) -> str:
    return name.removeprefix(f"{path}.")


def _apart(wanted: str, taken: Collection[str]) -> str:
    """`wanted`, with a number where there is a field of that name: `layers.1` and `layers_1` want the same."""
    name, count = wanted, 1
    while name in taken:
        count += 1
        name = f"{wanted}_{count}"
    return name


def _item_field(item: Node | Loop) -> str:
    return _field(item.nodes[0].attribute if isinstance(item, Loop) else item.element)


def _state_field(node: Node, state: State) -> str:
    """'conv_context', 'h'."""
    return _field(state.name[len(node.path) + 1 :] if node.holds(state.name) else state.name)


def _field(name: str) -> str:
    """A name as a field of a named tuple, which begins with no underscore."""
    return identifier(name).lstrip("_") or "state"
