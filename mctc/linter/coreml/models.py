"""From a path to the models that rules can be applied to: a package is one, a pipeline may hold several."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mctc.linter.coreml.formats.foreign import describe
from mctc.linter.coreml.report import Unchecked
from mctc.package import ForeignModel, NotAProgram, Package, PackageError, read_package


def models_of(path: Path) -> Iterator[Package | ForeignModel | Unchecked]:
    """The ML programs at a path, weight files there or not, neural networks, and what is neither or can't be read."""
    try:
        yield read_package(path, absent_weights=True)
    except NotAProgram as error:
        yield from _members(error)
    except PackageError as error:
        yield Unchecked(str(path), error.message, error.hint or "")


def _members(error: NotAProgram) -> Iterator[Package | ForeignModel | Unchecked]:
    """A network, or the members of a pipeline that can be checked; the model as a whole where nothing in it can."""
    leaves = list(_leaves(error.model)) or [error.model]
    if not any(map(_is_checked, leaves)):
        yield _foreign(error.model, f"{error.model.path}: {_reason(error.model)}", error.hint or "")
        return
    for leaf in leaves:
        if isinstance(leaf, Package) or _is_checked(leaf):
            yield leaf
        else:
            yield _foreign(
                leaf, f"member {leaf.member!r} is a {leaf.kind}, which has neither ops nor layers to check", ""
            )


def _reason(model: ForeignModel) -> str:
    """Why there are no rules for a model."""
    if model.container == "mlmodelc" and model.kind.startswith("neuralNetwork"):
        return f"the model is a compiled {model.kind}, of which only the types of its layers are read"
    if model.members:
        return f"the model is a {model.kind}, of whose members none is an ML program or a neural network"
    return f"the model is a {model.kind}, neither an ML program nor a neural network"


def _is_checked(model: Package | ForeignModel) -> bool:
    """Whether there are rules for a model of its kind."""
    return isinstance(model, Package) or model.network is not None


def _leaves(model: ForeignModel) -> Iterator[Package | ForeignModel]:
    """What a pipeline is made of; pipelines inside it are entered."""
    for member in model.members:
        if isinstance(member, ForeignModel) and member.members:
            yield from _leaves(member)
        else:
            yield member


def _foreign(model: ForeignModel, reason: str, hint: str) -> Unchecked:
    return Unchecked(str(model.path), reason, hint, model.kind, model.member, tuple(describe(model)))
