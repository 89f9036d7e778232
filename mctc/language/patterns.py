"""Tensor types in headers: patterns that bind names to the caller's axes, and types that results must have."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isfinite

from mctc.diagnostics.diagnostic import Note
from mctc.diagnostics.near import did_you_mean
from mctc.diagnostics.source import Span
from mctc.ir.dims import Extent
from mctc.ir.domain import Domain, Interval
from mctc.ir.types import Axis, DType, Role, TensorType, shared
from mctc.language import syntax as s
from mctc.language.domains import domain_of, is_bound
from mctc.language.expressions import Evaluator
from mctc.language.failure import fail
from mctc.language.limits import EXTENT
from mctc.language.scope import Frame
from mctc.language.values import Constant, Measure, describe, plain, show_type


class Types:
    """Evaluates and matches the types that authors write."""

    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluator = evaluator

    def dtype(self, node: s.Type) -> DType:
        try:
            return DType(node.dtype.text)
        except ValueError:
            known = [d.value for d in DType]
            hint = did_you_mean(node.dtype.text, known) or f"the element types are {', '.join(known)}"
            raise fail("MCT0052", f"there is no element type `{node.dtype.text}`", node.dtype.span, hint) from None

    def axis(self, node: s.Expression, frame: Frame, parameter: bool) -> list[Axis]:
        """The axis, or axes for `...`, that an extent in a type stands for."""
        if isinstance(node, s.Spread):
            if frame.scope.spread is None:
                raise fail("MCT0096", "`...` stands for no axes here", node.span, "it needs an input with `...`")
            return list(frame.scope.spread)
        value = self.evaluator.constant(node, frame, "an extent")
        extent = self.extent(value, node.span)
        role = value.role if isinstance(value, Measure) else None
        if parameter:
            return [Axis(Role.VOCABULARY if role is Role.VOCABULARY else Role.PLAIN, extent)]
        return [Axis(role or Role.CHANNEL, extent)]

    def extent(self, value: Constant, span: Span) -> Extent:
        """A value as an extent. Raises FaultError unless it is a whole number within the limit or symbolic."""
        value = plain(value)
        if isinstance(value, Measure):
            return value.extent
        if isinstance(value, bool) or not isinstance(value, int):
            raise fail("MCT0072", f"an extent must be a whole number, not {describe(value)}", span)
        if not 0 < value <= EXTENT:
            raise fail("MCT0009", f"an axis of {value:,} entries is out of range", span, f"an axis has 1 to {EXTENT:,}")
        return Extent.of(value)

    def type(self, node: s.Type, frame: Frame, parameter: bool = False) -> TensorType:
        """The tensor type that `node` stands for in `frame`."""
        dtype = self.dtype(node)
        axes = [axis for part in node.axes for axis in self.axis(part, frame, parameter)]
        return shared(TensorType(dtype, tuple(axes), self.bound(node, dtype, frame)))

    def bound(self, node: s.Type, dtype: DType, frame: Frame) -> Extent | None:
        """The bound of token ids: all that a type says of its entries but for the inputs of components."""
        if node.domain is None:
            return None
        self._only_bound(node.domain, dtype)
        assert isinstance(node.domain, s.Limits)
        value = node.domain.limits[0].value
        return self.extent(self.evaluator.constant(value, frame, "a bound"), value.span)

    @staticmethod
    def _only_bound(node: s.Domain, dtype: DType) -> None:
        if not is_bound(node) or dtype is not DType.I32:
            message = "what entries may be is said of the inputs of a component"
            raise fail("MCT0108", message, node.span, "elsewhere only i32 tensors (token ids) have a bound, `< n`")

    def input(self, node: s.Type, frame: Frame) -> tuple[TensorType, Domain | None]:
        """The type of a component's input, and its domain where the type does not say it all."""
        dtype = self.dtype(node)
        if node.domain is None or (dtype is DType.I32 and is_bound(node.domain)):
            return self.type(node, frame), None
        axes = tuple(axis for part in node.axes for axis in self.axis(part, frame, False))
        domain = domain_of(node.domain, dtype, self.evaluator, frame)
        if not (domain.whole and domain.least >= 0 and isfinite(domain.greatest)):
            return TensorType(dtype, axes), domain
        bound = self.extent(int(domain.greatest) + 1, node.domain.span)
        return TensorType(dtype, axes, bound), None if isinstance(domain, Interval) and domain.least == 0 else domain

    def match(
        self, node: s.TensorInput, type_: TensorType, span: Span, frame: Frame, open_names: Callable[[str], bool]
    ) -> None:
        """Binds the open names of a pattern to the axes of an argument's type and checks the rest.

        A name is open when nothing is bound to it yet. Raises FaultError at `span`, the argument.
        """
        pattern = node.type
        if pattern.domain is not None:
            self._only_bound(pattern.domain, self.dtype(pattern))
        if type_.dtype is not self.dtype(pattern):
            message = f"`{node.name.text}` takes {pattern.dtype.text} entries, but this is {show_type(type_)}"
            raise fail("MCT0098", message, span, None, Note("the input is declared here", pattern.span))
        axes, parts = self._aligned(node, type_, span, frame)
        later = []
        for part, axis in zip(parts, axes, strict=True):
            if isinstance(part, s.Name) and open_names(part.text):
                frame.scope.values[part.text] = Measure(axis.extent, axis.role)
            else:
                later.append((part, axis))
        for part, axis in later:
            (wanted,) = self.axis(part, frame, False)
            if wanted.extent != axis.extent:
                message = f"`{node.name.text}` is {show_type(type_)}, but `{part.span.text}` is {wanted.extent} here"
                raise fail("MCT0097", message, span, None, Note("the input is declared here", pattern.span))

    def _aligned(
        self, node: s.TensorInput, type_: TensorType, span: Span, frame: Frame
    ) -> tuple[Sequence[Axis], list[s.Expression]]:
        """The axes of the argument beside the parts of the pattern; a leading `...` has taken its share."""
        parts, axes = list(node.type.axes), type_.axes
        if parts and isinstance(parts[0], s.Spread):
            taken = len(axes) - len(parts) + 1
            if taken >= 0:
                if frame.scope.spread is None:
                    frame.scope.spread = axes[:taken]
                if frame.scope.spread != axes[:taken]:
                    message = f"`{node.name.text}` has other leading axes than the inputs before it"
                    raise fail("MCT0097", message, span, None, Note("the input is declared here", node.type.span))
                axes, parts = axes[taken:], parts[1:]
        if len(parts) != len(axes) or any(isinstance(part, s.Spread) for part in parts):
            message = (
                f"`{node.name.text}` takes {node.type.span.text}, but this has {type_.rank} axes: {show_type(type_)}"
            )
            raise fail("MCT0096", message, span, None, Note("the input is declared here", node.type.span))
        return axes, parts

    def check_result(self, node: s.Result, type_: TensorType, span: Span, frame: Frame, what: str) -> TensorType:
        """The declared type of a result. Raises FaultError when the inferred `type_` differs in extents or entries."""
        declared = self.type(node.type, frame)
        if declared.dtype is not type_.dtype or declared.extents != type_.extents:
            message = f"{what} is {show_type(type_)}, but {show_type(declared)} is declared"
            raise fail("MCT0099", message, span, None, Note("declared here", node.type.span))
        return declared
