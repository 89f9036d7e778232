"""Tokens out: greedy decoding over the steps of a transducer, the frames of an encoder or the labels of a decoder.

`stepper` is what an executor must offer, `vocabulary` says which logits may win and which token each one is; `greedy`,
`ctc` are the searches. numpy is the only dependency.
"""

from __future__ import annotations

from mctc.decode.ctc import CtcDecoder
from mctc.decode.greedy import Emission, GreedyDecoder, greedy
from mctc.decode.stepper import DecodeError, Stepper
from mctc.decode.vocabulary import Vocabulary

__all__ = ["CtcDecoder", "DecodeError", "Emission", "GreedyDecoder", "Stepper", "Vocabulary", "greedy"]
