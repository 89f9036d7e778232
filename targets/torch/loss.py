"""What the loss of a model is written with: its text, and calls of the model's components."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import field

from mctc.driver.names import Names
from mctc.ir.program import Function, Value
from mctc.ir.types import Role, TensorType
from mctc.objectives.auxiliary import Auxiliary
from mctc.objectives.components import Hearing
from mctc.objectives.taken import Result
from mctc.records import dataclass
from mctc.targets.torch.added import Added, Posteriors
from mctc.targets.torch.expressions.text import literal
from mctc.targets.torch.method import TAKEN

# Variables of the method.
LOCALS = frozenset(
    {"targets", "target_lengths", "features", "valid", "before", "predicted", "logits", "decoded", "order"}
)
LOCALS |= {"frames", "spans", "added", "loss", "consistency"}
# The order of axes in what a caller gives.
CALLERS = (Role.BATCH, Role.TIME, Role.LABEL, Role.FEATURE, Role.CHANNEL, Role.VOCABULARY)


@dataclass(frozen=True)
class Loss:
    """The text of a method: arguments behind self, what its docstring says, its body, and the names that it imports.

    heads: what the model holds for auxiliary objectives, by name.
    """

    arguments: tuple[str, ...]
    docs: str
    body: tuple[str, ...]
    imports: frozenset[str]
    heads: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Calls:
    """Calls of components.

    lengths: components that take the lengths of utterances. counted: those that say how many frames come out. given:
    arguments of each beside its inputs, which are parameters of the model itself. masks: components that take which
    frames exist, as `valid`. multiple: of each component, the number of frames that its whole strides make up. tables:
    the text of tensors of the model, by their names. auxiliaries: what is added to the objective, which has a `weight`.
    """

    lengths: Collection[str]
    counted: Collection[str]
    given: Mapping[str, Sequence[str]]
    masks: Collection[str]
    multiple: Mapping[str, int]
    tables: Mapping[str, str] = field(default_factory=dict)
    auxiliaries: Sequence[Auxiliary] = ()
    weight: float = 1.0

    def text(self, function: Function, arguments: Sequence[str]) -> str:
        more = ["lengths=lengths"] if function.name in self.lengths else []
        more += ["valid=valid"] if function.name in self.masks else []
        return f"self.{function.name}({', '.join([*arguments, *more, *self.given[function.name]])})"


class Heard:
    """Lines that call the components over time, and the variables that hold their results."""

    def __init__(self, hearing: Hearing, others: Sequence[Function], calls: Calls) -> None:
        """`others` are components that are called after them."""
        self.hearing, self.calls = hearing, calls
        encoder, features = hearing.encoder, hearing.features
        self.names = Names()
        for name in sorted({*TAKEN, *LOCALS}):
            self.names.reserve(name)
        self.arguments = {value: self.names.fresh(value.name) for value in (features, *hearing.beside)}
        self.made = self._variables(encoder)
        self.inner: dict[str, str] = {}  # variables of what parts of a component give, by the component
        self.imports: set[str] = set()
        given = ["features" if value is features else self.argument(value) for value in encoder.inputs]
        self.lines = [f"features = {self.argument(features)}"]
        if any(function.name in calls.masks for function in (encoder, *hearing.between, *others)):
            self.imports.add("valid_frames")
            multiple = calls.multiple[encoder.name]
            more = f", multiple={multiple}" if multiple > 1 else ""
            self.lines.append(f"valid = valid_frames(features, lengths{more})")
        self._call(encoder, self.made, given)
        for function in hearing.between:
            results = self._variables(function)
            self._call(function, results, [self.result(function, value) for value in function.inputs])
            self.made |= results

    def _variables(self, function: Function) -> dict[Result, str]:
        return {
            Result(function.name, name): self.names.fresh(f"{function.name}_{name}") for name, _ in function.results
        }

    def _call(self, function: Function, results: Mapping[Result, str], arguments: Sequence[str]) -> None:
        called = f"{', '.join(results.values())} = {self.calls.text(function, arguments)}"
        paths = [each.path for each in self.calls.auxiliaries if each.function == function.name and each.path]
        if not paths:
            self.lines.append(called)
            return
        inner = self.inner[function.name] = self.names.fresh(f"{function.name}_parts")
        watched = ", ".join(literal(path) for path in dict.fromkeys(paths))
        self.lines += [f"with outputs(self.{function.name}, {watched}) as {inner}:", f"    {called}"]
        self.imports.add("outputs")

    def takes(self, value: Value) -> str:
        """Adds an argument of the loss for an input of a component; its text as the component takes it."""
        self.arguments[value] = self.names.fresh(value.name)
        return self.argument(value)

    def argument(self, value: Value) -> str:
        return laid_out(value.type, self.arguments[value])

    def result(self, function: Function, value: Value) -> str:
        """The variable of the result that an input of a component over time takes."""
        return self.made[self.hearing.taken(function, value)]

    @property
    def frames(self) -> str:
        """The number of frames of the encoder's result for each utterance."""
        name, stride = self.hearing.encoder.name, self.hearing.stride
        if name in self.calls.counted:
            return f"self.{name}.output_lengths(lengths)"
        return "lengths" if stride == 1 else f"-(-lengths // {stride})"

    def loss(
        self,
        docs: str,
        body: Sequence[str],
        value: str,
        imports: Iterable[str],
        labels: str = "U",
        posteriors: Posteriors | None = None,
        blank: int = 0,
        per_label: bool = True,
    ) -> Loss:
        """The method, which gives `value` behind its body and what auxiliary objectives add.

        labels: the extent of the labels' axis in what else it takes. posteriors: of CTC, where the objective has some.
        blank: of the objective. per_label: whether its loss counts a label, and not an utterance.
        """
        counted = "frames" if any(line.startswith("frames = ") for line in body) else self.frames
        added = Added(self, counted, blank, per_label, posteriors)
        features, *beside = self.arguments.items()
        head = [features[1], "lengths", "targets", "target_lengths", *(name for _, name in beside), *added.targets]
        more = "".join(f", {described(name, value.type, labels)}" for value, name in beside)
        more += "".join(f", {told}" for told in added.targets.values())
        told = f"{described(features[1], features[0].type)}, targets (B, U), the lengths of both (B,){more}"
        return Loss(
            (*(f"{name}: Tensor" for name in head), *added.arguments),
            f"{docs}: {told}, to the mean over the batch.{added.docs}",
            (*self.lines, *body, *added.to(value)),
            frozenset({*self.imports, *imports, *added.imports}),
            added.heads,
        )


