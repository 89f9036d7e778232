"""What is proven: whole components by the reference, and what steps make of the same utterances call by call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, replace
from fractions import Fraction
from itertools import repeat
from typing import Any

import numpy as np

from mctc.evaluate.adapt import adapt
from mctc.evaluate.reference import ParameterValue, evaluate
from mctc.ir.op import Array
from mctc.ir.program import Function, Op, Program
from mctc.ir.rounding import Rounding
from mctc.ir.types import Role, TensorType
from mctc.numerics.battery import BATTERY, NOISE, Item, draw
from mctc.numerics.parameters import kept
from mctc.numerics.sizes import least, symbol_sizes
from mctc.numerics.undefined import first_undefined
from mctc.records import dataclass
from mctc.streaming.lengths import Lengths, frames_of
from mctc.streaming.run import Call, label_by_label, stream
from mctc.streaming.sizes import streaming_role
from mctc.streaming.step_info import StepInfo
from mctc.weights import Weights

LABELS = 8  # calls of a component over labels, in the longest item
HALF = Rounding(np.float16)
BATCHED = "two in a batch"
SEED = 7

Results = dict[str, Array]
Arrays = Mapping[str, Array]
Fresh = Callable[[], Call]  # a call whose state is that of the first call of an utterance


@dataclass(frozen=True)
class Utterance:
    """Inputs of a component's whole function by name, and its results: what everything else is held to."""

    inputs: Arrays
    results: Arrays


