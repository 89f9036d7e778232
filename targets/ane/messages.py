"""ML program messages: types and values, written field by field.

The message classes are those that coremltools generates from Apple's MIL.proto; mctc.package.protobuf loads them. Forms
follow what coremltools itself writes: scalars have no rank, fp16 and narrow integers are bytes, the rest numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from mctc.ir.op import Array
from mctc.package.dtypes import DTYPES

FEATURE_FP16 = 65552  # ArrayFeatureType.ArrayDataType.FLOAT16 (FeatureTypes.proto)
FEATURE_FP32 = 65568  # ArrayFeatureType.ArrayDataType.FLOAT32
FEATURE_INT32 = 131104  # ArrayFeatureType.ArrayDataType.INT32
WEIGHT_FILE = "@model_path/weights/weight.bin"
MIL_OF_NUMPY = {
    "float16": "fp16",
    "float32": "fp32",
    "int32": "int32",
    "bool": "bool",
    "int8": "int8",
    "uint8": "uint8",
}


def set_tensor_type(message: Any, dtype: str, shape: Sequence[int]) -> None:
    """Makes a ValueType message the type of a tensor."""
    kind: Any = type(message)
    message.CopyFrom(_tensor_type(kind, dtype, tuple(shape)))


@lru_cache(maxsize=1 << 10)  # a program has few types, and uses each many times
def _tensor_type(kind: Any, dtype: str, shape: tuple[int, ...]) -> Any:
    made = kind()
    tensor = made.tensorType
    tensor.dataType = DTYPES[dtype].number
    if shape:
        tensor.rank = len(shape)
        for extent in shape:
            tensor.dimensions.add().constant.size = extent
    return made


def set_string(message: Any, text: str) -> None:
    """Makes a Value message a string."""
    message.type.tensorType.dataType = DTYPES["string"].number
    message.immediateValue.tensor.strings.values.append(text)


def set_array(message: Any, array: Array) -> None:
    """Makes a Value message a small array written in the program: fp16, fp32, int32 or bool."""
    dtype = MIL_OF_NUMPY[array.dtype.name]
    set_tensor_type(message.type, dtype, array.shape)
    tensor = message.immediateValue.tensor
    if dtype == "int32":
        tensor.ints.values.extend(array.ravel().tolist())
    elif dtype == "bool":
        tensor.bools.values.extend(array.ravel().tolist())
    elif dtype == "fp32":
        tensor.floats.values.extend(array.ravel().tolist())
    else:
        tensor.bytes.values = array.astype(array.dtype.newbyteorder("<")).tobytes()


def set_blob(message: Any, dtype: str, shape: Sequence[int], offset: int) -> None:
    """Makes a Value message a tensor of the weight file."""
    set_tensor_type(message.type, dtype, shape)
    message.blobFileValue.fileName = WEIGHT_FILE
    message.blobFileValue.offset = offset


def set_feature(message: Any, name: str, shape: Sequence[int], dtype: str = "fp16", state: bool = False) -> None:
    """Fills a FeatureDescription: an input, output or state as an app sees it."""
    message.name = name
    array = message.type.stateType.arrayType if state else message.type.multiArrayType
    array.shape.extend(shape)
    array.dataType = {"fp16": FEATURE_FP16, "fp32": FEATURE_FP32, "int32": FEATURE_INT32}[dtype]


def as_small(value: object) -> Array | str:
    """A compile-time value: text, or an array of floats, int32 or bool."""
    if isinstance(value, str):
        return value
    array = np.asarray(value)
    return array if array.dtype.kind in "fb" else array.astype(np.int32)
