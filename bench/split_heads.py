"""A package like a large Whisper encoder with its attention split by heads and query chunks: some 15,000 ops.

Written message by message, without coremltools: 32 layers of width 1280, 20 heads of 64, 1500 positions in 5 chunks.
Weights are zeros in one weight file that all layers share, so it takes little room on the disk.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mctc.package.protobuf import model_class
from mctc.package.weight_file import WeightFile
from mctc.targets.ane.messages import set_array, set_blob, set_feature, set_string, set_tensor_type

LAYERS, HEADS, SIZE, POSITIONS, CHUNKS = 32, 20, 64, 1500, 5
WIDTH = HEADS * SIZE
Value = tuple[str, tuple[int, ...]]


class Writer:
    """Adds operations to a block; every op gets its constants as `const` operations, as coremltools writes them."""

    def __init__(self, block: Any, offsets: dict[tuple[int, ...], int]) -> None:
        self.block, self.offsets, self.count = block, offsets, 0

    def op(self, kind: str, shape: Sequence[int], **operands: Any) -> Value:
        prepared = {key: self._operand(f"{kind}_{self.count}_{key}", value) for key, value in operands.items()}
        name = f"{kind}_{self.count}"
        self.count += 1
        operation = self.block.operations.add(type=kind)
        set_string(operation.attributes["name"], name)
        for key, names in prepared.items():
            for each in names:
                operation.inputs[key].arguments.add(name=each)
        output = operation.outputs.add(name=name)
        set_tensor_type(output.type, "fp16", shape)
        return name, tuple(shape)

    def weight(self, *shape: int) -> Value:
        name = f"weight_{self.count}"
        self.count += 1
        value = self._const(name)
        set_blob(value, "fp16", shape, self.offsets[shape])
        set_tensor_type(self.block.operations[-1].outputs[0].type, "fp16", shape)
        return name, shape

    def _operand(self, name: str, value: Any) -> list[str]:
        if isinstance(value, tuple) and isinstance(value[0], str):
            return [value[0]]
        if isinstance(value, list) and value and isinstance(value[0], tuple):
            return [each[0] for each in value]
        message = self._const(name)
        type_ = self.block.operations[-1].outputs[0].type
        if isinstance(value, str):
            set_string(message, value)
            type_.tensorType.dataType = message.type.tensorType.dataType
        else:
            array = np.asarray(value)
            set_array(message, array.astype({"f": np.float16, "b": np.bool_}.get(array.dtype.kind, np.int32)))
            type_.CopyFrom(message.type)
        return [name]

    def _const(self, name: str) -> Any:
        operation = self.block.operations.add(type="const")
        set_string(operation.attributes["name"], name)
        operation.outputs.add(name=name)
        return operation.attributes["val"]


def layer(write: Writer, x: Value) -> Value:
    """Pre-norm attention, a head and a chunk of queries at a time, and the feed-forward part."""
    full, chunk = (1, WIDTH, 1, POSITIONS), POSITIONS // CHUNKS
    normed = write.op("layer_norm", full, x=x, axes=[1], gamma=write.weight(WIDTH), epsilon=1e-5)
    q, k, v = (write.op("conv", full, x=normed, weight=write.weight(WIDTH, WIDTH, 1, 1)) for _ in range(3))
    heads = []
    for head in range(HEADS):
        begin, end = [0, head * SIZE, 0, 0], [1, (head + 1) * SIZE, 1, POSITIONS]
        mine = (1, SIZE, 1, POSITIONS)
        key, value = (write.op("slice_by_index", mine, x=each, begin=begin, end=end) for each in (k, v))
        turned = write.op("transpose", (1, POSITIONS, 1, SIZE), x=key, perm=[0, 3, 2, 1])
        parts = []
        for part in range(CHUNKS):
            at = ([0, begin[1], 0, part * chunk], [1, end[1], 1, (part + 1) * chunk])
            query = write.op("slice_by_index", (1, SIZE, 1, chunk), x=q, begin=at[0], end=at[1])
            scores = write.op("einsum", (1, POSITIONS, 1, chunk), values=[query, turned], equation="bchq,bkhc->bkhq")
            weights = write.op("softmax", scores[1], x=scores, axis=1)
            parts.append(write.op("einsum", (1, SIZE, 1, chunk), values=[weights, value], equation="bkhq,bchk->bchq"))
        heads.append(write.op("concat", mine, values=parts, axis=3, interleave=False))
    joined = write.op("concat", full, values=heads, axis=1, interleave=False)
    x = write.op("add", full, x=x, y=write.op("conv", full, x=joined, weight=write.weight(WIDTH, WIDTH, 1, 1)))
    inner = (1, 4 * WIDTH, 1, POSITIONS)
    normed = write.op("layer_norm", full, x=x, axes=[1], gamma=write.weight(WIDTH), epsilon=1e-5)
    wide = write.op("gelu", inner, x=write.op("conv", inner, x=normed, weight=write.weight(4 * WIDTH, WIDTH, 1, 1)),
                    mode="EXACT")  # fmt: skip
    return write.op("add", full, x=x, y=write.op("conv", full, x=wide, weight=write.weight(WIDTH, 4 * WIDTH, 1, 1)))


def write_package(path: Path, layers: int = LAYERS) -> int:
    """Writes the package at `path`, which must not exist; returns how many ops compute."""
    data = path / "Data" / "com.apple.CoreML"
    (data / "weights").mkdir(parents=True)
    shapes = [(WIDTH,), (WIDTH, WIDTH, 1, 1), (4 * WIDTH, WIDTH, 1, 1), (WIDTH, 4 * WIDTH, 1, 1)]
    with WeightFile(data / "weights" / "weight.bin") as file:
        offsets = {shape: file.add("fp16", np.zeros(shape, np.float16)) for shape in shapes}
    model = model_class()()
    model.specificationVersion, model.mlProgram.version = 9, 1
    function = model.mlProgram.functions["main"]
    function.opset = "CoreML8"
    block = function.block_specializations["CoreML8"]
    shape = (1, WIDTH, 1, POSITIONS)
    set_tensor_type(function.inputs.add(name="x").type, "fp16", shape)
    writer = Writer(block, offsets)
    x: Value = ("x", shape)
    for _ in range(layers):
        x = layer(writer, x)
    block.outputs.append(x[0])
    set_feature(model.description.input.add(), "x", shape)
    set_feature(model.description.output.add(), x[0], shape)
    (data / "model.mlmodel").write_bytes(model.SerializeToString())
    entry = {"author": "com.apple.CoreML", "name": "model.mlmodel", "path": "com.apple.CoreML/model.mlmodel"}
    manifest = {"fileFormatVersion": "1.0.0", "itemInfoEntries": {"a": entry}, "rootModelIdentifier": "a"}
    (path / "Manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return sum(operation.type != "const" for operation in block.operations)


if __name__ == "__main__":
    print(write_package(Path(sys.argv[1])))