@dataclass
class Subject:
    """A program behind the common passes (`whole`) and the steps that were made of it (`deployed`).

    only: names of items of the battery; all of them if there is none.
    load: values of a program's parameters; programs before and after a pass have weights of their own.
    heard: frames [frames, bins] for input `hears[1]` of component `hears[0]`, by the name of the battery's item.
    exact: parameters that are not compressed are as they are, not rounded to fp16: a deploy pass that folds what is
    computed from parameters rounds the result, not the parts.
    """

    whole: Program
    deployed: Program
    steps: Mapping[str, StepInfo]
    lengths: Lengths
    load: Callable[[Program], Weights]
    only: frozenset[str] = frozenset()
    hears: tuple[str, str] = ("", "")
    heard: Arrays = field(default_factory=dict)
    exact: bool = False
    _values: dict[int, tuple[Program, ParameterValue]] = field(default_factory=dict)
    _out_of_range: dict[tuple[str, str], Op | None] = field(default_factory=dict)
    _utterances: dict[tuple[str, str, bool, int], Utterance] = field(default_factory=dict)
    _exact_steps: dict[tuple[str, str, bool, int], tuple[Program, Results]] = field(default_factory=dict)

    def but(self, **changes: Any) -> Subject:
        """The same with other programs or parameters, for which nothing is computed yet."""
        return replace(self, **changes, _values={}, _utterances={}, _exact_steps={}, _out_of_range={})

    def component(self, name: str) -> str:
        """The spec's component that a function of the steps is derived from."""
        return self.steps[name].component if name in self.steps else name

    def items(self, name: str, whole: bool = False) -> tuple[Item, ...]:
        """The battery of a function, without what would be the same twice: one that takes a fixed length has no other.

        whole: the function over whole utterances, which may take several of them at once.
        """
        items: tuple[Item, ...] = BATTERY
        if name in self.steps and not self.steps[name].streams:
            items = tuple(item for item in items if item.chunks)
        if whole and self._free(name, Role.BATCH):
            items = (*items, replace(NOISE, name=BATCHED, batch=2))
        return tuple(item for item in self.asked(items) if self.out_of_range(name, item) is None)

    def asked(self, items: Sequence[Item]) -> list[Item]:
        """Those that `--input` names; all of them without it."""
        return [item for item in items if not self.only or item.name in self.only]

    def out_of_range(self, name: str, item: Item) -> Op | None:
        """The first op, of the whole function or of the steps, that leaves fp16's range on an extreme item. A mask is a
        finite number there, and an infinity may be one engine's and not another's: nothing behind it can be compared.
        """
        if item.extreme and (name, item.name) not in self._out_of_range:
            function = self.whole.functions[self.component(name)]
            inputs, value = self._inputs(name, function, item), self.parameter(self.whole)
            found = first_undefined(function, inputs, value, rounding=HALF)
            if found is None and name in self.deployed.functions:
                found = self._overflow(name, item)
            self._out_of_range[name, item.name] = found
        return self._out_of_range.get((name, item.name))

    def _overflow(self, name: str, item: Item) -> Op | None:
        """The first op of a step that is not finite in fp16, in any of the calls that an item takes."""
        parameter, found = self.parameter(self.deployed), list[Op]()

        def call(function: Function, inputs: Arrays, state: Arrays | None) -> tuple[Results, Results]:
            op = first_undefined(function, inputs, parameter, state, rounding=HALF)
            found.extend([] if op is None else [op])
            return evaluate(function, inputs, parameter, state, rounding=HALF)

        self.over_chunks(name, lambda: call, item)
        return found[0] if found else None

    def utterance(self, name: str, item: Item = NOISE) -> Utterance:
        """The whole function that function `name` of the steps is derived from, over an item of the battery, in
        float64. Computed once."""
        calls = self.steps[name].chunk if name in self.steps else 1  # of prefilled labels
        component = self.component(name)
        key = component, item.name, self.exact, calls
        if key not in self._utterances:
            function = self.whole.functions[component]
            inputs = self._inputs(name, function, item)
            results, _ = evaluate(function, inputs, self.parameter(self.whole))
            self._utterances[key] = Utterance(inputs, self.real(name, results))
        return self._utterances[key]

    def parameter(self, program: Program) -> ParameterValue:
        """Values of a program's parameters by name."""
        if id(program) not in self._values:
            self._values[id(program)] = program, self._kept(program, self.load(program))
        return self._values[id(program)][1]

    def _kept(self, program: Program, weights: Weights) -> ParameterValue:
        """Small models keep every value: a reference is asked for it in every call."""

        def value(name: str) -> Array:
            found = program.parameters[name]
            return weights.exact(found) if self.exact and found.quantization is None else weights.deployed(found)

        return kept(program, value)

    def stepped(
        self, name: str, item: Item = NOISE, rounding: Rounding | None = None, deployed: Program | None = None
    ) -> Results:
        """Results of a deployed step over chunks by the ops' reference semantics, every result of an op rounded by
        `rounding` if that is given."""
        program = deployed or self.deployed
        parameter = self.parameter(program)

        def call(function: Function, inputs: Arrays, state: Arrays | None) -> tuple[Results, Results]:
            return evaluate(function, inputs, parameter, state, rounding=rounding)

        return self.over_chunks(name, lambda: call, item, program)

    def rounded(self, name: str, item: Item, rounding: Rounding) -> Results:
        """Results of the whole function with every result of an op rounded."""
        function = self.whole.functions[self.component(name)]
        inputs = self.utterance(name, item).inputs
        return self.real(name, evaluate(function, inputs, self.parameter(self.whole), rounding=rounding)[0])

    def results(self, name: str, item: Item) -> Results:
        """Results of the whole function."""
        return dict(self.utterance(name, item).results)

    def predicted(
        self, name: str, item: Item, rounding: Rounding, deployed: Program | None = None
    ) -> tuple[Results, Results]:
        """What rounding alone explains: results as they are, and with every result of an op rounded. Those
        of the steps in `deployed`, or of the whole function where that is None."""
        if deployed is None:
            return self.results(name, item), self.rounded(name, item, rounding)
        key = name, item.name, self.exact, id(deployed)
        if key not in self._exact_steps:
            self._exact_steps[key] = deployed, self.stepped(name, item, None, deployed)
        return self._exact_steps[key][1], self.stepped(name, item, rounding, deployed)

    def over_chunks(self, name: str, fresh: Fresh, item: Item = NOISE, deployed: Program | None = None) -> Results:
        """Results of a step over a whole utterance, each call made by what `fresh` gives.

        Where a component over time has labels too, a step takes one of them: every label is a stream of its own.
        """
        info = self.steps[name]
        step = (deployed or self.deployed).functions[name], info
        made = label_by_label(
            step, self.utterance(name, item).inputs,
            lambda inputs: stream(lambda _: step, inputs, repeat(info.chunk), fresh()),
        )  # fmt: skip
        return self.real(name, made)

    def over_whole(self, name: str, call: Callable[[Arrays], Arrays], item: Item = NOISE) -> Results:
        """Results of one call over the whole utterance."""
        return self.real(name, call(self.utterance(name, item).inputs))

    def real(self, name: str, results: Arrays) -> Results:
        """Without the entries that pad a vocabulary: their -10000 would drown the logits in any measure of error."""
        real, name = dict(results), self.component(name)
        types = {key: value.type for key, value in self.whole.functions[name].results}
        for entry in self.whole.vocabularies:
            axis = types[entry.result].find(Role.VOCABULARY) if entry.function == name else None
            if axis is not None and entry.result in real:
                real[entry.result] = np.take(real[entry.result], range(entry.valid), axis=axis)
        return real

    def sizes(self, name: str, item: Item) -> dict[str, int]:
        """Frames, labels and sequences of an item, by the symbols of the whole function."""
        function = self.whole.functions[self.component(name)]
        sizes = symbol_sizes(function, batch=item.batch)
        info = self.steps.get(name)
        over_time = (info.role if info is not None else streaming_role(function)) is Role.TIME
        for symbol, role in self._roles(function).items():
            if role is Role.TIME and info is not None:
                sizes[symbol] = self._frames(name, function, item, symbol, over_time and info.streams)
            elif role is Role.TIME:
                sizes[symbol] = least(function, symbol) * (2 * item.chunks + item.steps)
            elif role is Role.LABEL:
                sizes[symbol] = item.labels if over_time else self._labels(info, item)
        return sizes

    def _frames(self, name: str, function: Function, item: Item, symbol: str, streams: bool) -> int:
        if not streams:
            return int(frames_of(self.whole, symbol, self.lengths.utterance or self.lengths.chunk))
        frames = int(frames_of(self.whole, symbol, item.chunks * self.lengths.chunk))
        frames += item.steps * least(function, symbol)
        if self.hears[0] == self.component(name) and item.name in self.heard:
            whole = least(function, symbol)
            frames = int(len(self.heard[item.name]) / self._heard_in(function, symbol)) // whole * whole
        return frames

    def _heard_in(self, function: Function, symbol: str) -> Fraction:
        """Frames that are heard for one of the dimension: 2 where the input has 2*T."""
        (heard,) = (value.type for value in function.inputs if value.name == self.hears[1])
        return next(axis.extent.coefficient(symbol) for axis in heard.axes if symbol in axis.extent.symbols)

    def _labels(self, info: StepInfo | None, item: Item) -> int:
        calls = LABELS if item is NOISE else item.chunks + item.steps
        most = self.whole.utterance.count("labels") or LABELS * (info.chunk if info else 1)
        return min(most, calls * (info.chunk if info is not None else 1))

    def _inputs(self, name: str, function: Function, item: Item) -> dict[str, Array]:
        sizes = self.sizes(name, item)
        arrays = draw(function, sizes, item, SEED)
        if self.hears[0] == function.name and item.name in self.heard:
            for value in function.inputs:
                if value.name == self.hears[1]:
                    arrays[value.name] = _laid_out(self.heard[item.name], value.type.substitute(sizes))
        return arrays

    def _free(self, name: str, role: Role) -> bool:
        return role in self._roles(self.whole.functions[self.component(name)]).values()

    @staticmethod
    def _roles(function: Function) -> dict[str, Role]:
        axes = [axis for value in function.inputs for axis in value.type.axes]
        return {symbol: axis.role for axis in axes for symbol in axis.extent.symbols}


def _laid_out(frames: Array, type_: TensorType) -> Array:
    """Frames [frames, bins] as the whole function takes them, cut or filled with silence to its number of frames."""
    time = type_.find(Role.TIME)
    assert time is not None
    half = frames[: type_.shape[time]].astype(np.float16).astype(np.float64)
    half = np.pad(half, ((0, type_.shape[time] - len(half)), (0, 0)))
    order = (Role.BATCH, Role.TIME)
    natural = sorted(
        (axis for axis in type_.axes if axis.role is not Role.UNIT), key=lambda axis: axis.role not in order
    )
    return adapt(half[None] if type_.find(Role.BATCH) is not None else half, type_.with_axes(natural), type_)
