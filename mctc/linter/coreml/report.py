"""Everything that is known of a package after it was checked: what every format prints, and nothing else.

Plain frozen records without references to the package, so that they can be written, compared and kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from mctc.linter.coreml.compile_cost import CompileCost
from mctc.linter.coreml.engine_numbers import EngineNumbers
from mctc.linter.coreml.memory import Memory
from mctc.linter.coreml.placement import Eligible, Predicted, Segment
from mctc.linter.coreml.rule import Rule, Severity
from mctc.linter.coreml.sizes import Size
from mctc.records import dataclass


@dataclass(frozen=True)
class Place:
    """Where an op comes from in a spec of mctc: 'spec/mct_small.mct:15:32' and the instance path. fp32: whether the
    spec keeps it in fp32."""

    location: str
    instance: str
    fp32: bool = False


@dataclass(frozen=True)
class Finding:
    """What a rule found. severity: the rule's, or what the user made of it. function, op: None where it is about more
    than one. index: the op's position in the function. place: the op's in its spec, where mctc made the package.
    sizes: at which of the function's sizes it holds; empty where it has only one."""

    rule: Rule
    severity: Severity
    message: str
    function: str | None = None
    op: str | None = None
    op_type: str | None = None
    index: int | None = None
    place: Place | None = None
    sizes: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        """What tells this finding apart from others, whatever else changes in the package."""
        return "|".join((self.rule.code, self.function or "", self.op_type or "", self.op or ""))


@dataclass(frozen=True)
class OpRow:
    """One op of a function. Times are estimates in microseconds; segment is a position in FunctionReport.segments;
    inputs: positions of the ops that make its operands; shape: of its first result, with the element type; outputs:
    names of its results; bytes: of its results, padded: with their last axis padded to 64 bytes."""

    name: str
    type: str
    shape: str
    eligible: Eligible
    predicted: Predicted
    segment: int
    ane: float
    cpu: float
    flops: int
    inputs: tuple[int, ...]
    rules: tuple[str, ...]
    outputs: tuple[str, ...] = ()
    bytes: int = 0
    padded: int = 0
    place: Place | None = None


@dataclass(frozen=True)
class SizeRow:
    """The figures of a function at one size.

    shapes: of the inputs that can have several. roles: what it is of these, such as default and least. shares, counts,
    time and cpu_time as in FunctionReport. memory, padded, peak: bytes of its tensors. open: ops with an extent that
    only a run tells, counted as one. misfit: the first op whose operands don't fit together at this size, and why.
    """

    shapes: Mapping[str, tuple[int, ...]]
    roles: tuple[str, ...]
    outputs: tuple[str, ...]
    shares: Mapping[Predicted, float]
    counts: Mapping[Predicted, int]
    time: float
    cpu_time: float
    macs: int
    memory: int
    padded: int
    peak: int
    open: int = 0
    misfit: str | None = None

    def __str__(self) -> str:
        return str(Size(self.shapes, self.roles))

    @property
    def label(self) -> str:
        """'mel=1x80x3000 (greatest)'."""
        return Size(self.shapes, self.roles).label

    def count(self, where: Predicted) -> int:
        """How many ops are predicted there."""
        return self.counts[where]


@dataclass(frozen=True)
class FunctionReport:
    """One function. shares: of the estimated CPU time, by where it is predicted to run. time: of the prediction with
    all charges; cpu_time: all on the CPU; microseconds. constants: how many stored and unpacked ones were set apart.
    sizes: where inputs can have several shapes, the figures at each that was judged; all others are of the first.
    unjudged: how many listed shapes were not. open: ops with an extent that isn't known, counted as one. numbers: the
    engine's arithmetic, where it is published. compile: what its first load and calls cost, where it is on the engine.
    int8_time: microseconds if the chip multiplies int8 by int8 as fast as one source has it; None where nothing is so.
    """

    name: str
    ops: tuple[OpRow, ...]
    segments: tuple[Segment, ...]
    shares: Mapping[Predicted, float]
    time: float
    cpu_time: float
    memory: Memory
    constants: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    states: tuple[str, ...]
    sizes: tuple[SizeRow, ...] = ()
    unjudged: int = 0
    open: int = 0
    numbers: EngineNumbers | None = None
    compile: CompileCost | None = None
    int8_time: float | None = None

    @property
    def size(self) -> str:
        """The size that its figures are of; empty where its shapes are fixed."""
        return str(self.sizes[0]) if self.sizes else ""

    @property
    def saving(self) -> float:
        """Estimated microseconds saved against all on the CPU."""
        return self.cpu_time - self.time

    @property
    def switches(self) -> int:
        return max(0, len(self.segments) - 1)

    def count(self, where: Predicted) -> int:
        """How many ops are predicted there."""
        return sum(op.predicted is where for op in self.ops)


