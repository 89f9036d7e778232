"""Random programs, cut into random instances, as modules: forward and step compute what the program says.

MCTC_EXAMPLES=500 looks at so many programs; 30 if it is not set.
"""

from __future__ import annotations

import inspect
import os
import sys
import types
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mctc.driver.compile import compile_program
from mctc.driver.compiled import Compiled
from mctc.driver.options import BuildOptions
from mctc.evaluate.reference import evaluate
from mctc.ir.location import Origin
from mctc.ir.op import Array
from mctc.ir.program import Function, Program, Source
from mctc.ir.types import Role
from mctc.targets.torch.expressions import UnsupportedError
from mctc.targets.torch.module import ModuleText, write_module
from mctc.targets.torch.target import TorchTarget
from mctc.weights import Weights
from tests.streaming.programs import Case, cases

RUNTIME = "mctc.targets.torch.runtime"
EXAMPLES = int(os.environ.get("MCTC_EXAMPLES", "30"))
many = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))


class GivenWeights(Weights):
    """A case's own values."""

    def __init__(self, program: Program, case: Case) -> None:
        super().__init__(program.sources)
        self.case = case

    def source(self, source: Source, dtype: Any = np.float64) -> Array:
        return np.asarray(self.case.weights[source.name], dtype)


PLACES = ("f", "f", "f.a", "f.a.b", "f.layers.0", "f.layers.0.c", "f.layers.1", "f.layers.1.c", "f.d")


def cut(function: Function, choices: list[int]) -> None:
    """Puts runs of ops into instances."""
    for index, op in enumerate(function.ops):
        op.origin = Origin(path=PLACES[choices[(index // 3) % len(choices)]])


def loaded(text: ModuleText) -> Any:
    """The model of a module's text, which finds the modules beside it in the runtime package."""
    module = types.ModuleType(f"{RUNTIME}.random")
    module.__package__ = RUNTIME
    sys.modules[module.__name__] = module
    exec(compile(text.text, "<emitted>", "exec"), module.__dict__)
    return getattr(module, text.name)().double().eval()


def emitted(case: Case, choices: list[int]) -> tuple[Compiled, Any, dict[str, torch.Tensor]]:
    """The compiled program, its component as a module, and the tensors that the module takes beside its inputs."""
    cut(case.function, choices)
    options = BuildOptions(target="torch", chunk=4 * case.multiple)
    compiled = compile_program(case.program, options, requirements=TorchTarget.requirements)
    whole = compiled.whole
    text = write_module(whole, compiled.derived.functions, "random.mct")
    model = loaded(text)
    weights = GivenWeights(whole, case)
    state = {
        name: torch.from_numpy(np.array(weights.source(Source(name, type_))))
        for name, (type_, _) in whole.sources.items()
    }
    for name, parameter in whole.parameters.items():
        if (
            name in state
            and name in dict(model.named_parameters())
            and parameter.type.shape != tuple(state[name].shape)
        ):
            state[name] = torch.from_numpy(np.array(weights.exact(parameter)))
    names = set(model.state_dict())
    model.load_state_dict({name: value.double() for name, value in state.items() if name in names})
    return compiled, model, dict(model.named_parameters())


def called(function: Any, inputs: dict[str, Array], own: dict[str, torch.Tensor], *more: Any) -> Any:
    """Calls a component, which takes the parameters of the model around it as arguments."""
    given = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in inputs.items()}
    known = {**own, **given}
    wanted = [name for name in inspect.signature(function).parameters if name in known]
    with torch.no_grad():
        return function(*[known[name] for name in wanted], *more)


@many
@given(cases(), st.lists(st.integers(0, len(PLACES) - 1), min_size=1, max_size=6))
def test_forward_is_the_program_however_it_is_cut(case: Case, choices: list[int]) -> None:
    try:
        compiled, model, own = emitted(case, choices)
    except UnsupportedError as error:
        pytest.skip(str(error))
    function = compiled.whole.functions["f"]
    sizes = {"B": 1, "T": 6 * case.multiple}
    rng = np.random.default_rng(1)
    inputs = {value.name: rng.normal(size=value.type.substitute(sizes).shape) for value in function.inputs}
    weights = GivenWeights(compiled.whole, case)
    expected, _ = evaluate(function, inputs, lambda name: weights.exact(compiled.whole.parameters[name]))
    actual = called(model.f.forward, inputs, own)
    for got, (name, _) in zip(actual, function.results, strict=True):
        np.testing.assert_allclose(got.numpy(), expected[name], rtol=1e-6, atol=1e-8, err_msg=name)


@many
@given(cases(), st.lists(st.integers(0, len(PLACES) - 1), min_size=1, max_size=6))
def test_steps_are_the_steps_of_the_program(case: Case, choices: list[int]) -> None:
    try:
        compiled, model, own = emitted(case, choices)
    except UnsupportedError as error:
        pytest.skip(str(error))
    function = compiled.derived.functions["f"]
    rng, weights = np.random.default_rng(1), GivenWeights(compiled.whole, case)
    states = {state.name: np.zeros(state.value.type.shape) for state in function.states}
    step = getattr(model.f, "step", model.f.forward)
    state = model.f.initial_state(1) if hasattr(model.f, "initial_state") else None
    for _ in range(3):
        inputs = {value.name: rng.normal(size=value.type.shape) for value in function.inputs}
        if "valid" in inputs:
            inputs["valid"] = np.ones_like(inputs["valid"])
        expected, states = evaluate(
            function, inputs, lambda name: weights.exact(compiled.whole.parameters[name]), states
        )
        made = called(step, inputs, own, *([] if state is None else [state]))
        results, state = (made[:-1], made[-1]) if state is not None else (made, None)
        for got, (name, _) in zip(results, function.results, strict=True):
            np.testing.assert_allclose(got.numpy(), expected[name], rtol=1e-6, atol=1e-8, err_msg=name)


@many
@given(cases(), st.integers(1, 23), st.booleans())
def test_an_utterance_alone_and_in_a_padded_batch_is_the_same(case: Case, length: int, counted: bool) -> None:
    try:
        compiled, model, own = emitted(case, [0])
    except UnsupportedError as error:
        pytest.skip(str(error))
    function, longest = compiled.whole.functions["f"], 6 * case.multiple
    length = min(length, longest)
    rng = np.random.default_rng(1)
    padded = {v.name: rng.normal(size=v.type.substitute({"B": 2, "T": longest}).shape) for v in function.inputs}
    alone = {v.name: padded[v.name][1:, ..., :length] for v in function.inputs}
    takes = inspect.signature(model.f.forward).parameters
    lengths = torch.tensor([longest, length])
    together = called(model.f.forward, padded, own, *([lengths] if "lengths" in takes else []))
    apart = called(model.f.forward, alone, own, *([lengths[1:]] if "lengths" in takes and counted else []))
    for (name, value), both, one in zip(function.results, together, apart, strict=True):
        axis = value.type.find(Role.TIME)
        frames = one.shape[axis] if axis is not None else None
        seen = both[1:] if axis is None else both[1:].narrow(axis, 0, frames)
        np.testing.assert_allclose(seen.numpy(), one.numpy(), rtol=1e-6, atol=1e-8, err_msg=name)
