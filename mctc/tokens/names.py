"""What the table of tokens is called in a build."""

from __future__ import annotations

FILE = "tokens.json"
METADATA = "mctc.tokens"  # among an artifact's metadata
