"""Networks of random layers with random fields, as strangers' files may have them: none breaks the check."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor

from mctc.linter.coreml.formats.text import render_text
from mctc.linter.coreml.models import models_of
from mctc.linter.coreml.network.check import check_network
from mctc.linter.coreml.table import table
from mctc.package import ForeignModel
from mctc.package.protobuf import model_class

NETWORKS, DEEPEST, AXES = 12, 3, 5
NUMBERS = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), -3, -1, 0, 1, 1, 2, 3, 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**31), -3, -1, 0, 1, 1, 2, 3, 2**31 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 1, 1, 2, 2, 4, 7, 2**31),
    FieldDescriptor.CPPTYPE_UINT64: (0, 1, 1, 2, 2, 4, 7, 2**31),
    FieldDescriptor.CPPTYPE_FLOAT: (-1.0, 0.0, 1.0, 2.5, 1e38, float("inf"), float("nan")),
    FieldDescriptor.CPPTYPE_DOUBLE: (-1.0, 0.0, 1.0, 2.5, 1e38, float("inf"), float("nan")),
    FieldDescriptor.CPPTYPE_BOOL: (False, True),
}


class _Maker:
    """Makes a model from a seed."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.names = ["x", "y"]

    def model(self) -> Any:
        model = model_class()(specificationVersion=self.chance.choice([1, 3, 4, 4, 5]))
        for name in self.names[:2]:
            array = model.description.input.add(name=name).type.multiArrayType
            array.shape.extend(self.chance.choice([0, 1, 2, 3, 4, 6]) for _ in range(self.chance.randint(0, AXES)))
            if self.chance.random() < 0.3:
                for _ in array.shape:
                    array.shapeRange.sizeRanges.add(lowerBound=self.chance.randint(0, 2), upperBound=4)
        network = model.neuralNetwork
        network.arrayInputShapeMapping = self.chance.randint(0, 1)
        for _ in range(self.chance.randint(1, 7)):
            self.layer(network.layers.add())
        model.description.output.add(name=self.names[-1])
        return model

    def layer(self, layer: Any) -> None:
        layer.name = f"layer {len(self.names)}"
        layer.input.extend(self.chance.choice(self.names) for _ in range(self.chance.choice([0, 1, 1, 1, 2, 3])))
        for _ in range(self.chance.choice([1, 1, 1, 2])):
            self.names.append(f"v{len(self.names)}")
            layer.output.append(self.names[-1])
        settings = getattr(layer, self.chance.choice(layer.DESCRIPTOR.oneofs_by_name["layer"].fields).name)
        settings.SetInParent()
        self.fill(settings, 0)

    def fill(self, message: Any, depth: int) -> None:
        for field in message.DESCRIPTOR.fields:
            if self.chance.random() < 0.4 or (field.message_type is not None and depth == DEEPEST):
                continue
            value = getattr(message, field.name)
            if field.message_type is None:
                if field.is_repeated:
                    value.extend(self.value(field) for _ in range(self.chance.randint(0, AXES)))
                else:
                    setattr(message, field.name, self.value(field))
            elif field.message_type.name == "NeuralNetwork":
                for _ in range(self.chance.randint(0, 2)):
                    self.layer(value.layers.add())
            elif not field.message_type.GetOptions().map_entry:
                self.fill(value.add() if field.is_repeated else value, depth + 1)

    def value(self, field: Any) -> Any:
        if field.type == field.TYPE_ENUM:
            return self.chance.choice(field.enum_type.values).number
        if field.type == field.TYPE_BYTES:
            return bytes(self.chance.randint(0, 9))
        return self.chance.choice(NUMBERS.get(field.cpp_type, self.names))


@pytest.mark.parametrize("seed", range(0, 48, NETWORKS))
def test_a_network_of_random_layers_is_checked(seed: int, tmp_path: Path) -> None:
    path, rules = tmp_path / "model.mlmodel", list(table().rules.values())
    checked = 0
    for each in range(seed, seed + NETWORKS):
        path.write_bytes(_Maker(each).model().SerializeToString())
        for model in models_of(path):
            if isinstance(model, ForeignModel):
                assert "layer" in render_text([check_network(model, rules)], everything=True)
                checked += 1
    assert checked == NETWORKS
