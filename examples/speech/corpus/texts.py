"""Sentences of Debian's dictionaries and fortunes."""

from __future__ import annotations

import gzip
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from corpus.words import sayable, words

DICTIONARIES = ("gcide", "wn", "foldoc", "jargon", "devil")
DICTIONARY, FORTUNES = "usr/share/dictd/{}.dict.dz", "usr/share/games/fortunes"
UNREAD = ("ascii-art", "translate-me", "debian", "linuxcookie", "knghtbrd", "perl", "zippy")  # drawings, code, slang
LEAST_WORDS, MOST_WORDS = 2, 22  # of a sentence that training speaks
MOST_TEST_WORDS = 26  # the longer ones are for tests alone, whatever else a list of sentences has
LEAST_WITHIN = 5  # words of a sentence of training that no sentence of a test has in it
LEAST_OCCURRENCES = 3  # of each word of a sentence, over those of training: misprints and other languages occur less
END = re.compile(r"(?<=[.?!;])\s+")
# Headwords with their pronunciation, sources, labels, etymologies, cross references, quoted authors.
LEFT_OUT = re.compile(r"\\[^\\]*\\|\[[^\]]*\]|<[^>]*>|\([^()]{0,12}\.\)|--\s?[A-Z][^\n]*|^\s*\d+\.|\b[a-z]\. ", re.M)
BRACES = re.compile(r"[{}]")


def paragraphs(root: Path) -> Iterator[str]:
    """Paragraphs below a folder that holds what the packages hold, without line ends."""
    for name in DICTIONARIES:
        path = root / DICTIONARY.format(name)
        if path.is_file():
            yield from _cut(gzip.decompress(path.read_bytes()).decode("utf-8", "replace"))
    for path in sorted((root / FORTUNES).glob("*")):
        if path.is_file() and not path.suffix and path.name not in UNREAD and not path.is_symlink():
            for cookie in path.read_text(encoding="utf-8", errors="replace").split("\n%\n"):
                yield from _cut(cookie)


def _cut(text: str) -> Iterator[str]:
    for part in re.split(r"\n\s*\n", text):
        kept = re.sub(r"\s+", " ", BRACES.sub("", LEFT_OUT.sub(" ", part)))
        yield from re.findall(r'"([^"]{8,})"', kept)  # examples of WordNet
        yield re.sub(r'"[^"]{8,}"', " ", kept)


def sentences(root: Path) -> list[str]:
    """Different sentences as they are said, sorted; none whose words are those of another."""
    found: dict[str, str] = {}
    for paragraph in paragraphs(root):
        for sentence in END.split(paragraph):
            said = sayable(sentence)
            if said is not None and LEAST_WORDS <= len(said.split()) <= MOST_TEST_WORDS:
                found.setdefault(words(said), said)
    parts = {text: tuple(text.split()) for text in found}
    counts = Counter(word for text, said in found.items() if not for_tests(said) for word in parts[text])
    common = {word for word, count in counts.items() if count >= LEAST_OCCURRENCES}
    kept = [text for text in found if common.issuperset(parts[text])]
    trained = {parts[text] for text in kept if not for_tests(found[text]) and len(parts[text]) >= LEAST_WITHIN}
    return sorted(found[text] for text in kept if not for_tests(found[text]) or not _has(parts[text], trained))


def for_tests(said: str) -> bool:
    """Whether a sentence is longer than any that training speaks."""
    return len(said.split()) > MOST_WORDS


def _has(parts: tuple[str, ...], known: set[tuple[str, ...]]) -> bool:
    return any(
        parts[begin:end] in known
        for begin in range(len(parts))
        for end in range(begin + LEAST_WITHIN, min(begin + MOST_WORDS, len(parts)) + 1)
    )
