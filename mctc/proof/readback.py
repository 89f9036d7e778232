"""Artifacts read back from disk, called, and compared with the program that they were made from."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mctc.diagnostics.errors import MctcError
from mctc.driver.engine import Engine
from mctc.driver.names import STATE_OUT, identifier
from mctc.driver.options import BuildError
from mctc.driver.target import Agreement, Interface
from mctc.evaluate.parts import Parted
from mctc.evaluate.reference import evaluate
from mctc.half_bits import to_half
from mctc.ir.islands import held_wide
from mctc.ir.op import Array
from mctc.ir.program import Function, Op, Program, Value
from mctc.ir.rounding import Rounding
from mctc.numerics.battery import CONSTANT, NOISE, SILENCE, Item, draw, noise_in_half
from mctc.numerics.difference import Difference, Scale, difference, within
from mctc.numerics.limits import Limit, limit_of
from mctc.numerics.parameters import Deployed
from mctc.numerics.sizes import symbol_sizes
from mctc.numerics.undefined import first_undefined, told
from mctc.proof.beyond import Beyond, Cut, Infinite, is_altered, is_beyond, is_lost
from mctc.proof.op_by_op import OpByOp, Parts, UnprovenError
from mctc.records import dataclass
from mctc.runtime.built import function_of, whole_of
from mctc.runtime.step import Step
from mctc.weights import Weights

Arrays = Mapping[str, Array]

ITEMS = (NOISE, CONSTANT, SILENCE)
"""Calls of a step: noise on states of noise, which sets the scale of errors; constants on what this leaves; and the
first call of an utterance that begins with silence."""

STATELESS = (NOISE, SILENCE)
"""Calls of a function without states, for which nothing is left by a call before."""

COMPUTES = np.float32
"""What the reference computes in, at half the time and memory of double precision; what is not within the limit of that
or beyond its range is judged in double precision."""

SCALED = "scale what comes before it, or say what the input may be: `x: f32[B, T, 80] in [0, 8]`"

NARROWED = "this target has no parts in fp32, whatever `quantize` says: --precision fp32, or scale what comes before it"


@dataclass(frozen=True)
class Readback:
    """What is read back: artifacts in `folder`, opened by `engine`, which compute in `precision`.

    raises: the target's own error, in which a disagreement ends. deployed: what the artifacts compute in on a device,
    where that has a range: numbers that it can't hold end in the same error. named: what values of a function of the
    program are called in an artifact, where they have names. mixed: `deployed` isn't meant for parts that a spec keeps
    in fp32.
    """

    folder: Path
    engine: Callable[[Path], Engine]
    precision: str
    raises: type[MctcError] = BuildError
    deployed: Limit | None = None
    named: Callable[[Path, str], Mapping[Value, str] | None] = lambda artifact, function: None
    mixed: bool = True

    def steps(self, program: Program, weights: Weights, interfaces: Mapping[str, Interface]) -> list[Agreement]:
        """Steps over a few calls. Raises `raises` where a result or a new state is further from the program's than the
        limit, or nothing of it could be compared."""
        found: list[Agreement] = []
        values, proven = Deployed(program, weights), set[Hashable]()
        for name, interface in interfaces.items():
            function = function_of(self.folder, name, interface)
            engine = self.engine(function.package)
            step = Step(function, engine, function.tables())
            call = partial(_called, step)
            each = _Function(self, program.functions[name], values, interface.artifact, call)
            names = self.named(function.package, name)
            alone = None
            if names is not None and isinstance(engine, Parted):
                alone = each.op_by_op(Parts(engine.pieces(function.stored_as), names, step, proven))
            found += each.compared() if alone is None else alone
        return found

    def whole(self, program: Program, weights: Weights, interfaces: Mapping[str, Interface]) -> list[Agreement]:
        """The same for functions over whole utterances, at a small size of their symbolic extents."""
        found: list[Agreement] = []
        values = Deployed(program, weights)
        for name, interface in interfaces.items():
            function = whole_of(self.folder, name, interface)
            run = function.opened(self.engine(function.package))
            call = partial(_called_whole, run)
            found += _Function(self, program.functions[name], values, interface.artifact, call).compared()
        return found


@dataclass(frozen=True)
class _Given:
    """One call: what goes in."""

    item: Item
    inputs: Arrays
    states: Arrays


@dataclass
class _Function:
    """One function of an artifact, and what calls it: inputs and states in, results and new states out."""

    asked: Readback
    function: Function
    values: Deployed
    artifact: str
    call: Callable[[Arrays, Arrays], tuple[Arrays, Arrays]]
    _beyond: Beyond = field(init=False)
    _wide: frozenset[Op] = field(init=False)
    _goes_beyond: bool = False

    def __post_init__(self) -> None:
        self.value = self.values.within(self.function)
        self.program, self.weights = self.values.program, self.values.weights
        self._wide = held_wide(self.program, self.function) if self.asked.mixed else frozenset()
        self._beyond = Beyond(self._wide)

    def compared(self) -> list[Agreement]:
        """Every result and new state, the worst of all calls. Raises what the read-back raises."""
        worst: dict[str, Agreement] = {}
        scales: dict[str, Scale] = {}
        altered: dict[str, str] = {}
        for given, expected in self._calls():
            self._held(given, expected)
            altered = dict(self._altered(given, expected)) | altered
            actual = _by_key(*self.call(given.inputs, given.states))
            limit, differences = limit_of(self.asked.precision), self._differences(expected, actual, scales)
            if not all(within(found, limit) and not found.undefined for found in differences.values()):
                expected = self._by_reference(given, None, np.float64)
                differences = self._differences(expected, actual, scales)
            for key, found in differences.items():
                explained = not within(found, limit)
                if explained:
                    found = difference(expected[key], actual[key], scales[key], each=True)
                    self._judge(key, given, found, altered.get(key))
                undefined = self._undefined(given) if found.undefined else None
                if undefined and found.undefined == found.entries and given.item is NOISE:
                    raise self.asked.raises(f"{key} of {self.function.name} is nowhere finite on noise: {undefined}")
                before = worst.get(key, Agreement(self.function.name, key, 0.0))
                error, explained = max(found.error, before.error), before.explained or explained
                undefined = before.undefined or undefined
                worst[key] = Agreement(self.function.name, key, error, undefined, explained, altered.get(key))
        return list(worst.values())

    def op_by_op(self, parts: Parts) -> list[Agreement] | None:
        """The same where it can be shown op by op, at a fraction of the cost; None where it can't.

        Of trained weights the first call computes every op: what numbers grow to, they alone tell.
        """
        limit = limit_of(self.asked.precision).error
        try:
            beyond = None if self.asked.deployed is None else self._beyond
            proof = OpByOp(self.function, self.program, self.weights, parts, limit or 0.0, beyond)
            for given, expected in self._calls(proof):
                del given, expected  # before the next ones take their place in memory
        except (UnprovenError, MctcError):
            return None  # the whole is compared then, and that tells what is wrong
        keys = [identifier(name) for name, _ in self.function.results]
        keys += [identifier(state.name) + STATE_OUT for state in self.function.states]
        return [Agreement(self.function.name, key, proof.error, op_by_op=True) for key in keys]

    def _held(self, given: _Given, expected: Arrays) -> None:
        """Raises where a result that the program has is no number any more in what a device computes in."""
        limit = self.asked.deployed
        if limit is None or not self._goes_beyond:
            return
        rounded = self._by_reference(given, limit.roundings[0], wide=self._wide)
        for key, array in expected.items():
            if is_lost(array, rounded[key]) and self._occurs(key, given, limit.roundings[0], is_lost):
                op = first_undefined(
                    self.function, given.inputs, self.value, given.states, limit.roundings[0], self._wide
                )
                where = "" if op is None else f": {told(op)} is the first that has no number there"
                narrowed = not self.asked.mixed and op in held_wide(self.program, self.function)
                raise self.asked.raises(
                    f"{key} of {self.function.name}, on {given.item.name}, is not finite in fp16{where}",
                    hint=NARROWED if narrowed else SCALED,
                )

    def _altered(self, given: _Given, expected: Arrays) -> Iterator[tuple[str, str]]:
        """Results that numbers beyond the range of what a device computes in make others, with the first op of such."""
        if self.asked.deployed is None or not self._goes_beyond:
            return
        cut = self._by_reference(given, Cut(None), wide=self._wide)
        for key, array in expected.items():
            if is_altered(array, cut[key]) and self._occurs(key, given, Cut(None), is_altered):
                op = first_undefined(self.function, given.inputs, self.value, given.states, Infinite(None), self._wide)
                what = "a number" if op is None else f"what {told(op)} gives"
                where = f"on {given.item.name}, and {key} of {self.function.name} depends on it"
                yield key, f"fp16 can't hold {what} {where}"

    def _occurs(self, key: str, given: _Given, rounding: Rounding, differs: Callable[[Array, Array], bool]) -> bool:
        """Whether what differs on states of noise differs in an utterance's first call, too.

        No utterance need ever have states of noise: a count of frames, which a mean is divided by, is near 0 in none.
        """
        if given.item is SILENCE or not given.states:
            return True
        first = _Given(given.item, given.inputs, {name: np.zeros_like(each) for name, each in given.states.items()})
        exact, rounded = (self._by_reference(first, each, wide=self._wide)[key] for each in (None, rounding))
        return differs(exact, rounded)

    def _judge(self, key: str, given: _Given, found: Difference, altered: str | None) -> None:
        """Raises for a difference that rounding does not explain. altered: which op goes beyond the range of what a
        device computes in, where the result depends on it."""
        limit = limit_of(self.asked.precision)

        def predicted(rounding: Rounding) -> Difference:
            exact, rounded = (self._by_reference(given, each, np.float64)[key] for each in (None, rounding))
            return difference(exact, rounded, each=True)

        if within(found, limit, predicted):
            return
        hint = "a plugin's op or pass is at fault if one took part; else please report it: it is a fault of mctc"
        if found.lost:
            op = first_undefined(self.function, given.inputs, self.value, given.states, limit.roundings[0])
            where = "" if op is None else f": rounded to {self.asked.precision}, {told(op)} is the first"
            apart = f"is not finite where the program is{where}"
            hint = hint if op is None else SCALED
        else:
            figure = f"{found.error:.3g}" if limit.decibels is None else f"{found.decibels:.1f} dB"
            apart = f"differs from the program by {figure} of its largest value (limit {limit})"
            if altered is not None:
                apart, hint = f"{apart}: {altered}", SCALED
        raise self.asked.raises(
            f"{self.asked.folder / self.artifact}: {key} of {self.function.name}, on {given.item.name}, {apart}",
            hint=hint,
        )

    def _calls(self, proof: OpByOp | None = None) -> Iterator[tuple[_Given, dict[str, Array]]]:
        """The calls of ITEMS and what the program says to them; `proof` goes along. States are as fp16 holds them:
        caches can be large."""
        sizes = symbol_sizes(self.function)
        types = [(state.name, state.value.type) for state in self.function.states]
        states: Arrays = noise_in_half(types)
        updates: Arrays = {}
        for number, item in enumerate(ITEMS if types else STATELESS):
            if item is SILENCE:
                states = {name: np.zeros(type_.shape, np.float16) for name, type_ in types}
            elif updates:
                states = {name: _left(array, narrows=proof is not None) for name, array in updates.items()}
            updates = {}
            inputs = draw(self.function, sizes, item, seed=number)
            given = _Given(item, inputs if proof is None else _narrowed(inputs), states)
            del inputs
            self._goes_beyond = False
            look = self._look if proof is None else None
            watch = None if proof is None else proof.begin(given.inputs, shares=number > 0 or not self.weights.trained)
            results, updates = evaluate(self.function, given.inputs, self.value, states, COMPUTES, look, watch=watch)
            if proof is not None:
                left = {state.update: updates[state.name] for state in self.function.states}
                proof.end({value: results[key] for key, value in self.function.results} | left)
                del left
            self.weights.release()
            states = {}
            yield given, {key: array.astype(np.float32, copy=False) for key, array in _by_key(results, updates).items()}
            del given, results

    def _look(self, op: Op, arrays: list[Array]) -> None:
        """Notes that a number is beyond fp16's range: only then is the program evaluated once more, rounded."""
        self._goes_beyond |= self._beyond.gives(op, arrays)

    def _by_reference(
        self, given: _Given, rounding: Rounding | None, dtype: Any = None, wide: frozenset[Op] = frozenset()
    ) -> dict[str, Array]:
        dtype, inputs, states = dtype or COMPUTES, given.inputs, given.states
        return _by_key(*evaluate(self.function, inputs, self.value, states, dtype, rounding=rounding, wide=wide))

    def _differences(self, expected: Arrays, actual: Arrays, scales: dict[str, Scale]) -> dict[str, Difference]:
        """How far every result is off, of the scale that the first call sets. Raises for one of another shape."""
        found = {}
        for key, array in expected.items():
            if actual[key].shape != array.shape:
                shapes = f"{list(actual[key].shape)}, not {list(array.shape)}"
                raise self.asked.raises(f"{self.asked.folder / self.artifact}: {key} came out as {shapes}")
            found[key] = difference(array, actual[key], scales.setdefault(key, Scale.of(array)))
        return found

    def _undefined(self, given: _Given) -> str | None:
        op = first_undefined(self.function, given.inputs, self.value, given.states)
        return None if op is None else f"{told(op)} is the first op that is not finite, on {given.item.name}"


