"""What searches are measured with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.numpy_transducer import NumpyTransducer
from bench.synthesis import asking_for, names, sentences
from bench.word_errors import aligned, wrong
from mctc.ir.text import parse_program
from mctc.runtime.built import open_built
from mctc.runtime.searched import recogniser


@pytest.mark.parametrize(
    ("said", "heard", "count"),
    [
        ("a b c", "a b c", 0),
        ("a b c", "a c", 1),
        ("a b c", "a x b c", 1),
        ("a b", "b a", 2),
        ("", "a", 1),
        ("a", "", 1),
    ],
)
def test_words_are_aligned_with_the_fewest_differences(said: str, heard: str, count: int) -> None:
    pairs = aligned(said, heard)
    assert wrong(pairs) == count
    assert " ".join(word for word, _ in pairs if word) == said
    assert " ".join(word for _, word in pairs if word) == heard


def test_the_transducer_in_numpy_is_the_built_one(small: Path) -> None:
    built = open_built(small)
    program = parse_program((small / "whole.mir").read_text(encoding="utf-8"))
    weights = built.values(program)
    numpy, package = NumpyTransducer(lambda name: weights.deployed(program.parameters[name])), recogniser(built).engine
    assert package is not None
    frames = np.random.default_rng(0).normal(size=(8, 32)).astype(np.float32)
    found = []
    for engine in (numpy, package):
        vectors, states = engine.predict([0, 5], [engine.start()] * 2)
        vectors, _ = engine.predict([3, 3], states)
        found.append((vectors, engine.join(frames, vectors)[..., :31]))
    np.testing.assert_allclose(found[0][0], found[1][0], atol=2e-3)
    np.testing.assert_allclose(found[0][1], found[1][1], atol=1e-2)


def test_texts_are_the_same_for_a_seed_and_have_their_names() -> None:
    assert sentences(5, 1) == sentences(5, 1)
    assert len(set(sentences(40, 1))) == 40
    assert all(name in text.split() for text, name in asking_for(names(10, 2), 3))
