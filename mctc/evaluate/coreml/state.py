"""The state of a stateful function: named tensors that live across calls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping

import numpy as np

from mctc.evaluate.coreml.errors import EvaluationError
from mctc.evaluate.coreml.precision import Array, Precision, hold
from mctc.package.types import TensorType


class State(MutableMapping[str, Array]):
    """State tensors by name; calls of the function read and replace them.

    Floats are held as float32 arrays; in fp16 precision their values are fp16 numbers. Setting an entry checks its
    shape and rounds it. Entries can be neither added nor removed.
    """

    def __init__(self, types: Mapping[str, TensorType], precision: Precision) -> None:
        self._types = dict(types)
        self._precision: Precision = precision
        self._values: dict[str, Array] = {}
        for name, type_ in self._types.items():
            if type_.shape is None or None in type_.shape:
                raise EvaluationError(f"state '{name}' has no definite shape: {type_}")
            self._values[name] = np.zeros([n for n in type_.shape if n is not None], np.float32)

    def __getitem__(self, name: str) -> Array:
        return self._values[name]

    def __setitem__(self, name: str, value: Array) -> None:
        type_ = self._types.get(name)
        if type_ is None:
            raise EvaluationError(f"there is no state '{name}'; the states are: {', '.join(self._types) or 'none'}")
        array = np.asarray(value)
        if array.shape != type_.shape:
            raise EvaluationError(f"state '{name}' is {type_}, not of shape {array.shape}")
        self._values[name] = np.array(hold(array, type_.dtype, self._precision), np.float32)

    def __delitem__(self, name: str) -> None:
        raise EvaluationError(f"state '{name}' can't be removed")

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def replace(self, name: str, value: Array) -> None:
        """Takes a value that is already of the state's type (what a write_state op has computed)."""
        self._values[name] = np.array(value)

    def copy(self) -> State:
        """An independent copy: a snapshot to come back to."""
        twin = State({}, self._precision)
        twin._types = dict(self._types)
        twin._values = {name: value.copy() for name, value in self._values.items()}
        return twin
