"""Texts as they are compared: without what is written and not said."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Any

from mctc.score.errors import ScoreError

EXTRA = "pip install 'mctc[score]'"

Normaliser = Callable[[str], str]


def simple(text: str) -> str:
    """Unicode's compatible forms (NFKC), lower case, and of all marks the apostrophes inside of words alone."""
    text = unicodedata.normalize("NFKC", text).lower().replace("\u2019", "'")
    return " ".join(re.findall(r"[^\W_\u0300-\u036f][^\W_]*(?:'[^\W_]+)*", text))


def spaces(text: str) -> str:
    """The text as it is, one space between its words."""
    return " ".join(text.split())


def normaliser(name: str) -> Normaliser:
    """What `--normaliser NAME` stands for. Raises ScoreError where its library isn't installed."""
    return _MAKERS[name]()


def _english() -> Normaliser:
    """Numbers, contractions, titles and British spelling become one form (Radford et al. 2022, appendix C)."""
    return _compared(_library().english.EnglishTextNormalizer())


def _basic() -> Normaliser:
    """For any language: lower case, no marks, no diacritics, nothing in brackets."""
    return _compared(_library().basic.BasicTextNormalizer())


def _library() -> Any:
    try:
        import whisper_normalizer.basic
        import whisper_normalizer.english
    except ImportError as error:
        raise ScoreError(
            f"normalising texts needs the package whisper-normalizer ({error})",
            hint=f"{EXTRA}, or --normaliser simple, which needs none",
        ) from error
    return whisper_normalizer


def _compared(normalise: Callable[[str], str]) -> Normaliser:
    return lambda text: spaces(normalise(text))


_MAKERS: dict[str, Callable[[], Normaliser]] = {
    "english": _english,
    "basic": _basic,
    "simple": lambda: simple,
    "none": lambda: spaces,
}
NAMES = tuple(_MAKERS)
