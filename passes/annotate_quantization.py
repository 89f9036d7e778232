"""The `quantize` section decides how each weight is stored."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import field, replace
from enum import Enum
from math import gcd

from mctc.diagnostics.diagnostic import LocatedError, Severity, diagnostic_at
from mctc.diagnostics.near import listing
from mctc.hardware.devices import find_device
from mctc.hardware.families import Family
from mctc.ir.ops.convolution import Conv1d, Conv2d
from mctc.ir.ops.leaf import ParameterOp
from mctc.ir.path_pattern import matches
from mctc.ir.program import Op, Parameter, Program, Quantization, QuantizeRule
from mctc.ir.recipes import leaves
from mctc.records import dataclass
from mctc.rewrite.base import Context, Pass, Stores
from mctc.rewrite.options import option
from mctc.rewrite.rewriter import drop_dead

SMALLEST = 2048  # entries; below, scales and tables cost what compression saves (coremltools' own threshold)
NARROWEST = 8  # entries a row: each row carries an fp16 scale
LEAST_GROUP = 8


class QuantizationError(LocatedError):
    """A rule that asks for what leaves the Neural Engine."""

    def __init__(self, message: str, rule: QuantizeRule, *, hint: str) -> None:
        super().__init__("MCT0147", message, rule.origin.location, hint=hint)


@dataclass(frozen=True)
class _Use:
    """An op that reads a parameter, and as which operand. axis: of its output channels, where that is a matrix."""

    op: Op
    operand: str

    @property
    def axis(self) -> int | None:
        return self.op.matrices.get(self.operand)


@dataclass(frozen=True)
class _Weight:
    """A parameter, the rule that decides about it, what reads it, and along which axis its output channels lie."""

    parameter: Parameter
    rule: QuantizeRule
    uses: Sequence[_Use]
    axis: int

    @property
    def rows(self) -> int:
        return self.parameter.type.shape[self.axis]

    @property
    def too_small(self) -> bool:
        size = self.parameter.type.size
        return size < SMALLEST or size // self.rows < NARROWEST


@dataclass(frozen=True)
class AnnotateQuantization(Pass):
    """Marks weights as int8, int4 or palettised by the first rule of the `quantize` section that matches their names.

    Weights of depthwise convolutions are not palettised (ANE-QT-015); small tensors, kernels that are cut for the
    device and all that is no matrix of weights (norms, biases, A and D of a scan) stay in fp16. A table that is an
    output layer too is stored alike wherever it is read: with a scale for each row.
    """

    name = "annotate-quantization"
    promise = Stores()
    after = ("split-dimensions", "dead-code")

    forced: bool = option(False, "store weights as a rule says although that leaves the Neural Engine")

    def run(self, program: Program, context: Context) -> Program:
        for rule in program.quantize:
            _check(rule, self.forced)
        uses = _uses(program)
        family = find_device(context.device).family
        parameters, matched = dict(program.parameters), {rule: _Matched(rule) for rule in program.quantize}
        for kin in _kin(program.parameters.values()):
            ruled = [(each, found) for each in kin if (found := first_match(program.quantize, each)) is not None]
            for parameter, rule in ruled:
                matched[rule].parameters.append(parameter.name)
                if rule.is_wide:
                    parameters[parameter.name] = _wide(parameter, rule)
                    matched[rule].stored += 1
                    context.explain(self.name, parameter.name, f"fp32: rule {rule.pattern}")
            ruled = [(each, rule) for each, rule in ruled if not rule.is_wide]
            for weight, reason in _decided([(*pair, uses.get(pair[0].name, ())) for pair in ruled], family):
                matched[weight.rule].note(weight, reason)
                parameters[weight.parameter.name] = self._annotated(weight, reason, context)
        for outcome in matched.values():
            if not outcome.parameters:
                told = f"warning: {_unmatched(outcome.rule, program)}"
                context.explain(self.name, outcome.rule.pattern, told)
            outcome.warn(context)
        functions = {name: replace(function) for name, function in program.functions.items()}
        return drop_dead(replace(program, functions=functions, parameters=parameters))

    def _annotated(self, weight: _Weight, reason: str | None, context: Context) -> Parameter:
        parameter, rule = weight.parameter, weight.rule
        how = "fp16" if reason else describe(rule.quantization)
        told = f"{how}: {reason or f'rule {rule.pattern}'}"
        context.explain(self.name, parameter.name, told)
        if reason or rule.quantization is None:
            return parameter
        quantization = replace(rule.quantization, axis=weight.axis)
        return replace(parameter, quantization=quantization, origin=parameter.origin.after(self.name, told))


def _wide(parameter: Parameter, rule: QuantizeRule) -> Parameter:
    origin = parameter.origin.after(AnnotateQuantization.name, f"fp32: rule {rule.pattern}")
    return replace(parameter, wide=True, origin=origin)


def _kin(parameters: Iterable[Parameter]) -> Iterable[Sequence[Parameter]]:
    """Parameters that start from the same tensor of the checkpoint, together."""
    groups: dict[str, list[Parameter]] = {}
    for parameter in parameters:
        first = next((source.name for source in leaves(parameter.recipe)), parameter.name)
        groups.setdefault(first, []).append(parameter)
    return groups.values()


def _decided(
    kin: Iterable[tuple[Parameter, QuantizeRule, Sequence[_Use]]], family: Family
) -> Sequence[tuple[_Weight, str | None]]:
    """Parameters of one tensor that are matrices of weights, and why each stays in fp16, or None.

    Where the tensor is a table and a layer, all of them have a scale for each row, or none has.
    """
    matrices = [(parameter, rule, uses) for parameter, rule, uses in kin if _is_matrix(parameter, uses)]
    read = {use.axis for _, _, uses in matrices for use in uses}
    tied = len(read) > 1
    weights = [_Weight(*each, 0 if tied else channels_axis(each[2])) for each in matrices]
    reasons = [_reason_against(weight, family) for weight in weights]
    if tied:
        against = [reason for weight, reason in zip(weights, reasons) if reason and not weight.too_small]
        small = reasons if all(weight.too_small for weight in weights) else []
        reasons = [next(iter([*against, *small]), None)] * len(weights)
    return list(zip(weights, reasons))


@dataclass
class _Matched:
    """What became of the parameters that a rule decides about.

    stored: how many are stored as it says. refused: parameters that its kind of palette can't hold, by the reason.
    rows: their numbers of output channels.
    """

    rule: QuantizeRule
    parameters: list[str] = field(default_factory=list)
    stored: int = 0
    refused: dict[str, list[str]] = field(default_factory=dict)
    rows: set[int] = field(default_factory=set)

    def note(self, weight: _Weight, reason: str | None) -> None:
        quantization = self.rule.quantization
        self.stored += reason is None
        if reason is None or quantization is None or weight.too_small:
            return
        if (kind := _against_palette(weight.rows, quantization, weight.uses)) is not None:
            self.refused.setdefault(kind.value, []).append(weight.parameter.name)
            self.rows |= {weight.rows} if kind is Against.GROUP else set()

    def warn(self, context: Context) -> None:
        """Warns, at the rule, of weights that stay in fp16 although it asks for something else."""
        quantization, place = self.rule.quantization, self.rule.origin.location
        if quantization is None or not self.parameters:
            return
        for reason, names in self.refused.items():
            message = f"{listing(names, 3)} stay{'s' * (len(names) == 1)} in fp16: {reason}"
            hint = (
                self._fitting(quantization) if reason == Against.GROUP.value else "write `none` for it in a rule before"
            )
            context.warn(diagnostic_at(place, "MCT0149", message, hint=hint, severity=Severity.WARNING))
        if not self.stored and not self.refused:
            message = f"`{self.rule.pattern}` stores nothing as {describe(quantization)}"
            hint = (
                f"{listing(self.parameters, 2)} {'is' if len(self.parameters) == 1 else 'are'} no matrix of at least "
                f"{SMALLEST} weights with {NARROWEST} a row"
            )
            context.warn(diagnostic_at(place, "MCT0149", message, hint=hint, severity=Severity.WARNING))

    def _fitting(self, quantization: Quantization) -> str:
        """The nearest group that divides all of them."""
        common = gcd(*self.rows)
        group = quantization.group or LEAST_GROUP
        fitting = [n for n in range(LEAST_GROUP, common + 1) if common % n == 0]
        told = ", ".join(map(str, sorted(self.rows)))
        if not fitting:
            return f"leave `group` out: one palette for the tensor; there are {told} output channels"
        nearest = min(fitting, key=lambda n: abs(n - group))
        return f"for example `group = {nearest}`; there are {told} output channels"


def first_match(rules: Sequence[QuantizeRule], parameter: Parameter) -> QuantizeRule | None:
    """The first rule whose pattern matches the parameter's name, or that of the checkpoint tensor it starts from."""
    sources = [source.name for source in leaves(parameter.recipe)][:1]
    names = dict.fromkeys([parameter.name, *sources])
    return next((rule for rule in rules if any(matches(rule.pattern, name) for name in names)), None)


