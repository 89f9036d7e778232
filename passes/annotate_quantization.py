"""The `quantize` section decides how each weight is stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mctc.diagnostics.errors import MctcError
from mctc.ir.path_pattern import matches
from mctc.ir.program import Op, Parameter, Program, Quantization, QuantizeRule
from mctc.rewrite.base import Context, Pass, Within
from mctc.rewrite.rewriter import drop_dead
from mctc.weights import leaves

WEIGHTS = {
    "conv1d": ("weight",),
    "conv2d": ("weight",),
    "linear": ("weight",),
    "embedding": ("table",),
    "lstm": ("weight_ih", "weight_hh"),
    "gru": ("weight_ih", "weight_hh"),
}
"""Operands that hold a matrix of weights, one row an output channel; in an embedding table, one column."""

SMALLEST = 2048  # entries; below, scales and tables cost what compression saves (coremltools' own threshold)
NARROWEST = 8  # entries a row: each row carries an fp16 scale
LEAST_GROUP = 8


class QuantizationError(MctcError):
    """A rule that asks for what leaves the Neural Engine."""


@dataclass(frozen=True)
class _Use:
    """An op that reads a parameter, and as which operand."""

    op: Op
    operand: str


class AnnotateQuantization(Pass):
    """Marks weights as int8, int4 or palettised by the first rule of the `quantize` section that matches their names.

    Weights of depthwise convolutions are not palettised (ANE-QT-015); small tensors and all that is no matrix of
    weights (norms, biases, A and D of a scan) stay in fp16.
    """

    name = "annotate-quantization"
    # What it costs depends on the rules and the weights: 2 bits are a coarse grid. The build measures it again.
    promise = Within(0.5)
    after = ("split-dimensions", "dead-code")

    def run(self, program: Program, context: Context) -> Program:
        for rule in program.quantize:
            _check(rule, forced=bool(context.options.get("force_quantization", False)))
        uses = _uses(program)
        parameters, matched = {}, set[QuantizeRule]()
        for name, parameter in program.parameters.items():
            found = first_match(program.quantize, parameter)
            parameters[name] = parameter
            if found is not None:
                matched.add(found)
                parameters[name] = self._annotated(parameter, found, uses.get(name, ()), context)
        for rule in program.quantize:
            if rule not in matched:
                context.explain(self.name, rule.pattern, f"warning: {_unmatched(rule, program)}")
        functions = {name: replace(function) for name, function in program.functions.items()}
        return drop_dead(replace(program, functions=functions, parameters=parameters))

    def _annotated(self, parameter: Parameter, rule: QuantizeRule, uses: Sequence[_Use], context: Context) -> Parameter:
        if not _is_matrix(parameter, uses):
            return parameter
        reason = _reason_against(parameter, rule.quantization, uses)
        how = "fp16" if reason else describe(rule.quantization)
        told = f"{how}: {reason or f'rule {rule.pattern}'}"
        context.explain(self.name, parameter.name, told)
        if reason or rule.quantization is None:
            return parameter
        quantization = replace(rule.quantization, axis=channels_axis(uses))
        return replace(parameter, quantization=quantization, origin=parameter.origin.after(self.name, told))


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
        return quantization.scheme
    return f"palette of {quantization.bits} bits" + (
        f" in groups of {quantization.group}" if quantization.group else ""
    )


def _uses(program: Program) -> dict[str, list[_Use]]:
    uses: dict[str, list[_Use]] = {}
    for _, op in program.ops():
        declared = op.definition.operand_list()
        named = [(declared[min(i, len(declared) - 1)].name, value) for i, value in enumerate(op.operands)]
        for operand, value in named:
            if value is not None and value.owner is not None and value.owner.name == "parameter":
                uses.setdefault(value.owner.attributes["name"], []).append(_Use(op, operand))
    return uses


def _is_matrix(parameter: Parameter, uses: Sequence[_Use]) -> bool:
    """Whether all that reads a parameter reads it as a matrix of weights: no norm vector, no bias, no A or D."""
    return parameter.type.rank >= 2 and all(use.operand in WEIGHTS.get(use.op.name, ()) for use in uses)


def _reason_against(parameter: Parameter, quantization: Quantization | None, uses: Sequence[_Use]) -> str | None:
    """Why a parameter that a rule matches stays in fp16, or None."""
    if quantization is None:
        return "the rule says none"
    rows = parameter.type.shape[channels_axis(uses)]
    if parameter.type.size < SMALLEST or parameter.type.size // rows < NARROWEST:
        return f"only {rows} rows of {parameter.type.size // rows} entries"
    if quantization.scheme == "palette":
        return _reason_against_palette(rows, quantization, uses)
    return None


def _reason_against_palette(rows: int, quantization: Quantization, uses: Sequence[_Use]) -> str | None:
    if any(use.op.attributes.get("groups", 1) > 1 for use in uses):
        return "a palettised grouped convolution does not compile for the Neural Engine (ANE-QT-015)"
    if any(max(_numbers(use.op.attributes.get("stride", 1))) > 2 for use in uses):
        return "palettised kernels take strides up to 2 (ANE-CV-007)"
    if quantization.group is not None and rows % quantization.group:
        return f"{rows} output channels do not divide into groups of {quantization.group}"
    return None


def channels_axis(uses: Sequence[_Use]) -> int:
    """Where the output channels of a weight lie: along the columns of an embedding table, else along the rows."""
    return 1 if any(use.op.name == "embedding" for use in uses) else 0


def _numbers(value: int | Sequence[int]) -> Sequence[int]:
    return (value,) if isinstance(value, int) else value


def _check(rule: QuantizeRule, forced: bool) -> None:
    """Raises QuantizationError for a granularity that is not placed on the Neural Engine."""
    quantization = rule.quantization
    if quantization is None or quantization.group is None or forced:
        return
    place = f"{rule.origin.location}: " if rule.origin.location else ""
    if quantization.scheme != "palette":
        raise QuantizationError(
            f"{place}{rule.pattern} asks for {quantization.scheme} with scales for blocks of {quantization.group}, "
            "which leaves the Neural Engine (ANE-QT-001)",
            hint=f"use {quantization.scheme}(per_channel)",
        )
    if quantization.group < LEAST_GROUP:
        raise QuantizationError(
            f"{place}{rule.pattern} asks for a palette for each {quantization.group} output channels, which is slow on "
            "the Neural Engine (ANE-QT-003)",
            hint=f"use groups of {LEAST_GROUP} or more, or one palette for the tensor",
        )


def _unmatched(rule: QuantizeRule, program: Program) -> str:
    for parameter in program.parameters.values():
        names = (parameter.name, *(source.name for source in leaves(parameter.recipe)))
        if any(matches(rule.pattern, name) for name in names):
            return f"every parameter that {rule.pattern} matches is taken by an earlier rule"
    return f"{rule.pattern} matches no parameter"
