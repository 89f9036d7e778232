"""What an attribute of an op, or a setting of a section, may be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TypeGuard

from mctc.ir.dims import Extent
from mctc.ir.types import TensorType

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[Any]
    Entry = np.generic
else:  # to name them takes no numpy
    Array = Entry = Any

Scalar = bool | int | float | Fraction | str | Extent | None
AttributeValue = Scalar | TensorType | Array | Entry | Sequence["AttributeValue"] | Mapping[str, "AttributeValue"]
"""An array is the value of a constant; lists become tuples where an op is made."""
Attributes = Mapping[str, AttributeValue]
PLAIN = frozenset({bool, int, float, str, tuple, type(None), TensorType, Extent})
"""Types of most attributes, none of them an array's."""


def is_array(value: object) -> TypeGuard[Array]:
    """Whether a value is a numpy array, told without numpy, which a spec without arrays has no need of."""
    return type(value) not in PLAIN and hasattr(type(value), "__array_function__")
