"""The target class that the registry finds under the name `onnx`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from mctc.driver.compile import Compiled, Wants
from mctc.driver.engine import Engine
from mctc.driver.options import BuildError, BuildOptions
from mctc.driver.refusal import Refusal
from mctc.driver.target import Agreement, Load, Target, Written
from mctc.targets.onnx.library import import_onnx, import_onnxruntime

if TYPE_CHECKING:
    from mctc.weights import Weights

WHOLE = "_whole"  # what the names of models over whole utterances end with

# What lowers for Core ML alone. The models keep ONNX's own LSTM, GRU, Gather and Scan, which others wrote.
LOWERING = (
    "legalise",
    "lower-attention",
    "lower-embedding",
    "lower-rnn",
    "lower-selective-scan",
    "fold-state-reshapes",
    "regroup-once",
    "pack-states",
)


class OnnxTarget(Target):
    """ONNX models: a step and a whole-sequence model for each function, run by onnxruntime on any machine."""

    name: ClassVar[str] = "onnx"
    wants: ClassVar[Wants] = Wants(without=LOWERING, stack="onnx", whole=True)
    forms = {"state": ("io",), "layout": ("separate",), "precision": ("fp32",)}
    suffix: ClassVar[str | None] = ".onnx"
    runtime: ClassVar[str | None] = "onnxruntime"
    witness: ClassVar[bool] = True
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
        """Writes the models. Raises OnnxError, and RuntimeMissingError where the extra is not installed."""
        import_onnx(), import_onnxruntime()
        from mctc.targets.onnx.write import write_models

        return write_models(compiled, weights, folder, metadata)

    def check(
        self, compiled: Compiled, weights: Weights, folder: Path, options: BuildOptions, written: Written
    ) -> list[Agreement]:
        """Reads the models back, checks and executes them. Raises MctcError where they disagree."""
        from mctc.targets.onnx.readback import check_models

        return check_models(compiled, weights, folder, written)

    def engine(self, artifact: Path, precision: str, load: Load | None = None) -> Engine:
        """onnxruntime on the CPU. Raises OnnxError for a file that it can't load, RuntimeMissingError without it."""
        if precision != "fp32":
            raise BuildError(f"{artifact} computes in fp32, not in {precision}", hint="leave --arithmetic off")
        from mctc.targets.onnx.session import OnnxModel

        return OnnxModel(artifact)
