"""espeak-ng's voices, and where its words end."""

from __future__ import annotations

import numpy as np
import pytest

from corpus import espeak
from corpus.espeak import Espeak, word_ends
from corpus.voice import Manner


def test_a_word_ends_with_its_sound_before_the_next_begins() -> None:
    said = np.concatenate([np.ones(1500, np.float32), np.zeros(500, np.float32)])
    assert word_ends("in the sea", {0: 0.0, 7: 0.75}, said, 1000) == (None, 0.75, 1.5)
    said[600:750] = 0
    assert word_ends("in the sea", {0: 0.0, 7: 0.75}, said, 1000) == (None, 0.6, 1.5)
    assert word_ends("a", {0: 0.0}, 0 * said, 1000) == (None,)


def test_it_has_every_voice_and_they_differ() -> None:
    pytest.importorskip("espeakng_loader")
    engine = Espeak(*espeak.wheel())
    heard = {said.samples.tobytes() for said in engine.speak([("hello", Manner(voice)) for voice in engine.voices])}
    assert len(heard) > 0.9 * len(engine.voices)


def test_a_manner_is_faster_and_higher() -> None:
    pytest.importorskip("espeakng_loader")
    engine = Espeak(*espeak.wheel())
    manners = (Manner("en+m1"), Manner("en+m1", speed=1.25))
    usual, fast = engine.speak([("the captain carried a heavy box", each) for each in manners])
    assert 0.7 < fast.samples.size / usual.samples.size < 0.9
    with pytest.raises(RuntimeError, match="no voice xx"):
        next(engine.speak([("hello", Manner("xx"))]))
