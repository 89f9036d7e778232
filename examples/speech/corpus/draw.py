"""Which texts are spoken: sentences, several of them, fragments, single words, what a telephone says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from corpus.grammar import phone_phrase
from corpus.words import words

LEAST_SHARED = 4  # words of a held-out text that is looked for inside of others; shorter ones are parts of speech
FRAGMENT_WORDS = (1, 6)
# Of the utterances. Short ones take few of the seconds, and are what a trained model gets wrong most.
SHARES = {"sentence": 0.46, "several": 0.14, "fragment": 0.16, "word": 0.08, "phone": 0.12, "prompt": 0.04}
FEW = {"sentence": 0.25, "fragment": 0.65, "word": 0.1}  # of few sentences: a whole one is known by how it begins
MOST_SENTENCES, MOST_WORDS = 4, 40  # of several sentences: 20 s
TRIES = 50


@dataclass(frozen=True)
class Held:
    """Texts of tests: no text of training is one of them, or has one of LEAST_SHARED words or more in it."""

    texts: frozenset[str]
    long: dict[int, frozenset[tuple[str, ...]]] = field(repr=False)

    @staticmethod
    def of(texts: Iterable[str]) -> Held:
        """texts: as words."""
        known, long = frozenset(texts), dict[int, set[tuple[str, ...]]]()
        for text in known:
            if len(parts := tuple(text.split())) >= LEAST_SHARED:
                long.setdefault(len(parts), set()).add(parts)
        return Held(known, {count: frozenset(each) for count, each in long.items()})

    def has(self, text: str) -> bool:
        """Whether a text, as words, is or has one of them."""
        parts = tuple(text.split())
        return text in self.texts or any(
            parts[at : at + count] in known
            for count, known in self.long.items()
            for at in range(len(parts) - count + 1)
        )


@dataclass(frozen=True)
class Source:
    """What training speaks of: sentences, and prompts that a person says too. few: sentences and their parts alone."""

    sentences: Sequence[str]
    prompts: Sequence[str]
    held: Held
    few: bool = False

    def drawn(self, at: int, rng: np.random.Generator) -> tuple[str, ...]:
        """Sentences, with their marks, that no test has. at: which sentence it is when it is one."""
        shares = FEW if self.few else SHARES
        for attempt in range(TRIES):
            form = str(rng.choice(list(shares), p=list(shares.values())))
            found = self._of(form, at + attempt, rng)
            if not any(self.held.has(words(text)) for text in (" ".join(found), *found)):
                return found
        raise RuntimeError(f"{TRIES} texts that were drawn one after another are texts of tests")

    def _of(self, form: str, at: int, rng: np.random.Generator) -> tuple[str, ...]:
        sentence = self.sentences[at % len(self.sentences)]
        if form == "several":
            more = rng.integers(len(self.sentences), size=int(rng.integers(1, MOST_SENTENCES)))
            return _short((sentence, *(self.sentences[int(each)] for each in more)))
        if form == "sentence":
            return (sentence,)
        if form == "phone":
            return (phone_phrase(rng),)
        if form == "prompt" and self.prompts:
            return (self.prompts[int(rng.integers(len(self.prompts)))],)
        known = sentence.rstrip(".?").split()
        count = 1 if form == "word" else int(rng.integers(FRAGMENT_WORDS[0], FRAGMENT_WORDS[1] + 1))
        first = int(rng.integers(max(1, len(known) - count + 1)))
        return (" ".join(known[first : first + count]).strip(", ") + ".",)


def _short(sentences: tuple[str, ...]) -> tuple[str, ...]:
    """The first ones, of MOST_WORDS words at most, but one at least."""
    lengths = np.cumsum([len(sentence.split()) for sentence in sentences])
    return sentences[: max(1, int(np.searchsorted(lengths, MOST_WORDS, side="right")))]
