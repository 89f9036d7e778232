"""What is said, as words: lower-case letters and apostrophes inside of words, numbers written out.

The words of a text are those that `mctc score --normaliser simple` compares.
"""

from __future__ import annotations

import re

_UNITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TENS = "zero ten twenty thirty forty fifty sixty seventy eighty ninety"
UNITS, TENS = _UNITS.split(), _TENS.split()
LARGE = ((1_000_000, "million"), (1_000, "thousand"), (100, "hundred"))
TITLES = {"mr": "mister", "mrs": "missus", "dr": "doctor"}
MOST_DIGITS = 6

# What is read in more than one way, or in full where it is written short.
_SHORT = (
    "etc esp viz ie eg al ibid op cit sic obs prov prof gen col capt rev hon fig vol ed eds ave inc co corp dept univ "
    "jan feb apr jun jul aug sep sept oct nov dec tue tues wed thu thur thurs fri colloq orig pron conj prep adj adv "
    "ex ca approx illus abbr aka id mid am pm usu lat ger dan sw ital oe icel archaeol anat bot zool chem physiol "
    "url http www com edu org usenet ascii unix"
)
SHORT = frozenset(_SHORT.split())
VOWEL, CONSONANT = re.compile("[aeiouy]"), re.compile("[b-df-hj-np-tv-z]")
ALONE = frozenset(("a", "i"))  # letters that are words
OPEN = frozenset(("oh", "eye", "you", "aye", "yea", "eau"))
MARKS = str.maketrans(
    {"\u2018": "'", "\u2019": "'", "`": "'", "\u201c": '"', "\u201d": '"', "\u2026": ",", "\u00a0": " "}
)
NUMBER = re.compile(rf"(?<![\w.,])\d{{1,{MOST_DIGITS}}}(?![\w%]|[.,]\d)")
WRITTEN = re.compile(
    r"""[A-Za-z0-9 '"`\u2018-\u201d\u2026\u2013\u2014,;:.?!()-]{2,400}"""
)  # what a sentence may be made of
SENTENCE = re.compile(r"[A-Za-z', ]+[.?!;:]*")
WORD = re.compile(r"[a-z]+(?:'[a-z]+)*")


def words(text: str) -> str:
    """The words of a text that is said, one space between them."""
    return " ".join(WORD.findall(text.lower()))


def number(value: int) -> str:
    """A number below 10 ** 9 as it is counted: 1984 is one thousand nine hundred eighty four."""
    for size, name in LARGE:
        if value >= size:
            rest = value % size
            return f"{number(value // size)} {name}" + (f" {number(rest)}" if rest else "")
    if value < len(UNITS):
        return UNITS[value]
    return TENS[value // 10] + (f" {UNITS[value % 10]}" if value % 10 else "")


def year(value: int) -> str:
    """A year from 1100 to 1999 as it is said: 1984 is nineteen eighty four, 1906 nineteen oh six."""
    century, rest = divmod(value, 100)
    if rest == 0:
        return f"{number(century)} hundred"
    return f"{number(century)} " + (number(rest) if rest >= 10 else f"oh {number(rest)}")


def _in_words(found: re.Match[str]) -> str:
    value = int(found.group())
    return year(value) if len(found.group()) == 4 and 1100 <= value < 2000 else number(value)


def sayable(text: str) -> str | None:
    """A written sentence as every engine says it alike: lower case, commas and one mark at its end; or None.

    None is for what has no one reading: abbreviations, acronyms, symbols, foreign letters, numbers with marks in them.
    """
    if not WRITTEN.fullmatch(text):
        return None
    text = text.translate(MARKS)
    text = re.sub(r"\b(Mr|Mrs|Dr)\.", lambda found: TITLES[found.group(1).lower()], text)
    text = NUMBER.sub(_in_words, text.replace('"', " "))
    text = re.sub(r"\s*(?:--+|\u2014|\u2013|\(|\))\s*", ", ", text)
    text = re.sub(r"(?<=[A-Za-z])-(?=[A-Za-z])", " ", text)
    text = re.sub(r"(?<![A-Za-z])'|'(?![A-Za-z])", "", text)  # quotes
    text = re.sub(r"[,;:]\s*(?=[,.?!;:]|$)|^\s*[,;:]+", "", re.sub(r"\s+", " ", text)).strip()
    if not SENTENCE.fullmatch(text):
        return None
    known = text.rstrip(".?!;: ").replace(",", " ").split()
    if not known or not all(_read_alike(word) for word in known):
        return None
    said = re.sub(r"\s*,[\s,]*", ", ", text.strip(".?!;:, ").lower())
    return said + ("?" if text.endswith("?") else ".")


def _read_alike(word: str) -> bool:
    if len(word) == 1:
        return word.lower() in ALONE
    if sum(letter.isupper() for letter in word) > 1 or (not word[1:].islower() and "'" not in word):
        return False
    word = word.lower()
    return word not in SHORT and bool(VOWEL.search(word)) and (bool(CONSONANT.search(word)) or word in OPEN)