def _by_key(results: Arrays, states: Arrays) -> dict[str, Array]:
    """Results and new states by the names that they have where states are outputs."""
    named = {identifier(name): array for name, array in results.items()}
    return named | {identifier(name) + STATE_OUT: array for name, array in states.items()}


def _finite(array: Array) -> Array:
    """The array with numbers for what is none. States can be most of what is in memory."""
    with np.errstate(all="ignore"):
        return array if np.isfinite(array.sum()) else np.nan_to_num(array)


def _left(array: Array, *, narrows: bool) -> Array:
    """A new state as the next call finds it: numbers; in fp16 if it `narrows` and none is beyond its range."""
    wide = _finite(array).astype(np.float32, copy=False)
    return to_half(wide) if narrows and not is_beyond(wide) else wide


def _narrowed(inputs: Arrays) -> Arrays:
    """Inputs as both sides compute with them: those of a large model are most of what is in memory."""
    return {
        name: array.astype(np.float32, copy=False) if array.dtype.kind == "f" else array
        for name, array in inputs.items()
    }


def _called(step: Step, inputs: Arrays, states: Arrays) -> tuple[Arrays, Arrays]:
    step.reset()
    step.start(states)
    return step(inputs), step.states()


def _called_whole(run: Callable[[Arrays], Arrays], inputs: Arrays, _: Arrays) -> tuple[Arrays, Arrays]:
    return run(inputs), {}
