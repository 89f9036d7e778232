"""Compile times, disk and memory that were published, and the work that each was of.

751K: Apple-Neural-Engine-Microarchitecture-Study-M6, macOS 27.0.1, compiler 10.26.6. fitted: whether a rate of
compile_rates.py was set by the row; the others were held out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from mctc.linter.coreml.compile_cost import CompileCost, CompileWork, estimate
from mctc.linter.coreml.target import resolve

ENCODER = CompileWork(ops=13125, elementwise=2724, products=5120, width=1500, weights=1_273_974_400)
"""WhisperKit's large-v3-turbo encoder: 15,849 ops, of which mul 2,560, batch_norm and add 65 each, gelu 34."""
DECODER_OF_UNKNOWN_OPS = "WhisperKit's decoder, 328 MB, 2.29 s on an M6: its ops are not published, so it is no row"


def layers(count: int) -> CompileWork:
    """The encoder cut after `count` of its 32 layers; 39 MB of the weights are a layer's."""
    ops = {1: 502, 2: 997, 4: 1987, 8: 3967, 16: 7927}[count]
    elementwise = round(ops * ENCODER.elementwise / 15849)
    return replace(
        ENCODER, ops=ops - elementwise, elementwise=elementwise, products=160 * count, weights=39_000_000 * count
    )


def steps(count: int) -> CompileWork:
    """y = y * u + u, so many times."""
    return CompileWork(ops=0, elementwise=2 * count, chains=(2 * count,))


def convolutions(count: int) -> CompileWork:
    """A chain of 1x1 convolutions of 64 channels with one weight."""
    return CompileWork(ops=count, weights=8192, width=1024, depth=count)


@dataclass(frozen=True)
class Row:
    """what: of these, seconds "direct" or of the first "load", bytes on "disk", bytes of "memory"."""

    name: str
    source: str
    work: CompileWork
    device: str
    what: str
    published: float
    fitted: bool = False
    system: str | None = None

    @property
    def predicted(self) -> float:
        found: CompileCost = estimate(self.work, resolve(self.device, self.system, "CoreML7"))
        return {"direct": found.seconds, "load": found.load, "disk": found.disk, "memory": found.memory}[self.what]

    @property
    def factor(self) -> float:
        """How far off, either way."""
        return max(self.predicted / self.published, self.published / self.predicted)


