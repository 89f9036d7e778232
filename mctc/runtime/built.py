"""A built folder, as its manifest describes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mctc.arguments import SECONDS, expect
from mctc.driver.manifest import NAME, called, read_manifest, sha256
from mctc.driver.options import BuildError
from mctc.driver.reading import AGAIN
from mctc.driver.target import Interface, Target, target_named
from mctc.ir.dims import Extent
from mctc.ir.domain import Domain
from mctc.ir.op import Array
from mctc.ir.program import Program
from mctc.ir.types import Axis, DType, Role, TensorType
from mctc.records import dataclass
from mctc.runtime.fed import domain_of
from mctc.streaming.lengths import Lengths
from mctc.tokens.errors import TokensError

if TYPE_CHECKING:  # a build reads functions back that it has just written: it has no need of what else a folder holds
    from mctc.audio.front_end import FrontEnd
    from mctc.decode.vocabulary import Vocabulary
    from mctc.driver.engine import Engine
    from mctc.tokens.table import Tokens
    from mctc.weights import Weights

PORTS = ("function", "input", "exists", "kind")  # what it says besides how they are made


@dataclass(frozen=True)
class BuiltPort:
    """An input, output or state of a function. `spec` is its name in the program, `name` the one in the package.

    frames: frames a call, where the port streams; delay: how many frames late an output comes.
    latency_ms: algorithmic latency of an output, where there is a rate.
    table: the file of rows [ids, width] that the port takes by what are ids in the program.
    given: what an input of a decoder is given (docs/manifest.md); row_of: the file of rows, where those are rows.
    domain: what the entries of an input may be, where the spec says it. wide: whether its numbers are in fp32.
    """

    spec: str
    name: str
    type: TensorType
    frames: int | None = None
    delay: int = 0
    latency_ms: float | None = None
    table: Path | None = None
    domain: Domain | None = None
    given: str | None = None
    row_of: Path | None = None
    wide: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of what is given: where the port takes rows of a table, that of the ids."""
        shape = list(self.type.shape)
        if self.table is not None:
            shape[self.type.roles.index(Role.CHANNEL)] = 1
        return tuple(shape)

    @property
    def takes_ids(self) -> bool:
        """Whether the entries of what is given are whole numbers."""
        return self.table is not None or self.type.dtype is DType.I32

    def ids(self, numbers: Sequence[int]) -> Array:
        """Ids, one for every place that the port has, in its shape and element type."""
        return np.asarray(numbers, np.int32 if self.takes_ids else np.float32).reshape(self.shape)


@dataclass(frozen=True)
class BuiltFunction:
    """A function of the build: where it is stored, and how it is called.

    Where states are inputs and outputs (`--state io`), `state_outputs` has the output of each of `states`.
    """

    name: str
    package: Path
    stored_as: str
    role: Role
    inputs: tuple[BuiltPort, ...]
    outputs: tuple[BuiltPort, ...]
    states: tuple[BuiltPort, ...]
    state_outputs: tuple[BuiltPort, ...]
    operations: int

    def tables(self) -> dict[str, Array]:
        """Rows [ids, width] for the inputs that are ids in the program and rows in the artifact."""
        tables = {port.spec: port.table for port in self.inputs if port.table is not None}
        if not tables:
            return {}
        from mctc.runtime.arrays import read_npy

        return {spec: read_npy(table) for spec, table in tables.items()}

    def streaming(self, ports: tuple[BuiltPort, ...], role: Role) -> list[BuiltPort]:
        """The ports that have an axis of `role`."""
        return [port for port in ports if port.type.find(role) is not None]

    def over_time(self) -> list[BuiltPort]:
        """The results that have frames: what is one of a whole utterance, such as a mean, goes on with no time."""
        return [port for port in self.streaming(self.outputs, Role.TIME) if port.frames is not None]


@dataclass(frozen=True)
class WholeFunction:
    """A function over whole utterances: names in the artifact, by those in the program."""

    package: Path
    stored_as: str
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]

    def opened(self, engine: Engine) -> Callable[[Mapping[str, Array]], dict[str, Array]]:
        """What calls it: arrays in and out by their names in the program."""
        called = engine.function(self.stored_as)

        def call(inputs: Mapping[str, Array]) -> dict[str, Array]:
            results = called({self.inputs.get(key, key): array for key, array in inputs.items()})
            return {key: results[stored] for key, stored in self.outputs.items()}

        return call


