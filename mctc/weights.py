"""Parameter values: checkpoint tensors (from a seed or a safetensors file) put through the parameters' recipes."""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mctc.diagnostics.errors import MctcError
from mctc.ir.op import Array, registry
from mctc.ir.program import Derived, Initializer, Parameter, Program, Recipe, Source, signature
from mctc.ir.program import Value as IrValue
from mctc.ir.types import TensorType
from mctc.rewrite.recipes import STRUCTURAL

if TYPE_CHECKING:
    from mctc.quantize import Quantized

Draw = Callable[[np.random.Generator, tuple[int, ...], Mapping[str, float]], Array]


class WeightsError(MctcError):
    """Weights that do not fit the program; the message lists every name at fault."""


def _uniform(rng: np.random.Generator, shape: tuple[int, ...], bound: float) -> Array:
    return np.asarray(rng.random(shape, np.float32) * np.float32(2 * bound) - np.float32(bound))


def _delta_bias(rng: np.random.Generator, shape: tuple[int, ...], a: Mapping[str, float]) -> Array:
    """softplus^-1 of step sizes drawn log-uniformly from low ... high (Mamba's initialisation of dt)."""
    low, high = a.get("low", 1e-3), a.get("high", 1e-1)
    step = np.exp(rng.uniform(math.log(low), math.log(high), shape))
    return np.asarray(step + np.log(-np.expm1(-step)))


INITIALIZERS: dict[str, Draw] = {
    "zeros": lambda rng, shape, a: np.zeros(shape),
    "ones": lambda rng, shape, a: np.ones(shape),
    "constant": lambda rng, shape, a: np.full(shape, a["value"]),
    "uniform": lambda rng, shape, a: _uniform(rng, shape, a["bound"]),
    "normal": lambda rng, shape, a: rng.normal(0.0, a.get("std", 1.0), shape),
    # torch's default for Linear and Conv: uniform within 1 / sqrt(fan in)
    "kaiming_uniform": lambda rng, shape, a: _uniform(rng, shape, 1 / math.sqrt(a["fan_in"])),
    # Mamba's A: log(1 ... N) in every row
    "log_arange": lambda rng, shape, a: np.broadcast_to(np.log(np.arange(1, shape[-1] + 1)), shape),
    "delta_bias": _delta_bias,
}


def initialise(name: str, type_: TensorType, rule: Initializer, seed: int) -> Array:
    """The tensor that `seed` gives to `name`: float32, the same on every machine and whatever else is drawn."""
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    rng = np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))
    return np.asarray(INITIALIZERS[rule.rule](rng, type_.shape, dict(rule.arguments)), np.float32)


class Weights:
    """Values of one program's parameters. One tensor is in memory at a time unless `cache` is set.

    Programs before and after a pass have parameters of the same names and other values: each needs weights of its own.
    """

    def __init__(
        self, sources: Mapping[str, tuple[TensorType, Initializer]], seed: int = 0, cache: bool = False
    ) -> None:
        self.sources, self.seed = sources, seed
        self._checkpoint: SafeTensors | None = None
        self._cache: dict[tuple[str, str], Any] | None = {} if cache else None

    @classmethod
    def load(cls, program: Program, path: Path, cache: bool = False) -> Weights:
        """Weights from a safetensors file. Raises WeightsError listing missing, extra and misshapen names."""
        weights = cls(program.sources, cache=cache)
        weights._checkpoint = SafeTensors(path)
        check_names(program, weights._checkpoint.shapes, path)
        return weights

    def value(self, parameter: Parameter) -> Array:
        """The parameter's value in float32: its recipe over the checkpoint's tensors."""
        return self._array(parameter, "value", lambda: self._evaluate(parameter.recipe, parameter, np.float32))

    def exact(self, parameter: Parameter) -> Array:
        """The value in float64, for comparing a recipe with the same arithmetic done by ops."""
        return self._array(parameter, "exact", lambda: self._evaluate(parameter.recipe, parameter, np.float64))

    def deployed(self, parameter: Parameter) -> Array:
        """The value as a package stores it, in float32: dequantised, or rounded to fp16."""
        stored = self.stored(parameter)
        return np.asarray(stored if isinstance(stored, np.ndarray) else stored.dequantize(), np.float32)

    def stored(self, parameter: Parameter) -> Array | Quantized:
        """The value in the form that a package holds: compressed, or fp16 (infinite where fp16 can't hold it)."""
        stored: Array | Quantized = self._kept(parameter, "stored", lambda: self._store(parameter))
        return stored

    def _store(self, parameter: Parameter) -> Array | Quantized:
        value = self._evaluate(parameter.recipe, parameter, np.float32)
        if parameter.quantization is not None:
            from mctc.quantize import quantize

            return quantize(value, parameter.quantization)
        with np.errstate(over="ignore"):
            return value.astype(np.float16)

    def _array(self, parameter: Parameter, form: str, compute: Callable[[], Array]) -> Array:
        return np.asarray(self._kept(parameter, form, compute))

    def _kept(self, parameter: Parameter, form: str, compute: Callable[[], Any]) -> Any:
        if self._cache is None:
            return compute()
        key = (parameter.name, form)
        if key not in self._cache:
            self._cache[key] = compute()
        return self._cache[key]

    def _evaluate(self, recipe: Recipe, parameter: Parameter, dtype: type[np.floating[Any]]) -> Array:
        if isinstance(recipe, Source):
            return self._source(recipe).astype(dtype, copy=False)
        stored = self._late(recipe, parameter)
        if stored is not None:
            return stored.astype(dtype, copy=False)
        operands = [None if r is None else self._evaluate(r, parameter, dtype) for r in recipe.operands]
        return np.asarray(apply(recipe, operands), dtype)

    def _source(self, source: Source) -> Array:
        if self._checkpoint is not None:
            return self._checkpoint.read(source.name).reshape(source.type.shape)
        type_, rule = self.sources[source.name]
        return initialise(source.name, type_, rule, self.seed)

    def _late(self, recipe: Derived, parameter: Parameter) -> Array | None:
        """A checkpoint written after a pass holds the parameter in its later shape under its own name."""
        source = _rearranged(recipe)
        if self._checkpoint is None or source is None or recipe.type.shape == source.type.shape:
            return None
        if self._checkpoint.shapes.get(parameter.name) == recipe.type.shape:
            return self._checkpoint.read(parameter.name)
        return None


