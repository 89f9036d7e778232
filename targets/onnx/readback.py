"""Models read back from disk and checked by onnx."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mctc.targets.onnx.errors import OnnxError
from mctc.targets.onnx.library import import_onnx


def check_file(path: Path) -> int:
    """onnx's checker and strict shape inference over a file. The number of values whose inferred type was compared
    with the declared one. Raises OnnxError where they differ."""
    onnx = import_onnx()
    try:
        onnx.checker.check_model(str(path), full_check=True)
        model = onnx.load(str(path), load_external_data=False)
        declared = {info.name: info for info in (*model.graph.value_info, *model.graph.output)}
        bare = onnx.ModelProto()
        bare.CopyFrom(model)
        bare.graph.ClearField("value_info")
        for output in bare.graph.output:
            output.type.tensor_type.ClearField("shape")
        inferred = onnx.shape_inference.infer_shapes(bare, check_type=True, strict_mode=True, data_prop=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError, ValueError) as error:
        raise OnnxError(f"{path}: onnx rejects the model: {str(error).strip()}") from error
    return sum(
        _same(path, declared[info.name], info)
        for info in (*inferred.graph.value_info, *inferred.graph.output)
        if info.name in declared
    )


def _same(path: Path, declared: Any, inferred: Any) -> int:
    """1. Raises OnnxError when a type that onnx infers contradicts the declared one; a name of an extent does not."""
    want, have = declared.type.tensor_type, inferred.type.tensor_type
    dims = list(zip(want.shape.dim, have.shape.dim))
    fits = want.elem_type == have.elem_type and len(want.shape.dim) == len(have.shape.dim)
    if not fits or any(w.dim_value != h.dim_value for w, h in dims if h.HasField("dim_value")):
        raise OnnxError(f"{path}: `{declared.name}` is declared as {_shape(want)}, onnx infers {_shape(have)}")
    return 1


def _shape(type_: Any) -> str:
    return f"[{', '.join(str(d.dim_value if d.HasField('dim_value') else d.dim_param) for d in type_.shape.dim)}]"
