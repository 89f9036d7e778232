"""`mctc dev`: tools for changing mctc itself, in a clone of it. What they write lies in the clone's docs/templates."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from string import Template
from typing import Any

import click

from mctc.diagnostics.errors import MctcError, UsageError
from mctc.records import dataclass

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TEMPLATES = "docs/templates"
RECIPE, SUFFIX = "recipe.toml", ".txt"
KINDS = ("pass", "rule", "target")
NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@dataclass(frozen=True)
class Recipe:
    """files: paths in the clone, and their texts. register: the file, the heading of a list in it, and the line that it
    gets. following: what is to be done next, and by which command."""

    files: dict[str, str]
    register: tuple[str, str, str]
    following: tuple[tuple[str, str], ...]


@click.command()
@click.argument("action", type=click.Choice(["new"]), metavar="new")
@click.argument("kind", type=click.Choice(KINDS), metavar="KIND")
@click.argument("name")
def dev(action: str, kind: str, name: str) -> None:
    """Write the files of a new pass, lint rule or target of mctc, in a clone of it.

    KIND is pass, rule or target; NAME is in small letters, with hyphens between words, such as fuse-silu. Tests are
    written too; they fail until the files are filled in. Nothing that is there is written over.
    """
    root = clone()
    recipe = recipe_of(root, kind, name)
    write(root, recipe)
    for path in recipe.files:
        click.echo(f"wrote {path}")
    click.echo(f"registered in {recipe.register[0]}")
    for what, command in recipe.following:
        click.echo(f"{what}:\n    {command}")


def clone() -> Path:
    """The root of the clone that this package is installed from. Raises UsageError where there is none."""
    root = Path(__file__).resolve().parent.parent.parent
    if not (root / TEMPLATES).is_dir():
        raise UsageError("`mctc dev` works in a clone of mctc", hint="clone it, and install it with pip install -e .")
    return root


def recipe_of(root: Path, kind: str, name: str) -> Recipe:
    """The templates of a kind, filled in with a name. Raises UsageError for a name of another form."""
    if not NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no name for a {kind}", hint="small letters, with hyphens between words")
    words = name.split("-")
    told = {
        "name": name,
        "module": "_".join(words),
        "class": "".join(map(str.capitalize, words)),
        "title": " ".join(words).capitalize(),
    }
    folder = root / TEMPLATES / kind
    data = tomllib.loads(_filled((folder / RECIPE).read_text(encoding="utf-8"), told))
    files = {
        _filled(file.relative_to(folder).as_posix().removesuffix(SUFFIX), told): _filled(
            file.read_text(encoding="utf-8"), told
        )
        for file in sorted(folder.rglob(f"*{SUFFIX}"))
    }
    register: dict[str, Any] = data["register"]
    following = tuple((each["does"], each["command"]) for each in data["next"])
    return Recipe(files, (register["file"], register["list"], register["line"]), following)


def write(root: Path, recipe: Recipe) -> None:
    """Writes all files and the line in the list. Raises MctcError, and writes nothing, where one of them is there."""
    there = [path for path in recipe.files if (root / path).exists()]
    if there:
        raise MctcError(f"{there[0]} is there already", hint="choose another name")
    listed, heading, line = recipe.register
    text = registered((root / listed).read_text(encoding="utf-8"), heading, line)
    for path, content in recipe.files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content, encoding="utf-8")
    (root / listed).write_text(text, encoding="utf-8")


def registered(text: str, heading: str, line: str) -> str:
    """The text with a line in the list under a heading, which ends with a brace and is in order of the alphabet.
    Raises MctcError where the line begins as another does, or there is no such list."""
    before, found, after = text.partition(f"{heading}\n")
    listed, end, rest = after.partition("\n}")
    if not end:
        raise MctcError(f"there is no list {heading}", hint="the recipe names a list that has moved")
    lines = listed.splitlines()
    name = line.partition(":")[0]
    if name in {each.partition(":")[0] for each in lines}:
        raise MctcError(f"{name.strip()} is in the list {heading} already", hint="choose another name")
    return before + found + "\n".join(sorted([*lines, line])) + end + rest


def _filled(text: str, told: dict[str, str]) -> str:
    """$name, $module, $class and $title are filled in; any other $ is an error of the template."""
    return Template(text).substitute(told)
