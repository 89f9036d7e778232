"""Options of a pass: the fields of its dataclass, their types as data, and values read from text and checked.

    @dataclass(frozen=True)
    class LowerScan(Pass):
        name = "lower-scan"
        form: Literal["unrolled", "decay"] | None = option(None, "the form of every scan; none lets cost decide")

`--pass 'lower-scan{form=decay}'` and `passes { lower_scan.form: "decay" }` in a spec make `LowerScan(form="decay")`.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from mctc.diagnostics.errors import ExitCode, MctcError
from mctc.diagnostics.near import did_you_mean
from mctc.records import dataclass

if TYPE_CHECKING:
    from mctc.rewrite.base import Pass

T = TypeVar("T")
PLAIN: Mapping[type, str] = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
WORDS: Mapping[str, bool | None] = {"true": True, "false": False, "none": None}
NONE = type(None)


class PassOptionError(MctcError):
    """An option that a pass does not have, or a value that it does not take: the command line is at fault."""

    exit_code = ExitCode.USAGE


def option(default: T, doc: str, *, least: float | None = None) -> T:
    """A field of a pass that is an option. `doc`: what it decides, in one line; `least`: the smallest number."""
    return dataclasses.field(default=default, metadata={"doc": doc, "least": least})


@dataclass(frozen=True)
class Option:
    """One option. `owner`: the pass; `kinds`: plain types that it takes; `choices`: single values that it takes."""

    owner: str
    name: str
    default: object
    doc: str = ""
    least: float | None = None
    kinds: tuple[type, ...] = ()
    choices: tuple[object, ...] = ()

    @property
    def takes(self) -> str:
        """The values that it takes, in words: 'unrolled, decay or none'."""
        words = [text_of(choice) for choice in self.choices]
        bound = "" if self.least is None else f" of at least {self.least:g}"
        words += [PLAIN[kind] + (bound if kind in (int, float) else "") for kind in self.kinds if kind is not NONE]
        words += ["none"] * (NONE in self.kinds)
        return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"

    def parsed(self, text: str) -> object:
        """The value that a text stands for, checked. Raises PassOptionError."""
        for choice in self.choices:
            if text == text_of(choice):
                return choice
        for read in (WORDS.__getitem__, int, float, str):
            try:
                return self.checked(read(text))
            except (KeyError, ValueError, PassOptionError):
                continue
        raise self._refused(text, text)

    def checked(self, value: object) -> object:
        """The value as the field holds it. Raises PassOptionError for one of another kind."""
        if value in self.choices and any(type(value) is type(choice) for choice in self.choices):
            return value
        if float in self.kinds and type(value) in (int, Fraction):
            value = float(value)  # type: ignore[arg-type]
        small = self.least is not None and type(value) in (int, float) and value < self.least  # type: ignore[operator]
        if type(value) in self.kinds and not small:
            return value
        raise self._refused(f'"{value}"' if isinstance(value, str) else text_of(value), str(value))

    def _refused(self, shown: str, written: str) -> PassOptionError:
        near = did_you_mean(written, map(text_of, self.choices)) if self.choices else None
        told = f"option `{self.name}` of pass `{self.owner}` can't be {shown}"
        return PassOptionError(told, hint=near or f"it is {self.takes}")


def text_of(value: object) -> str:
    """A value as it is written: 'true', 'none', '64', 'unrolled'."""
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def options_of(cls: type[Pass]) -> dict[str, Option]:
    """The options of a pass by name. Raises PassOptionError for a field whose type can't be one."""
    fields = dataclasses.fields(cls)
    hints = get_type_hints(cls) if fields else {}
    return {field.name: _option(cls.name, field, hints[field.name]) for field in fields}


def option_faults(cls: type[Pass]) -> Iterator[str]:
    """What is wrong with the options that a pass declares."""
    if loose := sorted(_annotated(cls) - {field.name for field in dataclasses.fields(cls)}):
        yield f"`{loose[0]}` is annotated as an option, but the class lacks `@dataclass(frozen=True)`"
        return
    try:
        options_of(cls)
    except PassOptionError as error:
        yield error.message
    except (NameError, TypeError) as error:
        yield f"the types of its options can't be read: {error}"


def given(cls: type[Pass], values: Mapping[str, object]) -> dict[str, object]:
    """Values for options of a pass, each checked. Raises PassOptionError with near names."""
    return {name: _known(cls, name).checked(value) for name, value in values.items()}


def parsed(cls: type[Pass], texts: Mapping[str, str]) -> dict[str, object]:
    """The same from texts."""
    return {name: _known(cls, name).parsed(text) for name, text in texts.items()}


def _known(cls: type[Pass], name: str) -> Option:
    options = options_of(cls)
    if name not in options:
        hint = f"it has {', '.join(options)}" if options else "it has no options"
        raise PassOptionError(f"pass `{cls.name}` has no option `{name}`", hint=did_you_mean(name, options) or hint)
    return options[name]


def _option(owner: str, field: dataclasses.Field[Any], hint: object) -> Option:
    kinds: list[type] = []
    choices: list[object] = []
    for part in get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,):
        if get_origin(part) is Literal:
            choices += get_args(part)
        elif part in PLAIN or part is NONE:
            kinds.append(part)
        else:
            told = f"option `{field.name}` is of type {part}"
            raise PassOptionError(f"{told}; there are bool, int, float, str, Literal[...], and | None")
    if field.default is dataclasses.MISSING:
        raise PassOptionError(f"option `{field.name}` has no default: a pass has to run without options")
    doc, least = field.metadata.get("doc", ""), field.metadata.get("least")
    return Option(owner, field.name, field.default, doc, least, tuple(kinds), tuple(choices))


def _annotated(cls: type[Pass]) -> set[str]:
    """Names that a class or a base below Pass annotates as fields."""
    below = [each for each in cls.__mro__ if each.__module__ != "mctc.rewrite.base" and each is not object]
    named = {name: kind for each in below for name, kind in vars(each).get("__annotations__", {}).items()}
    return {name for name, kind in named.items() if "ClassVar" not in str(kind)}
