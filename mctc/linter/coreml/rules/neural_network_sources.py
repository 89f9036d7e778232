"""Names of sources that several rules about neural networks cite."""

from __future__ import annotations

LIST = "hollance/neural-engine docs/unsupported-layers.md (2020)"
LOGGED = "hollance/neural-engine #2 (Core ML's log, 2020)"
TWO_CONVOLUTIONS = "Apple developer forums thread 720810 (iPhone 13 and 14)"
