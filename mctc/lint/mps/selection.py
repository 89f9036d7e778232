"""Which rules count: --select and --ignore, and `# noqa` on a line."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterable

from mctc.diagnostics.errors import UsageError
from mctc.diagnostics.near import did_you_mean

NOQA = re.compile(r"#\s*noqa\b(?:\s*:\s*(?P<codes>[A-Z]+[0-9]+(?:[,\s]+[A-Z]+[0-9]+)*))?", re.IGNORECASE)
ALL = "all codes"


def chosen(select: Iterable[str], ignore: Iterable[str], known: Iterable[str]) -> frozenset[str]:
    """The codes that `select` names (all if it is empty) without those of `ignore`.

    Each is a code, the beginning of one (`MPS05` is all that begin so), or several with commas between. As in ruff, the
    longer beginning wins. Raises UsageError for one that no code begins with.
    """
    known = list(known)
    wanted, unwanted = _split(select, known) or ["MPS"], _split(ignore, known)

    def longest(prefixes: list[str], code: str) -> int:
        return max((len(prefix) for prefix in prefixes if code.startswith(prefix)), default=0)

    return frozenset(code for code in known if longest(wanted, code) > longest(unwanted, code))


def _split(given: Iterable[str], known: list[str]) -> list[str]:
    found = [part.strip().upper() for text in given for part in text.split(",") if part.strip()]
    for part in found:
        if not any(code.startswith(part) for code in known):
            hint = did_you_mean(part, known) or "`mctc explain` lists the rules"
            raise UsageError(f"no rule begins with `{part}`", hint=hint)
    return found


def suppressed(text: str) -> dict[int, frozenset[str]]:
    """The codes that `# noqa: MPS050, MPS051` switches off, by line (from 1); ALL for a `# noqa` alone.

    Text in strings does not count.
    """
    if "noqa" not in text.lower():
        return {}
    found = {}
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        match = NOQA.search(token.string) if token.type == tokenize.COMMENT else None
        if match is not None:
            codes = match["codes"]
            found[token.start[0]] = frozenset(re.split(r"[,\s]+", codes.upper()) if codes else (ALL,))
    return found
