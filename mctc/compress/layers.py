"""The weights of a model that can be stored in few bits, and the forms that each can take on a device."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import field, replace

from mctc.compare.storage import stored_bytes
from mctc.diagnostics.errors import UsageError
from mctc.driver.compile import program_at
from mctc.driver.options import BuildOptions
from mctc.ir.program import PALETTE_BITS, Parameter, Program, Quantization, QuantizeRule
from mctc.recipe_values import rearranged
from mctc.records import dataclass

DECIDES = "annotate-quantization"  # the pass that knows what a device takes
LINEAR = {"int8": 8, "int4": 4}
NAMED = re.compile(r"palette(\d)(?:g(\d+))?")
USUAL = "int8,int4,palette4g16,palette3g16,palette2g16"


@dataclass(frozen=True)
class Layer:
    """A weight. axis: where its output channels lie. forms: what it can be stored as, as a rule says it, and the bytes
    of each; None is fp16."""

    parameter: Parameter
    axis: int
    forms: Mapping[Quantization | None, int] = field(compare=False)

    @property
    def name(self) -> str:
        return self.parameter.name

    def stored(self, form: Quantization) -> Quantization:
        """A form with the axis of this weight."""
        return replace(form, axis=self.axis)


def forms_named(text: str) -> tuple[Quantization, ...]:
    """'int8,int4,palette3g16' as forms. Raises UsageError."""
    found = []
    for name in filter(None, text.split(",")):
        palette = NAMED.fullmatch(name.strip())
        if palette:
            form = Quantization("palette", int(palette[1]), int(palette[2]) if palette[2] else None)
        else:
            form = Quantization(name.strip(), LINEAR.get(name.strip(), 0))
        if form.bits not in (PALETTE_BITS if palette else LINEAR.values()):
            raise UsageError(
                f"{name.strip()!r} is no form", hint="int8, int4, palette4 or palette3g16: bits, then group"
            )
        found.append(form)
    if not found:
        raise UsageError("no forms are named", hint="--forms int8,int4,palette3g16")
    return tuple(found)


def named(form: Quantization | None) -> str:
    """A form as --forms has it: int8, palette3g16; none."""
    if form is None or form.scheme != "palette":
        return "none" if form is None else form.scheme
    return f"palette{form.bits}" + (f"g{form.group}" if form.group else "")


def held_in_bits(program: Program) -> dict[str, int]:
    """The bits of the activations of each weight that a rule holds in some."""
    found = {name: each.quantization for name, each in program.parameters.items()}
    return {name: form.activations for name, form in found.items() if form is not None and form.activations is not None}


def is_whole(form: Quantization | None) -> bool:
    """Whether a form has whole numbers and a scale."""
    return form is not None and form.scheme in LINEAR


def stored_as(program: Program, rules: Sequence[QuantizeRule], options: BuildOptions) -> Program:
    """The program with every weight as these rules have it stored, as far as the device allows."""
    return program_at(replace(program, quantize=tuple(rules)), after=DECIDES, options=options)


def layers_of(program: Program, options: BuildOptions, forms: Sequence[Quantization]) -> list[Layer]:
    """The weights that some form suits, in the order of the program. The rules of the device are those of the pass
    that annotates weights, asked once for each form."""
    found: dict[str, dict[Quantization | None, int]] = {}
    axes: dict[str, int] = {}
    plain = stored_as(program, (), options).parameters
    for form in forms:
        for name, parameter in stored_as(program, (QuantizeRule("**", form),), options).parameters.items():
            if parameter.quantization is not None and is_own(parameter):
                table = found.setdefault(name, {None: stored_bytes(plain[name])})
                table[form], axes[name] = stored_bytes(parameter), parameter.quantization.axis
    return [Layer(parameter, axes[name], found[name]) for name, parameter in plain.items() if name in found]


def is_own(parameter: Parameter) -> bool:
    """Whether a parameter is a tensor of the checkpoint of the same name, its entries moved at most."""
    source = rearranged(parameter.recipe)
    return source is not None and source.name == parameter.name


def rest_bytes(program: Program, layers: Sequence[Layer], options: BuildOptions) -> int:
    """Bytes of all that stays in fp16 whatever is chosen."""
    own = {layer.name for layer in layers}
    return sum(
        stored_bytes(each) for name, each in stored_as(program, (), options).parameters.items() if name not in own
    )
