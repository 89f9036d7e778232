"""Which functions a training step calls, within a file and between the files that are checked, and what it hands them.

The roots are training loops, functions with `backward()` that a loop calls, and methods that a library is known to call
at every step. From there calls are followed, those under a condition left out, as `Code.step` leaves them out.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator
from pathlib import Path

from mctc.linter.mps.code import Code
from mctc.linter.mps.flow import LOOPS
from mctc.linter.mps.program import Function, Place, Program, given_to
from mctc.linter.mps.scopes import FUNCTIONS, Kind
from mctc.linter.mps.suites import test_lines
from mctc.linter.mps.tensors import Tensors
from mctc.linter.mps.training import GIVEN, HOOKS, OPTIMIZER, TrainingStep

MARKS = (".backward(", ".manual_backward(", ".step(", *(hook for hooks in HOOKS.values() for hook in hooks))
TORCH = {"backward", "forward", "step", "apply"}  # methods of torch's own, too: the name says nothing
MOST = 2_000  # functions that one root may reach
RETURNS = 3  # times that one function is looked at again because another caller hands it something else


def find_steps(program: Program, tests: Collection[Path] = ()) -> None:
    """Fills `program.steps`. Files that can't be parsed are passed over; the loops of `tests` are none of training."""
    files = [file for file in program.files if file not in tests]
    marked = [file for file in files if any(mark in program.text(file) for mark in MARKS)]
    names = {name for file in marked for name in _names_of_steps(program, file)}
    called = re.compile(rf"\b(?:{'|'.join(map(re.escape, sorted(names)))})\s*\(") if names else None
    for file in files:
        if file in marked or (called is not None and called.search(program.text(file))):
            _Search(program, file, names).run()
            program.forget()


def _names_of_steps(program: Program, file: Path) -> Iterator[str]:
    """The functions of a file that take one step themselves: a loop that calls them is one of training."""
    code = program.code(file)
    for function in code.step_functions if code is not None else ():
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield function.name


