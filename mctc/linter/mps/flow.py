"""Which binding of a name reaches a place: what `x` holds there, where it is assigned more than once."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence

from mctc.linter.mps.scopes import FUNCTIONS, SCOPES, Binding, Kind, Scope

LOOPS = (ast.For, ast.AsyncFor, ast.While)
BLOCKS = ("body", "orelse", "finalbody")
MOST_BINDINGS = 40  # of one name; beyond that nothing is said

Above = Callable[[ast.AST], Iterator[ast.AST]]


def reaching(name: ast.Name, scope: Scope, above: Above) -> list[Binding] | None:
    """The bindings whose value `name` may hold where it stands; None where that is left open.

    scope: the scope in which the name is looked up; above: the ancestors of a node. The nearest statement before the
    name that surely binds it counts, and no other: an assignment, or an `if` that does so in all of its branches. A
    binding in one branch before the name, or later in a loop around both, leaves it open.
    """
    bindings = scope.names.get(name.id, [])
    if len(bindings) == 1:
        return bindings
    if not bindings or len(bindings) > MOST_BINDINGS or isinstance(scope.node, ast.ClassDef):
        return None
    inside = {id(each): {each.node, *above(each.node)} for each in bindings}
    child: ast.AST = name
    for outer in above(name):
        for statement in reversed(_before(outer, child)):
            found = [each for each in bindings if statement in inside[id(each)]]
            if found:
                return _made(statement, found, inside)
        if outer is scope.node:
            break
        if isinstance(outer, LOOPS) and any(outer in inside[id(each)] for each in bindings):
            return None
        child = outer
    parameters = [each for each in bindings if each.kind is Kind.PARAMETER]
    return parameters[:1] or None


def _before(outer: ast.AST, child: ast.AST) -> Sequence[ast.stmt]:
    """The statements that stand in one block with `child` and before it."""
    for block in BLOCKS:
        statements = getattr(outer, block, None)
        if isinstance(statements, list) and child in statements:
            return statements[: statements.index(child)]
    return ()


def _made(statement: ast.stmt, bindings: list[Binding], inside: dict[int, set[ast.AST]]) -> list[Binding] | None:
    """What a statement surely leaves of the bindings in it; None where it may leave the name as it was."""
    if isinstance(statement, (ast.With, ast.AsyncWith)):
        return _left_by(statement.body, bindings, inside)
    if isinstance(statement, ast.If):
        branches = [_left_by(block, bindings, inside) for block in (statement.body, statement.orelse)]
        if None in branches:
            return None
        return [each for left in branches for each in left or ()]
    last = bindings[-1]
    if isinstance(statement, (*FUNCTIONS, *SCOPES, ast.Import, ast.ImportFrom)):
        return [last] if last.node is statement else None
    straight = isinstance(statement, (ast.Assign, ast.AnnAssign, ast.AugAssign)) and last.kind is not Kind.OTHER
    return [last] if straight else None


def _left_by(block: list[ast.stmt], bindings: list[Binding], inside: dict[int, set[ast.AST]]) -> list[Binding] | None:
    for statement in reversed(block):
        found = [each for each in bindings if statement in inside[id(each)]]
        if found:
            return _made(statement, found, inside)
    leaves = bool(block) and isinstance(block[-1], (ast.Return, ast.Raise, ast.Continue, ast.Break))
    return [] if leaves else None
