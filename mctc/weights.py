"""Parameter values: checkpoint tensors (from a seed or a safetensors file) put through the parameters' recipes."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from copy import copy
from functools import partial
from pathlib import Path
from shutil import disk_usage
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from mctc.checkpoint import SafeTensors, WeightsError
from mctc.diagnostics.near import listing
from mctc.half_bits import from_half, to_half
from mctc.initializers import Rows, initialise
from mctc.ir.input_scales import is_scale, scales_of
from mctc.ir.op import Array
from mctc.ir.program import Derived, Initializer, Parameter, Program, Recipe, Source
from mctc.ir.recipes import STRUCTURAL, leaves
from mctc.ir.types import TensorType
from mctc.late_shapes import late_shapes
from mctc.objectives.auxiliary import training_only
from mctc.padded import is_padded, unpadded
from mctc.recipe_values import apply, rearranged, stages
from mctc.row_recipes import taken_rows

if TYPE_CHECKING:
    from mctc.quantize import Quantized
    from mctc.spool import Lies, Spool

LARGEST, LEAST = 65504.0, 2.0**-24  # of fp16, above zero
COPIES = 4  # of all parameters in fp32: the spool's, and what artifacts of steps, of whole utterances and for apps hold
LISTED = 5  # problems of a kind
KEPT = "@"  # before the name of a source among the names of parameters


class Weights:
    """Values of one program's parameters. One tensor is in memory at a time unless `cache` is set: then each value is
    computed once and, if its tensors are `shared` by several programs, each tensor drawn once. What is stored of others
    is kept on the disk where `spool` names a folder.

    Programs before and after a pass have parameters of the same names and other values: each needs weights of its own.
    """

    def __init__(
        self,
        sources: Mapping[str, tuple[TensorType, Initializer]],
        seed: int = 0,
        cache: bool = False,
        shared: bool = True,
    ) -> None:
        self.sources, self.seed, self._shared = sources, seed, cache and shared
        self._checkpoint: SafeTensors | None = None
        self.left_out: tuple[str, ...] = ()  # of the checkpoint's names: what wrappers of the model had added
        self.unused: tuple[str, ...] = ()  # tensors of the checkpoint that are there in training alone
        self.uncalibrated: frozenset[str] = frozenset()  # scales of activations that the checkpoint lacks
        self._drawn: dict[tuple[str, type], Array] = {}  # the last, or all: parts of a tensor are asked for in turn
        self._drawing: tuple[str, Rows] | None = None  # the tensor whose rows are drawn as they are asked for
        self._cache: dict[tuple[str, str], Any] | None = {} if cache else None
        self._spool: Spool | None = None
        self._beside: Path | None = None  # the folder on whose disk it lies
        self._again: frozenset[str] = frozenset()

    @classmethod
    def load(cls, program: Program, path: Path, cache: bool = False, *, calibrated: bool = True) -> Weights:
        """Weights from a safetensors file. Raises WeightsError listing missing, extra and misshapen names.

        calibrated: scales of activations have to be there, too; else they start as without weights. Scales that the
        program has no use for are no fault.
        """
        from mctc.coded import opened  # initial weights have no need of these two
        from mctc.wrappers import unwrapped

        weights = cls(program.sources, cache=cache)
        checkpoint = opened(path)
        found = unwrapped(program.sources.keys(), checkpoint.shapes.keys(), path)
        weights._checkpoint, weights.left_out = checkpoint.renamed(found.names), found.left_out
        shapes, known = weights._checkpoint.shapes, training_only(program.train.settings)
        weights.unused = tuple(sorted(shapes.keys() & known))
        weights.uncalibrated = frozenset(scales_of(program).keys() - shapes.keys())
        weights._check_scales(program, path, calibrated)
        idle = {name for name in shapes if is_scale(name) and name not in program.sources}
        given = {name: shape for name, shape in shapes.items() if name not in known | idle}
        check_names(program, given | dict.fromkeys(weights.uncalibrated, ()), path)
        return weights

    def _check_scales(self, program: Program, path: Path, calibrated: bool) -> None:
        """Raises WeightsError for scales of activations that are missing, or none."""
        if self.uncalibrated and calibrated:
            missing = listing(sorted(self.uncalibrated), 3)
            hint = (
                "`mctc calibrate BUILD DATA --weights FILE -o STATS` measures activations, `mctc compress SPEC "
                "--stats STATS --weights FILE -o ROUNDED` writes a checkpoint with their scales"
            )
            raise WeightsError(
                f"{path} lacks scales of activations that the spec holds in 8 bits: {missing}", hint=hint
            )
        for name in scales_of(program).keys() - self.uncalibrated:
            shape = self._checkpoint.shapes[name] if self._checkpoint is not None else ()
            if math.prod(shape) != 1:
                told = f"{path}: {name} is {list(shape)}; a scale of activations is one number for the tensor"
                raise WeightsError(told)
            value = self.source(Source(name, program.sources[name][0]))
            if not LEAST <= float(value) <= LARGEST:
                told = f"{path}: {name} is {float(value):g}; a scale of activations is from {LEAST:.0e} to {LARGEST:g}"
                hint = "`mctc compress SPEC --stats STATS --weights FILE -o ROUNDED` writes the scales of a calibration"
                raise WeightsError(told, hint=hint)

    @property
    def trained(self) -> bool:
        """Whether they are a checkpoint's."""
        return self._checkpoint is not None

    def of_another_program(self) -> Weights:
        """The same checkpoint for a program whose parameters have these names and other values."""
        other = copy(self)
        other._cache = None if self._cache is None else {}
        other.spool(self._beside, self._again)
        return other

    def spool(self, folder: Path | None, again: Collection[str] = ()) -> None:
        """Keeps what is `stored` of a large model in a file on the disk of `folder`, until this is called with None.

        again: sources that will be asked for in fp16 later, or by several parameters; what is drawn of them is kept so.
        Does without where the disk has so little room that the file could take it from the artifacts.
        """
        self._spool, self._beside, self._again = None, folder, frozenset(again)
        if folder is not None and self._cache is None:
            from mctc.spool import Spool

            held = sum(type_.size for type_, _ in self.sources.values()) * np.dtype(np.float32).itemsize
            with suppress(OSError):
                if disk_usage(folder).free >= COPIES * held:
                    self._spool = Spool(folder)

    def release(self) -> None:
        """Lets go of the tensor that was drawn last."""
        if not self._shared:
            self._drawn.clear()

    def value(self, parameter: Parameter) -> Array:
        """The parameter's value in float32: its recipe over the checkpoint's tensors."""
        return self._array(parameter, "value", lambda: self._evaluate(parameter.recipe, parameter, np.float32))

    def exact(self, parameter: Parameter) -> Array:
        """The value in float64, for comparing a recipe with the same arithmetic done by ops."""
        return self._array(parameter, "exact", lambda: self._evaluate(parameter.recipe, parameter, np.float64))

    def deployed(self, parameter: Parameter) -> Array:
        """The value as a package stores it, in float32: dequantised, or rounded to fp16."""
        return unpacked(self.stored(parameter))

    def held(self, parameter: Parameter) -> Array:
        """The same numbers in as few bytes as hold them: in fp16 where the package stores that as it is. They may be on
        the disk until they are looked at, so that a few rows cost no more than those."""
        stored = None if self._spool is None else self._spool.get(parameter.name, maps=True)
        if stored is None:
            stored = self.stored(parameter)
        return stored if isinstance(stored, np.ndarray) else stored.values()

    def stored(self, parameter: Parameter) -> Array | Quantized:
        """The value in the form that a package holds: compressed, fp16 (infinite where fp16 can't hold it), or fp32.

        Raises WeightsError for a tensor that is all zeros in that form, and none before.
        """
        found = self.to_write(parameter)
        self.keep(parameter, found)
        return found

    def to_write(self, parameter: Parameter) -> Array | Quantized:
        """The same for who says then, by `keep`, where it lies."""
        found = None if self._spool is None else self._spool.get(parameter.name)
        return self._kept(parameter, "stored", lambda: self._store(parameter)) if found is None else found

    def keep(self, parameter: Parameter, stored: Array | Quantized, lies: Lies | None = None) -> None:
        """Keeps what is stored on the disk. lies: where a file has its numbers or codes."""
        if self._spool is not None and parameter.name not in self._spool:
            self._spool.put(parameter.name, stored, lies)

    def fingerprints(self, parameter: Parameter) -> tuple[bytes, ...] | None:
        """Of each array that is stored of it (`mctc.fingerprint`), where its numbers lie in a file and it is known."""
        return None if self._spool is None else self._spool.fingerprints(parameter.name)

    def _store(self, parameter: Parameter) -> Array | Quantized:
        if parameter.quantization is None and not parameter.wide and self._cache is None and _moves(parameter.recipe):
            half = self._evaluate(parameter.recipe, parameter, np.float16)  # rounded first: half as much is moved
            if not _any(half):
                _check_left(parameter, self.value(parameter), half)
            return half
        value = self._evaluate(parameter.recipe, parameter, np.float32)
        if parameter.quantization is not None:
            from mctc.quantize import Palette, quantize

            quantized = quantize(value, parameter.quantization)
            _check_left(parameter, value, quantized.table if isinstance(quantized, Palette) else quantized.codes)
            return quantized.dequantize() if parameter.quantization.expanded else quantized
        if parameter.wide:
            return value
        half = to_half(value)
        _check_left(parameter, value, half)
        return half

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
            return self.source(recipe, dtype)
        stored = self._late(recipe, parameter)
        if stored is not None:
            return _in(dtype, stored)
        if (rows := taken_rows(recipe, partial(self._rows, dtype=dtype))) is not None:
            return np.asarray(rows, dtype)
        operands = [None if r is None else self._evaluate(r, parameter, dtype) for r in recipe.operands]
        return np.asarray(apply(recipe, operands), dtype)

    def _rows(self, source: Source, begin: int, end: int, dtype: type[np.floating[Any]]) -> Array | None:
        """Rows of a tensor in float16, where it is drawn as a whole, or in float32, where they are drawn as they come:
        one as large as a table of words would be most of what is in memory. None where it is needed as a whole."""
        if self._checkpoint is not None or self._shared or dtype is np.float64:
            return None
        if dtype is np.float16 or (source.name, np.float32) in self._drawn:
            return self.source(source, dtype)[begin:end]
        if begin == 0:
            drawing = Rows.of(source.name, *self.sources[source.name], self.seed)
            self._drawing = None if drawing is None else (source.name, drawing)
        if self._drawing is None or self._drawing[0] != source.name or self._drawing[1].next != begin:
            return None
        rows = self._drawing[1].take(end - begin)
        if self._spool is not None and source.name in self._again and KEPT + source.name not in self._spool:
            self._spool.put_next(KEPT + source.name, _in(np.float16, rows), source.type.shape)
        return rows

    def write_rows(self, source: Source, count: int, dtype: type[np.floating[Any]], file: BinaryIO) -> None:
        """Writes the numbers of the first rows of a tensor of the checkpoint, or of what is drawn for it."""
        kept, numbers = KEPT + source.name, count * math.prod(source.type.shape[1:])
        if dtype is np.float16 and self._spool is not None and self._spool.copy(kept, file, numbers):
            return
        file.write(np.ascontiguousarray(self.source(source, dtype)[:count]).data)
        self.release()

    def source(self, source: Source, dtype: type[np.floating[Any]] | None = None) -> Array:
        """A tensor of the checkpoint, or the one that is drawn for it, in float32 unless said."""
        dtype = dtype or np.float32
        if self._checkpoint is not None and source.name not in self.uncalibrated:
            return _in(dtype, unpadded(self._checkpoint.read(source.name), source.type.shape))
        kind = np.float16 if dtype is np.float16 else np.float32
        kept = KEPT + source.name
        if (source.name, kind) not in self._drawn:
            self.release()  # before the next one takes its place in memory
            if kind is np.float16 and self._spool is not None and (found := self._spool.get(kept)) is not None:
                return np.asarray(found)
            type_, rule = self.sources[source.name]
            drawn = self._drawn[source.name, kind] = initialise(source.name, type_, rule, self.seed, kind)
            drawn.flags.writeable = False
            if self._spool is not None and source.name in self._again:
                self._spool.put(kept, _in(np.float16, drawn))
        return _in(dtype, self._drawn[source.name, kind])

    def place(self, name: str) -> tuple[Path, int] | None:
        """The file that holds a tensor's numbers as they are, in float32, and the byte that they begin with."""
        if self._checkpoint is None or name in self.uncalibrated or name not in self._checkpoint.shapes:
            return None
        begin = self._checkpoint.place(name)
        return None if begin is None else (self._checkpoint.path, begin)

    def in_training(self, name: str) -> Array | None:
        """A tensor that is there in training alone; None where the checkpoint holds none of that name."""
        return self._checkpoint.read(name) if self._checkpoint is not None and name in self.unused else None

    def _late(self, recipe: Derived, parameter: Parameter) -> Array | None:
        """A checkpoint written after a pass holds a tensor in its later shape (mctc.late_shapes)."""
        source = rearranged(recipe)
        if self._checkpoint is None or source is None or recipe.type.shape == source.type.shape:
            return None
        if (held := self._checkpoint.shapes.get(source.name)) != recipe.type.shape:
            return None
        below = {shape for each in recipe.operands if each is not None for shape in stages(each)}
        if parameter.name == source.name or (math.prod(held) != source.type.size and held not in below):
            return self._checkpoint.read(source.name)
        return None