def describe(quantization: Quantization | None) -> str:
    """'int8', 'palette of 4 bits in groups of 16', 'fp16'."""
    if quantization is None:
        return "fp16"
    if quantization.scheme != "palette":
        return quantization.scheme + (
            f" with activations in {quantization.activations} bits" if quantization.activations else ""
        )
    return f"palette of {quantization.bits} bits" + (
        f" in groups of {quantization.group}" if quantization.group else ""
    )


def _uses(program: Program) -> dict[str, list[_Use]]:
    uses: dict[str, list[_Use]] = {}
    for _, op in program.ops():
        for index, value in enumerate(op.operands):
            if value is not None and isinstance(value.owner, ParameterOp):
                operand = op.fields[min(index, len(op.fields) - 1)].name
                uses.setdefault(value.owner.parameter, []).append(_Use(op, operand))
    return uses


def _is_matrix(parameter: Parameter, uses: Sequence[_Use]) -> bool:
    """Whether all that reads a parameter reads it as a matrix of weights: no norm vector, no bias, no A or D."""
    return parameter.type.rank >= 2 and all(use.axis is not None for use in uses)


def _reason_against(weight: _Weight, family: Family) -> str | None:
    """Why a parameter that a rule matches stays in fp16, or None."""
    quantization = weight.rule.quantization
    if quantization is None:
        return "the rule says none"
    if weight.too_small:
        return f"only {weight.rows} rows of {weight.parameter.type.size // weight.rows} entries"
    kernel = _cut_kernel(weight.uses, family)
    if kernel is not None:
        return f"a kernel of {kernel} is cut for {family.name} (ANE-CV-001), and its pieces would have other scales"
    kind = _against_palette(weight.rows, quantization, weight.uses)
    if kind is Against.GROUP:
        return f"{weight.rows} output channels do not divide into groups of {quantization.group}"
    return None if kind is None else kind.value


