"""A parsed file, and what the rules ask of it: names, guards against a missing CUDA, and the loops of training."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator
from functools import cached_property
from typing import TypeGuard, TypeVar

from mctc.diagnostics.source import SourceFile
from mctc.linter.mps.flow import BLOCKS, LOOPS, reaching
from mctc.linter.mps.scopes import COMPREHENSIONS, FUNCTIONS, SCOPES, Binding, Kind, Scope, build
from mctc.linter.mps.training import TrainingStep, is_option, now_and_then, trains

Node = TypeVar("Node", bound=ast.AST)
BRANCHES = (ast.If, ast.IfExp, ast.While)
CUDA_WORDS = ("cuda", "gpu", "nccl", "nvidia", "rocm")
DEVICE_WORDS = (*CUDA_WORDS, "mps", "device", "accelerator", "darwin", "metal")
LOADING_WORDS = ("collate", "dataset", "dataloader", "data_loader", "sampler", "getitem__", "worker_init")
DATA = ("Dataset", "Sampler")  # how the names of torch's base classes for data end
EXITS = ("sys.exit", "exit", "quit", "os._exit")


class Code:
    """A file as the rules see it. Raises SyntaxError, ValueError or RecursionError for what Python can't parse."""

    def __init__(self, source: SourceFile, steps: dict[int, TrainingStep] | None = None) -> None:
        self.source = source
        self.steps = {} if steps is None else steps  # functions that training calls at every step, by their line
        self.tree = ast.parse(source.text)
        self.parents: dict[ast.AST, ast.AST] = {}
        self._nodes: dict[type[ast.AST], list[ast.AST]] = {}
        self._walk()
        self.scopes = build(self.tree)
        self._called: dict[ast.AST, str] = {}  # every rule asks for the same names
        self.answers: dict[type, object] = {}  # what other modules found out about this file
        self._bindings: dict[ast.Name, list[Binding]] = {}

    def all(self, kind: type[Node]) -> Iterator[Node]:
        """Every node of a kind, in no particular order."""
        return (node for node in self._nodes.get(kind, ()) if isinstance(node, kind))

    def _walk(self) -> None:
        """One walk over the tree, which is most of the time that a file takes."""
        waiting: list[ast.AST] = [self.tree]
        for node in waiting:  # grows as it goes
            self._nodes.setdefault(type(node), []).append(node)
            for child in ast.iter_child_nodes(node):
                if not isinstance(child, ast.expr_context):
                    self.parents[child] = node
                    waiting.append(child)

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

    def bindings(self, name: ast.Name) -> list[Binding]:
        """The bindings that a name may have where it stands: one where the flow of the code leaves no other."""
        if name not in self._bindings:
            used = self.scope(name)
            while isinstance(used.node, COMPREHENSIONS) and name.id not in used.names and used.outer is not None:
                used = used.outer
            scope = used.owner(name.id)
            reached = reaching(name, scope, self.ancestors) if scope is used else None
            all_of_them = [] if scope is None else scope.names[name.id]
            self._bindings[name] = all_of_them if reached is None else reached
        return self._bindings[name]

    def values(self, node: ast.AST) -> list[ast.AST] | None:
        """All that a name or `self.name` may have been assigned; None where it may get its value in other ways."""
        if isinstance(node, ast.Name):
            bindings = self.bindings(node)
            known = bindings and all(binding.kind is Kind.ASSIGNED for binding in bindings)
            return [binding.node for binding in bindings] if known else None
        if is_own(node):
            return self.attributes.get((self.class_of(node), node.attr))
        return None

    def class_of(self, node: ast.AST) -> ast.ClassDef | None:
        return next((above for above in self.ancestors(node) if isinstance(above, ast.ClassDef)), None)

    @cached_property
    def attributes(self) -> dict[tuple[ast.ClassDef | None, str], list[ast.AST]]:
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
            if isinstance(above, BRANCHES) and child is not above.test and self.speaks_of(above.test, DEVICE_WORDS):
                return True
            if isinstance(above, ast.BoolOp):
                before = above.values[: next(i for i, value in enumerate(above.values) if value is child)]
                if any(self.speaks_of(each, DEVICE_WORDS) for each in before):
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
            return self.speaks_of(statement.test, CUDA_WORDS)
        if not isinstance(statement, ast.If) or not self.speaks_of(statement.test, CUDA_WORDS):
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
        return {self.function(test) for test in tests if self.speaks_of(test, ("mps",))} - {self.tree}

    def loads_data(self, node: ast.AST) -> bool:
        """Whether code makes examples or batches: it runs on the CPU, in the workers of a data loader."""
        for above in self.ancestors(node):
            bases = [self.name(base) for base in above.bases] if isinstance(above, ast.ClassDef) else []
            if says(getattr(above, "name", ""), LOADING_WORDS) or any(each.endswith(DATA) for each in bases):
                return True
        return False

    def leaves(self, statement: ast.stmt) -> bool:
        """Whether a block ends its function, its turn of a loop or the program with `statement`."""
        if isinstance(statement, (ast.Return, ast.Raise, ast.Continue)):
            return True
        return isinstance(statement, ast.Expr) and self.called(statement.value) in EXITS

    def _is_for_cuda(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> bool:
        return says(node.name, CUDA_WORDS) or any(self.speaks_of(each, CUDA_WORDS) for each in node.decorator_list)

    def speaks_of(self, test: ast.AST, words: tuple[str, ...], follow: bool = True) -> bool:
        """Whether a name, attribute or text in `test`, or in what a name there was assigned, holds one of the words."""
        for node in ast.walk(test):
            text = getattr(node, "id", getattr(node, "attr", getattr(node, "value", None)))
            if isinstance(text, str) and says(text, words):
                return True
            value = self.value(node) if follow else node
            if value is not node and self.speaks_of(value, words, follow=False):
                return True
        return False

    def step(self, node: ast.AST) -> ast.AST | None:
        """The loop whose every turn is a training step and runs `node`, or the function that is called for each.

        None where a condition decides whether `node` runs, and outside of training.
        """
        child = node
        for above in self.ancestors(node):
            if isinstance(above, LOOPS) and self.is_step_loop(above) and _in_body(above, child):
                return None if self._is_skipped(above, child) else above
            if isinstance(above, FUNCTIONS):
                runs = not isinstance(above, ast.Lambda) and child in above.body
                return above if runs and self.step_of(above) and not self._is_skipped(above, child) else None
            if isinstance(above, (ast.ClassDef, ast.ExceptHandler, ast.match_case)):
                return None
            if isinstance(above, (ast.If, ast.IfExp)) and child is not above.test:
                taken = trains(above.test)
                wanted = child in above.body if isinstance(above, ast.If) else child is above.body
                if taken is not wanted and not (taken is None and is_option(above.test)):
                    return None
            if isinstance(above, ast.BoolOp) and child is not above.values[0]:
                return None
            if self._is_skipped(above, child):
                return None
            child = above
        return None

    def step_of(self, function: ast.AST) -> TrainingStep | None:
        """Why a function runs at every training step; None where nothing says so."""
        return self.steps.get(getattr(function, "lineno", 0))

    def _is_skipped(self, above: ast.AST, child: ast.AST) -> bool:
        """Whether a statement before `child`, in the same block, leaves at most steps: `if step % 100: continue`."""
        for block in BLOCKS:
            statements = getattr(above, block, None)
            if isinstance(statements, list) and child in statements:
                before = statements[: statements.index(child)]
                return any(isinstance(each, ast.If) and self._leaves_rest(each) for each in before)
        return False

    def _leaves_rest(self, branch: ast.If) -> bool:
        """A `return` out of a loop ends it, which no later turn misses."""
        around = next(each for each in self.ancestors(branch) if isinstance(each, (*LOOPS, *SCOPES)))
        leaving = ast.Continue if isinstance(around, LOOPS) else ast.Return
        if branch.orelse or not isinstance(branch.body[-1], leaving):
            return False
        return trains(branch.test) is True or now_and_then(branch.test)

    def is_step_loop(self, loop: ast.AST | None) -> bool:
        """Whether every turn of a loop is a training step: it takes the step itself, or in a function that it calls."""
        return loop in self.step_loops or (isinstance(loop, LOOPS) and loop.lineno in self.steps)

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

    @cached_property
    def step_functions(self) -> set[ast.AST]:
        """The functions with `loss.backward()` or `optimizer.step()` and no loop around that."""
        found: set[ast.AST] = set()
        for call in self.all(ast.Call):
            if isinstance(call.func, ast.Attribute) and _is_training(call.func):
                around = next((each for each in self.ancestors(call) if isinstance(each, (*LOOPS, *FUNCTIONS))), None)
                if isinstance(around, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    found.add(around)
        return found

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


def says(text: str, words: tuple[str, ...]) -> bool:
    lowered = text.lower()
    return any(word in lowered for word in words)
