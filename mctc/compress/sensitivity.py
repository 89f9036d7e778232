"""What each weight costs in each form, by that form's own rounding: bytes, and the loss it is predicted to add."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from mctc.compress.errors import CompressError
from mctc.compress.layers import Layer
from mctc.compress.round import FULL, QUICK, Effort, Known, Rounded, rounded
from mctc.compress.search import Form, Offer
from mctc.compress.smoothing import NONE, Smoothing
from mctc.compress.statistics import Statistics
from mctc.ir.input_scales import is_scale
from mctc.ir.op import Array
from mctc.records import dataclass
from mctc.weights import LARGEST, Weights


@dataclass(frozen=True)
class Model:
    """A model's weights, their values, and what a calibration knows of them."""

    layers: Sequence[Layer]
    weights: Weights
    statistics: Statistics
    smoothing: Smoothing = NONE

    def value(self, layer: Layer) -> Array:
        """With what smoothing moves into it. Raises CompressError for one that fp16 can't hold."""
        value = self.smoothing.weight(layer.name, self.weights.value(layer.parameter))
        if not np.abs(value).max(initial=0.0) <= LARGEST:
            raise CompressError(
                f"{layer.name} has values that are not finite in fp16", hint="train it anew, or mend it"
            )
        return value

    def known(self, layer: Layer) -> Known:
        """Raises CompressError for statistics of other shapes."""
        value, name = self.value(layer), layer.name
        moment, fisher = self.statistics.moment(name), self.statistics.fisher(name)
        entries = value.size // len(value)
        if (moment is not None and moment.shape != (entries, entries)) or (
            fisher is not None and fisher.size != value.size
        ):
            hint = "calibrate a build of this very spec, with the same -D"
            raise CompressError(f"the statistics of {name} are of another shape than {list(value.shape)}", hint=hint)
        factors = self.smoothing.entries(name, entries)
        if factors is None:
            return Known(moment, fisher)
        return Known(
            None if moment is None else moment / np.outer(factors, factors),
            None if fisher is None else fisher.reshape(len(value), -1) / factors**2,
        )

    def rounded(self, layer: Layer, form: Form, effort: Effort = FULL) -> Rounded:
        """A weight in a form; as it is in fp16 for None."""
        value = self.value(layer)
        if form is None:
            return Rounded(np.asarray(value, np.float32), "fp16", 0.0)
        return rounded(value, layer.stored(form), self.known(layer), effort)

    def rounded_all(self, forms: Mapping[str, Form], effort: Effort = FULL) -> Iterator[tuple[Layer, Rounded]]:
        """Each weight in its form."""
        for layer in self.layers:
            yield layer, self.rounded(layer, forms[layer.name], effort)


def offers_of(model: Model, told: Callable[[str], None]) -> list[Offer]:
    """One for each weight."""
    found = []
    for number, layer in enumerate(model.layers, 1):
        told(f"{number} of {len(model.layers)}, {layer.name}")
        known, value = model.known(layer), model.value(layer)
        costs = {
            form: 0.0 if form is None else rounded(value, layer.stored(form), known, QUICK).cost for form in layer.forms
        }
        found.append(Offer(layer.name, dict(layer.forms), costs))
    return found


def write_rounded(
    model: Model,
    checkpoint: Path,
    forms: Mapping[str, Form],
    found: Mapping[str, Rounded],
    scales: Mapping[str, float],
    out: Path,
) -> None:
    """Writes a checkpoint of which a build stores these forms with these very codes: fp32 values, so training goes on.

    scales: of activations, by their names; those of other layers that the checkpoint has go. The file is written whole
    or not at all. Raises CompressError and OSError.
    """
    import json

    from mctc.checkpoint_writer import write_all
    from mctc.coded import TABLE, opened
    from mctc.compress.round import again

    source = opened(checkpoint)
    tensors = {name: source.read(name) for name in source.shapes if not is_scale(name)}
    tensors |= {name: model.smoothing.weight(name, tensors[name]) for name in model.smoothing.factors}
    tensors |= {name: value.reshape(tensors[name].shape) for name, value in model.smoothing.norms.items()}
    tensors |= {name: np.asarray(scale, np.float32) for name, scale in scales.items()}
    for layer in model.layers:
        form, each = forms[layer.name], found[layer.name]
        if form is not None and not again(each, layer.stored(form)):
            raise CompressError(f"{layer.name}: a build would not find these codes again, which is a fault of mctc")
        tensors[layer.name] = each.values
    metadata = {key: str(value) for key, value in source.metadata.items() if key != TABLE}
    metadata["mctc.rounded"] = json.dumps({name: each.way for name, each in found.items()})
    write_all(out, tensors, metadata)
