"""The weights of a model that can be stored in few bits, and the forms that each can take on a device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from mctc.compare.storage import stored_bytes
from mctc.driver.compile import program_at
from mctc.driver.options import BuildOptions
from mctc.ir.program import Parameter, Program, Quantization, QuantizeRule
from mctc.weights import rearranged

DECIDES = "annotate-quantization"  # the pass that knows what a device takes
FORMS = (
    Quantization("int8", 8),
    Quantization("int4", 4),
    *(Quantization("palette", bits, group) for bits in (6, 4, 3, 2, 1) for group in (None, 16)),
)


@dataclass(frozen=True)
class Layer:
    """A weight. forms: what it can be stored as, and in how many bytes; None is fp16."""

    parameter: Parameter
    forms: Mapping[Quantization | None, int] = field(compare=False)

    @property
    def name(self) -> str:
        return self.parameter.name

    @property
    def axis(self) -> int:
        """Where its output channels lie."""
        return max((how.axis for how in self.forms if how is not None), default=0)


def stored_as(program: Program, rules: Sequence[QuantizeRule], options: BuildOptions) -> Program:
    """The program with every weight as these rules have it stored, as far as the device allows."""
    return program_at(replace(program, quantize=tuple(rules)), after=DECIDES, options=options)


def layers_of(program: Program, options: BuildOptions, forms: Sequence[Quantization] = FORMS) -> list[Layer]:
    """The weights that some form suits, in the order of the program. The rules of the device are those of the pass
    that annotates weights, asked once for each form."""
    found: dict[str, dict[Quantization | None, int]] = {}
    plain = stored_as(program, (), options).parameters
    for form in forms:
        for name, parameter in stored_as(program, (QuantizeRule("**", form),), options).parameters.items():
            if parameter.quantization is not None and is_own(parameter):
                table = found.setdefault(name, {None: stored_bytes(plain[name])})
                table[parameter.quantization] = stored_bytes(parameter)
    return [Layer(parameter, found[name]) for name, parameter in plain.items() if name in found]


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
