"""Options about the windows of a long recording."""

from __future__ import annotations

from typing import Any

import pytest

from mctc.cli.search_options import attempts_of
from mctc.decode.attempts import Attempts
from mctc.diagnostics.errors import UsageError

NOTHING: dict[str, Any] = {
    "timestamps": True, "previous": False, "temperatures": (), "repetition_limit": None, "likelihood_limit": None,
    "no_speech_limit": None,
}  # fmt: skip


def test_a_window_stands_alone_and_is_decoded_once_unless_more_is_asked_for() -> None:
    assert attempts_of(NOTHING) == attempts_of(NOTHING | {"timestamps": False}) == Attempts()
    asked = {"previous": True, "temperatures": (0.0, 0.4), "repetition_limit": 1.35, "likelihood_limit": -1.0}
    assert attempts_of(NOTHING | asked | {"no_speech_limit": 0.6}) == Attempts((0.0, 0.4), 1.35, -1.0, 0.6, True)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"timestamps": False, "previous": True}, "about the windows of a recording"),
        ({"timestamps": False, "temperatures": (0.0,)}, "about the windows of a recording"),
        ({"no_speech_limit": 0.6}, "asks what texts are unlikely"),
    ],
)
def test_options_that_say_nothing_are_refused(asked: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        attempts_of(NOTHING | asked)
