"""What spells a text with a model's tokens in an app: a SentencePiece model's numbers, for runtime/Speller.swift."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mctc.tokens import Tokens
from mctc.tokens.spelling import SENTENCEPIECE, library

KINDS = {1: "unigram", 2: "pairs"}  # of ModelProto's trainer_spec
NORMAL, BYTE, SPELLING = 1, 6, (1, 2, 3, 6)  # types of its pieces, and those that a speller of an app knows
NORMALISERS = {"identity": (False, False), "": (False, False), "nfkc": (True, False), "nmt_nfkc": (True, False)}
NORMALISERS |= {"nfkc_cf": (True, True), "nmt_nfkc_cf": (True, True)}
"""Whether each composes characters (NFKC), and whether it folds their case."""


def spelling_of(tokens: Tokens) -> dict[str, Any] | None:
    """The kind of the model, and for each label its score; None where an app spells with the longest pieces."""
    if tokens.spelling is None or tokens.spelling.file != SENTENCEPIECE:
        return None
    model = library("sentencepiece.sentencepiece_model_pb2").ModelProto()
    model.ParseFromString(tokens.spelling.data)
    trained, normalised = model.trainer_spec, model.normalizer_spec
    kind = KINDS.get(trained.model_type)
    if kind is None or trained.treat_whitespace_as_suffix or normalised.name not in NORMALISERS:
        return None
    if any(piece.type not in SPELLING for piece in model.pieces):
        return None
    composes, folds = NORMALISERS[normalised.name]
    return {
        "kind": kind,
        "scores": _scores(tokens, model.pieces),
        "bytes": [tokens.moved(at) for at, piece in enumerate(model.pieces) if piece.type == BYTE] or None,
        "begins": bool(normalised.add_dummy_prefix),
        "trims": bool(normalised.remove_extra_whitespaces),
        "composes": composes,
        "folds": folds,
    }


def _scores(tokens: Tokens, pieces: Sequence[Any]) -> list[float | None]:
    scores: list[float | None] = [None] * tokens.size
    for at, piece in enumerate(pieces):
        if piece.type == NORMAL:
            scores[tokens.moved(at)] = float(piece.score)
    return scores
