"""Shape rules of recurrent layers: [sequence, batch, channel, 1, 1] in, the last state or all of them out."""

from __future__ import annotations

from mctc.linter.coreml.network.extents import Made, Shapes, UnfitError, product, replaced
from mctc.package.network import Layer

RECURRENT = ("simpleRecurrent", "gru", "uniDirectionalLSTM", "biDirectionalLSTM")


def recurrent(layer: Layer, shapes: Shapes) -> Made:
    """The output, then the states of one direction or two."""
    shape, settings = shapes[0], layer.settings
    if len(shape) != 5:
        raise UnfitError(f"rank {len(shape)} where 5 is wanted")
    options = settings.params if layer.type.endswith("LSTM") else settings
    width = settings.outputVectorSize * (2 if layer.type == "biDirectionalLSTM" else 1)
    sequence = shape[0] if options.sequenceOutput else 1
    state = (1, shape[1], settings.outputVectorSize, 1, 1)
    return [(sequence, shape[1], width, 1, 1), *[state] * (len(layer.outputs) - 1)]


def repeated(layer: Layer, shapes: Shapes) -> Made:
    times = layer.settings.nRepetitions or 1
    return [replaced(shapes[0], -5, product((shapes[0][-5], times)) if len(shapes[0]) >= 5 else None)]
