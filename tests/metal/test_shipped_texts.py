"""Every text that the launch code gives torch.mps is within the rules and passes clang's front end; nothing is run."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from .conftest import needs_clang
from .front_end import complaints
from .scan import CASES
from .text_rules import violations
from .transducer import LATTICES, VOCABULARIES, collapse_gradient_check, gradient_check


class NothingRuns:
    """A library whose kernels leave their outputs as they are."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *args, **grid: None


@pytest.fixture
def texts(mps: None, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The texts that a test has had compiled."""
    given: set[str] = set()

    def compile_shader(text: str) -> NothingRuns:
        given.add(text)
        return NothingRuns()

    monkeypatch.setattr(torch.mps, "compile_shader", compile_shader)
    return given


@pytest.fixture
def scans(texts: set[str]) -> set[str]:
    for case in CASES.values():
        case.backward(case.forward()[2])
    return texts


@pytest.fixture
def losses(texts: set[str]) -> set[str]:
    for name in LATTICES:
        gradient_check(name)()
    for name in VOCABULARIES:
        collapse_gradient_check(name)()
    return texts


@pytest.mark.parametrize("launched", ["scans", "losses"])
def test_texts_are_within_the_rules(launched: str, request: pytest.FixtureRequest) -> None:
    given = request.getfixturevalue(launched)
    assert len(given) > 3
    assert [each for text in given for each in violations(text)] == []


@needs_clang
@pytest.mark.parametrize("launched", ["scans", "losses"])
def test_texts_pass_the_front_end(launched: str, request: pytest.FixtureRequest) -> None:
    given = request.getfixturevalue(launched)
    assert len(given) > 3
    assert [each for text in given for each in complaints(text)] == []