def laid_out(type_: TensorType, name: str) -> str:
    """A tensor as a caller has it, axes in the order of CALLERS, as a component takes it: (B, T, C) as (B, C, 1, T)."""
    laid = type_.roles
    order = _callers_order(type_)
    turned = [order.index(i) for i, role in enumerate(laid) if role is not Role.UNIT]
    moved = [i for i, at in enumerate(turned) if i != at]
    if len(moved) == 2:
        name += f".transpose({moved[0]}, {moved[1]})"
    elif moved:
        name += f".permute({', '.join(map(str, turned))})"
    if Role.UNIT not in laid:
        return name
    last = max(i for i, role in enumerate(laid) if role is Role.UNIT)
    return f"{name}[{', '.join('None' if role is Role.UNIT else ':' for role in laid[: last + 1])}]"


def described(name: str, type_: TensorType, labels: str = "U") -> str:
    """'mel (B, T, 80)': a name and the shape that a caller gives it."""
    named = {Role.BATCH: "B", Role.LABEL: labels}
    axes = [type_.axes[i] for i in _callers_order(type_)]
    shape = [named.get(axis.role, str(axis.extent)) for axis in axes]
    return f"{name} ({', '.join(shape)}{',' if len(shape) == 1 else ''})"


def _callers_order(type_: TensorType) -> list[int]:
    """Positions of the axes of a laid-out type in the order of CALLERS; axes that the layout added are left out."""
    axes = [i for i, axis in enumerate(type_.axes) if axis.role is not Role.UNIT]
    return sorted(axes, key=lambda i: CALLERS.index(type_.axes[i].role))


def first(name: str, function: Function) -> str:
    """What the results of a component are bound to where the first alone is read: `logits, _`."""
    return ", ".join([name, *("_" for _ in function.results[1:])])
