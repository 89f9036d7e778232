"""One class per op: operands and attributes as fields, type inference, numpy reference and time behaviour.

A program holds instances of these classes: `op.x`, `op.bias`, `op.stride` are what the fields of the class say.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np

from mctc.diagnostics.errors import MctcError
from mctc.ir.attribute_value import Array, Attributes
from mctc.ir.example import Example
from mctc.ir.fields import REQUIRED, Attribute, Default, OperandField
from mctc.ir.inference_error import InferenceError
from mctc.ir.location import Origin
from mctc.ir.sign import Sign
from mctc.ir.time import POINTWISE, Recurrent, TimeBehaviour, Whole, Window
from mctc.ir.types import DType, Role, TensorType
from mctc.ir.value import Value

__all__ = [
    "DECLARED",
    "FLOATS",
    "REQUIRED",
    "Array",
    "DeclarationError",
    "InferenceError",
    "Op",
    "axis_position",
    "declare",
    "ieee",
    "role_named",
    "sliding",
]

FLOATS = (DType.F32, DType.F16)


def ieee() -> AbstractContextManager[None]:
    """Arithmetic as IEEE 754 has it: infinity where a value is too large, NaN where there is none. Whether a result is
    finite is for its reader to check and to tell with the spec's line; numpy would warn on standard error."""
    return np.errstate(over="ignore", invalid="ignore", divide="ignore")


class DeclarationError(MctcError):
    """An op whose declaration does not give what it has to."""


def role_named(role: object) -> Role:
    """The role of that name. Raises InferenceError when there is none."""
    try:
        return Role(role)
    except ValueError:
        known = ", ".join(known.value for known in Role)
        raise InferenceError(f"there is no role {role!r}; there are {known}") from None


def axis_position(type_: TensorType, axis: object, operand: str) -> int:
    if isinstance(axis, str):
        if axis == "sequence":
            index = type_.sequence
        else:
            index = next((i for i, a in enumerate(type_.axes) if a.role.value == axis), None)
            if index is None and axis == "channel":
                index = next((i for i, a in enumerate(type_.axes) if a.role.is_channel), None)
        if index is None:
            known = dict.fromkeys(each.role.value for each in type_.axes)
            raise InferenceError(
                f"{type_} has no {axis} axis", operand, f"it has {', '.join(known)}" if known else None
            )
        return index
    if isinstance(axis, int) and not isinstance(axis, bool) and -type_.rank <= axis < type_.rank:
        return axis % type_.rank
    raise InferenceError(f"{type_} has no axis {axis!r}", operand)