def _cut_kernel(uses: Sequence[_Use], family: Family) -> str | None:
    """The size of a kernel that split-kernels cuts."""
    for use in uses:
        height, width = use.op.weight.type.shape[2:] if isinstance(use.op, Conv2d) else (1, 1)
        if height > family.kernel_column or width > family.kernel_row:
            return f"{height}x{width}"
    return None


class Against(Enum):
    """Why a weight can't be a palette."""

    GROUPED = "a palettised grouped convolution does not compile for the Neural Engine (ANE-QT-015)"
    STRIDE = "palettised kernels take strides up to 2 (ANE-CV-007)"
    GROUP = "the groups of the palette do not divide its output channels"


def _against_palette(rows: int, quantization: Quantization, uses: Sequence[_Use]) -> Against | None:
    if quantization.scheme != "palette":
        return None
    convolutions = [use.op for use in uses if isinstance(use.op, (Conv1d, Conv2d))]
    if any(op.groups > 1 for op in convolutions):
        return Against.GROUPED
    if any(max(op.stride if isinstance(op, Conv2d) else (op.stride,)) > 2 for op in convolutions):
        return Against.STRIDE
    return Against.GROUP if quantization.group is not None and rows % quantization.group else None


def channels_axis(uses: Sequence[_Use]) -> int:
    """Where the output channels of a weight lie: along the columns of an embedding table, else along the rows."""
    return max((use.axis or 0 for use in uses), default=0)


def _check(rule: QuantizeRule, forced: bool) -> None:
    """Raises QuantizationError for a granularity that is not placed on the Neural Engine."""
    quantization = rule.quantization
    if quantization is None or quantization.group is None or forced:
        return
    if quantization.scheme != "palette":
        raise QuantizationError(
            f"{rule.pattern} asks for {quantization.scheme} with scales for blocks of {quantization.group}, which "
            "leaves the Neural Engine (ANE-QT-001)",
            rule,
            hint=f"use {quantization.scheme}(per_channel)",
        )
    if quantization.group < LEAST_GROUP:
        raise QuantizationError(
            f"{rule.pattern} asks for a palette for each {quantization.group} output channels, which is slow on the "
            "Neural Engine (ANE-QT-003)",
            rule,
            hint=f"use groups of {LEAST_GROUP} or more, or one palette for the tensor",
        )


def _unmatched(rule: QuantizeRule, program: Program) -> str:
    for parameter in program.parameters.values():
        names = (parameter.name, *(source.name for source in leaves(parameter.recipe)))
        if any(matches(rule.pattern, name) for name in names):
            return f"every parameter that {rule.pattern} matches is taken by an earlier rule"
    return f"{rule.pattern} matches no parameter"
