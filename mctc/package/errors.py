"""What goes wrong while a Core ML model is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mctc.diagnostics.errors import MctcError

if TYPE_CHECKING:
    from pathlib import Path

    from mctc.package.model import ForeignModel
    from mctc.package.placeholders import Placeholder


class PackageError(MctcError):
    """A Core ML model is missing, damaged or of a kind that is not read; the message names the place."""


class AbsentFile(PackageError):  # noqa: N818
    """A file that a model needs is not there, or something stands in its place."""

    def __init__(self, path: Path, found: Placeholder) -> None:
        super().__init__(f"{path}: {found.what}", hint=found.hint)
        self.path, self.what, self.found = path, found.what, found


class UnknownElementType(PackageError):  # noqa: N818
    """A value of an element type that isn't in dtypes.py is to be handled."""


class NotAProgram(PackageError):  # noqa: N818
    """The model is whole but isn't an ML program; `model` holds what could be told of it."""

    def __init__(self, model: ForeignModel) -> None:
        super().__init__(f"{model.path}: the model is a {model.kind}, only ML programs are read", hint=_way_out(model))
        self.model = model


def _way_out(model: ForeignModel) -> str:
    if any(not hasattr(member, "kind") for member in model.members):
        return "its members are models of their own, which `mctc lint` checks one by one"
    if not model.kind.startswith("neuralNetwork"):
        return "it has no layers that a compute unit could be chosen for"
    if model.container == "mlmodelc":
        return "it was compiled from a .mlmodel, which says more; or convert its source with convert_to='mlprogram'"
    return "convert its source again, with convert_to='mlprogram'"
