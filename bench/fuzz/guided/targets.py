"""The targets by name."""

from __future__ import annotations

from pathlib import Path

from bench.fuzz.guided.audio import seconds, try_sound
from bench.fuzz.guided.mutators import BundleMutator, TextMutator
from bench.fuzz.guided.parser import try_text
from bench.fuzz.guided.reader import try_model
from bench.fuzz.guided.seeds import ir_seeds, model_seeds, model_words, text_seeds, text_words
from bench.fuzz.guided.session import LONGEST, Target
from bench.fuzz.guided.sounds.mutated import SoundMutator
from bench.fuzz.guided.sounds.seeds import sound_seeds


def target(name: str, folder: Path) -> Target:
    """The target `parser`, `reader` or `audio`; its seeds are made in `folder`, those that are too long left out."""
    if name == "audio":
        sounds = [seed for seed in sound_seeds() if len(seed) <= LONGEST[name]]
        return Target(try_sound, sounds, SoundMutator(sounds), seconds)
    if name == "parser":
        texts = [*text_seeds(), *ir_seeds(folder)]
        fitting = [text.encode() for text in texts if len(text) <= LONGEST[name]]
        return Target(try_text, fitting, TextMutator(text_words(), texts))
    models = [seed for seed in model_seeds(folder) if len(seed) <= LONGEST[name]]
    return Target(try_model, models, BundleMutator(model_words(), models))
