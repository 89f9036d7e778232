"""Which functions a training step calls, within a file and between the files that are checked, and what it hands them.

The roots are training loops, functions with `backward()` that a loop calls, and methods that a library is known to call
at every step. From there calls are followed, those under a condition left out, as `Code.step` leaves them out.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from mctc.lint.mps.code import Code
from mctc.lint.mps.flow import LOOPS
from mctc.lint.mps.program import Function, Place, Program, given_to
from mctc.lint.mps.scopes import FUNCTIONS, Kind
from mctc.lint.mps.tensors import Tensors
from mctc.lint.mps.training import GIVEN, HOOKS, Step

MARKS = (".backward(", ".manual_backward(", ".step(", *(hook for hooks in HOOKS.values() for hook in hooks))
TORCH = {"backward", "forward", "step", "apply"}  # methods of torch's own, too: the name says nothing
MOST = 2_000  # functions that one root may reach
RETURNS = 3  # times that one function is looked at again because another caller hands it something else


def find_steps(program: Program) -> None:
    """Fills `program.steps`. Files that can't be parsed are passed over."""
    for file in program.files:
        text = program.text(file)
        if any(mark in text for mark in MARKS):
            _Search(program, file).run()
            program.forget()


class _Search:
    """The calls that start from one file."""

    def __init__(self, program: Program, file: Path) -> None:
        self.program, self.file = program, file
        self.waiting: list[Place] = []
        self.visits: dict[ast.AST, int] = {}

    def run(self) -> None:
        code = self.program.code(self.file)
        if code is None:
            return
        self._record_calls(code)
        for function, origin in (*_hooks(code), *self._called_in_loops(code)):
            self._reach(Place(code, function), Step(origin, _given_by_library(function)))
        for loop in code.step_loops:
            self._follow(code, loop, f"{self.file.name}:{getattr(loop, 'lineno', 0)}")
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

    def _called_in_loops(self, code: Code) -> Iterator[tuple[Function, str]]:
        """Functions that take one step themselves, where a loop of the same file calls them by name."""
        looping: dict[str, int] = {}
        for call in code.all(ast.Call):
            loop = next((each for each in code.ancestors(call) if isinstance(each, (*LOOPS, *FUNCTIONS))), None)
            if isinstance(loop, LOOPS):
                name = str(getattr(call.func, "attr", getattr(call.func, "id", "")))
                if isinstance(call.func, ast.Name) or name not in TORCH:
                    looping.setdefault(name, loop.lineno)
        for function in code.step_functions:
            if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)) and function.name in looping:
                yield function, f"{self.file.name}:{looping[function.name]}"

    def _follow(self, code: Code, region: ast.AST, origin: str) -> None:
        """Looks at every call of a loop or a function that runs at each of its turns."""
        for call in [node for node in ast.walk(region) if isinstance(node, ast.Call)]:
            if code.step(call) is not region:
                continue
            self.program.looks_anew()
            for target in self.program.called(code, call):
                if isinstance(target.node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    self.program.record(target.node, code, call)
                    self._reach(target, Step(origin, _places(code, call, target)))
            for closure in _closures(code, call):
                self._reach(Place(code, closure), Step(origin))

    def _reach(self, place: Place, step: Step) -> None:
        """Notes that a function runs at every step, and looks into it if that says anything new of it."""
        assert isinstance(place.node, (ast.FunctionDef, ast.AsyncFunctionDef))
        known = place.code.step_of(place.node)
        merged = step if known is None else Step(known.origin, _merged(known, step))
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
                        yield each, f"{base} calls `{each.name}`"


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


def _merged(known: Step, step: Step) -> dict[str, bool]:
    """What all callers agree on; a tensor of the device from one of them is enough."""
    found = {}
    for name in known.places.keys() | step.places.keys():
        said = (known.places.get(name), step.places.get(name))
        if True in said:
            found[name] = True
        elif None not in said:
            found[name] = False
    return found
