"""The modules that mctc emitted, imported from wherever their folder lies. The model's `forward` is its loss."""

from __future__ import annotations

import importlib
import sys
from hashlib import sha256
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import torch

from mctc.audio import MelConfig
from mctc.coded import opened

from .config import ConfigError, Model, Quantize

BINS = MelConfig().bins


class Emitted:
    """A training/ folder. Raises ConfigError for what is none. called: its name and that of the
    weights in messages."""

    def __init__(self, settings: Model, called: tuple[str, str] = ("model.training", "model.start")) -> None:
        path = Path(settings.training).resolve()
        if not (path / "__init__.py").is_file():
            raise ConfigError(f"{called[0]}: {settings.training} is no training/ folder of a build")
        self._settings, self._called, self._package = settings, called, _imported(path)

    def part(self, name: str) -> Any:
        """A module beside the model, such as device or fake_quantize."""
        return importlib.import_module(f"{self._package}.{name}")

    def model(self) -> Any:
        """The model, as the settings have it begin."""
        package = importlib.import_module(self._package)
        model = getattr(package, package.__all__[0])()
        if self._settings.start:
            self._begin(model, Path(self._settings.start))
        model.set_gradient_checkpointing(self._settings.checkpointing)
        return model

    def _begin(self, model: Any, path: Path) -> None:
        """With the weights of a checkpoint, of numbers or of codes. Raises ConfigError for one of another model."""
        given = opened(path)
        try:
            model.load_state_dict({name: torch.from_numpy(given.read(name)) for name in given.shapes})
        except RuntimeError as error:
            first, *rest = (_first_names(" ".join(line.split())) for line in str(error).splitlines()[1:])
            more = f" ... and {len(rest)} more" if rest else ""
            cut = " (a pruned model begins with what `mctc prune --cut` writes)" if "size mismatch" in first else ""
            told = f"{path} holds weights of another model: {first}{more}{cut}"
            raise ConfigError(f"{self._called[1]}: {told}") from error


def _first_names(told: str) -> str:
    """A complaint of torch with three of the names that it lists."""
    names, between = told.split('", "'), '", "'
    return told if len(names) <= 3 else f'{between.join(names[:3])}" and {len(names) - 3} names more'


def _imported(path: Path) -> str:
    """The name under which a folder's package is imported: its own, since a teacher's folder is called like a
    student's."""
    name = f"emitted_{sha256(str(path).encode()).hexdigest()[:16]}"
    if name not in sys.modules:
        spec = spec_from_file_location(name, path / "__init__.py", submodule_search_locations=[str(path)])
        if spec is None or spec.loader is None:
            raise ConfigError(f"model.training: {path} can't be imported")
        module = sys.modules[name] = module_from_spec(spec)
        spec.loader.exec_module(module)
    return name


def check_classes(model: Any, classes: int, called: str = "the model") -> None:
    """Raises ConfigError for tokens that are not the model's classes: its loss takes the last one, and none behind."""
    mel, lengths = torch.zeros(1, 64, BINS), torch.tensor([64])
    for label, allowed in ((classes - 1, True), (classes, False)):
        try:
            model(mel, lengths, torch.tensor([[label]]), torch.tensor([1]))
            taken = True
        except ValueError:
            taken = False
        if taken != allowed:
            told = "fewer" if allowed else "more"
            raise ConfigError(f"data.tokens makes {classes} classes with the blank, and {called} has {told}")


def check_components(model: Any, quantize: Quantize) -> None:
    """Raises ConfigError for components of `engine_components` that the model has not, before they are switched."""
    parts = [name for name, _ in model.named_children()]
    unknown = [name for name in quantize.engine_components if name not in parts]
    if unknown and quantize.engine_from_step:
        raise ConfigError(f"quantize.engine_components: there is no {', '.join(unknown)}; there are {', '.join(parts)}")


def is_transducer(model: Any) -> bool:
    """Whether the loss is an utterance's; other objectives give a label's."""
    return hasattr(model, "joiner")


def is_ctc(model: Any) -> bool:
    """Whether the encoder's frames say the labels themselves, at most one each."""
    return not is_transducer(model) and not hasattr(model, "decoder")


def least_frames(model: Any) -> float:
    """Frames of features that each label takes at least: those of one encoded frame for CTC, else none."""
    return 1000.0 / float(model.encoder.output_lengths(torch.tensor(1000))) if is_ctc(model) else 0.0