COST, WHISPER = "751K compile_cost.md", "751K whisper_compile.md"
GB = 1e9
ROWS = (
    *(
        Row(f"{count} elementwise steps, one engine", f"{COST} 2", steps(count), "H18", "direct", took, count == 256)
        for count, took in ((32, 0.06), (64, 0.10), (96, 0.14), (128, 0.18), (192, 0.28), (256, 0.39))
    ),
    *(
        Row(f"{count} elementwise steps, two engines", f"{COST} 2", steps(count), "M6", "direct", took, count == 256)
        for count, took in ((32, 0.18), (64, 1.13), (96, 4.57), (128, 13.1), (192, 61.3), (256, 178.6))
    ),
    Row("256 convolutions", f"{COST} 1", convolutions(256), "H16", "direct", 0.67, fitted=True),
    Row("256 convolutions, one engine", f"{COST} 1", convolutions(256), "H18", "direct", 0.68),
    Row("256 convolutions, two engines", f"{COST} 1", convolutions(256), "M6", "direct", 1.19, fitted=True),
    Row("64 elementwise steps", f"{COST} 1", steps(64), "H16", "direct", 0.09),
    Row("two convolutions, 16 MB between", f"{COST} 1", convolutions(2), "H16", "direct", 0.03, fitted=True),
    Row("128 elementwise steps through Core ML", f"{COST} 3.1", steps(128), "M6", "load", 34.05, fitted=True),
    Row("256 elementwise steps through Core ML", f"{COST} 3", steps(256), "M6", "load", 510),
    Row(
        "128 convolutions and 256 elementwise steps through Core ML", f"{COST} 3",
        replace(steps(256), ops=128, weights=8192, depth=128), "M6", "load", 650,
    ),
    Row("Whisper's encoder", f"{WHISPER} 2.4", ENCODER, "H16", "direct", 41, fitted=True),
    Row("Whisper's encoder, one engine", f"{WHISPER} 2.4", ENCODER, "H18", "direct", 41),
    Row("Whisper's encoder through Core ML", f"{WHISPER} 2.2", ENCODER, "M4", "load", 80, fitted=True),
    Row("Whisper's encoder through Core ML", f"{WHISPER} 1", ENCODER, "M6", "load", 1428),
    Row("Whisper's encoder: disk", f"{WHISPER} 2.2", ENCODER, "M4", "disk", 1.3 * GB, fitted=True),
    Row("Whisper's encoder: disk, direct", f"{WHISPER} 2.4", ENCODER, "H16", "disk", 3.8 * GB, fitted=True),
    Row("Whisper's encoder: disk", f"{WHISPER} 2.5", ENCODER, "M6", "disk", 78 * GB, fitted=True),
    Row("Whisper's encoder: memory", f"{WHISPER} 2.4", ENCODER, "H16", "memory", 2.4 * GB, fitted=True),
    *(
        Row(f"{count} of its layers, one engine", f"{WHISPER} 2.5", layers(count), "H18", "direct", took)
        for count, took in ((8, 13), (16, 23))
    ),
    *(
        Row(f"{count} of its layers, two engines", f"{WHISPER} 2.5", layers(count), "M6", "direct", took)
        for count, took in ((1, 12), (2, 21), (4, 47), (8, 88), (16, 182))
    ),
    *(
        Row(f"{count} of its layers: disk", f"{WHISPER} 2.5", layers(count), "M6", "disk", took * GB)
        for count, took in ((1, 2.7), (2, 4.7), (4, 10.0), (8, 19.4), (16, 39.0))
    ),
    *(
        Row(f"{count} of its layers: memory", f"{WHISPER} 2.5", layers(count), "M6", "memory", took * GB)
        for count, took in ((1, 2.6), (2, 3.9), (4, 5.1), (8, 5.5), (16, 5.7))
    ),
    Row(
        "one convolution of 16x16 through Core ML", "751K coreml_dispatch.md", CompileWork(ops=1, kernels=(256,)),
        "M4", "load", 220, fitted=True,
    ),
    Row(
        "one convolution of 16x16: memory", "751K coreml_dispatch.md", CompileWork(ops=1, kernels=(256,)),
        "M4", "memory", 11.7 * GB, fitted=True,
    ),
    Row(
        "Whisper's encoder on an M4 Pro, macOS 15.3", "argmaxinc/argmax-oss-swift#309", ENCODER, "M4", "load", 440,
        fitted=True, system="macos15",
    ),
    Row(
        "Whisper's encoder on an M2 Pro, macOS 15.3", "argmaxinc/argmax-oss-swift#309", ENCODER, "M2", "load", 560,
        system="macos15",
    ),
    Row(
        "Parakeet's encoder on an iPhone 16 Pro Max", "FluidAudio Benchmarks.md; ops: spec/parakeet_ctc.mct",
        CompileWork(ops=1714, weights=609_000_000), "A18", "load", 3.36,
    ),
    Row(
        "Parakeet's encoder on an iPhone 13", "FluidAudio Benchmarks.md; ops: spec/parakeet_ctc.mct",
        CompileWork(ops=1714, weights=609_000_000), "A15", "load", 4.40,
    ),
    Row(
        "Parakeet's encoder on a Mac after an update (chip not told)",
        "saurabhav88/EnviousWispr#879; ops: spec/parakeet_ctc.mct",
        CompileWork(ops=1714, weights=609_000_000), "M2", "load", 6,
    ),
)  # fmt: skip


def table() -> str:
    """The rows as docs/compile-cost.md has them."""
    lines = ["| what | on | published | predicted | off by | fitted | source |", "|---|---|---|---|---|---|---|"]
    for row in ROWS:
        unit, scale = ("GB", GB) if row.what in ("disk", "memory") else ("s", 1.0)
        numbers = f"{row.published / scale:.4g} {unit} | {row.predicted / scale:.3g} {unit} | {row.factor:.1f}x"
        lines.append(f"| {row.name} | {row.device} | {numbers} | {'yes' * row.fitted} | {row.source} |")
    return "\n".join(lines)
