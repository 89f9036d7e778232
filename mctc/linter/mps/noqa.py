"""What `# noqa` on a line silences."""

from __future__ import annotations

import io
import re
import tokenize

NOQA = re.compile(r"#\s*noqa\b(?:\s*:\s*(?P<codes>[A-Z]+[0-9]+(?:[,\s]+[A-Z]+[0-9]+)*))?", re.IGNORECASE)
ALL = "all codes"


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
