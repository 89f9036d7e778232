"""Random build options: chunk, form of the states, form of the scans, device, packages, passes left out."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from bench.fuzz.body import Draw
from mctc.driver.options import LAYOUTS, SCAN_OPTION, SCAN_PASS, STATES, BuildOptions

# Passes that make a program smaller or faster and nothing else: without one, it must compute the same.
OPTIONAL = (
    "common-subexpressions", "dead-code", "deploy-common-subexpressions", "deploy-dead-code", "drop-unread-frames",
"fold-constants", "fold-deploy-constants", "fold-state-reshapes", "hoist-reshape",
)  # fmt: skip
DEVICES = (None, None, "H13", "M2", "H16", "A17 Pro", "H18G")
SCANS = (None, "unrolled", "prefix", "decay")
LOOPS = (None, "parallel", "unrolled")  # of scans with a body
RECORDED = ("state", "device", "layout", "passes", "chunk", "seed", "without")


@st.composite
def builds(draw: Draw, multiple: int, chunked: bool = True) -> BuildOptions:
    """Options for a spec whose rates divide `multiple` frames. `chunked`: whether it says how long a chunk is."""
    chunk = draw(st.sampled_from([*([None] if chunked else []), multiple, 2 * multiple, 3 * multiple, 8 * multiple]))
    without = tuple(draw(st.lists(st.sampled_from(OPTIONAL), max_size=2, unique=True)))
    scan, loop = draw(st.sampled_from(SCANS)), draw(st.sampled_from(LOOPS))
    forms = {SCAN_PASS: scan, "lower-scan": loop}
    return BuildOptions(
        state=draw(st.sampled_from(STATES)),
        device=draw(st.sampled_from(DEVICES)),
        layout=draw(st.sampled_from(LAYOUTS)),
        passes={name: {SCAN_OPTION: form} for name, form in forms.items() if form is not None},
        chunk=chunk,
        seed=draw(st.integers(0, 3)),
        without=without,
    )


def as_text(options: BuildOptions) -> str:
    """The options as one line of JSON, those left alone not told."""
    plain = BuildOptions()
    told = {name: getattr(options, name) for name in RECORDED}
    return json.dumps({name: value for name, value in told.items() if value != getattr(plain, name)})


def from_text(text: str) -> BuildOptions:
    """What as_text wrote."""
    told: dict[str, Any] = json.loads(text)
    return BuildOptions.of_record(told)
