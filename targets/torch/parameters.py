"""How the module holds the program's parameters: which tensors of the checkpoint, in which shape, starting how."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

from mctc.ir.build import make
from mctc.ir.declared import registry
from mctc.ir.location import Origin
from mctc.ir.program import Initializer, Parameter, Program, Quantization, Recipe, Source, Value
from mctc.ir.recipes import leaves
from mctc.recipe_values import rearranged
from mctc.records import dataclass
from mctc.targets.torch.expressions import Expression, expression
from mctc.targets.torch.initial_text import start_is_known
from mctc.targets.torch.instance_paths import inside


@dataclass(frozen=True)
class StoredTensor:
    """A tensor of the module, under the spec's name. `recipe` leads from the spec's shape to the one it is held in."""

    name: str
    shape: tuple[int, ...]
    start: Initializer
    recipe: Recipe
    quantization: Quantization | None


class Parameters:
    """The tensors of a program's parameters.

    A parameter whose recipe only moves the entries of the tensor of its own name is held as the recipe leaves it, if it
    can start so: as the kernel of a convolution, with the rows that padding adds. mctc.weights binds a checkpoint of
    either shape. Any other parameter is computed from the tensors as the spec has them.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        readers: dict[str, int] = {}
        for parameter in program.parameters.values():
            for name in {source.name for source in leaves(parameter.recipe)}:
                readers[name] = readers.get(name, 0) + 1
        self.moved = {
            name
            for name, p in program.parameters.items()
            if _own_tensor(p) and readers[name] == 1 and start_is_known(program.sources[name][1], p.recipe)
        }
        self.tensors = {tensor.name: tensor for tensor in self._tensors()}

    @cached_property
    def inside(self) -> dict[str, list[str]]:
        """Names of tensors by each instance path that they lie inside."""
        return inside(self.tensors)

    def _tensors(self) -> list[StoredTensor]:
        tensors: list[StoredTensor] = []
        for name, parameter in self.program.parameters.items():
            if name in self.moved:
                start = self.program.sources[name][1]
                shape = parameter.type.shape
                tensors.append(StoredTensor(name, shape, start, parameter.recipe, parameter.quantization))
                continue
            for source in leaves(parameter.recipe):
                start = self.program.sources[source.name][1]
                tensors.append(StoredTensor(source.name, source.type.shape, start, source, None))
        return tensors

    def value(self, parameter: Parameter, stored: Callable[[str], Expression]) -> Expression:
        """The parameter's value. `stored` gives the text of a tensor by its name, as the package will hold it."""
        if parameter.name in self.moved:
            return stored(parameter.name)
        return _computed(parameter.recipe, stored)


def _own_tensor(parameter: Parameter) -> bool:
    """Whether a recipe does nothing but move the entries of the tensor that has the parameter's name."""
    source = rearranged(parameter.recipe)
    return source is not None and source.name == parameter.name


def _computed(recipe: Recipe, stored: Callable[[str], Expression]) -> Expression:
    if isinstance(recipe, Source):
        return stored(recipe.name)
    operands = [None if each is None else Value(each.type) for each in recipe.operands]
    texts = [None if each is None else _computed(each, stored) for each in recipe.operands]
    op = make(registry()[recipe.op], operands, dict(recipe.attributes), Origin())
    text = expression(op, texts)
    return text if len(op.results) == 1 else Expression(f"{text.atom}[{recipe.result}]", text.imports)
