"""The modules that mctc emitted, imported from wherever their folder lies, and what the recipe adds around them."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from mctc.audio import MelConfig

from .config import ConfigError
from .config import Model as Settings

BINS = MelConfig().bins
CTC_HEAD = "ctc_head"  # begins the names of what is trained beside the model and not exported


class Emitted:
    """A training/ folder: its model's class, and the modules beside it by name."""

    def __init__(self, folder: str) -> None:
        path = Path(folder).resolve()
        if not (path / "__init__.py").is_file():
            raise ConfigError(f"model.training: {folder} is no training/ folder of a build")
        sys.path.insert(0, str(path.parent))
        self._package = path.name
        self.model: type[nn.Module] = _only(importlib.import_module(path.name))

    def part(self, name: str) -> Any:
        """A module beside the model, such as device or fake_quantize."""
        return importlib.import_module(f"{self._package}.{name}")


def _only(package: ModuleType) -> type[nn.Module]:
    kind: type[nn.Module] = getattr(package, package.__all__[0])
    return kind


class Objective(nn.Module):
    """The emitted model's loss, with CTC on the encoder beside a transducer's, as most recipes have it.

    `forward` gives the mean over the utterances of the batch: per utterance for a transducer.
    """

    def __init__(self, emitted: Emitted, settings: Settings, classes: int) -> None:
        super().__init__()
        model: Any = emitted.model()
        if settings.start:
            model.load_state_dict(load_file(settings.start))
        model.set_gradient_checkpointing(settings.checkpointing)
        self.model, self._encoder = model, (model.encoder,)  # in a tuple, or its parameters were there twice
        self._weight = settings.ctc if hasattr(self.model, "joiner") else 0.0
        if self._weight:
            self._ctc_loss = emitted.part("losses").ctc_loss
            with torch.no_grad():
                width = model.encoder(torch.zeros(1, BINS, 1, 64)).shape[1]
            self.ctc_head = nn.Conv2d(width, classes, 1)
            self._encoded: list[Tensor] = []
            model.encoder.register_forward_hook(lambda _, __, result: self._encoded.append(result))

    def forward(self, mel: Tensor, lengths: Tensor, labels: Tensor, counts: Tensor) -> Tensor:
        if not self._weight:
            plain: Tensor = self.model(mel, lengths, labels, counts)
            return plain
        self._encoded.clear()
        loss: Tensor = self.model(mel, lengths, labels, counts)
        logits = self.ctc_head(self._encoded.pop())
        ctc: Tensor = self._ctc_loss(
            logits,
            labels,
            self._encoder[0].output_lengths(lengths),
            counts,
            dim=1,
            reduction="none",
            zero_infinity=True,
        )
        return loss + self._weight * ctc.mean()

    def least_frames(self) -> float:
        """Frames of features that each label takes at least: those of one encoded frame for CTC, else none."""
        if hasattr(self.model, "joiner"):
            return 0.0
        return 1000.0 / float(self._encoder[0].output_lengths(torch.tensor(1000)))


def check_classes(model: nn.Module, classes: int) -> None:
    """Raises ConfigError for tokens that are not the model's classes: its loss takes the last one, and none behind."""
    mel, lengths = torch.zeros(1, 64, BINS), torch.tensor([64])
    with torch.no_grad():
        for label, allowed in ((classes - 1, True), (classes, False)):
            try:
                model(mel, lengths, torch.tensor([[label]]), torch.tensor([1]))
                taken = True
            except ValueError:
                taken = False
            if taken != allowed:
                told = "fewer" if allowed else "more"
                raise ConfigError(f"data.tokens makes {classes} classes with the blank, and the model has {told}")
