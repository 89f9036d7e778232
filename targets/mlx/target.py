"""The target class that the registry finds under the name `mlx`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from keyword import iskeyword
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from mctc.driver.compiled import Compiled, Requirements
from mctc.driver.engine import Engine
from mctc.driver.names import identifier
from mctc.driver.options import BuildOptions
from mctc.driver.refusal import Refusal
from mctc.driver.target import Interface, Load, Written
from mctc.emit.ports import element_types, interface
from mctc.emit.skeleton import Emitted, Job, Skeleton, check_precision
from mctc.emit.unsupported import UnsupportedError
from mctc.ir.program import Function, Program
from mctc.language.limits import NAME
from mctc.targets.mlx.errors import MlxError
from mctc.targets.mlx.library import import_mlx
from mctc.targets.mlx.reserved import is_reserved
from mctc.targets.torch.reserved import refused_names

if TYPE_CHECKING:
    from mctc.targets.mlx.module import ModuleText
    from mctc.weights import Weights

WHOLE = ".whole"  # what the name of a component ends with for the function over whole utterances
MODULE = "model.py"
ELEMENTS = element_types("fp32")

# What lowers for Core ML alone, or gives a step other weights than the whole utterance has: both are one class.
LOWERING = (
    "activation-forms",
    "factor-numbers",
    "fold-batch-norm",
    "fold-deploy-constants",
    "fold-state-reshapes",
    "hoist-reshape",
    "legalise",
    "lower-attention",
    "lower-embedding",
    "fill-rows",
    "frames-first",
    "lower-rnn",
    "lower-scan",
    "lower-selective-scan",
    "number-inputs",
    "pack-states",
    "round-numbers",
    "scale-sums",
    "split-dimensions",
    "split-kernels",
)


class MlxTarget(Skeleton):
    """MLX packages for a Mac's GPU: mlx.nn modules, quantised weights, a streaming session."""

    name: ClassVar[str] = "mlx"
    raises = MlxError
    lookups = False
    requirements: ClassVar[Requirements] = Requirements(without=LOWERING, stack="mlx", whole=True, lays_out=True)
    forms = {"state": ("io",), "layout": ("single",), "precision": ("fp32",)}
    runtime: ClassVar[str | None] = "MLX"
    cross_checks: ClassVar[bool] = True

    def refuses(self, compiled: Compiled, options: BuildOptions) -> Iterator[Refusal]:
        """Names of ports that clash, and names that a module has for itself."""
        yield from super().refuses(compiled, options)
        yield from refused_names(compiled.whole, is_reserved, "an MLX module")

    def rehearse(self, compiled: Compiled, options: BuildOptions) -> None:
        """Composes the text of the module. Raises MlxError."""
        _module(compiled)

    def write(
        self, compiled: Compiled, weights: Weights, folder: Path, options: BuildOptions, metadata: Mapping[str, str]
    ) -> Written:
        """Writes a folder as the MLX community's models have it, and a Python package in it. Raises MlxError, and
        RuntimeMissingError without the extra."""
        import_mlx()
        from mctc.driver.manifest import write_json
        from mctc.targets.mlx.card import card
        from mctc.targets.mlx.config import config
        from mctc.targets.mlx.searched import write_front_end
        from mctc.targets.mlx.support import write_package
        from mctc.targets.mlx.weights import FILE, write_weights

        module, package = _module(compiled), package_name(compiled.whole.name)
        artifact = f"{package}/{MODULE}"
        steps = _interfaces(compiled.deployed, artifact)
        whole = _interfaces(compiled.reference, artifact, WHOLE)
        told = config(compiled, module, package, steps, whole)
        write_package(module, folder / package, compiled.whole.name, streams=told["search"] is not None)
        if told["search"] is not None:
            write_front_end(told["audio"], folder / "front_end.npz")
        write_json(folder / "config.json", told)
        write_weights(compiled.reference, weights.of_another_program(), module.orders, folder / FILE)
        (folder / "README.md").write_text(card(compiled, module, package, told), encoding="utf-8")
        return Written((artifact,), steps, whole=whole)

    def write_artifact(self, job: Job, program: Program, functions: Sequence[Function], path: Path) -> Emitted:
        """Nothing is written function by function."""
        raise TypeError("an MLX package is written as a whole")

    def uttered(self, compiled: Compiled) -> Program:
        """The whole program with channels last, as the package has them."""
        return compiled.reference

    def engine(self, artifact: Path, precision: str, load: Load | None = None) -> Engine:
        """The modules in fp32, on the device that mlx has here. Raises MlxError for a package that can't be imported,
        RuntimeMissingError without mlx."""
        check_precision(artifact, precision)
        import_mlx()
        from mctc.targets.mlx.engine import MlxEngine

        return MlxEngine(artifact)


def package_name(model: str) -> str:
    """A package's name for a model: no word of Python's own, and no module that the package imports."""
    name = identifier(model)[:NAME]
    taken = iskeyword(name) or name in ("mlx", "numpy") or name in sys.stdlib_module_names
    return f"{name}_model" if taken else name


def _module(compiled: Compiled) -> ModuleText:
    from mctc.targets.mlx.module import write_module

    places = (function.origin.location for function in compiled.whole.functions.values())
    source = next((Path(place.file).name for place in places if place is not None), "a program")
    try:
        return write_module(compiled.reference, compiled.deployed, source)
    except UnsupportedError as error:
        raise MlxError(f"{compiled.whole.name} can't be written as an MLX module: {error}", hint=error.hint) from error


def _interfaces(program: Program, artifact: str, more: str = "") -> dict[str, Interface]:
    """How components are called: each is a class, its states are those of a step."""
    return {
        name: interface(
            function, artifact, ELEMENTS, len(function.ops), states_as_io=True, lookups=False, name=name + more
        )
        for name, function in program.functions.items()
    }
