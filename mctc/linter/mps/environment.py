"""Environment variables that a file sets for its own process."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from mctc.linter.mps.code import Code
from mctc.records import dataclass


@dataclass(frozen=True)
class Setting:
    """One variable set: the statement or call, the name, and the value where it is literal."""

    node: ast.AST
    name: str
    value: str | None


def settings(code: Code) -> Iterator[Setting]:
    """What is set through os.environ (item, setdefault, update) and os.putenv."""
    for statement in code.all(ast.Assign):
        for target in statement.targets:
            if isinstance(target, ast.Subscript) and code.name(target.value) == "os.environ":
                yield from _setting(code, statement, target.slice, statement.value)
    for call in code.all(ast.Call):
        name = code.called(call)
        if name in ("os.environ.setdefault", "os.putenv") and len(call.args) == 2:
            yield from _setting(code, call, *call.args)
        elif name == "os.environ.update":
            for keyword in call.keywords:
                if keyword.arg is not None:
                    yield Setting(call, keyword.arg, _text(code, keyword.value))
            for given in call.args:
                if isinstance(given, ast.Dict):
                    for key, value in zip(given.keys, given.values):
                        if key is not None:
                            yield from _setting(code, call, key, value)


def _setting(code: Code, node: ast.AST, key: ast.AST, value: ast.AST) -> Iterator[Setting]:
    name = code.constant(key)
    if isinstance(name, str):
        yield Setting(node, name, _text(code, value))


def _text(code: Code, node: ast.AST) -> str | None:
    value = code.constant(node)
    return value if isinstance(value, str) else None
