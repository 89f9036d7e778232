"""Toy transducers and CTC encoders, the same as those of proof/Proof.swift: their logits are sums of single-precision
numbers, so both sides search over equal ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mctc.decode.arpa import read_arpa
from mctc.decode.engine import State
from mctc.decode.frames import Floats
from mctc.decode.fusion import Scorer
from mctc.decode.hotwords import Hotwords, Phrase
from mctc.decode.hypothesis import Hypothesis
from mctc.decode.ngram import NGramScorer
from mctc.decode.search import ctc_search, transducer_search
from mctc.decode.settings import Settings
from mctc.decode.vocabulary import Vocabulary
from mctc.decode.word_ngram import WordNGramScorer

NAMES = [None, "\N{LOWER ONE EIGHTH BLOCK}", "a", "b", "c", "d", "e", "f"]
"""Symbols of labels in ARPA files; the blank has none."""
ARPA = """
\\data\\
ngram 1=7
ngram 2=4
\\1-grams:
-1.2 <s> -0.3
-1.0 a -0.2
-0.8 b -0.5
-1.5 c
-2.0 <unk>
-0.6 \u2581 -0.1
-1.1 </s>
\\2-grams:
-0.4 <s> a
-0.3 a b
-0.9 b \u2581
-0.2 b c
\\end\\
"""
PIECES = [b"", b" ", b"a", b"b", b"c", b"d", b" a", b"f e"]
"""What the labels spell for n-grams over words: some begin a word or hold its end."""
WORDS = """
\\data\\
ngram 1=7
ngram 2=4
\\1-grams:
-1.3 <s> -0.2
-0.9 a -0.4
-1.1 ab -0.3
-1.6 cad
-2.2 <unk> -0.1
-0.7 b -0.2
-1.2 </s>
\\2-grams:
-0.5 <s> a
-0.3 a b
-0.8 ab <unk>
-0.4 b </s>
\\end\\
"""


class ToyTransducer:
    """Logits of the frame, and the rows of the last label and, by half, of the one before (TransducerEngine)."""

    def __init__(self, labels: Floats, block: int) -> None:
        self.labels, self.frames = labels, block

    def start(self) -> State:
        return 0

    def predict(self, labels: Sequence[int], states: Sequence[State]) -> tuple[Floats, list[State]]:
        rows = [self.labels[label] + np.float32(0.5) * self.labels[before] for label, before in zip(labels, states)]
        return np.stack(rows), list(labels)

    def join(self, encoded: Floats, predicted: Floats) -> Floats:
        return np.asarray(encoded[None] + predicted[:, None])


@dataclass(frozen=True)
class Case:
    """One search: `labels` are rows that labels add to what follows, None for CTC; `pieces` how many frames come at a
    time; `phrases` hotwords; `fused` whether n-grams over pieces take part, or over words."""

    settings: Settings
    encoded: Floats
    labels: Floats | None
    block: int
    pieces: tuple[int, ...]
    phrases: tuple[tuple[tuple[int, ...], float], ...] = ()
    around: int | None = None
    fused: str | None = None
    names: list[str | None] = field(default_factory=lambda: list(NAMES))

    @property
    def classes(self) -> int:
        return int(self.encoded.shape[1]) - len(self.settings.durations)

    def written(self) -> dict[str, Any]:
        """As proof/Proof.swift reads it."""
        told = asdict(self.settings)
        return {
            "method": told["method"], "beam": told["beam"], "window": told["window"], "alternatives": told["n_best"],
            "blankPenalty": told["blank_penalty"], "maxSymbols": told["max_symbols"], "durations": told["durations"],
            "vocabulary": int(self.encoded.shape[1]), "block": self.block, "encoded": self.encoded.tolist(),
            "labels": None if self.labels is None else self.labels.tolist(), "pieces": self.pieces,
            "phrases": [{"ids": ids, "boost": boost} for ids, boost in self.phrases], "around": self.around,
            "arpa": {"pieces": ARPA, "words": WORDS}.get(self.fused or ""), "names": self.names,
            "spelled": [list(piece) for piece in PIECES] if self.fused == "words" else None,
        }  # fmt: skip

    def searched(self, folder: Path) -> dict[str, Any]:
        """What mctc.decode finds."""
        vocabulary = Vocabulary.first(self.classes)
        scorers = self._scorers(folder)
        if self.labels is None:
            search = ctc_search(vocabulary, self.settings, scorers)
        else:
            search = transducer_search(ToyTransducer(self.labels, self.block), vocabulary, self.settings, scorers)
        finals, at = [], 0
        for piece in self.pieces:
            finals.append(search.accept(self.encoded[at : at + piece]).final)
            at += piece
        return {"finals": finals, "found": [_told(each) for each in search.finish()]}

    def _scorers(self, folder: Path) -> list[Scorer]:
        scorers: list[Scorer] = []
        if self.fused:
            path = folder / "model.arpa"
            path.write_text(ARPA if self.fused == "pieces" else WORDS, encoding="utf-8")
            model = read_arpa(path)
            over_pieces = self.fused == "pieces"
            scorers.append(
                NGramScorer(model, self.names, weight=0.5) if over_pieces else WordNGramScorer(model, PIECES, 0.5)
            )
        if self.phrases:
            phrases = [Phrase(ids, boost) for ids, boost in self.phrases]
            scorers.append(Hotwords(phrases, self.classes, self.around))
        return scorers


def _told(found: Hypothesis) -> dict[str, Any]:
    return {
        "ids": list(found.ids), "frames": list(found.frames), "confidences": list(found.confidences),
        "score": found.score,
    }  # fmt: skip


METHODS: Mapping[str, dict[str, Any]] = {
    "greedy": {},
    "beam": {"method": "beam", "n_best": 3},
    "time-synchronous": {"method": "time-synchronous", "n_best": 2},
    "durations": {"durations": (0, 1, 2, 4)},
    "durations, beam": {"method": "time-synchronous", "durations": (0, 1, 2, 4)},
    "ctc": {},
    "ctc, beam": {"method": "beam", "n_best": 3},
}


def random_case(kind: str, seed: int) -> Case:
    """A case of a kind of `METHODS`, with hotwords and n-grams where it has a beam."""
    random = np.random.default_rng(seed)
    told = dict(METHODS[kind])
    beams = told.get("method", "greedy") != "greedy"
    told |= {"beam": int(random.integers(1, 7)), "blank_penalty": float(random.choice([0.0, 0.0, 0.7]))}
    told |= {"window": float(random.choice([3.0, 6.0, 1e9])), "max_symbols": int(random.integers(1, 6))}
    settings = Settings(**told)
    frames, classes = int(random.integers(1, 60)), len(NAMES)
    width = classes + len(settings.durations)
    encoded = (random.standard_normal((frames, width)) * 2).astype(np.float32)
    encoded[:, 0] += np.float32(random.uniform(0, 3))
    labels = None if "ctc" in kind else random.standard_normal((classes, width)).astype(np.float32)
    pieces, left = [], frames
    while left:
        pieces.append(int(random.integers(0, min(left, 13) + 1)))
        left -= pieces[-1]
    lengths = random.integers(1, 4, int(random.integers(0, 4)) if beams else 0)
    spelled = [tuple(int(label) for label in random.integers(1, classes, length)) for length in lengths]
    phrases = tuple((ids, float(random.uniform(0.2, 2))) for ids in spelled)
    return Case(
        settings, encoded, labels, int(random.integers(1, 9)), tuple(pieces), phrases,
        around=1 if random.random() < 0.3 else None,
        fused=str(random.choice(["pieces", "words", ""])) or None if beams else None,
    )  # fmt: skip
