"""The loss of an emitted training module over a batch: finite, with finite gradients, and the same however the batch is
padded. What `forward` takes beside features and labels is read off its docstring, as a user would."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bench.fuzz.findings import FindingError
from mctc.ir.op import Array
from mctc.ir.program import Function, Program, Value
from mctc.ir.types import Role
from mctc.numerics.battery import draw
from mctc.numerics.sizes import least
from mctc.targets.torch.engine import TorchEngine
from mctc.weights import Weights

STAGE = "training"
LABELS = np.array([[3, 4], [4, 0]])  # no blank, and nothing that begins or ends a text
COUNTS = (2, 1)
CALLS = 6  # the frames of the longer utterance, in least numbers that all strides divide
LIMIT = 1e-4  # of the loss, in fp32
OWN = ("lengths", "targets", "target_lengths")


def check_loss(program: Program, artifact: Path, load: Callable[[Program], Weights]) -> float:
    """The relative difference of the loss of two utterances and of the same with padding. Raises FindingError."""
    import torch

    model = TorchEngine(artifact, load).model
    batch = _Batch(program, model.forward)
    with torch.no_grad():
        alone, padded = (float(model.eval()(*batch.arguments(more))) for more in (0, 2))
    if not np.isfinite(alone):
        raise FindingError(STAGE, f"the loss is {alone}")
    error = abs(alone - padded) / max(abs(alone), 1.0)
    if not error <= LIMIT:
        raise FindingError(STAGE, f"the loss is {alone:.6g}, and {padded:.6g} of the same utterances with more padding")
    loss = model.train()(*batch.arguments(0))
    loss.backward()
    for name, parameter in model.named_parameters():
        if parameter.grad is not None and not bool(torch.isfinite(parameter.grad).all()):
            raise FindingError(STAGE, f"the gradient of {name} is not finite")
    return float(error)


class _Batch:
    """Two utterances of a length each, with whatever else `forward` takes, and frames and labels behind them."""

    def __init__(self, program: Program, forward: Callable[..., Any]) -> None:
        taken = inspect.signature(forward).parameters.items()
        self.names = [name for name, each in taken if each.default is inspect.Parameter.empty]
        told = " ".join((inspect.getdoc(forward) or "").split())
        self.shapes = dict(re.findall(r"(\w+) \((B[^()]*)\)", told))
        self.inputs = {v.name: (f, v) for f in program.functions.values() for v in f.inputs}
        steps = [least(f, "T") for f in program.functions.values()]
        self.step = int(np.lcm.reduce(steps))
        self.frames = CALLS * self.step

    def arguments(self, more: int) -> list[Any]:
        """more: how much padding, in least numbers of frames, and in labels."""
        import torch

        told = {
            "lengths": np.array([self.frames, self.frames - 2 * self.step + 1]),  # one ends in the middle of a stride
            "target_lengths": np.array(COUNTS),
            "targets": np.pad(LABELS, ((0, 0), (0, more)), constant_values=1),
        }
        given = [told[name] if name in told else self._beside(name, more) for name in self.names]
        return [torch.from_numpy(np.ascontiguousarray(each)).to(_kind(torch, each)) for each in given]

    def _beside(self, name: str, more: int) -> Array:
        shape = self.shapes.get(name)
        if name in self.inputs:
            return self._drawn(*self.inputs[name], shape or "", more)
        if shape is None:
            raise FindingError(STAGE, f"the docstring of `forward` does not say what `{name}` is")
        if name.endswith("_lengths"):
            return np.array(COUNTS)
        whole = self._extents(shape, 2)
        rng = np.random.default_rng(3)
        drawn = rng.integers(1, 4, whole)
        return drawn[tuple(slice(n) for n in self._extents(shape, more))]

    def _drawn(self, function: Function, value: Value, shape: str, more: int) -> Array:
        """An input of a component; without padding it is a part of what it is with some."""
        labels = re.search(r"U \+ (\d+)", shape)
        ahead = int(labels.group(1)) if labels else 0
        sizes = {s: self._size(s, 2, ahead) for s in ("B", "T", "U")}
        drawn = draw(function, sizes)[value.name]
        kept = {s: self._size(s, more, ahead) for s in ("B", "T", "U")}
        part = drawn[tuple(slice(n) for n in value.type.substitute(kept).shape)]
        one = shape.startswith("B") and value.type.find(Role.BATCH) is None  # a component of one utterance
        return np.stack([part, 0.5 * part if part.dtype.kind == "f" else part]) if one else part

    def _size(self, symbol: str, more: int, ahead: int = 0) -> int:
        frames, labels = self.frames + more * self.step, LABELS.shape[1] + more
        known: dict[str, int] = {"B": 2, "T": frames, "U": labels + ahead}
        size: int = known.get(symbol, labels)
        return size

    def _extents(self, shape: str, more: int) -> list[int]:
        found = []
        for part in filter(None, (each.strip() for each in shape.split(","))):
            symbol, _, divisor = part.partition("/")
            found.append(self._size(symbol, more) // int(divisor or 1))
        return found


def _kind(torch: Any, array: Array) -> Any:
    if array.dtype == np.bool_:
        return torch.bool
    return torch.int64 if array.dtype.kind == "i" else torch.float32
