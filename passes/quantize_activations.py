"""Activations in 8 bits, where the `quantize` section asks for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field, replace

from mctc.diagnostics.diagnostic import Severity, diagnostic_at
from mctc.diagnostics.near import listing
from mctc.hardware.devices import find_device
from mctc.ir.input_scales import START, scale_beside
from mctc.ir.ops.convolution import Conv1d, Conv2d
from mctc.ir.ops.leaf import parameter_of
from mctc.ir.ops.linear import Linear
from mctc.ir.ops.quantize import FakeQuantize
from mctc.ir.program import Op, Parameter, Program, Source, Value
from mctc.ir.recipes import leaves
from mctc.ir.types import DType, TensorType
from mctc.passes.annotate_quantization import first_match
from mctc.records import dataclass
from mctc.rewrite.base import Context, Pass, Quantizes
from mctc.rewrite.rewriter import Rewriter, rewrite

UNMET = "MCT0149"
WEIGHT_STAYS = "so does the weight"


class QuantizeActivations(Pass):
    """Holds the inputs of weights in 8 bits where a rule says `activations = 8`: a `fake_quantize` before the layer.

    Its scale is a parameter of the checkpoint, `in_proj_input.scale` beside `in_proj.weight`; `mctc compress` finds it
    from a calibration. Linear layers and convolutions of one group take it; scans, recurrent layers and tables stay.
    """

    name = "quantize-activations"
    promise = Quantizes()
    after = ("annotate-quantization",)

    def run(self, program: Program, context: Context) -> Program:
        asked = {name for name, p in program.parameters.items() if p.quantization and p.quantization.activations}
        if not asked:
            return program
        parameters = {
            name: replace(p, quantization=replace(p.quantization, activations=None)) if p.quantization else p
            for name, p in program.parameters.items()
        }
        plain = {name for name, p in program.parameters.items() if p.quantization is None and _asks(program, p)}
        work = _Scales(replace(program, parameters=parameters, sources=dict(program.sources)), asked, plain)
        new = rewrite(work.program, self.name, work, context=context)
        for op, path in work.places(new):
            op.origin = replace(op.origin, path=path)
        _tell(program, work, context)
        return new


@dataclass
class _Scales:
    """A rule for every op: those that read a weight of `asked` take their x through a scale of its own.

    program: takes the scales up as sources. plain: weights that a rule names as well and that stay in fp16.
    scales: of which weight each is. kept: weights whose inputs stay, by the reason.
    """

    program: Program
    asked: set[str]
    plain: set[str]
    scales: dict[str, str] = field(default_factory=dict)
    kept: dict[str, list[str]] = field(default_factory=dict)
    made: dict[tuple[Value, str], Value] = field(default_factory=dict)

    def __call__(self, op: Op, to: Rewriter) -> tuple[Value, ...] | None:
        read = [parameter_of(value) for operand, value in zip(op.fields, op.operands) if operand.name in op.matrices]
        weights = [name for name in read if name in self.asked]
        layer, why = _layer(op)
        self._keep([name for name in read if name in self.plain], why or WEIGHT_STAYS)
        if weights and why:
            self._keep(weights, why)
            to.explain(op, f"{weights[0]}: activations stay in fp16: {why}")
        if not weights or layer is None or isinstance(layer.x.owner, FakeQuantize):
            return None
        x = self._held(layer.x, weights[0], to)
        to.note("activations are held in 8 bits")
        to.explain(op, f"{weights[0]}: what it is multiplied with is int8")
        return to.emit(type(op), x, *to.operands(op)[1:], **op.attributes)

    def _keep(self, weights: Sequence[str], why: str) -> None:
        if weights:
            names = self.kept.setdefault(why, [])
            names += [name for name in weights if name not in names]

    def _held(self, old: Value, weight: str, to: Rewriter) -> Value:
        """x through a `fake_quantize`; one for all parts of a weight that read it."""
        tensor = _tensor(self.program.parameters[weight])
        if (old, tensor) not in self.made:
            # beside a weight of the whole model there is no instance: it is the component's that reads it
            scale = self._scale(tensor if "." in tensor else f"{to.function.name}.{tensor}", to.program)
            self.scales[scale] = tensor
            self.made[old, tensor] = to.op(FakeQuantize, to[old], to.parameter(scale))
        return self.made[old, tensor]

    def _scale(self, tensor: str, new: Program) -> str:
        """A new parameter beside a weight, under a name that nothing has."""
        name, type_ = scale_beside(tensor, (*self.program.sources, *self.program.instances)), TensorType(DType.F32, ())
        self.program.sources[name] = type_, START
        new.parameters[name] = Parameter(name, type_, Source(name, type_))
        return name

    def places(self, program: Program) -> list[tuple[Op, str]]:
        """The ops that were made, and the path that each stands at."""
        made = [op for _, op in program.ops() if isinstance(op, FakeQuantize)]
        names = [(op, parameter_of(op.scale)) for op in made]
        return [(op, name.rpartition(".")[0]) for op, name in names if name in self.scales]


def _layer(op: Op) -> tuple[Linear | Conv1d | Conv2d | None, str]:
    """An op whose activations can be held in 8 bits; else None, and why what it takes stays as it is."""
    if not isinstance(op, (Linear, Conv1d, Conv2d)):
        return None, f"`{op.name}` is no linear layer and no convolution"
    if not isinstance(op, Linear) and op.groups > 1:
        return None, "a convolution in groups has few products a number, and no calibration sees its inputs"
    return op, ""


def _tell(program: Program, work: _Scales, context: Context) -> None:
    """Warns of weights that a rule names and whose activations stay, and of a device that gains nothing."""
    taken = {name for name, p in program.parameters.items() if _tensor(p) in work.scales.values()}
    for why, names in work.kept.items():
        names = [name for name in names if name not in taken]
        if not names:
            continue
        rule = first_match(program.quantize, program.parameters[names[0]])
        place = None if rule is None else rule.origin.location
        text = f"activations of {listing(names, 3)} stay in fp16: {why}"
        hint = "name the linear layers and convolutions alone, in a rule before"
        context.warn(diagnostic_at(place, UNMET, text, hint=hint, severity=Severity.WARNING))
    family = find_device(context.device).family
    if work.scales and context.device is not None and context.stack == "coreml" and not family.int8_compute:
        rule = first_match(program.quantize, next(p for p in program.parameters.values() if p.name in taken))
        text = f"activations in 8 bits gain nothing on {family.name}: it has no int8 path (ANE-QT-009)"
        place = None if rule is None else rule.origin.location
        hint = "A17 Pro, M4 and later have one; leave `activations = 8` out for this device"
        context.warn(diagnostic_at(place, UNMET, text, hint=hint, severity=Severity.WARNING))


def _asks(program: Program, parameter: Parameter) -> bool:
    """Whether the rule that decides about a parameter says so many bits of activations."""
    rule = first_match(program.quantize, parameter)
    return rule is not None and rule.quantization is not None and rule.quantization.activations is not None


def _tensor(parameter: Parameter) -> str:
    """The checkpoint's tensor that a parameter starts from."""
    return next((source.name for source in leaves(parameter.recipe)), parameter.name)
