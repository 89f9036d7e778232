"""From a path to the models that rules can be applied to: a package is one, a pipeline may hold several."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mctc.lint.coreml.formats.foreign import describe
from mctc.lint.coreml.report import Unchecked
from mctc.package import ForeignModel, NotAProgram, Package, PackageError, read_package


def models_of(path: Path) -> Iterator[Package | Unchecked]:
    """The ML programs at a path, weight files there or not, and what is no program or can't be read."""
    try:
        yield read_package(path, absent_weights=True)
    except NotAProgram as error:
        yield from _members(error)
    except PackageError as error:
        yield Unchecked(str(path), error.message, error.hint or "")


def _members(error: NotAProgram) -> Iterator[Package | Unchecked]:
    """The members of a pipeline that has programs; the model as a whole where there is no program in it."""
    leaves = list(_leaves(error.model))
    if not any(isinstance(leaf, Package) for leaf in leaves):
        yield _foreign(error.model, error.message, error.hint or "")
        return
    for leaf in leaves:
        if isinstance(leaf, Package):
            yield leaf
        else:
            yield _foreign(leaf, f"member {leaf.member!r} is a {leaf.kind}, which has no ops to check", "")


def _leaves(model: ForeignModel) -> Iterator[Package | ForeignModel]:
    """What a pipeline is made of; pipelines inside it are entered."""
    for member in model.members:
        if isinstance(member, ForeignModel) and member.members:
            yield from _leaves(member)
        else:
            yield member


def _foreign(model: ForeignModel, reason: str, hint: str) -> Unchecked:
    return Unchecked(str(model.path), reason, hint, model.kind, model.member, tuple(describe(model)))
