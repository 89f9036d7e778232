"""Asterisk's English prompts, spoken by one American woman (CC BY-SA 3.0)."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from corpus.words import number, words

LIST = "usr/share/doc/asterisk-core-sounds-en/core-sounds-en.txt.gz"
SOUNDS = "usr/share/asterisk/sounds"
# Tones and sounds are described in brackets; signs of keys and numbers of many digits have no one reading.
UNSAID = re.compile(r"[\[<(*#]|\d")
ACRONYM = re.compile(r"\b[A-Z]{2,}\b")
DIGIT = re.compile(r"(?<![\w.,])\d(?![\w]|[.,]\d)")
PARTS = re.compile(r"[.?!:;]+(?:\s+|$)")
NEVER_HEARD = 0.2


@dataclass(frozen=True)
class Prompt:
    """A recording and its text."""

    name: str
    path: Path
    text: str


def listed(root: Path, suffix: str) -> Iterator[Prompt]:
    """The prompts below a folder that holds what Debian's packages hold, with their texts as they are written."""
    sounds = {
        path.relative_to(folder).with_suffix("").as_posix(): path
        for folder in sorted((root / SOUNDS).glob("en*"))
        for path in sorted(folder.rglob(f"*.{suffix}"))
    }
    for line in gzip.decompress((root / LIST).read_bytes()).decode("utf-8", "replace").splitlines():
        name, colon, text = line.partition(":")
        if colon and not line.startswith(";") and name in sounds and text.strip():
            yield Prompt(name, sounds[name], text.strip())


def said(root: Path, suffix: str) -> list[Prompt]:
    """Those whose text tells all that is said. Digits are written as words."""
    found = []
    for prompt in listed(root, suffix):
        text = DIGIT.sub(lambda digit: number(int(digit.group())), prompt.text)
        if not UNSAID.search(text) and not ACRONYM.search(text) and words(text):
            found.append(Prompt(prompt.name, prompt.path, text))
    return found


def divided(prompts: Sequence[Prompt], seed: int) -> tuple[list[Prompt], list[Prompt]]:
    """Prompts to train with, and those never heard: no sentence is in both."""
    groups: list[tuple[set[str], list[Prompt]]] = []
    for prompt in prompts:
        told, members = {words(part) for part in PARTS.split(prompt.text)} - {""}, [prompt]
        apart = []
        for others, theirs in groups:
            if told & others:
                told, members = told | others, theirs + members
            else:
                apart.append((others, theirs))
        groups = [*apart, (told, members)]
    order = np.random.default_rng(seed).permutation(len(groups))
    train: list[Prompt] = []
    unheard: list[Prompt] = []
    for group in order:
        small = len(unheard) + len(groups[group][1]) <= NEVER_HEARD * len(prompts)
        (unheard if small else train).extend(groups[group][1])
    return sorted(train, key=lambda each: each.name), sorted(unheard, key=lambda each: each.name)
