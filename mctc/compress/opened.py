"""A build with a module to train, opened for measuring: its learner, and the speech of manifests as it takes that."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mctc.compress.errors import CompressError
from mctc.compress.speech import Speech
from mctc.driver.learner import Learner
from mctc.driver.manifest import WHOLE, sha256
from mctc.driver.reading import read_program
from mctc.driver.tokens import blank_of, classes_of
from mctc.ir.program import Program
from mctc.runtime.built import Built, open_built
from mctc.runtime.stream import front_end_of
from mctc.score.manifests.read import read_data
from mctc.tokens import Tokens, TokensError, fitted, read_tokens
from mctc.weights import Weights


def learner_of(built: Built, weights: Path) -> Learner:
    """Its checkpoint needs no scales of activations, since this is what measures them.

    Raises BuildError for a build without a loss, WeightsError for weights that don't fit it.
    """

    def load(program: Program) -> Weights:
        return Weights.load(program, weights, calibrated=False)

    artifact = next(iter(built.whole.values())).package if built.whole else built.folder
    return built.target.learner(artifact, load)


def speech_of(built: Built, data: Sequence[Path], tokens: Path | None, limit: int | None = None) -> Speech:
    """The first utterances of manifests. tokens: a file in place of those of the build, as `mctc build` takes it.

    Raises ManifestError, ScoreError, TokensError, and CompressError for a build that has no tokens.
    """
    table = built.tokens
    if tokens is not None:
        table = _fitted(built, tokens)
    if table is None:
        hint = "--tokens FILE says what its classes stand for"
        raise CompressError(f"{built.folder} has no tokens, so no text can be given to its loss", hint=hint)
    return Speech(read_data(data)[:limit], front_end_of(built), table)


def _fitted(built: Built, file: Path) -> Tokens:
    """The tokens of a file over the classes of a build, those that pad its vocabulary left out."""
    whole = read_program(built.folder / WHOLE)
    classes = next((each.valid for each in whole.vocabularies), None) or classes_of(whole)
    try:
        return fitted(read_tokens(file), classes, blank_of(whole))
    except TokensError as error:
        raise TokensError(f"{file}: {error.message}", hint=error.hint) from error


def identity(built: Built, weights: Path, speech: Speech) -> dict[str, Any]:
    """What has to be equal for statistics to go together."""
    return {"model": built.model, "weights": sha256(weights), "data": speech.digest()}


__all__ = ["identity", "learner_of", "open_built", "speech_of"]