def unpacked(stored: Array | Quantized) -> Array:
    """What a package holds of a parameter, as float32."""
    if not isinstance(stored, np.ndarray):
        return stored.values()
    return from_half(stored) if stored.dtype == np.float16 else np.asarray(stored, np.float32)


def _moves(recipe: Recipe) -> bool:
    """Whether a recipe only moves the numbers of tensors, or fills up with others: they may be rounded before."""
    if isinstance(recipe, Source):
        return True
    return recipe.op in STRUCTURAL and all(operand is None or _moves(operand) for operand in recipe.operands)


def _in(dtype: type[np.floating[Any]], array: Array) -> Array:
    return to_half(array) if dtype is np.float16 and array.dtype == np.float32 else array.astype(dtype, copy=False)


def _check_left(parameter: Parameter, value: Array, held: Array) -> None:
    """Raises WeightsError where nothing is left of a tensor. held: its entries, codes or palette."""
    if not _any(held) and _any(value):
        largest = f"its largest magnitude is {np.abs(value).max():.3g}, and fp16's smallest number 6e-8"
        raise WeightsError(
            f"{parameter.told} vanishes in fp16: {largest}",
            hint="scale it up and what it is multiplied with down, or set it to zeros",
        )


def _any(array: Array) -> bool:
    """Whether there is a number but zero: as a rule among the first, which numpy would look at with all others."""
    return bool(array.reshape(-1)[:256].any() or array.any())