def apply(recipe: Derived, operands: list[Array | None]) -> Array:
    """One node of a recipe on arrays."""
    definition = registry()[recipe.op]
    types = tuple(None if r is None else IrValue(r.type) for r in recipe.operands)
    values: list[Any] = list(operands)
    declared = definition.operand_list()
    if declared and declared[-1].variadic:
        fixed = len(declared) - 1
        values = [*values[:fixed], tuple(values[fixed:])]
    return definition.reference(signature(definition, types, dict(recipe.attributes)), *values)[recipe.result]


def leaves(recipe: Recipe) -> Iterable[Source]:
    """The checkpoint tensors that a recipe reads."""
    if isinstance(recipe, Source):
        yield recipe
        return
    for operand in recipe.operands:
        if operand is not None:
            yield from leaves(operand)


def stages(recipe: Recipe) -> Iterable[tuple[int, ...]]:
    """The shapes that one tensor takes on its way through a recipe, the checkpoint's own first."""
    if isinstance(recipe, Derived):
        main = [r for r in recipe.operands if r is not None]
        if len(main) == 1:
            yield from stages(main[0])
    yield recipe.type.shape


def _rearranged(recipe: Recipe) -> Source | None:
    """The one tensor whose entries a recipe moves about; None where it does arithmetic or joins several."""
    while isinstance(recipe, Derived):
        operands = [each for each in recipe.operands if each is not None]
        if recipe.op not in STRUCTURAL or len(operands) != 1:
            return None
        recipe = operands[0]
    return recipe


def check_names(program: Program, shapes: Mapping[str, tuple[int, ...]], path: Path) -> None:
    """Raises WeightsError when the checkpoint's names or shapes do not bind to the program's."""
    accepted: dict[str, set[tuple[int, ...]]] = {}
    for parameter in program.parameters.values():
        for source in leaves(parameter.recipe):
            accepted.setdefault(source.name, set()).add(source.type.shape)
        if parameter.name in accepted or parameter.name in program.sources:
            accepted.setdefault(parameter.name, set()).update(stages(parameter.recipe))
    problems = [f"missing: {name} {_sizes(accepted[name])}" for name in sorted(accepted.keys() - shapes.keys())]
    problems += [
        f"misshapen: {name} is {list(shapes[name])}, the program takes {_sizes(accepted[name])}"
        for name in sorted(accepted.keys() & shapes.keys())
        if shapes[name] not in accepted[name]
    ]
    problems += [
        f"extra: {name} {list(shapes[name])}"
        for name in sorted(shapes.keys() - accepted.keys() - program.sources.keys())
    ]
    if problems:
        raise WeightsError(f"{path} does not fit {program.name}:\n  " + "\n  ".join(problems))


def _sizes(shapes: Iterable[tuple[int, ...]]) -> str:
    return " or ".join(str(list(shape)) for shape in sorted(shapes))


class SafeTensors:
    """Reads single tensors of a safetensors file by position, so that the file is never mapped or held whole.

    Format: 8 bytes little-endian header length, a JSON header, then raw little-endian data (safetensors' own README).
    """

    TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "U8": "|u1", "I8": "|i1"}

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            size = path.stat().st_size
            with path.open("rb") as file:
                head = file.read(8)
                length = struct.unpack("<Q", head)[0] if len(head) == 8 else size
                if length > min(size - 8, 100_000_000):
                    raise WeightsError(f"{path} is not a safetensors file: its header is longer than the file")
                header = json.loads(file.read(length))
                self._check(header, size - 8 - length)
        except OSError as error:
            raise WeightsError(f"cannot read {path}: {error.strerror}") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise WeightsError(f"{path} is not a safetensors file: {error}") from error
        self.start = 8 + length
        self.entries: dict[str, dict[str, Any]] = {k: v for k, v in header.items() if k != "__metadata__"}
        self.shapes = {name: tuple(entry["shape"]) for name, entry in self.entries.items()}

    def _check(self, header: Mapping[str, Any], size: int) -> None:
        for name, entry in header.items():
            if name == "__metadata__":
                continue
            begin, end = entry["data_offsets"]
            width = 2 if entry["dtype"] == "BF16" else np.dtype(self.TYPES[entry["dtype"]]).itemsize
            if not 0 <= begin <= end <= size or end - begin != width * math.prod(entry["shape"]):
                raise WeightsError(f"{self.path}: tensor {name} lies outside the file or has the wrong length")

    def read(self, name: str) -> Array:
        """One tensor as float32."""
        entry = self.entries[name]
        begin, end = entry["data_offsets"]
        with self.path.open("rb") as file:
            file.seek(self.start + begin)
            data = file.read(end - begin)
        if entry["dtype"] == "BF16":
            array = (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
        else:
            array = np.frombuffer(data, self.TYPES[entry["dtype"]]).astype(np.float32)
        shaped: Array = array.reshape(entry["shape"])
        return shaped
