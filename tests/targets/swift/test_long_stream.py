"""A stream of two hours: what it holds does not grow, and what it hears stays what mctc hears, at its times.

A sound comes again and again. From the fourth time on the encoder's results are those of the time before, so that each
time has to be heard exactly alike; frames, searches, endpoints and Core ML's calls go on for all of the two hours.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mctc.audio import bundled_recording, load_audio
from mctc.decode.settings import Settings
from tests.targets.swift.checks import Proof
from tests.targets.swift.core_ml_server import REPEATS
from tests.targets.swift.expected import RATE, record_of

pytestmark = pytest.mark.slow
SPEECH_S, PERIOD_S, HOURS = 9.6, 12.8, 2
CALLS = 40  # of the encoder in a period
COMPARED = 3  # times of the period that mctc hears too
FRAMES = round(PERIOD_S * 25)
SETTLED, GROWTH = 60, 2 << 20  # times of the period after which memory is compared, and bytes that it may grow by then


def test_a_stream_of_two_hours(proof: Proof) -> None:
    sound = np.zeros(round(PERIOD_S * RATE), np.float32)
    speech = load_audio(bundled_recording())[: round(SPEECH_S * RATE)]
    sound[: len(speech)] = speech
    sound.tofile(proof.folder / "period")
    times = round(HOURS * 3600 / PERIOD_S)
    # The model's warming is a call too.
    repeats = {REPEATS: f"encoder {CALLS} {1 + CALLS * COMPARED}"}
    proof = replace(proof, workspace=replace(proof.workspace, variables=repeats, limit_s=3600))
    told = proof.run("stream", str(proof.folder / "cache"), str(proof.folder / "period"), str(times))
    lines = [json.loads(line) for line in told.splitlines()]
    finals = [line for line in lines if "ids" in line]
    memory = [line["memory"] for line in lines if "memory" in line]
    (costs,) = (line for line in lines if "calls" in line)

    heard = record_of(proof.builds.trained, np.tile(sound, COMPARED), Settings())
    labels = [(each["token"], each["frame"]) for each in heard["tokens"]]
    assert _labels(finals)[: len(labels)] == labels
    assert costs["audio"] == pytest.approx(times * PERIOD_S)
    assert costs["frames"] == times * FRAMES

    each = len(finals) // times
    assert len(finals) == each * times
    for number, final in enumerate(finals[each * COMPARED :]):
        before = finals[each * COMPARED - each + number % each]
        later = FRAMES * (1 + number // each)
        assert final["ids"] == before["ids"]
        assert final["confidences"] == before["confidences"]
        assert final["frames"] == [frame + later for frame in before["frames"]]
        starts = [(word["word"], pytest.approx(word["start"] + later / 25, abs=1e-6)) for word in before["words"]]
        assert [(word["word"], word["start"]) for word in final["words"]] == starts
    assert max(memory[SETTLED:]) - memory[SETTLED] < GROWTH


def _labels(finals: list[dict[str, Any]]) -> list[tuple[int, int]]:
    return [label for final in finals for label in zip(final["ids"], final["frames"])]
