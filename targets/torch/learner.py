"""The training module of a build as what measures a model: its loss, the gradients of that, what weights are given."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mctc.diagnostics.near import listing
from mctc.driver.manifest import WHOLE
from mctc.driver.reading import read_program
from mctc.driver.target import Load
from mctc.ir.op import Array
from mctc.ir.program import Derived, Program, Source
from mctc.memory import give_back
from mctc.objectives.auxiliary import training_only
from mctc.objectives.narrowed_heads import columns_left
from mctc.targets.torch.engine import import_model
from mctc.targets.torch.errors import EmitError
from mctc.targets.torch.hidden import Hidden
from mctc.targets.torch.mapped import MappedParameters
from mctc.weights import Weights

TAKEN = ("mel", "samples"), ("lengths",), ("targets",), ("target_lengths",)  # what a loss over speech takes, in order
LOSS = "a spec says `train { objective = rnnt(blank = 0) }`, or another loss of frames and labels"


class TorchLearner:
    """A model in evaluation mode, with the weights of a checkpoint in fp32, unquantised.

    Heads that are there in training alone begin with the checkpoint's values, or with zeros where it holds none: then
    their loss is a constant, and no gradient comes from it. Raises RuntimeMissingError without torch, EmitError for a
    module without a loss over frames and labels. Layers compute their activations again for gradients, since those of a
    long utterance would be more than the weights.
    """

    def __init__(self, artifact: Path, load: Load) -> None:
        self.whole = read_program(artifact.parent.parent / WHOLE)
        self.model = import_model(artifact)
        self._check_loss(artifact)
        named = dict(self.model.named_parameters())
        self.mapped = MappedParameters()
        self._bind(load(self.whole), named)
        self.mapped.watch(self.model)
        give_back()  # what the module began with: the checkpoint has taken its place
        self.hidden = Hidden(self.model, self.whole)
        self.model.set_gradient_checkpointing(True)
        self.parameters: Mapping[str, Any] = {name: named[name] for name in named if name in self.whole.sources}

    def _bind(self, weights: Weights, named: Mapping[str, Any]) -> None:
        """Large tensors stay in the checkpoint's file, where it holds them as they are."""
        for name, tensor in self.model.state_dict().items():
            place = _place(self.whole, weights, name) if name in named else None
            if place is None or not self.mapped.take(named[name], place):
                value = _bound(self.whole, weights, name, tuple(tensor.shape))
                self.model.load_state_dict({name: value}, strict=False)

    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """The trained tensors of the model and their shapes."""
        return {name: tuple(tensor.shape) for name, tensor in self.parameters.items()}

    def loss(self, frames: Array, labels: Array) -> float:
        """Of one utterance, in nats: frames [T, bins], labels [U]."""
        import torch

        with torch.no_grad():
            return float(self._loss(frames, labels))

    def given(self, frames: Array, labels: Array) -> dict[str, Array]:
        """What another module can be drawn to by `gradients`: see mctc/targets/torch/hidden.py."""
        with self.hidden.cut():
            loss = self._loss(frames, labels)
        return self.hidden.taken(loss)

    def apart(self, frames: Array, labels: Array, toward: Mapping[str, Array]) -> tuple[float, float]:
        """The loss, and how far hidden results are from others, as a share of their power."""
        import torch

        with torch.no_grad(), self.hidden:
            loss = float(self._loss(frames, labels))
        return loss, float(self.hidden.distance(toward))

    def gradients(
        self, frames: Array, labels: Array, give: Callable[[str, Array], None],
        take: Callable[[str, Array], None] | None = None, toward: Mapping[str, Array] | None = None,
    ) -> float:  # fmt: skip
        """The loss of one utterance. Gradients are gone when `give` returns, so that never all are in memory.

        give: is given the gradient of each parameter that the loss depends on, as soon as it is whole. take: the inputs
        of each weight, rows [positions, entries of a row of the weight]. toward: what another module's `given` told of
        the utterance; gradients are then of the distance from that.
        """
        self.model.zero_grad(set_to_none=True)
        inputs: AbstractContextManager[Any] = nullcontext()
        if take is not None:
            from mctc.targets.torch.inputs import Inputs

            inputs = Inputs(self.parameters, take)
        with inputs, nullcontext() if toward is None else self.hidden:
            loss = self._loss(frames, labels)
        followed = loss if toward is None else self.hidden.drawn(loss, toward, len(labels))
        hooks = [
            tensor.register_post_accumulate_grad_hook(partial(self._given, give, name))
            for name, tensor in self.parameters.items()
        ]
        try:
            followed.backward()
        finally:
            for hook in hooks:
                hook.remove()
        return float(loss.detach())

    def put(self, values: Mapping[str, Array]) -> None:
        """Gives parameters other values, each in the shape of the module or of the checkpoint."""
        import torch

        with torch.no_grad():
            for name, value in values.items():
                tensor = self.parameters[name]
                self.mapped.own(tensor)
                tensor.copy_(torch.from_numpy(_held(value, self.whole, name, tuple(tensor.shape))))

    def _given(self, give: Callable[[str, Array], None], name: str, tensor: Any) -> None:
        self.mapped.give_back(tensor)
        give(name, tensor.grad.numpy())
        tensor.grad = None

    def _loss(self, frames: Array, labels: Array) -> Any:
        import torch

        counts = [torch.tensor([len(each)]) for each in (frames, labels)]
        given = torch.from_numpy(np.ascontiguousarray(frames, np.float32))[None]
        return self.model(given, counts[0], torch.from_numpy(np.asarray(labels, np.int64))[None], counts[1])

    def _check_loss(self, artifact: Path) -> None:
        from torch.nn import Module

        if type(self.model).forward is Module.forward:
            raise EmitError(f"{artifact} has no loss", hint=LOSS)
        taken = [name for name, each in inspect.signature(self.model.forward).parameters.items()
                 if each.default is inspect.Parameter.empty]  # fmt: skip
        if len(taken) != len(TAKEN) or any(name not in known for name, known in zip(taken, TAKEN)):
            raise EmitError(
                f"the loss of {artifact} takes {listing(taken) or 'nothing'}, not frames and labels",
                hint=LOSS,
            )


