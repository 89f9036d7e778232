"""A function for each kind of node: mypy holds each to the class that it is given for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from mctc.language import syntax as s
from mctc.language.scope import Frame

N = TypeVar("N", bound=s.Node)
R = TypeVar("R")


class Dispatch(dict[type[s.Node], Callable[[Any, Frame], R]], Generic[R]):
    """Functions of a node and the frame that it runs in, by the node's class."""

    def of(self, kind: type[N], function: Callable[[N, Frame], R]) -> None:
        self[kind] = function
