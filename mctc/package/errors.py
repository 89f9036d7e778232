"""What goes wrong while a Core ML model is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mctc.diagnostics.errors import MctcError

if TYPE_CHECKING:
    from mctc.package.model import ForeignModel


class PackageError(MctcError):
    """A Core ML model is missing, damaged or of a kind that is not read; the message names the place."""


class UnknownElementType(PackageError):  # noqa: N818
    """A value of an element type that isn't in dtypes.py is to be handled."""


class NotAProgram(PackageError):  # noqa: N818
    """The model is whole but isn't an ML program; `model` holds what could be told of it."""

    def __init__(self, model: ForeignModel) -> None:
        super().__init__(
            f"{model.path}: the model is a {model.kind}, only ML programs are read",
            hint="convert it with convert_to='mlprogram'",
        )
        self.model = model
