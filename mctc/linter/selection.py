"""Which rules count, for both linters: --select, --ignore and --severity, on the command line over a file of settings.

A selector is a code, the beginning of one (ANE-CV is all that begin so), or the name of a subject (`convolution`). As
in ruff, the longer one wins: a subject is taken to be longer than any beginning and shorter than a whole code.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field

from mctc.diagnostics.errors import UsageError
from mctc.diagnostics.near import did_you_mean
from mctc.records import dataclass

SEVERITIES = ("error", "warning", "performance", "numerics", "info")
OFF = "off"
TRAINING = "MPS"
"""What the codes of the other linter, the one of training code, begin with."""
SUBJECT, WHOLE = 1 << 20, 1 << 21  # how long a subject and a whole code are; a beginning is as long as its text


@dataclass(frozen=True)
class Layer:
    """What one place says: the command line, or a file. severity: a severity or OFF by selector. source: the file."""

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    severity: Mapping[str, str] = field(default_factory=dict)
    source: str = ""

    def of(self, training: bool) -> Layer:
        """What is meant for the linter of training code, or for that of packages."""
        mine = {text: level for text, level in self.severity.items() if _is_training(text) is training}
        select, ignore = (
            tuple(text for text in split(given) if _is_training(text) is training)
            for given in (self.select, self.ignore)
        )
        return Layer(select, ignore, mine, self.source)


@dataclass(frozen=True)
class Chosen:
    """codes: those that count. severities: by code, where one was changed."""

    codes: frozenset[str]
    severities: Mapping[str, str]


def layered(layers: Sequence[Layer], known: Iterable[str], subjects: Mapping[str, str] | None = None) -> Chosen:
    """What several layers say, each over the one before it.

    A layer that selects starts anew, what layers before it ignore stays ignored unless it selects just that; without
    a selection it takes more away. Severities are laid over one another, and OFF is undone by a later layer that gives
    another or selects the code. subjects: the subject of every code. Raises UsageError for a selector of nothing.
    """
    table = _Table(tuple(known), subjects or {})
    codes, ignored, severities = frozenset(table.known), list[str](), dict[str, str]()
    for layer in layers:
        select, ignore = table.split(layer.select, "select", layer), table.split(layer.ignore, "ignore", layer)
        if select:
            ignored = [text for text in ignored if text not in select]
            codes = table.chosen(select, [*ignored, *ignore])
            severities = {
                code: level for code, level in severities.items() if level != OFF or code.upper() not in select
            }
        else:
            codes &= table.chosen((), ignore)
        ignored += ignore
        severities |= _severities(layer, table)
    off = {code for code, level in severities.items() if level == OFF}
    return Chosen(codes - off, {code: level for code, level in severities.items() if code not in off})


def chosen(
    select: Iterable[str], ignore: Iterable[str], known: Iterable[str], subjects: Mapping[str, str] | None = None
) -> frozenset[str]:
    """The codes that `select` names (all if it is empty) without those of `ignore`; each may hold several with commas
    between. Raises UsageError for one that names nothing."""
    return layered([Layer(tuple(select), tuple(ignore))], known, subjects).codes


def split(given: Iterable[str]) -> Iterator[str]:
    """The selectors of texts that may hold several, with commas between."""
    for text in given:
        yield from (part.strip() for part in text.split(",") if part.strip())


def read_severities(given: Iterable[str]) -> dict[str, str]:
    """What --severity says: `ANE-ST-001=error`, or several with commas between. Raises UsageError."""
    found = {}
    for text in split(given):
        selector, equals, level = (part.strip() for part in text.partition("="))
        if not equals or not selector:
            raise UsageError(f"--severity {text}: not of the form CODE=SEVERITY", hint="such as ANE-ST-001=error")
        found[selector] = severity_named(level, f"--severity {selector}")
    return found


def severity_named(level: str, place: str) -> str:
    """The severity of that name, or OFF. Raises UsageError."""
    known = (*SEVERITIES, OFF)
    if level.lower() not in known:
        hint = did_you_mean(level, known) or f"severities are {', '.join(known)}"
        raise UsageError(f"{place}: there is no severity `{level}`", hint=hint)
    return level.lower()


@dataclass(frozen=True)
class _Table:
    """The codes there are, with the subject of each."""

    known: tuple[str, ...]
    subjects: Mapping[str, str]

    def split(self, given: Iterable[str], key: str, layer: Layer) -> list[str]:
        """The selectors of a layer, in capitals. Raises UsageError for one that names nothing."""
        return [self.checked(text, key, layer) for text in split(given)]

    def checked(self, text: str, key: str, layer: Layer) -> str:
        wanted = text.upper()
        if not any(self.length(wanted, code) for code in self.known):
            where = f"{layer.source}: {key}: " if layer.source else ""
            names = [*self.known, *dict.fromkeys(self.subjects.values())]
            hint = did_you_mean(text, names) or "`mctc explain` lists the rules"
            raise UsageError(f"{where}no rule begins with `{text}`", hint=hint)
        return wanted

    def length(self, wanted: str, code: str) -> int:
        """How closely a selector names a code, 0 for not at all."""
        if code.upper() == wanted:
            return WHOLE
        if self.subjects.get(code, "").upper() == wanted:
            return SUBJECT
        return len(wanted) if code.upper().startswith(wanted) else 0

    def chosen(self, select: Sequence[str], ignore: Sequence[str]) -> frozenset[str]:
        return frozenset(code for code in self.known if self._wins(code, select, ignore))

    def _wins(self, code: str, select: Sequence[str], ignore: Sequence[str]) -> bool:
        against = max((self.length(each, code) for each in ignore), default=0)
        wanted = max((self.length(each, code) for each in select), default=0)
        return wanted > against if select else not against


def _severities(layer: Layer, table: _Table) -> dict[str, str]:
    """The severity of every code that a layer speaks of; the longest selector wins."""
    given = {table.checked(text, "severity", layer): level for text, level in layer.severity.items()}
    found = {}
    for code in table.known:
        best = max(given, key=lambda text: table.length(text, code), default="")
        if best and table.length(best, code):
            found[code] = given[best]
    return found


def _is_training(selector: str) -> bool:
    """Whether a selector means codes of the linter of training code."""
    return selector.upper().startswith(TRAINING)
