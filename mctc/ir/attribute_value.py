"""What an attribute of an op, or a setting of a section, may be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mctc.ir.dims import Extent
from mctc.ir.types import TensorType

Array = NDArray[Any]
Scalar = bool | int | float | Fraction | str | Extent | None
AttributeValue = Scalar | TensorType | Array | np.generic | Sequence["AttributeValue"] | Mapping[str, "AttributeValue"]
"""An array is the value of a constant; lists become tuples where an op is made."""
Attributes = Mapping[str, AttributeValue]
