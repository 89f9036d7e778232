"""Parameters of the program: `param` declarations with their types and initialisers."""

from __future__ import annotations

from math import prod

from mctc.diagnostics.diagnostic import Note
from mctc.diagnostics.near import did_you_mean
from mctc.ir.location import Origin
from mctc.ir.program import Initializer, Parameter, Source
from mctc.ir.types import TensorType
from mctc.language import syntax as s
from mctc.language.arithmetic import is_number
from mctc.language.calls import Calls
from mctc.language.failure import fail
from mctc.language.scope import Frame
from mctc.language.session import Session, authored
from mctc.language.values import describe, plain, show_type

# The names of positional arguments of the initialisation rules in mctc.initializers.
ARGUMENTS: dict[str, tuple[str, ...]] = {
    "constant": ("value",),
    "uniform": ("bound",),
    "normal": ("std",),
    "truncated_normal": ("std", "cut"),
    "kaiming_uniform": ("fan_in", "gain"),
    "kaiming_normal": ("fan_in", "gain"),
    "xavier_uniform": ("fan_in", "fan_out", "gain"),
    "xavier_normal": ("fan_in", "fan_out", "gain"),
    "orthogonal": ("gain", "parts"),
    "delta_bias": ("low", "high"),
}
UNTRAINED = (
    "trained numbers come by --weights; for those of a file that are not trained write `name = constant(file = ...)`"
)
ABOVE_ZERO = frozenset({"fan_in", "fan_out", "cut", "parts"})


class Parameters:
    """Declares parameters. The name of one is the instance path and its own name, joined by a point."""

    def __init__(self, session: Session, calls: Calls) -> None:
        self.session, self.calls = session, calls

    def declare(self, node: s.Parameter, frame: Frame) -> str:
        """Adds the parameter to the program and returns its full name."""
        before = frame.elements.claim(node.name.text, node.name.span)
        if before is not None:
            note = Note("it is taken here", before)
            raise fail("MCT0105", f"the path element `{node.name.text}` is taken", node.name.span, None, note)
        type_ = self.calls.types.type(node.type, frame, parameter=True)
        if not type_.is_static:
            symbols = sorted({symbol for extent in type_.extents for symbol in extent.symbols})
            message = f"a parameter has a fixed shape, but {show_type(type_)} depends on {', '.join(symbols)}"
            raise fail("MCT0106", message, node.type.span, "use the extents of channel axes only")
        name = frame.child(node.name.text)
        origin = Origin(authored(node.span, frame).place, frame.path)
        initial = self._initial(node, type_, frame)
        self.session.step(node.span)
        self.session.program.sources[name] = (type_, initial)
        self.session.program.parameters[name] = Parameter(name, type_, Source(name, type_), origin=origin)
        return name

    def _initial(self, node: s.Parameter, type_: TensorType, frame: Frame) -> Initializer:
        """The initialiser: as written; else He's uniform rule for matrices and kernels, and zeros for vectors."""
        written = node.initial
        if written is None:
            fan_in = prod(type_.shape[1:])
            return Initializer("kaiming_uniform", (("fan_in", float(fan_in)),)) if type_.rank > 1 else Initializer()
        if isinstance(written, s.Call) and isinstance(written.callee, s.Name):
            return self._rule(written, written.callee.text, type_, frame)
        value = plain(self.calls.evaluator.constant(written, frame, "an initial value"))
        if not is_number(value):
            hint = "write a number, or a rule: `= normal(std = 0.02)`"
            raise fail("MCT0107", f"a parameter starts from a number, not from {describe(value)}", written.span, hint)
        if value in (0, 1):
            return Initializer("ones" if value else "zeros")
        return Initializer("constant", (("value", float(value)),))

    def _rule(self, call: s.Call, rule: str, type_: TensorType, frame: Frame) -> Initializer:
        from mctc.initializers import INITIALIZERS

        if rule not in INITIALIZERS:
            hint = did_you_mean(rule, INITIALIZERS) or f"the rules are {', '.join(INITIALIZERS)}"
            raise fail("MCT0107", f"there is no initialiser `{rule}`", call.callee.span, hint)
        names = ARGUMENTS.get(rule, ())
        given: dict[str, float] = {}
        for index, argument in enumerate(call.arguments):
            key = argument.name.text if argument.name else names[index] if index < len(names) else None
            if key not in names:
                hint = f"it takes {', '.join(names)}" if names else "it takes none"
                hint = UNTRAINED if (rule, key) == ("constant", "file") else hint
                raise fail("MCT0091", f"`{rule}` has no such argument", argument.span, hint)
            value = plain(self.calls.evaluator.constant(argument.value, frame, "an argument of an initialiser"))
            if not is_number(value):
                more = UNTRAINED if rule == "constant" and isinstance(value, str) else None
                raise fail("MCT0107", f"`{key}` of `{rule}` is a number, not {describe(value)}", argument.span, more)
            if key in ABOVE_ZERO and value <= 0:
                raise fail("MCT0107", f"`{key}` of `{rule}` is above 0, not {value}", argument.span)
            given[key] = float(value)
        given |= {key: value for key, value in _fans(type_).items() if key in names and key not in given}
        needed = [key for key in ("value", "bound", "fan_in") if key in names and key not in given]
        if needed:
            raise fail("MCT0090", f"`{rule}` needs `{needed[0]}`", call.span)
        parts = given.get("parts", 1)
        if rule == "orthogonal" and (type_.rank < 2 or type_.shape[0] % parts):
            told = f"`orthogonal` starts matrices, in `parts` of as many rows each; this is {show_type(type_)}"
            raise fail("MCT0107", told, call.span)
        return Initializer(rule, tuple(sorted(given.items())))


def _fans(type_: TensorType) -> dict[str, float]:
    """How many entries a matrix or kernel [out, in, ...] reads for each that it makes, and how many read each."""
    if type_.rank < 2:
        return {}
    taps = prod(type_.shape[2:])
    return {"fan_in": float(type_.shape[1] * taps), "fan_out": float(type_.shape[0] * taps)}