class _Search:
    """The calls that start from one file."""

    def __init__(self, program: Program, file: Path, names: Collection[str]) -> None:
        self.program, self.file, self.names = program, file, names
        self.waiting: list[Place] = []
        self.visits: dict[ast.AST, int] = {}

    def run(self) -> None:
        code = self.program.code(self.file)
        if code is None:
            return
        self._record_calls(code)
        for function, origin in _hooks(code):
            self._reach(Place(code, function), TrainingStep(origin, _given_by_library(function)))
        self._find_loops_of_steps(code)
        tests = list(test_lines(code.tree))
        loops = [each for kind in LOOPS for each in code.all(kind) if code.is_step_loop(each)]
        for loop in sorted(loops, key=lambda each: each.lineno):
            if not any(first <= loop.lineno <= last for first, last in tests):  # a test is no training
                self._follow(code, loop, f"{self.file.name}:{loop.lineno}")
        while self.waiting and len(self.visits) < MOST:
            place = self.waiting.pop()
            step = place.code.step_of(place.node)
            if step is not None:
                self._follow(place.code, place.node, step.origin)

    def _record_calls(self, code: Code) -> None:
        """Who calls the functions of this file: their parameters are what they are given."""
        for call in code.all(ast.Call):
            for each in self.program.named(code, call.func) if isinstance(call.func, ast.Name) else ():
                if each.code is code:
                    self.program.record(each.node, code, call)

    def _find_loops_of_steps(self, code: Code) -> None:
        """Notes the innermost loops that call a function that takes one step itself."""
        for call in code.all(ast.Call):
            name = str(getattr(call.func, "attr", getattr(call.func, "id", "")))
            loop = next((each for each in code.ancestors(call) if isinstance(each, (*LOOPS, *FUNCTIONS))), None)
            if name not in self.names or not isinstance(loop, LOOPS):
                continue
            targets = self.program.called(code, call)
            if not targets and (isinstance(call.func, ast.Name) or name not in TORCH):
                targets = [Place(code, each) for each in code.step_functions if getattr(each, "name", "") == name]
            if any(each.node in each.code.step_functions for each in targets):
                code.steps.setdefault(loop.lineno, TrainingStep(f"{self.file.name}:{loop.lineno}"))
                for each in targets:
                    self._reach(each, TrainingStep(f"{self.file.name}:{loop.lineno}"))

    def _follow(self, code: Code, region: ast.AST, origin: str) -> None:
        """Looks at every call of a loop or a function that runs at each of its turns."""
        for call in [node for node in ast.walk(region) if isinstance(node, ast.Call)]:
            if code.step(call) is not region:
                continue
            self.program.looks_anew()
            for target in self.program.called(code, call):
                if isinstance(target.node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    self.program.record(target.node, code, call)
                    self._reach(target, TrainingStep(origin, _places(code, call, target)))
            for closure in _closures(code, call):
                self._reach(Place(code, closure), TrainingStep(origin))

    def _reach(self, place: Place, step: TrainingStep) -> None:
        """Notes that a function runs at every step, and looks into it if that says anything new of it."""
        assert isinstance(place.node, (ast.FunctionDef, ast.AsyncFunctionDef))
        known = place.code.step_of(place.node)
        merged = step if known is None else TrainingStep(known.origin, _merged(known, step))
        visits = self.visits.get(place.node, 0)
        if (visits and merged == known) or visits > RETURNS:
            return
        self.visits[place.node] = visits + 1
        place.code.steps[place.node.lineno] = merged
        place.code.answers.pop(Tensors, None)  # where its parameters lie is part of them
        self.waiting.append(place)


def _hooks(code: Code) -> Iterator[tuple[Function, str]]:
    """The methods that a library calls at every step."""
    for owner in code.all(ast.ClassDef):
        bases = {getattr(base, "attr", getattr(base, "id", "")) for base in owner.bases}
        for base, names in HOOKS.items():
            if any(each.endswith(base) for each in bases):
                for each in owner.body:
                    if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef)) and each.name in names:
                        caller = "every training step" if base == OPTIMIZER else base
                        yield each, f"{caller} calls `{each.name}`"


def _given_by_library(function: Function) -> dict[str, bool]:
    return {each.arg: True for each in function.args.args if each.arg in GIVEN}


def _closures(code: Code, call: ast.Call) -> Iterator[ast.AST]:
    """Functions of the file that are handed over: `optimizer.step(closure)`."""
    for arg in call.args:
        for binding in code.bindings(arg) if isinstance(arg, ast.Name) else ():
            takes_step = getattr(call.func, "attr", "") == "step"
            if takes_step and binding.kind is Kind.DEFINED and isinstance(binding.node, ast.FunctionDef):
                yield binding.node


def _places(code: Code, call: ast.Call, target: Place) -> dict[str, bool]:
    """Where the arguments of a call lie, by the parameters that get them."""
    assert isinstance(target.node, (ast.FunctionDef, ast.AsyncFunctionDef))
    tensors = Tensors.of(code)
    bound = isinstance(target.code.parents.get(target.node), ast.ClassDef)
    found = {}
    for parameter in (*target.node.args.posonlyargs, *target.node.args.args, *target.node.args.kwonlyargs):
        given = given_to(call, target.node, parameter, bound=bound)
        if given is not None and tensors.on_device(given):
            found[parameter.arg] = True
        elif given is not None and tensors.elsewhere(given):
            found[parameter.arg] = False
    return found


def _merged(known: TrainingStep, step: TrainingStep) -> dict[str, bool]:
    """What all callers agree on; a tensor of the device from one of them is enough."""
    found = {}
    for name in known.places.keys() | step.places.keys():
        said = (known.places.get(name), step.places.get(name))
        if True in said:
            found[name] = True
        elif None not in said:
            found[name] = False
    return found