class Op:
    """Base of all ops, and one application of one. Made by Builder.emit, which infers the result types; never changed
    after. Subclasses are registered by `declare`; their documentation is the class docstring.

    Programs before and after a pass share the ops that the pass left alone. `verified`: the types around it when
    they were inferred last, by the builder or the verifier.

    nonzero: operands at whose zeros the op is not finite; a stream keeps frames that do not exist away from them.
    takes: element types of its operands; None where it only moves entries, or `infer` asks by itself.
    forms: how a target writes the op, by the target's name, for an op that the target does not know (docs/plugins.md).
    numbers: attributes that an artifact stores as numbers of the type that it computes in.
    masks: whether a finite number stands for minus infinity in it, so that its operands can outgrow it.
    outside_training: the operand that the op gives as it is outside of training, of an op that acts in training alone.
    rounds: whether `reference` takes `rounding`, to round what engines round inside of the op as well.
    keeps: 'whole' where results are whole numbers if its operands are, 'marks' where they are ones and zeros as well.
    example: what the op's page shows, and what every target is tried with.
    drawn: how a random spec applies it, to give a tensor like x: text with `{x}`, `{partner}` (another tensor like x),
    `{bounded}` (from -1 to 1), `{positive}` (from 0.5 to 1.5); '' where a generator of its own writes it.
    matrices: operands that are a matrix of weights, to be stored compressed, and along which axis outputs lie.
    """

    name: ClassVar[str]
    effects: ClassVar[bool] = False
    outside_training: ClassVar[str] = ""
    nonzero: ClassVar[tuple[str, ...]] = ()
    takes: ClassVar[tuple[DType, ...] | None] = None
    forms: ClassVar[Mapping[str, Callable[..., object]]] = {}
    numbers: ClassVar[tuple[str, ...]] = ()
    masks: ClassVar[bool] = False
    rounds: ClassVar[bool] = False
    keeps: ClassVar[Literal["", "whole", "marks"]] = ""
    example: ClassVar[Example] = Example({}, ())
    drawn: ClassVar[str] = ""
    matrices: ClassVar[Mapping[str, int]] = {}
    fields: ClassVar[tuple[OperandField, ...]] = ()
    defaults: ClassVar[Mapping[str, Default]] = {}  # of the attributes; REQUIRED where one must be given
    checked: ClassVar[Mapping[str, Callable[[str, object], object]]] = {}  # what reads each attribute

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        own = [member for member in vars(cls).values() if isinstance(member, OperandField)]
        for index, each in enumerate(own, len(cls.fields)):
            each.index = index
        cls.fields = (*cls.fields, *own)
        attributes = [member for member in vars(cls).values() if isinstance(member, Attribute)]
        cls.defaults = {**cls.defaults, **{each.key: each.default for each in attributes}}
        cls.checked = {**cls.checked, **{each.key: each.read for each in attributes}}

    def __init__(self, operands: tuple[Value | None, ...], attributes: Attributes, origin: Origin) -> None:
        self.operands, self.attributes, self.origin = operands, attributes, origin
        self.results: tuple[Value, ...] = ()
        self.verified: tuple[TensorType, ...] = ()

    def typed(self, types: Sequence[TensorType]) -> Op:
        """This op, with results of these types."""
        self.results = tuple([Value(type_, "", self, i) for i, type_ in enumerate(types)])
        return self

    def around(self) -> tuple[TensorType, ...]:
        """The types of its operands and results."""
        return tuple([value.type for value in (*self.operands, *self.results) if value is not None])

    @property
    def result(self) -> Value:
        return self.results[0]

    def operand(self, name: str) -> Value | None:
        """The operand declared as `name`, or None when it is absent."""
        return next((self.operands[each.index] for each in self.fields if each.name == name), None)

    def present(self) -> Iterator[Value]:
        """The operands that are not absent."""
        return (value for value in self.operands if value is not None)

    def infer(self) -> Sequence[TensorType]:
        """Result types. Raises InferenceError in the author's terms."""
        raise InferenceError(f"{self.name} declares no inference")

    def reference(self, *operands: Any, **options: Any) -> Sequence[Array]:
        """Results for numpy operands (None for an absent optional one; a tuple for a variadic one). An op that `rounds`
        takes `rounding` too."""
        raise InferenceError(f"{self.name} declares no reference")

    def acts(self) -> bool:
        """For an op that acts in training alone: whether it does so with these attributes."""
        return True

    def sign(self, *operands: Sign) -> Sign:
        """What all entries of the results have for a sign where the operands' have these. Those that are absent are
        left off. An op that says nothing is safe: guards are written behind it that may not be needed."""
        return Sign.ANY

    def macs(self) -> int:
        """Multiply-accumulates of an application to static types, by its definition: whatever a pass makes of it, and
        whatever is masked.

        Counted are products that are summed: of convolutions, projections, matrix products, attention, scans and
        recurrent cells. Everything elementwise, norms, softmax and look-ups in tables count nothing, as in
        torch.utils.flop_counter, which gives twice these figures. Attention counts every pair of a query and a key
        that it is given, seen or not.
        """
        return 0

    def outgrown(self, *operands: Array) -> bool:
        """For an op that `masks`: whether its operands are so large that the number is no longer far below the others.
        Those that are absent are left off."""
        return False

    def number(self, name: str) -> float:
        """The value of one of `numbers`; that of one which is left to the op, where the attribute is None."""
        value: float = getattr(self, name)
        return value

    def behaviour(self) -> TimeBehaviour:
        """How frames of the results depend on frames of the operands, along the axis that the op runs along: time, or
        labels where there is no time."""
        return POINTWISE

    def behaviour_along(self, role: Role) -> TimeBehaviour:
        """The same along the axis of `role`, time or label; pointwise where the op runs along another one."""
        sequences = (value.type.sequence_role for value in self.present())
        return self.behaviour() if next(filter(None, sequences), role) is role else POINTWISE

    def padded(self, read: Collection[int] | None = None, *, whole: bool = True) -> Value | None:
        """The operand whose frames have to be told apart, those that exist and those of padding behind an utterance;
        None where padding changes no frame of the results that is no padding.

        read: the results that anything reads, all if None: a recurrent op's frames see no padding after them, but its
        final state does. whole: an utterance has whole strides, so that a window of so many frames begins and ends
        inside. A convolution is causal up to its padding on the right; what it sees beyond the end is zeros for an
        utterance alone.
        """
        first, time = next(self.present(), None), self.time if self.operands else None
        if isinstance(time, Recurrent):
            return first if read is None or {result for _, result in time.states} & set(read) else None
        if isinstance(time, Window):
            return first if time.right > (time.stride - 1 if whole else 0) else None
        return first if isinstance(time, Whole) else None

    @property
    def time(self) -> TimeBehaviour:
        """What `behaviour` says. Raises DeclarationError where that is no time behaviour."""
        return self._behaviour(self.behaviour())

    def along(self, role: Role) -> TimeBehaviour:
        """What `behaviour_along` says. Raises DeclarationError where that is no time behaviour."""
        return self._behaviour(self.behaviour_along(role))

    def _behaviour(self, found: TimeBehaviour) -> TimeBehaviour:
        if not isinstance(found, TimeBehaviour):
            raise DeclarationError(f"`behaviour` of op {self.name} gives {found!r:.60}, where a time behaviour belongs")
        return found

    def __repr__(self) -> str:
        return f"{self.name}({', '.join(map(repr, self.operands))})"


DECLARED: dict[str, type[Op]] = {}
"""Ops by name; `mctc.ir.declared.registry` has the built-in ones in it."""


Declared = TypeVar("Declared", bound=Op)


def declare(cls: type[Declared]) -> type[Declared]:
    """Registers an op declaration. Raises ValueError when the name is taken."""
    known = DECLARED.get(cls.name)
    if known is not None and (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
        raise ValueError(f"op {cls.name!r} is declared twice: in {known.__module__} and in {cls.__module__}")
    DECLARED[cls.name] = cls
    return cls


def sliding(array: Array, axis: int, kernel: int, stride: int, dilation: int) -> Array:
    """Windows of `kernel` taps along `axis`; the taps become a new last axis. A view."""
    span = dilation * (kernel - 1) + 1
    windows = np.lib.stride_tricks.sliding_window_view(array, span, axis=axis)
    index: list[slice] = [slice(None)] * windows.ndim
    index[axis], index[-1] = slice(None, None, stride), slice(None, None, dilation)
    return windows[tuple(index)]
