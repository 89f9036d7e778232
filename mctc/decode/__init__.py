"""Tokens out: greedy transducer decoding over encoder, predictor and joiner steps, whatever executes them.

`stepper` is what an executor must offer, `vocabulary` says which logits may win and which token each one is, `greedy`
is the search itself. numpy is the only dependency.
"""

from __future__ import annotations

from mctc.decode.greedy import Emission, GreedyDecoder, greedy
from mctc.decode.stepper import DecodeError, Stepper
from mctc.decode.vocabulary import Vocabulary

__all__ = ["DecodeError", "Emission", "GreedyDecoder", "Stepper", "Vocabulary", "greedy"]