@dataclass(frozen=True)
class LayerRow:
    """A layer of a neural network. shape: of its first result, "" where it can't be told; macs: multiply-accumulates,
    None where they can't; bytes: of its parameters as stored; inputs: positions of the layers that make its operands.
    """

    name: str
    type: str
    shape: str
    parameters: int
    bytes: int
    macs: int | None
    inputs: tuple[int, ...] = ()
    rules: tuple[str, ...] = ()


@dataclass(frozen=True)
class NetworkSize:
    """A size of a network's inputs, such as 'x=1x3x512x512 (greatest)'. uncounted: layers that are in no count."""

    label: str
    macs: int
    uncounted: int


@dataclass(frozen=True)
class NetworkReport:
    """A neural network. kind: the type of the model in Model.proto. Layers inside branches and loops count once.

    sizes: what it multiplies at each size of inputs that can have several; the layers' rows are those of the first.
    unjudged: how many listed sizes were left out.
    """

    kind: str
    layers: tuple[LayerRow, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    updatable: bool = False
    sizes: tuple[NetworkSize, ...] = ()
    unjudged: int = 0

    @property
    def parameters(self) -> int:
        return sum(layer.parameters for layer in self.layers)

    @property
    def macs(self) -> int:
        """Of the layers for which they can be told."""
        return sum(layer.macs or 0 for layer in self.layers)

    @property
    def uncounted(self) -> tuple[LayerRow, ...]:
        """The layers of which multiply-accumulates can't be told."""
        return tuple(layer for layer in self.layers if layer.macs is None)

    @property
    def unshaped(self) -> tuple[LayerRow, ...]:
        """The layers of which no shape can be told."""
        return tuple(layer for layer in self.layers if not layer.shape)


@dataclass(frozen=True)
class Report:
    """A checked package. opset: empty for a neural network, which has `network` and no functions. skipped: code and
    what the target would have to be, of rules that do not apply to it. hidden: how many findings --select, --ignore or
    a baseline left out. member: its name in the pipeline that it is part of. notes: what the check could not look at,
    with the way out."""

    path: str
    container: str
    spec_version: int
    opset: str
    target: str
    stated: frozenset[str]
    weight_bytes: int
    findings: tuple[Finding, ...]
    functions: tuple[FunctionReport, ...]
    skipped: tuple[tuple[str, str], ...] = ()
    hidden: int = 0
    made_by: Mapping[str, str] = field(default_factory=dict)
    network: NetworkReport | None = None
    member: str = ""
    notes: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """What to call it: the path, and the member where it is one of a pipeline."""
        return f"{self.path}/{self.member}" if self.member else self.path

    def count(self, severity: Severity) -> int:
        return sum(finding.severity is severity for finding in self.findings)


@dataclass(frozen=True)
class Unchecked:
    """A model that no rule was applied to. kind: in Model.proto, such as "neuralNetwork"; empty where it can't be read.
    member: its name in a pipeline of which other members were checked. about: what can still be said of it."""

    path: str
    reason: str
    hint: str = ""
    kind: str = ""
    member: str = ""
    about: tuple[str, ...] = ()

    @property
    def fails(self) -> bool:
        """Whether nothing of the package was checked."""
        return not self.member

    @property
    def label(self) -> str:
        return f"{self.path}/{self.member}" if self.member else self.path