def bound_values(whole: Program, weights: Weights, model: Any) -> Iterator[tuple[str, Any]]:
    """The state_dict of a module of the whole program, entry by entry, with the values of a checkpoint, which may be
    that of the spec before its layers were pruned; zeros for heads of training that the checkpoint lacks."""
    for name, tensor in model.state_dict().items():
        yield name, _bound(whole, weights, name, tuple(tensor.shape))


def _bound(whole: Program, weights: Weights, name: str, shape: tuple[int, ...]) -> Any:
    import torch

    if name in training_only(whole.train.settings):
        found = weights.in_training(name)
        array = np.zeros(shape, np.float32) if found is None else _narrowed(found, whole, name)
    else:
        own = name in whole.parameters and whole.parameters[name].type.shape == shape
        source = Source(name, whole.sources[name][0])
        array = weights.value(whole.parameters[name]) if own else weights.source(source)
    return torch.from_numpy(np.array(array, np.float32))


def _narrowed(array: Array, whole: Program, name: str) -> Array:
    """A tensor of a head of training: that of the spec before it was pruned has columns more."""
    head, _, tensor = name.rpartition(".")
    told = columns_left(whole.train, head) if tensor == "weight" else None
    if told is None or array.ndim < 2 or array.shape[1] != told[1]:
        return array
    return np.take(array, told[0], 1)


def _place(whole: Program, weights: Weights, name: str) -> tuple[Path, int] | None:
    """Where the checkpoint's file holds just what `_bound` gives."""
    if columns_left(whole.train, name.rpartition(".")[0]) is not None:
        return None
    recipe = whole.parameters[name].recipe if name in whole.parameters else None
    while isinstance(recipe, Derived) and recipe.op == "reshape":
        (recipe,) = (each for each in recipe.operands if each is not None)
    return weights.place(name) if recipe is None or (isinstance(recipe, Source) and recipe.name == name) else None


def _held(array: Array, whole: Program, name: str, shape: tuple[int, ...]) -> Array:
    """A tensor of the checkpoint in the shape that the module holds it in: the parameter's own."""
    from mctc.recipe_values import recomputed

    if array.shape == shape:
        return np.ascontiguousarray(array, np.float32)
    return np.ascontiguousarray(recomputed(whole.parameters[name].recipe, array), np.float32)
