"""The target class that the registry finds under the name `torch`."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from keyword import iskeyword
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from mctc.driver.compiled import Compiled, Requirements
from mctc.driver.names import identifier, place
from mctc.driver.options import BuildError, BuildOptions
from mctc.driver.refusal import Refusal, refuse
from mctc.driver.target import Agreement, Interface, Load, Target, Written
from mctc.emit.ports import element_types, interface
from mctc.emit.skeleton import check_precision
from mctc.ir.ops.attention import Attention
from mctc.ir.ops.loop import Scan
from mctc.ir.program import Function, Op, Program
from mctc.ir.time import Whole
from mctc.language.limits import NAME
from mctc.targets.torch.errors import EmitError
from mctc.targets.torch.reserved import FORWARD, refused_names
from mctc.targets.torch.support import RUNTIME, support_files
from mctc.tokens.names import FILE as TOKENS
from mctc.tokens.names import METADATA

if TYPE_CHECKING:
    from mctc.driver.engine import Engine
    from mctc.driver.learner import Learner
    from mctc.targets.torch.module import ModuleText
    from mctc.weights import Weights

FOLDER = "training"
ELEMENTS = element_types("fp32")


class TorchTarget(Target):
    """PyTorch modules to train: a package `training` that needs torch alone."""

    name: ClassVar[str] = "torch"
    requirements: ClassVar[Requirements] = Requirements(deploys=False, whole=True)
    forms = {"state": ("io",), "layout": ("single",), "precision": ("fp32",)}
    runtime: ClassVar[str | None] = "torch"
    cross_checks: ClassVar[bool] = True

    def refuses(self, compiled: Compiled, options: BuildOptions) -> Iterator[Refusal]:
        """Names that a module has for itself, and ops of whole utterances that a padded batch has none of."""
        yield from refused_names(compiled.whole)
        whole = [op for _, op in compiled.whole.ops() if op.operands and isinstance(op.time, Whole)]
        if not all(isinstance(op, Attention) for op in whole):  # what most have, and no reason to import rules
            yield from _unmasked(whole)

    def rehearse(self, compiled: Compiled, options: BuildOptions) -> None:
        """Composes the text of the module. Raises EmitError."""
        _module(compiled)

    def write(
        self, compiled: Compiled, weights: Weights, folder: Path, options: BuildOptions, metadata: Mapping[str, str]
    ) -> Written:
        """Writes the module and the files that it stands on. Raises EmitError for an op that has no torch form."""
        whole, module = compiled.whole, _module(compiled)
        training = folder / FOLDER
        training.mkdir()
        artifact = f"{FOLDER}/{module_name(whole.name)}.py"
        (folder / artifact).write_text(module.text, encoding="utf-8")
        (training / "__init__.py").write_text(_package(whole.name, module), encoding="utf-8")
        for path in support_files(module.siblings):
            (training / path.name).write_bytes(path.read_bytes())
        if METADATA in metadata:
            (training / TOKENS).write_text(metadata[METADATA] + "\n", encoding="utf-8")
        interfaces = {
            name: _interface(function, artifact, module.classes[name])
            for name, function in compiled.derived.functions.items()
            if name in module.classes
        }
        uttered = {
            name: _interface(function, artifact, module.classes[name] + FORWARD)
            for name, function in whole.functions.items()
        }
        return Written((artifact,), interfaces, whole=uttered)

    def check(
        self, compiled: Compiled, weights: Weights, folder: Path, options: BuildOptions, written: Written
    ) -> list[Agreement]:
        """Parses the module that was written; running it takes torch, which a build does without."""
        for artifact in written.artifacts:
            try:
                ast.parse((folder / artifact).read_text(encoding="utf-8"))
            except SyntaxError as error:
                raise EmitError(f"{artifact} is no Python: line {error.lineno}: {error.msg}") from error
        return []

    def engine(self, artifact: Path, precision: str, load: Load | None = None) -> Engine:
        """The modules in fp32, with the weights that `load` gives."""
        check_precision(artifact, precision)
        if load is None:
            raise BuildError(f"{artifact} holds no weights", hint="`mctc run` takes the build's folder")
        from mctc.targets.torch.engine import TorchEngine

        return TorchEngine(artifact, load)

    def learner(self, artifact: Path, load: Load) -> Learner:
        """The module with its loss, in fp32. Raises RuntimeMissingError without torch, EmitError without a loss."""
        from mctc.targets.torch.learner import TorchLearner

        return TorchLearner(artifact, load)


def _unmasked(ops: Iterable[Op]) -> Iterator[Refusal]:
    from mctc.targets.torch.expressions import MASKING

    for op in ops:
        if op.name not in MASKING and op.padded() is not None and isinstance(op.time, Whole):
            told = f"{place(op)} works on whole utterances, {op.time.reason}: in a padded batch its result is undefined"
            yield Refusal(told, op.origin.location)


def _module(compiled: Compiled) -> ModuleText:
    from mctc.targets.torch.expressions import UnsupportedError
    from mctc.targets.torch.module import write_module

    whole = compiled.training
    refuse(refused_names(whole), TorchTarget.name)
    try:
        return write_module(_gathered(whole), _gathered(compiled.derived).functions, _source(whole))
    except UnsupportedError as error:
        raise EmitError(f"{whole.name} can't be written as a PyTorch module: {error}") from error


def _gathered(program: Program) -> Program:
    if not any(isinstance(op, Scan) for _, op in program.ops()):
        return program  # and no reason to import what takes loops apart
    from mctc.targets.torch.associations import gathered

    return gathered(program)


def module_name(model: str) -> str:
    """A module's name for a model: no word of Python's own, and none of the files beside it must go under."""
    model = identifier(model)[:NAME]
    taken = iskeyword(model) or model.startswith("__") or (RUNTIME / f"{model}.py").exists()
    return f"{model}_model" if taken else model


def _source(whole: Program) -> str:
    places = (function.origin.location for function in whole.functions.values())
    return next((Path(place.file).name for place in places if place is not None), "a program")


def _package(model: str, module: ModuleText) -> str:
    from mctc.targets.torch.expressions.text import escaped

    return (
        f'"""{escaped(model)} to train: `from training import {module.name}`. It needs torch alone."""\n\n'
        f"from .{module_name(model)} import {module.name}\n\n"
        f'__all__ = ["{module.name}"]\n'
    )


def _interface(function: Function, artifact: str, name: str) -> Interface:
    """The class of a component; its ports are those of a step."""
    count = len(function.ops)
    return interface(function, artifact, ELEMENTS, count, states_as_io=False, lookups=False, name=name, called=str)
