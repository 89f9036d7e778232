"""A parsed file, and what the rules ask of it: names, guards against a missing CUDA, and the loops of training."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator
from functools import cached_property
from typing import TypeGuard, TypeVar

from mctc.diagnostics.source import SourceFile
from mctc.lint.mps.scopes import FUNCTIONS, SCOPES, Kind, Scope, build

Node = TypeVar("Node", bound=ast.AST)
LOOPS = (ast.For, ast.AsyncFor, ast.While)
BRANCHES = (ast.If, ast.IfExp, ast.While)
CUDA_WORDS = ("cuda", "gpu", "nccl", "nvidia", "rocm")
DEVICE_WORDS = (*CUDA_WORDS, "mps", "device", "accelerator", "darwin", "metal")
EXITS = ("sys.exit", "exit", "quit", "os._exit")


class Code:
    """A file as the rules see it. Raises SyntaxError, ValueError or RecursionError for what Python can't parse."""

    def __init__(self, source: SourceFile) -> None:
        self.source = source
        self.tree = ast.parse(source.text)
        self.parents = {child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)}
        self.scopes = build(self.tree)
        self._called: dict[ast.AST, str] = {}  # every rule asks for the same names

    def all(self, kind: type[Node]) -> Iterator[Node]:
        """Every node of a kind, in no particular order."""
        return (node for node in self._nodes.get(kind, ()) if isinstance(node, kind))

    @cached_property
    def _nodes(self) -> dict[type[ast.AST], list[ast.AST]]:
        found: dict[type[ast.AST], list[ast.AST]] = {}
        for node in ast.walk(self.tree):
            found.setdefault(type(node), []).append(node)
        return found

    def ancestors(self, node: ast.AST) -> Iterator[ast.AST]:
        while (above := self.parents.get(node)) is not None:
            yield above
            node = above

    def scope(self, node: ast.AST) -> Scope:
        """The scope in which a name at `node` is looked up."""
        return next(self.scopes[above] for above in (node, *self.ancestors(node)) if isinstance(above, SCOPES))

    def function(self, node: ast.AST) -> ast.AST:
        """The function around `node`, or the module."""
        return next((above for above in self.ancestors(node) if isinstance(above, FUNCTIONS)), self.tree)

    def name(self, node: ast.AST) -> str:
        """The absolute name that an expression spells: 'torch.nn.Linear' for `nn.Linear` after `from torch import nn`.

        Empty where a part of it was bound in another way than by an import. A builtin is named as it is.
        """
        if isinstance(node, ast.Attribute):
            stem = self.name(node.value)
            return f"{stem}.{node.attr}" if stem else ""
        if not isinstance(node, ast.Name):
            return ""
        bindings = self.scope(node).lookup(node.id)
        imported = {binding.imported for binding in bindings if binding.kind is Kind.IMPORTED}
        others = [each for each in bindings if each.kind is not Kind.IMPORTED and not _is_none(each.node)]
        if not bindings:  # what nothing binds came with a star import, unless Python itself has it
            return node.id if hasattr(builtins, node.id) else ""
        return imported.pop() if len(imported) == 1 and not others else ""

    def called(self, node: ast.AST) -> str:
        """The absolute name of the function that a call calls; empty for anything else."""
        if node not in self._called:
            self._called[node] = self.name(node.func) if isinstance(node, ast.Call) else ""
        return self._called[node]

    def value(self, node: ast.AST) -> ast.AST:
        """What a name or `self.name` was assigned, where it was assigned once and for all; any other expression is its
        own value."""
        for _ in range(8):  # a chain of names is short, and two names may be bound to one another
            values = self.values(node)
            if values is None or len(values) != 1:
                break
            node = values[0]
        return node

    def values(self, node: ast.AST) -> list[ast.AST] | None:
        """All that a name or `self.name` is ever assigned; None where it also gets its value in other ways."""
        if isinstance(node, ast.Name):
            bindings = self.scope(node).lookup(node.id)
            known = bindings and all(binding.kind is Kind.ASSIGNED for binding in bindings)
            return [binding.node for binding in bindings] if known else None
        if is_own(node):
            return self._attributes.get((self.class_of(node), node.attr))
        return None

    def class_of(self, node: ast.AST) -> ast.ClassDef | None:
        return next((above for above in self.ancestors(node) if isinstance(above, ast.ClassDef)), None)

    @cached_property
    def _attributes(self) -> dict[tuple[ast.ClassDef | None, str], list[ast.AST]]:
        found: dict[tuple[ast.ClassDef | None, str], list[ast.AST]] = {}
        statements: tuple[ast.Assign | ast.AnnAssign, ...] = (*self.all(ast.Assign), *self.all(ast.AnnAssign))
        for statement in statements:
            if statement.value is None:
                continue
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            for target in targets:
                if is_own(target):
                    found.setdefault((self.class_of(target), target.attr), []).append(statement.value)
        return found

    def constant(self, node: ast.AST | None) -> object:
        """The literal that an expression stands for; None where there is none."""
        value = None if node is None else self.value(node)
        return value.value if isinstance(value, ast.Constant) else None

    def guarded(self, node: ast.AST) -> bool:
        """Whether the author made `node` depend on the device: by a condition around it or an exit before it that
        speaks of devices, by a `try`, or in a function or class whose name says that it is for CUDA."""
        child = node
        for above in self.ancestors(node):
            if isinstance(above, BRANCHES) and child is not above.test and self._speaks_of(above.test, DEVICE_WORDS):
                return True
            if isinstance(above, ast.BoolOp):
                before = above.values[: next(i for i, value in enumerate(above.values) if value is child)]
                if any(self._speaks_of(each, DEVICE_WORDS) for each in before):
                    return True
            if isinstance(above, ast.Try) and child in above.body and above.handlers:
                return True
            if isinstance(above, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and self._is_for_cuda(above):
                return True
            if child in self._after_demand:
                return True
            child = above
        return False

    def demands_cuda(self, statement: ast.stmt) -> bool:
        """Whether what follows `statement` runs only where there is CUDA."""
        if isinstance(statement, ast.Assert):
            return self._speaks_of(statement.test, CUDA_WORDS)
        if not isinstance(statement, ast.If) or not self._speaks_of(statement.test, CUDA_WORDS):
            return False
        return self.leaves(statement.body[-1])

    @cached_property
    def _after_demand(self) -> set[ast.AST]:
        """The statements that stand in one block behind a statement that demands CUDA."""
        found: set[ast.AST] = set()
        for demand in filter(self.demands_cuda, (*self.all(ast.Assert), *self.all(ast.If))):
            for block in ("body", "orelse", "finalbody"):
                statements = getattr(self.parents[demand], block, [])
                if isinstance(statements, list) and demand in statements:
                    found.update(statements[statements.index(demand) + 1 :])
        return found

    def knows_mps(self, node: ast.AST) -> bool:
        """Whether the function around `node` decides something by MPS itself: its author has thought of that device."""
        return self.function(node) in self._functions_about_mps

    @cached_property
    def _functions_about_mps(self) -> set[ast.AST]:
        branches: list[ast.If | ast.IfExp | ast.While] = [*self.all(ast.If), *self.all(ast.IfExp), *self.all(ast.While)]
        tests = (branch.test for branch in branches)
        return {self.function(test) for test in tests if self._speaks_of(test, ("mps",))} - {self.tree}

    def leaves(self, statement: ast.stmt) -> bool:
        """Whether a block ends its function, its turn of a loop or the program with `statement`."""
        if isinstance(statement, (ast.Return, ast.Raise, ast.Continue)):
            return True
        return isinstance(statement, ast.Expr) and self.called(statement.value) in EXITS

    def _is_for_cuda(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> bool:
        return _says(node.name, CUDA_WORDS) or any(self._speaks_of(each, CUDA_WORDS) for each in node.decorator_list)

    def _speaks_of(self, test: ast.AST, words: tuple[str, ...], follow: bool = True) -> bool:
        """Whether a name, attribute or text in `test`, or in what a name there was assigned, holds one of the words."""
        for node in ast.walk(test):
            text = getattr(node, "id", getattr(node, "attr", getattr(node, "value", None)))
            if isinstance(text, str) and _says(text, words):
                return True
            value = self.value(node) if follow else node
            if value is not node and self._speaks_of(value, words, follow=False):
                return True
        return False

    def step(self, node: ast.AST) -> ast.AST | None:
        """The loop whose every turn is a training step and runs `node`, or the Lightning hook that is called for each.

        None where a condition decides whether `node` runs, and outside of training.
        """
        child = node
        for above in self.ancestors(node):
            if isinstance(above, LOOPS) and above in self.step_loops and _in_body(above, child):
                return above
            if isinstance(above, FUNCTIONS):
                return above if self._is_lightning_step(above) else None
            if isinstance(above, (ast.ClassDef, ast.ExceptHandler, ast.match_case)):
                return None
            if isinstance(above, (ast.If, ast.IfExp)) and child is not above.test:
                return None
            if isinstance(above, ast.BoolOp) and child is not above.values[0]:
                return None
            child = above
        return None

    @cached_property
    def step_loops(self) -> set[ast.AST]:
        """The innermost loops around `loss.backward()` or `optimizer.step()`."""
        found: set[ast.AST] = set()
        for call in self.all(ast.Call):
            if not isinstance(call.func, ast.Attribute) or not _is_training(call.func):
                continue
            for above in self.ancestors(call):
                if isinstance(above, LOOPS):
                    found.add(above)
                if isinstance(above, (*LOOPS, *FUNCTIONS)):
                    break
        return found

    def _is_lightning_step(self, function: ast.AST) -> bool:
        inside = self.parents.get(function)
        return (
            isinstance(function, ast.FunctionDef)
            and function.name == "training_step"
            and isinstance(inside, ast.ClassDef)
            and any(self.name(base).endswith("LightningModule") for base in inside.bases)
        )

    def is_module(self, node: ast.ClassDef, depth: int = 8) -> bool:
        """Whether a class is an nn.Module: by its bases, or by those of its bases in the same file."""
        for base in node.bases:
            name = self.name(base)
            if name.endswith(".LightningModule") or (name.startswith("torch.nn.") and name != "torch.nn.Parameter"):
                return True
            bindings = self.scope(node).lookup(base.id) if isinstance(base, ast.Name) else []
            own = [each.node for each in bindings if isinstance(each.node, ast.ClassDef) and each.node is not node]
            if depth and any(self.is_module(each, depth - 1) for each in own):
                return True
        return False


def is_own(node: ast.AST) -> TypeGuard[ast.Attribute]:
    """Whether an expression is `self.name`."""
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self"


def argument(call: ast.Call, name: str, position: int | None = None) -> ast.expr | None:
    """An argument by its name, or by its position; None where it is not given or hidden behind * or **."""
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value
    if position is None or len(call.args) <= position or any(isinstance(arg, ast.Starred) for arg in call.args):
        return None
    return call.args[position]


def method(node: ast.AST) -> str:
    """The last name of a call: 'item' of `x.y.item()`; empty for anything else."""
    return node.func.attr if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else ""


def receiver(call: ast.Call) -> ast.expr:
    """`x.y` of `x.y.item()`."""
    assert isinstance(call.func, ast.Attribute)
    return call.func.value


def _is_training(func: ast.Attribute) -> bool:
    if func.attr in ("backward", "manual_backward"):
        return True
    owner = func.value.attr if isinstance(func.value, ast.Attribute) else getattr(func.value, "id", "")
    return func.attr == "step" and owner.lower().startswith("opt")


def _in_body(loop: ast.AST, child: ast.AST) -> bool:
    """Whether `child` of `loop` runs at every turn: in its body, or the condition of a while."""
    return child in getattr(loop, "body", ()) or child is getattr(loop, "test", None)


def _is_none(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _says(text: str, words: tuple[str, ...]) -> bool:
    lowered = text.lower()
    return any(word in lowered for word in words)