@dataclass(frozen=True)
class Built:
    """A build folder. `manifest` is the whole of manifest.json; the fields are what running needs of it.

    functions: those that are called at chunks of `lengths`, by the names of the first. others: all at other chunks, by
    names of their own. latencies: which of `others` are called at a chunk of so many frames, by the names of the first.
    """

    folder: Path
    manifest: Mapping[str, Any]
    functions: Mapping[str, BuiltFunction]
    whole: Mapping[str, WholeFunction]
    lengths: Lengths
    rate: Fraction | None
    front_end: FrontEnd | None
    blank: int
    others: Mapping[str, BuiltFunction] = field(default_factory=dict)
    latencies: Mapping[int, Mapping[str, str]] = field(default_factory=dict)

    def function(self, name: str) -> BuiltFunction:
        """A function at whatever chunk."""
        return self.others[name] if name in self.others else self.functions[name]

    @property
    def every_function(self) -> Mapping[str, BuiltFunction]:
        """Those at all chunks, by names of their own."""
        return {**self.functions, **self.others}

    def at(self, chunk: Fraction | int) -> Built:
        """The same build called at another of its chunks, in seconds or frames. Raises BuildError where it has none."""
        expect(SECONDS, chunk=chunk)
        frames = Fraction(chunk) if isinstance(chunk, int) else None if self.rate is None else chunk * self.rate
        if frames == self.chunk:
            return self
        called = None if frames is None else self.latencies.get(int(frames) if frames.denominator == 1 else -1)
        if called is None or frames is None:
            known = ", ".join(self._told(each) for each in (self.chunk, *self.latencies))
            hint = "a spec lists several: `stream { chunk = [80 ms, 320 ms] }`"
            raise BuildError(f"{self.folder} has no functions for such a chunk; it has {known}", hint=hint)
        functions = {name: self.others.get(called.get(name, ""), each) for name, each in self.functions.items()}
        return replace(self, functions=functions, lengths=replace(self.lengths, chunk=int(frames)))

    def _told(self, frames: int) -> str:
        return f"{frames} frames" if self.rate is None else f"{float(1000 * frames / self.rate):g} ms"

    @property
    def chunk(self) -> int:
        """Frames of the time dimension a call."""
        return self.lengths.chunk

    @property
    def target(self) -> Target:
        return target_named(self.manifest["target"])

    @property
    def precision(self) -> str:
        """What the artifacts compute in."""
        return str(self.manifest["options"]["precision"])

    @property
    def durations(self) -> tuple[int, ...]:
        """Of a token-and-duration transducer, how many frames each of the joiner's logits of durations goes on."""
        return tuple(self.manifest.get("durations", ()))

    @property
    def model(self) -> str:
        return str(self.manifest["model"])

    @cached_property
    def tokens(self) -> Tokens | None:
        """What the classes stand for; None where the build doesn't know. Raises BuildError for a damaged table."""
        told = self.manifest.get("tokens")
        if told is None:
            return None
        from mctc.tokens.read import read_tokens

        try:
            return read_tokens(_inside(self.folder, told["file"], "the table of tokens"))
        except (TokensError, ValueError) as error:
            raise BuildError(f"{self.folder / told['file']} is damaged: {error}", hint=AGAIN) from error

    def exists(self, function: str) -> str | None:
        """The input of a function that is told which frames of a recording exist; None where there is none."""
        audio = self.manifest["audio"] or {}
        first = {called: name for names in self.latencies.values() for name, called in names.items()}
        return audio.get("exists") if audio.get("function") == first.get(function, function) else None

    @property
    def seed(self) -> int | None:
        """The seed of initial weights; None where trained weights were given."""
        seed = self.manifest["weights"].get("seed")
        return None if seed is None else int(seed)

    def values(self, program: Program, checkpoint: Path | None = None) -> Weights:
        """The weights that the build was made with, for one of its programs.

        Raises BuildError when they were trained and `checkpoint` is not the file that they came from.
        """
        from mctc.weights import Weights

        described: dict[str, Any] = self.manifest["weights"]
        if "seed" in described:
            return Weights(program.sources, described["seed"], cache=True)
        if checkpoint is None:
            hint = f"pass --weights {described['file']}"
            raise BuildError("this build holds trained weights, which takes the checkpoint", hint=hint)
        if sha256(checkpoint) != described["sha256"]:
            raise BuildError(f"{checkpoint} is not the checkpoint of this build ({described['file']})")
        return Weights.load(program, checkpoint, cache=True)

    def vocabulary(self, function: str, output: BuiltPort) -> Vocabulary:
        """Which entries of an output's vocabulary axis may win."""
        from mctc.decode.vocabulary import Vocabulary

        for entry in self.manifest["vocabularies"]:
            if (entry["function"], entry["result"]) == (function, output.spec):
                return Vocabulary.first(int(entry["valid"]))
        axis = output.type.find(Role.VOCABULARY)
        if axis is None:
            raise BuildError(f"{output.spec} of {function} has no vocabulary axis, so it holds no tokens")
        return Vocabulary.first(output.type.extents[axis].value)


