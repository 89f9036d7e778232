"""Every length of a chunk that the model allows: no word may depend on it."""

from __future__ import annotations

from bench.trained.cells import change, late, markdown, rate
from bench.trained.model import PACKAGE, STORED, Model, System
from bench.trained.sets import plain, together

FRAMES = (4, 8, 16, 32, 64, 128)  # of log-mel


def table(model: Model) -> str:
    """Words wrong of all tests by onnxruntime against the chunk of the build, and the package over the first ones."""
    usual, sampled = (together(plain(model, system)) for system in (STORED, PACKAGE))
    rows = []
    for frames in FRAMES:
        chunk = ("--chunk", str(frames))
        streamed = System(f"{STORED.name}, {frames} frames", (*(STORED.build or ()), *chunk))
        packaged = System(f"{PACKAGE.name}, {frames} frames", ("--target", "ane", *chunk), slow=True)
        fast, slow = (together(plain(model, system)) for system in (streamed, packaged))
        points, _, flipped = change(usual, fast)
        rows.append([f"{10 * frames} ms", rate(fast), points, flipped, *late(fast)[:2], change(sampled, slow)[2]])
    headings = ["chunk", "words wrong (95 %)", "against the usual chunk, points", "heard differently"]
    headings += ["a word's delay: median", "90 %", "package: heard differently"]
    return "\n".join(["### Chunks: int4/int8 weights, streamed by onnxruntime\n", markdown(headings, rows)])
