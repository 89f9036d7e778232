"""Lexical scopes of a Python file: what a name stands for where it is used."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import field
from enum import Enum

from mctc.records import dataclass

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
SCOPES = (ast.Module, ast.ClassDef, *FUNCTIONS, *COMPREHENSIONS)

BINDING = (
    *(ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign, ast.AugAssign, ast.NamedExpr, ast.For, ast.AsyncFor),
    *(ast.comprehension, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.withitem, ast.arg),
    *(ast.ExceptHandler, ast.MatchAs, ast.MatchStar, ast.Global, ast.Nonlocal),
)


class Kind(Enum):
    IMPORTED = "imported"
    ASSIGNED = "assigned"  # the value is known
    UNPACKED = "unpacked"  # one of several targets of an assigned value
    UPDATED = "updated"  # by +=, on top of what it was
    ITERATED = "iterated"  # the target of a for
    PARAMETER = "parameter"
    DEFINED = "defined"  # by def or class
    OTHER = "other"  # the target of a with, an exception, a global name, ...


@dataclass(frozen=True)
class Binding:
    """One way in which a name gets its value.

    `node`: the assigned, added or iterated expression, the `ast.arg`, or the definition; `imported`: the absolute name.
    """

    kind: Kind
    node: ast.AST
    imported: str = ""


@dataclass
class Scope:
    node: ast.AST
    outer: Scope | None
    names: dict[str, list[Binding]] = field(default_factory=dict)

    def bind(self, name: str, binding: Binding) -> None:
        self.names.setdefault(name, []).append(binding)

    def owner(self, name: str) -> Scope | None:
        """The scope that `name` belongs to as seen from this one; None for a builtin and for what nothing binds."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.names and (scope is self or not isinstance(scope.node, ast.ClassDef)):
                return scope
            scope = scope.outer
        return None

    def lookup(self, name: str) -> list[Binding]:
        """The bindings of `name` as seen from this scope; empty for a builtin and for what nothing binds."""
        owner = self.owner(name)
        return [] if owner is None else owner.names[name]


def build(tree: ast.Module) -> dict[ast.AST, Scope]:
    """The scope of every node that opens one."""
    scopes: dict[ast.AST, Scope] = {}
    waiting: list[tuple[ast.AST, Scope | None]] = [(tree, None)]
    while waiting:
        node, outer = waiting.pop()
        scope = scopes[node] = Scope(node, outer)
        for inner in _own_nodes(node):
            if isinstance(inner, BINDING):
                _bind(inner, scope)
            if isinstance(inner, SCOPES):
                waiting.append((inner, scope))
    return scopes


def _own_nodes(scope: ast.AST) -> Iterator[ast.AST]:
    """Every node of a scope; of a scope inside it, only the node itself."""
    waiting = list(ast.iter_child_nodes(scope))
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.expr_context):
            continue
        yield node
        if not isinstance(node, SCOPES):
            waiting.extend(ast.iter_child_nodes(node))


def _bind(node: ast.AST, scope: Scope) -> None:
    if isinstance(node, ast.Import):
        for alias in node.names:
            name = alias.asname or alias.name.split(".")[0]
            scope.bind(name, Binding(Kind.IMPORTED, node, alias.name if alias.asname else name))
    elif isinstance(node, ast.ImportFrom):
        stem = "." * node.level + (node.module or "")
        for alias in node.names:
            scope.bind(alias.asname or alias.name, Binding(Kind.IMPORTED, node, f"{stem}.{alias.name}"))
    elif isinstance(node, (ast.Assign, ast.AnnAssign, ast.NamedExpr)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            if isinstance(target, ast.Name) and node.value is not None:
                scope.bind(target.id, Binding(Kind.ASSIGNED, node.value))
            elif node.value is not None and not isinstance(target, ast.Name):
                _bind_unpacked(target, scope, node.value)
    elif isinstance(node, (ast.For, ast.AsyncFor, ast.comprehension)):
        _bind_all(node.target, scope, Binding(Kind.ITERATED, node.iter))
    elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        scope.bind(node.name, Binding(Kind.DEFINED, node))
    else:
        _bind_otherwise(node, scope)


def _bind_otherwise(node: ast.AST, scope: Scope) -> None:
    other = Binding(Kind.OTHER, node)
    if isinstance(node, ast.AugAssign):
        _bind_all(node.target, scope, Binding(Kind.UPDATED, node.value))
    elif isinstance(node, ast.withitem) and node.optional_vars is not None:
        _bind_all(node.optional_vars, scope, other)
    elif isinstance(node, ast.arg):
        scope.bind(node.arg, Binding(Kind.PARAMETER, node))
    elif isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)) and node.name:
        scope.bind(node.name, other)
    elif isinstance(node, (ast.Global, ast.Nonlocal)):
        for name in node.names:
            scope.bind(name, other)


def _bind_unpacked(target: ast.AST, scope: Scope, value: ast.expr) -> None:
    """`a, b = x, y` assigns each; `a, b = f()` takes what is assigned apart."""
    parts = target.elts if isinstance(target, (ast.Tuple, ast.List)) else []
    given = value.elts if isinstance(value, (ast.Tuple, ast.List)) else []
    if not parts or len(parts) != len(given) or any(isinstance(each, ast.Starred) for each in (*parts, *given)):
        _bind_all(target, scope, Binding(Kind.UNPACKED, value))
        return
    for part, each in zip(parts, given):
        if isinstance(part, ast.Name):
            scope.bind(part.id, Binding(Kind.ASSIGNED, each))
        else:
            _bind_unpacked(part, scope, each)


def _bind_all(target: ast.AST, scope: Scope, binding: Binding) -> None:
    """Binds every name that an assignment to `target` sets; `a.b = ...` and `a[0] = ...` set none."""
    if isinstance(target, ast.Name):
        scope.bind(target.id, binding)
    elif isinstance(target, (ast.Tuple, ast.List)):
        for element in target.elts:
            _bind_all(element, scope, binding)
    elif isinstance(target, ast.Starred):
        _bind_all(target.value, scope, binding)