def open_built(folder: Path) -> Built:
    """The build in `folder`. Raises BuildError when there is none or its manifest is damaged."""
    manifest = read_manifest(folder)
    try:
        target = str(manifest["target"])
        if target_named(target).runtime is None:
            hint = "build it with --target ane"
            raise BuildError(f"{folder} was built for {target}: it holds nothing that runs", hint=hint)
        stream, audio = manifest["stream"], manifest["audio"]
        rate = None if stream["frame_rate_hz"] is None else Fraction(stream["frame_rate_hz"])
        functions = {name: _function(folder, name, entry) for name, entry in manifest["functions"].items()}
        whole = {name: _whole(folder, name, entry) for name, entry in manifest["whole"].items()}
        front_end = None if audio is None else _front_end(audio)
        blank = manifest["blank"] or 0
        manifest["weights"], manifest["vocabularies"], manifest["model"], manifest["options"]["precision"]
        lengths = Lengths(int(stream["chunk_frames"]), stream["utterance_frames"], stream["streams"])
        latencies = {int(each["chunk_frames"]): dict(each["functions"]) for each in stream.get("latencies", [])}
        others = {called: functions.pop(called) for names in latencies.values() for called in names.values()}
        return Built(folder, manifest, functions, whole, lengths, rate, front_end, blank, others, latencies)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BuildError(
            f"{folder / NAME} is damaged: {type(error).__name__}: {error}", hint="build it again"
        ) from error


def _front_end(audio: Mapping[str, Any]) -> FrontEnd:
    from mctc.audio.mel import MelConfig
    from mctc.audio.samples import SampleConfig

    kinds: dict[str, type[FrontEnd]] = {"log-mel": MelConfig, "samples": SampleConfig}
    made: FrontEnd = kinds[audio.get("kind", "log-mel")](**{k: v for k, v in audio.items() if k not in PORTS})
    return made


def _inside(folder: Path, file: str, what: str) -> Path:
    if not (folder / file).resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"{what} is outside of the folder")
    return folder / file


def _whole(folder: Path, name: str, entry: Mapping[str, Any]) -> WholeFunction:
    inputs, outputs = ({port["spec_name"]: port["name"] for port in entry[kind]} for kind in ("inputs", "outputs"))
    return WholeFunction(
        _inside(folder, str(entry["package"]), f"the package of {name}"), str(entry["name"]), inputs, outputs
    )


def function_of(folder: Path, name: str, interface: Interface, role: Role = Role.TIME) -> BuiltFunction:
    """A function as a target wrote it, before there is a manifest that says more of it."""
    return _function(folder, name, {**called(interface), "streams_over": role})


def whole_of(folder: Path, name: str, interface: Interface) -> WholeFunction:
    """The same for a function over whole utterances."""
    return _whole(folder, name, called(interface))


def _function(folder: Path, name: str, entry: Mapping[str, Any]) -> BuiltFunction:
    package = _inside(folder, str(entry["package"]), f"the package of {name}")
    role, stored_as = Role(entry["streams_over"]), str(entry["name"])
    inputs, outputs, states = (
        tuple(_port(folder, port) for port in entry[kind]) for kind in ("inputs", "outputs", "states")
    )
    held = {state.spec for state in states}
    passed = held & {port.spec for port in inputs}
    inputs = tuple(port for port in inputs if port.spec not in passed)
    results = tuple(outputs[: len(outputs) - len(passed)])
    updates = tuple(outputs[len(results) :])
    return BuiltFunction(name, package, stored_as, role, inputs, results, states, updates, int(entry["operations"]))


def _port(folder: Path, entry: Mapping[str, Any]) -> BuiltPort:
    dtype = {"fp16": DType.F32, "fp32": DType.F32, "int32": DType.I32, "bool": DType.BOOL}[entry["dtype"]]
    axes = (Axis(Role(r), Extent.of(n)) for r, n in zip(entry["roles"], entry["shape"], strict=True))
    return BuiltPort(
        entry["spec_name"],
        entry["name"],
        TensorType(dtype, tuple(axes)),
        entry.get("frames"),
        entry.get("delay_frames", 0),
        entry.get("latency_ms"),
        _table(folder, entry, "embedding_table"),
        domain_of(entry),
        entry.get("given"),
        _table(folder, entry, "row_of"),
        entry["dtype"] == "fp32",
    )


def _table(folder: Path, entry: Mapping[str, Any], key: str) -> Path | None:
    return _inside(folder, entry[key], f"the table of {entry['name']}") if key in entry else None
