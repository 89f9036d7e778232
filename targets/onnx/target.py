"""The target class that the registry finds under the name `onnx`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from mctc.driver.compiled import Compiled, Requirements
from mctc.driver.engine import Engine
from mctc.driver.options import BuildOptions
from mctc.driver.refusal import Refusal
from mctc.driver.target import Load, Written
from mctc.emit.skeleton import Emitted, Job, Skeleton, check_precision
from mctc.ir.program import Function, Program
from mctc.targets.onnx.errors import OnnxError
from mctc.targets.onnx.library import import_onnx, import_onnxruntime

if TYPE_CHECKING:
    from mctc.weights import Weights

WHOLE = "_whole"  # what the names of models over whole utterances end with

# What lowers for Core ML alone. The models keep ONNX's own LSTM, GRU, Gather and Scan, which others wrote.
LOWERING = (
    "fill-rows",
    "frames-first",
    "legalise",
    "lower-attention",
    "lower-embedding",
    "lower-rnn",
    "lower-scan",
    "lower-selective-scan",
    "fold-state-reshapes",
    "hoist-reshape",
    "pack-states",
)


class OnnxTarget(Skeleton):
    """ONNX models: a step and a whole-sequence model for each function, run by onnxruntime on any machine."""

    name: ClassVar[str] = "onnx"
    raises = OnnxError
    lookups = False
    requirements: ClassVar[Requirements] = Requirements(without=LOWERING, stack="onnx", whole=True)
    forms = {"state": ("io",), "layout": ("separate",), "precision": ("fp32",)}
    suffix: ClassVar[str | None] = ".onnx"
    runtime: ClassVar[str | None] = "onnxruntime"
    cross_checks: ClassVar[bool] = True
    carries_source: ClassVar[bool] = True

    def refuses(self, compiled: Compiled, options: BuildOptions) -> Iterator[Refusal]:
        """Names of ports that clash, and components of which one's model would have the other's file."""
        yield from super().refuses(compiled, options)
        for name, function in compiled.whole.functions.items():
            if f"{name}{WHOLE}" in compiled.whole.functions:
                told = f"`{name}{WHOLE}` is what the model of `{name}` over whole utterances is called"
                yield Refusal(told, function.origin.location, "rename one of the two components")

    def write(
        self, compiled: Compiled, weights: Weights, folder: Path, options: BuildOptions, metadata: Mapping[str, str]
    ) -> Written:
        """Writes the models, those of steps first. Raises OnnxError, and RuntimeMissingError without the extra."""
        import_onnx(), import_onnxruntime()
        steps = super().write(compiled, weights, folder, options, metadata)
        job = Job(compiled, weights.of_another_program(), folder, options.resolved(self.forms), metadata)
        whole = self.emit(job, compiled.whole, WHOLE)
        return replace(steps, artifacts=(*steps.artifacts, *whole.artifacts), whole=whole.interfaces)

    def write_artifact(self, job: Job, program: Program, functions: Sequence[Function], path: Path) -> Emitted:
        """Writes a model of one function. Raises OnnxError."""
        from mctc.targets.onnx.write import write_model

        (function,) = functions
        return write_model(job, program, function, path)

    def read_back(self, artifact: Path, precision: str) -> Engine:
        """onnxruntime, behind onnx's own checks. Raises OnnxError for a model that onnx rejects."""
        from mctc.targets.onnx.readback import check_file

        check_file(artifact)
        return self.engine(artifact, precision)

    def engine(self, artifact: Path, precision: str, load: Load | None = None) -> Engine:
        """onnxruntime on the CPU. Raises OnnxError for a file that it can't load, RuntimeMissingError without it."""
        check_precision(artifact, precision)
        from mctc.targets.onnx.session import OnnxModel

        return OnnxModel(artifact)
