"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar

import click

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

STDIN = "mctc.stdin"


class NamedPath(click.Path):
    """A path that names something: '' would be the current folder, where a shell's variable is unset."""

    def __init__(self) -> None:
        super().__init__(path_type=Path, readable=False)  # who reads it says so

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """A Path. Raises click.BadParameter for an empty one."""
        if value == "":
            self.fail("an empty path names no file", param, ctx)
        return super().convert(value, param, ctx)


PATH = NamedPath()


class SpecPath(NamedPath):
    """The path of a spec, or - for standard input, once. Whether it can be read is for the language to say, in its own
    words."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """A Path, or StandardInput for '-'. ('./-' is a file of that name.)"""
        if value != "-":
            return super().convert(value, param, ctx)
        take_standard_input(ctx)
        from mctc.language.read import StandardInput

        return StandardInput()


def take_standard_input(context: click.Context | None) -> None:
    """Notes that an argument is read from standard input. Raises click.UsageError for a second one."""
    if context is not None:
        if STDIN in context.meta:
            raise click.UsageError("standard input can be read once", context)
        context.meta[STDIN] = True


SPEC = SpecPath()


def parse_definition(text: str) -> tuple[str, Any]:
    """'width=320' as ('width', 320): whole numbers, decimals, true and false are values, the rest stays text.

    Raises click.BadParameter when there is no '=' or no name.
    """
    name, equals, value = text.partition("=")
    if not equals or not name.strip().isidentifier():
        raise click.BadParameter(f"{text!r} is not of the form NAME=VALUE")
    return name.strip(), _value(value.strip())


def _value(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    try:
        return int(text)
    except ValueError:  # not a whole number, or one with more digits than Python reads: the language names it
        pass
    try:
        number = float(text)
    except ValueError:
        return text
    return number if isfinite(number) else text


def _definitions(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, Any]:
    return dict(parse_definition(value) for value in values)


def _load_plugins(context: click.Context, _: click.Parameter, paths: tuple[Path, ...]) -> None:
    if context.resilient_parsing:
        return
    from mctc.plugins import registry

    for path in paths:
        registry().load_file(path)
    if registry().names("ops"):
        from mctc.plugin_ops import declare_ops

        declare_ops()


def names_of(kind: str) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    """Completes the names of what plugins bring: "targets", "passes"."""

    def complete(_: click.Context, __: click.Parameter, begun: str) -> list[str]:
        from mctc.plugins import registry

        return [name for name in registry().names(kind) if name.startswith(begun)]

    return complete


def _arithmetic(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """The full name of an arithmetic: 'engine' is 'engine:h18'."""
    if value is None:
        return None
    from mctc.evaluate.engine.arithmetic import arithmetic

    return str(arithmetic(value))


def arithmetic_option(command: Decorated) -> Decorated:
    """--arithmetic NAME, passed as `precision: str | None`; `--precision` is how it was called before engines."""
    return click.option(
        "--arithmetic", "--precision", "precision", callback=_arithmetic, metavar="NAME",
        help="What is computed in: that of the build if left out, fp32, fp16, or engine[:FAMILY[:UNKNOWN]]. A Core ML "
        "program in fp16 is rounded after every operation, in fp32 never; in engine, what is predicted to run on the "
        "Neural Engine computes as that does (docs/engine-arithmetic.md). FAMILY is h16, h17, h18 or h18g; UNKNOWN is "
        "low, mid or high.",
    )(command)  # fmt: skip


def defines_option(command: Decorated) -> Decorated:
    """-D NAME=VALUE, passed as `defines: dict[str, Any]`."""
    return click.option(
        "-D", "--define", "defines", multiple=True, metavar="NAME=VALUE", callback=_definitions,
        help="Set a parameter of the model. Repeatable.",
    )(command)  # fmt: skip


def model_option(command: Decorated) -> Decorated:
    """--model NAME, passed as `model: str | None`."""
    return click.option("--model", metavar="NAME", help="Which model of the file; the last one if left out.")(command)


def plugin_option(command: Decorated) -> Decorated:
    """--plugin FILE: loads the file into the registry before the command runs, and declares the ops that
    plugins bring, so that a spec can use them; passes nothing on."""
    return click.option(
        "--plugin", "plugins", multiple=True, type=PATH, metavar="FILE.py",
        callback=_load_plugins, expose_value=False, is_eager=True,
        help="Load passes, targets, ops or lint rules from a Python file. Repeatable.",
    )(command)  # fmt: skip