def check_names(program: Program, shapes: Mapping[str, tuple[int, ...]], path: Path) -> None:
    """Raises WeightsError when the checkpoint's names or shapes do not bind to the program's."""
    accepted: dict[str, set[tuple[int, ...]]] = {}
    for parameter in program.parameters.values():
        for source in leaves(parameter.recipe):
            accepted.setdefault(source.name, set()).add(source.type.shape)
            held = shapes.get(source.name)
            if held is not None and is_padded(held, source.type.shape, parameter.recipe.type.shape):
                accepted[source.name].add(held)
        if parameter.name in accepted or parameter.name in program.sources:
            accepted.setdefault(parameter.name, set()).update(stages(parameter.recipe))
    problems = {}
    problems["missing"] = [f"{name} {_sizes(accepted[name])}" for name in sorted(accepted.keys() - shapes.keys())]
    problems["misshapen"] = [
        f"{name} is {list(shapes[name])}, the program takes {_sizes(accepted[name])}"
        for name in sorted(accepted.keys() & shapes.keys())
        if shapes[name] not in accepted[name]
        and not _same_entries(shapes[name], program.sources.get(name))
        and shapes[name] not in late_shapes(program.parameters.values(), name, rearranged)
    ]
    problems["extra"] = [
        f"{name} {list(shapes[name])}" for name in sorted(shapes.keys() - accepted.keys() - program.sources.keys())
    ]
    if any(problems.values()):
        raise WeightsError(f"{path} does not fit {program.name}{_told(problems, len(accepted))}")


def _told(problems: Mapping[str, Sequence[str]], count: int) -> str:
    """The first few of each kind in lines; before them how many there are, where those are not all."""
    lines = [f"\n  {kind}: {text}" for kind, texts in problems.items() for text in texts[:LISTED]]
    if all(len(texts) <= LISTED for texts in problems.values()):
        return ":" + "".join(lines)
    counts = ", ".join(f"{len(texts)} {kind}" for kind, texts in problems.items() if texts)
    return f", which takes {count} tensors: {counts}; the first of them:" + "".join(lines)


def _same_entries(shape: tuple[int, ...], source: tuple[TensorType, Initializer] | None) -> bool:
    """Whether a tensor is the spec's but for axes of extent 1, as a module of another form of the spec holds it."""
    longer = [extent for extent in shape if extent != 1]
    return source is not None and longer == [extent for extent in source[0].shape if extent != 1]


def _sizes(shapes: Iterable[tuple[int, ...]]) -> str:
    return " or ".join(str(list(shape)) for shape in sorted(shapes))
