"""What is counted of one model: from its step functions, and from a build's package where there is one."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from mctc.compare.storage import HALF, stored_bytes
from mctc.driver.compiled import Compiled
from mctc.ir.program import Function
from mctc.ir.types import Role
from mctc.records import dataclass
from mctc.streaming.step_info import StepInfo


@dataclass(frozen=True)
class Component:
    """One step function. A call takes a chunk or a whole utterance (`over` "time") or one label (`over` "label").

    macs: multiply-accumulates a call, by the definitions of its ops. seconds: audio a call over time takes, where the
    time dimension has a rate. states, state_bytes: what is carried between calls, in fp16, before any packing.
    """

    name: str
    over: str
    macs: int
    seconds: float | None
    states: int
    state_bytes: int
    ops: int

    @property
    def macs_per_second(self) -> float | None:
        """Multiply-accumulates for a second of audio; None over labels, or without a rate."""
        return None if self.seconds is None else self.macs / self.seconds


@dataclass(frozen=True)
class Deployed:
    """What `mctc lint` says of a build's packages. ops: of all functions, constants apart; eligible: those that the
    engine takes. on_engine, doubtful: predicted shares of the estimated CPU time; a short call is not worth a switch.
    memory, padded: bytes of all tensors but weights, as packed and with the last axis padded to 64 bytes."""

    weight_bytes: int
    ops: int
    eligible: int
    on_engine: float
    doubtful: float
    switches: int
    memory: int
    padded: int
    errors: int


@dataclass(frozen=True)
class Measured:
    """A model. weight_bytes: of all parameters as a package stores them (see `storage`). latency_s: algorithmic, the
    chunk and what is looked ahead, or the whole utterance where a component can't be streamed; None without a rate."""

    model: str
    source: str
    parameters: int
    weight_bytes: int
    components: tuple[Component, ...]
    latency_s: float | None
    streams: bool
    deployed: Deployed | None = None

    @property
    def macs_per_second(self) -> float | None:
        """Of everything over time, called once a chunk; a joiner is counted with one label there."""
        rated = [each.macs_per_second for each in self.components if each.macs_per_second is not None]
        return sum(rated) if rated else None

    @property
    def macs_per_label(self) -> int | None:
        """Of a call of everything over labels: token by token, with the longest cache."""
        counts = [each.macs for each in self.components if each.over == Role.LABEL.value]
        return sum(counts) if counts else None

    @property
    def states(self) -> int:
        return sum(each.states for each in self.components)

    @property
    def state_bytes(self) -> int:
        return sum(each.state_bytes for each in self.components)

    @property
    def ops(self) -> int:
        return sum(each.ops for each in self.components)

    def as_data(self) -> dict[str, Any]:
        """All of it as JSON knows it, totals included."""
        totals = ("macs_per_second", "macs_per_label", "states", "state_bytes", "ops")
        rated = [{**asdict(each), "macs_per_second": each.macs_per_second} for each in self.components]
        return {**asdict(self), **{name: getattr(self, name) for name in totals}, "components": rated}


def measured(compiled: Compiled, source: str) -> Measured:
    """A model counted from its steps; it needs no deploy pass and no weights."""
    program, steps = compiled.derived, compiled.steps
    over_time = [step for step in steps.values() if step.role is Role.TIME]
    latencies = [seconds for step in over_time if (seconds := _latency(step)) is not None]
    return Measured(
        program.name,
        source,
        sum(type_.size for type_, _ in program.sources.values()),
        sum(stored_bytes(parameter) for parameter in program.parameters.values()),
        tuple(
            _component(function, steps[name])
            for name, function in program.functions.items()
            if steps[name].component == name  # a prefill does the work of its step, several labels at a time
        ),
        max(latencies, default=None),
        all(step.streams for step in over_time),
    )


def _component(function: Function, step: StepInfo) -> Component:
    seconds = step.chunk_ms / 1000 if step.role is Role.TIME and step.chunk_ms is not None else None
    states = [state.value.type.size for state in function.states]
    return Component(
        function.name,
        step.role.value,
        sum(op.macs() for op in function.ops),
        seconds,
        len(states),
        HALF * sum(states),
        len(function.ops),
    )


def _latency(step: StepInfo) -> float | None:
    """Seconds until the last of a step's results can be computed; all of them wait for a whole utterance."""
    times = [step.latency_ms(name) for name in step.timings] if step.streams else [step.chunk_ms]
    return max((time / 1000 for time in times if time is not None), default=None)
