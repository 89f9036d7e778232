"""The tokens of a build: those of its `tokens` section, or of a file in their place, over its vocabulary."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mctc.diagnostics.diagnostic import LocatedError
from mctc.driver.objective import objective_of
from mctc.driver.options import BuildError
from mctc.ir.location import Location
from mctc.ir.program import Program
from mctc.ir.types import Role
from mctc.objectives.fit import fit
from mctc.objectives.misfit import MisfitError
from mctc.tokens.errors import TokensError

if TYPE_CHECKING:
    from mctc.tokens.table import Tokens

UNREAD, MISFIT = "MCT0155", "MCT0156"


def tokens_of(program: Program, file: Path | None = None) -> Tokens | None:
    """The tokens of an elaborated program by class: those of `file`, else of its section; None where neither is.

    Raises TokensError about the file, LocatedError about the section, BuildError for a program without classes.
    """
    settings, places = program.tokens.settings, program.tokens.places
    if file is None and not (settings and places):
        return None
    from mctc.tokens import fitted, read_tokens  # the kinds of files: most specs name none

    if file is not None:
        tokens = read_tokens(file)
        try:
            return _with_prompt(fitted(tokens, classes_of(program), blank_of(program)), program)
        except TokensError as error:
            raise TokensError(f"{file}: {error.message}", hint=error.hint) from error
    key = next(iter(settings))
    try:
        if key == "letters":
            from mctc.tokens.letters import of_symbols

            tokens = of_symbols(program.tokens.texts(key))
        else:
            tokens = read_tokens(_beside(program.tokens.text(key), places[key]))
    except TokensError as error:
        raise LocatedError(UNREAD, error.message, places[key], hint=error.hint) from error
    try:
        return _with_prompt(fitted(tokens, classes_of(program), blank_of(program)), program)
    except (TokensError, BuildError) as error:
        raise LocatedError(MISFIT, error.message, places[key], hint=error.hint) from error


def _with_prompt(tokens: Tokens, program: Program) -> Tokens:
    """Tokens that hold what a text begins and ends with. Raises TokensError for others."""
    told = objective_of(program) or {}
    named = [*told.get("prompt", ()), *told.get("begin", ()), *((told["end"],) if "end" in told else ())]
    for label in named:
        if label >= tokens.size:
            hint = "take the tokens of this checkpoint, or say others in `train { objective = ...(begin, end) }`"
            raise TokensError(
                f"a text begins or ends with class {label}, and there are {tokens.size:,} tokens", hint=hint
            )
    return tokens


def check_tokens(program: Program) -> None:
    """Raises LocatedError for a `tokens` section that can't be."""
    tokens_of(program)


def classes_of(program: Program) -> int:
    """How many classes the vocabulary has: of several, the one that the objective trains. Raises BuildError."""
    results = (value for function in program.functions.values() for _, value in function.results)
    axes = (axis for value in results for axis in value.type.axes if axis.role is Role.VOCABULARY)
    found = {axis.extent.value for axis in axes if axis.extent.is_static}
    if found and (objective := program.train.call("objective")) is not None:
        try:
            return fit(program, *objective).classes
        except MisfitError as error:
            if len(found) > 1:
                raise BuildError(f"which vocabulary the tokens are of isn't said: {error.message}") from error
    if not found:
        hint = "a result of classes has a vocabulary axis: `dim V: vocabulary = 30`"
        raise BuildError(f"tokens are of one vocabulary, and no result of {program.name} has one", hint=hint)
    if len(found) > 1:
        sizes = " and ".join(map(str, sorted(found)))
        hint = "give only the result that is of tokens a vocabulary axis, and the others plain numbers"
        raise BuildError(f"tokens are of one vocabulary, and {program.name} has those of {sizes} classes", hint=hint)
    return found.pop()


def blank_of(program: Program) -> int | None:
    """The class of the blank, by the objective; None for one without, and where no objective is told."""
    blank = (objective_of(program) or {}).get("blank")
    return None if blank is None else int(blank)


def _beside(written: str, place: Location) -> Path:
    """The file that a spec names, beside it. Raises TokensError for one outside of the spec's project."""
    from mctc.language.modules import library_root, project_root

    spec = Path(place.source.name if place.source is not None else place.file)
    path = spec.parent / written
    try:
        inside = [project_root(spec.resolve()), library_root()]
        if not any(path.resolve().is_relative_to(root) for root in inside):
            hint = "copy it into the project, or name it with `mctc build --tokens`"
            raise TokensError(f'"{written}" lies outside of the project ({inside[0].name})', hint=hint)
    except (OSError, ValueError, RuntimeError) as error:
        raise TokensError(f'"{written}" is no path: {error}') from error
    return path
