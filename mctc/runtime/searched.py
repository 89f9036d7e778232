"""A build as searches want it: its encoder, and which search fits it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from mctc.decode.fusion import Scorer
from mctc.decode.search import Search, ctc_search, transducer_search
from mctc.decode.settings import Settings
from mctc.decode.vocabulary import Vocabulary
from mctc.ir.types import Role
from mctc.records import dataclass
from mctc.runtime.built import Built
from mctc.runtime.ctc import classifier
from mctc.runtime.encoder import Encoder
from mctc.runtime.step import Packages, Step
from mctc.runtime.transducer import BuiltTransducer, roles_of


@dataclass(frozen=True)
class Recogniser:
    """The encoder of a build, and how a search over its frames is made: one for every stream."""

    built: Built
    packages: Packages
    encoder: str
    engine: BuiltTransducer | None
    vocabulary: Vocabulary

    def own(self) -> Recogniser:
        """The same with calls of predictor and joiner of its own: threads that have one each share weights alone."""
        return self if self.engine is None else replace(self, engine=BuiltTransducer(self.built, self.packages))

    def stream(self) -> Encoder:
        """The encoder with a state of its own: log-mel frames in, encoded frames out."""
        step = self.packages.step(self.encoder)
        output = None if self.engine is not None else classifier(self.built)[1]
        return Encoder(step, output, self.built.exists(self.encoder))

    def step_at(self, chunk: Fraction | int) -> Step:
        """The encoder at another of the build's chunks. Raises BuildError where it has none."""
        at = self.built.at(chunk)
        key = next(key for key, function in self.built.functions.items() if function.name == self.encoder)
        return self.packages.step(at.functions[key].name)

    def search(self, settings: Settings, scorers: Sequence[Scorer] = ()) -> Search:
        """A search over encoded frames. The blank is the build's, whatever the settings say, and so are durations.

        Where the build says none and the settings do, they are the last entries of the joiner's vocabulary.
        """
        settings = replace(settings, blank=self.built.blank, durations=self.built.durations or settings.durations)
        if self.engine is not None:
            unsaid = 0 if self.built.durations else len(settings.durations)
            labels = Vocabulary.first(self.vocabulary.size - unsaid) if unsaid else self.vocabulary
            return transducer_search(self.engine, labels, settings, scorers)
        return ctc_search(self.vocabulary, settings, scorers)


def recogniser(built: Built, precision: str | None = None, checkpoint: Path | None = None) -> Recogniser:
    """A transducer where any function takes labels, else an encoder with CTC. Raises BuildError for a build of neither.

    checkpoint: the trained weights, for a build whose files hold none.
    """
    packages = Packages(built, precision, lambda program: built.values(program, checkpoint))
    if not any(function.role is Role.LABEL for function in built.functions.values()):
        function, output = classifier(built)
        return Recogniser(built, packages, function.name, None, built.vocabulary(function.name, output))
    engine = BuiltTransducer(built, packages)
    return Recogniser(built, packages, roles_of(built)[0].name, engine, engine.vocabulary)
