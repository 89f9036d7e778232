"""Folding ops over parameters and constants into the parameters' recipes and into constants.

Passes build on parameter values with plain ops (`reshape`, `pad`, `slice`); `fold_parameters` then moves these ops out
of the functions, into recipes. It holds the one rule of naming: a parameter all of whose uses go through one and the
same derivation keeps its name; where a parameter is used in several forms, each derived form is called by the name
and the ops that made it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import replace
from weakref import WeakKeyDictionary

import numpy as np

from mctc.ir.op import Array
from mctc.ir.ops.leaf import Constant, ParameterOp
from mctc.ir.program import Derived, Function, Op, Parameter, Program, Recipe, Value
from mctc.ir.recipes import MOVING, compose, recipe_key, with_recipe
from mctc.records import dataclass
from mctc.rewrite.rewriter import Rewriter, drop_dead

Foldable = Callable[[Op], bool]

LARGEST_CONSTANT = 1 << 20  # entries: a folded constant beyond this would trade arithmetic for file size


_CONSTANTS: WeakKeyDictionary[Op, _Known] = WeakKeyDictionary()


def structural(op: Op) -> bool:
    return isinstance(op, MOVING)


@dataclass(frozen=True)
class _Known:
    """What is known about a value before run time: its recipe, and the parameter it mainly comes from.

    `main` is None for a constant. `chain` are the ops between them.
    """

    recipe: Recipe
    main: str | None
    chain: tuple[str, ...] = ()


def fold_parameters(program: Program, by: str, foldable: Foldable = structural) -> Program:
    """The program with every `foldable` op over parameters moved into recipes, and any op over constants computed."""
    if not any(_folds(function, foldable) for function in program.functions.values()):
        return program
    known = {name: _known_values(program, function, foldable) for name, function in program.functions.items()}
    wanted = [found for name, function in program.functions.items() for found in _wanted(function, known[name])]
    if not any(found.chain for found in wanted):
        return program
    names, parameters = _named(program, wanted, by)
    new = replace(program, functions={}, parameters=parameters)
    for name, function in program.functions.items():
        rule = _Rule(known[name], names, parameters)
        new.functions[name] = Rewriter(new, function, by).rebuild(rule)
    return drop_dead(new)


def _folds(function: Function, foldable: Foldable) -> bool:
    """Whether some op reads nothing but parameters and constants, and may be folded: asked before recipes are made."""
    constants, known = set[Value | None]([None]), set[Value | None]([None])
    for op in function.ops:
        if isinstance(op, (ParameterOp, Constant)):
            (known if isinstance(op, ParameterOp) else constants).update(op.results)
            continue
        if not op.operands or op.effects or not (op.operands[0] in known or op.operands[0] in constants):
            continue  # most ops
        early = all(v in constants or v in known for v in op.operands)
        if early and (constants.issuperset(op.operands) or foldable(op)):
            return True
    return False


def _known_values(program: Program, function: Function, foldable: Foldable) -> dict[Value, _Known]:
    known: dict[Value, _Known] = {}
    for op in function.ops:
        if isinstance(op, ParameterOp):
            parameter = program.parameters[op.parameter]
            known[op.result] = _Known(parameter.recipe, parameter.name)
        elif isinstance(op, Constant):
            known[op.result] = _of_constant(op)
        elif not op.operands or op.effects or not (op.operands[0] is None or op.operands[0] in known):
            continue  # most ops
        elif all(v is None or v in known for v in op.operands):
            constant = all(v is None or known[v].main is None for v in op.operands)
            if constant or foldable(op):
                _add(op, known)
    return known


def _of_constant(op: Constant) -> _Known:
    """Passes share constants: each is asked for by every fold of a program."""
    found = _CONSTANTS.get(op)
    if found is None:
        found = _CONSTANTS[op] = _Known(compose(op.name, (), op.attributes), None)
    return found


def _add(op: Op, known: dict[Value, _Known]) -> None:
    operands = [None if value is None else known[value] for value in op.operands]
    main = next((k for k in operands if k is not None and k.main is not None), None)
    if main is None and any(result.type.size > LARGEST_CONSTANT for result in op.results):
        return
    chain = (*(main.chain if main else ()), op.name)
    for index, result in enumerate(op.results):
        recipe = compose(op.name, [None if k is None else k.recipe for k in operands], op.attributes, index)
        known[result] = _Known(recipe, main.main if main else None, chain)


def _wanted(function: Function, known: dict[Value, _Known]) -> Iterator[_Known]:
    """What ops that stay, and results, read of the known values; in order of use."""
    for op in function.ops:
        if op.results[0] not in known:
            for value in op.operands:
                if value in known:
                    yield known[value]
    yield from (known[value] for value in function.outputs if value in known)


def _named(
    program: Program, wanted: list[_Known], by: str
) -> tuple[dict[tuple[str, Hashable], str], dict[str, Parameter]]:
    """A name for every wanted recipe of a parameter that is folded into, and the parameters that are left."""
    folded = {found.main for found in wanted if found.chain}
    forms: dict[str, dict[Hashable, _Known]] = {}
    for found in wanted:
        if found.main is not None:
            of_main = forms.setdefault(found.main, {})
            if found.main in folded:
                of_main.setdefault(recipe_key(found.recipe), found)
    names: dict[tuple[str, Hashable], str] = {}
    parameters: dict[str, Parameter] = {}
    taken = set(program.parameters)
    for main, of_main in forms.items():
        if not of_main:  # most parameters
            parameters[main] = program.parameters[main]
        for key, found in of_main.items():
            name = main if len(of_main) == 1 or not found.chain else _fresh(main, found.chain, taken)
            parameter = with_recipe(program.parameters[main], name, found.recipe)
            if found.chain:
                change = (
                    f"{', '.join(dict.fromkeys(found.chain))}: {program.parameters[main].type} became {parameter.type}"
                )
                parameter = replace(parameter, origin=parameter.origin.after(by, change))
            names[main, key], parameters[name] = name, parameter
    return names, parameters


def _fresh(main: str, chain: tuple[str, ...], taken: set[str]) -> str:
    stem = ".".join((main, *dict.fromkeys(chain)))
    name, number = stem, 1
    while name in taken:
        name, number = f"{stem}_{number}", number + 1
    taken.add(name)
    return name


class _Rule:
    """Replaces known values by parameters and constants where they are read, and forgets the ops between."""

    def __init__(
        self, known: dict[Value, _Known], names: dict[tuple[str, Hashable], str], parameters: Iterable[str]
    ) -> None:
        self.known, self.names = known, names
        self.kept = {*parameters} - {main for main, _ in names}  # those that nothing is folded into
        self.values: dict[int, Array] = {}

    def concerns(self, op: Op) -> bool:
        """Whether anything becomes of an op: not of a parameter that keeps its name and recipe."""
        found = self.known.get(op.results[0])
        if found is None or isinstance(op, Constant):
            return False  # most ops
        return bool(found.chain) or not isinstance(op, ParameterOp) or self._name(found) != op.parameter

    def _name(self, found: _Known) -> str | None:
        """The parameter that stands for a recipe; None where only ops read it that are folded."""
        if found.main in self.kept:
            return found.main
        return self.names.get((found.main or "", recipe_key(found.recipe)))

    def __call__(self, op: Op, rewriter: Rewriter) -> list[Value] | None:
        if op.result not in self.known or isinstance(op, Constant):
            return None
        return [self._value(op, result, rewriter) for result in op.results]

    def _value(self, op: Op, result: Value, rewriter: Rewriter) -> Value:
        found = self.known[result]
        if found.main is None:
            rewriter.note(f"{op.name} of a constant computed")
            array = constant_value(found.recipe, self.values)
            roles = tuple(role.value for role in result.type.roles)
            return rewriter.op(Constant, value=array, dtype=result.type.dtype.value, roles=roles)
        name = self._name(found)
        if name is None:
            return Value(result.type)
        if found.chain:
            rewriter.note(f"{op.name} folded into parameter {name}")
        return rewriter.parameter(name)


def constant_value(recipe: Recipe, known: dict[int, Array]) -> Array:
    """The value of a recipe without sources; floating-point arithmetic in float64.

    known: values found before, by the identity of recipes that outlive it: what two ops read is computed once.
    """
    from mctc.recipe_values import apply

    if not isinstance(recipe, Derived):
        raise TypeError(f"the recipe of a constant has the source {recipe.name}")
    if id(recipe) not in known:
        operands = [None if operand is None else constant_value(operand, known) for operand in recipe.operands]
        array = apply(recipe, operands)
        known[id(recipe)] = array.astype(np.float64) if recipe.type.dtype.is_float else array
    return known[id(recipe)]
