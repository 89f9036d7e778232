"""The two targets by name."""

from __future__ import annotations

from pathlib import Path

from mctc.fuzz.guided.mutators import BundleMutator, TextMutator
from mctc.fuzz.guided.parser import try_text
from mctc.fuzz.guided.reader import try_model
from mctc.fuzz.guided.seeds import ir_seeds, model_seeds, model_words, text_seeds, text_words
from mctc.fuzz.guided.session import LONGEST, Target


def target(name: str, folder: Path) -> Target:
    """The target `parser` or `reader`; its seeds are made in `folder`, those that are too long left out."""
    if name == "parser":
        texts = [*text_seeds(), *ir_seeds(folder)]
        fitting = [text.encode() for text in texts if len(text) <= LONGEST[name]]
        return Target(try_text, fitting, TextMutator(text_words(), texts))
    models = [seed for seed in model_seeds(folder) if len(seed) <= LONGEST[name]]
    return Target(try_model, models, BundleMutator(model_words(), models))
