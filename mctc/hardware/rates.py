"""At what rates Core ML's segmenter is taken to estimate ops, on either backend of an M4. Data.

Fitted to 751K/Apple-Neural-Engine-Microarchitecture-Study-M6, commit 5cb462b, data/03_compile/opdispatch/ana: the
estimates that Core ML itself wrote beside every op of 475 small graphs (M4, H16, macOS 27.0.1, fp16, coremltools 9.0).
The CPU is BNNS, the cheaper of the two CPU backends. Which rows were fitted, and how well the others come out, is in
docs/lint-placement.md; tests/linter/coreml/test_study.py holds both. Behind each rate stands one
row that it follows from, as the study calls it.

Most ops are taken by the bytes that they move. Some have estimates of their own, by what they count: `Measure`.
"""

from __future__ import annotations

from enum import Enum

from mctc.records import dataclass

CHIP = "M4 (H16), macOS 27.0.1"


class Measure(Enum):
    """What of an op is counted."""

    BYTES = "bytes of the operands and of the first result"
    ENTRIES = "elements of all operands"
    RESULTS = "elements of the first result"
    TABLE = "elements of the operand x"
    WORK = "operations as the segmenter counts them"
    INTENSITY = "operations a byte"


@dataclass(frozen=True)
class Rate:
    """What either side does in a microsecond, of what is counted, for ops whose `by` is below `below`.

    of, cpu_of: what the engine and the CPU count; both the same where the second is left out.
    spread: the factor by which the CPU's estimate may be off, where the study has one size alone.
    """

    ane: float
    cpu: float
    of: Measure = Measure.BYTES
    by: Measure = Measure.WORK
    below: float = float("inf")
    cpu_of: Measure | None = None
    spread: float = 1.0


GIB = (1 << 30) / 1e6  # bytes a microsecond in one GiB/s
MEMORY = Rate(68 * GIB, 68 / 1.2 * GIB)
"""What moves bytes and does little else: 73.0 and 60.8 GB/s, the CPU 1.2 times as long (iso/cast_f16_f32 and a hundred
more)."""
PEAK = Rate(16.152e6, 0.75454e6, Measure.WORK)
"""Operations, where they take longer than the bytes: on the engine those of convolutions (no product of the study is
bound by them there), on the CPU those of products, windows and gelu (iso/matmul_dyn)."""

RATES: dict[tuple[str, ...], tuple[Rate, ...]] = {
    ("conv",): (
        Rate(0.47118e6, 0.027085e6, Measure.WORK, Measure.INTENSITY, 10.7),  # iso/sw_conv_g32
        Rate(7.1608e6, 0.38806e6, Measure.WORK, Measure.INTENSITY, 61.5),  # iso/conv1x1
        Rate(16.152e6, 0.75449e6, Measure.WORK),  # iso/conv3x3
    ),
    ("conv_transpose",): (
        Rate(37.83e6, 0.21166e6, Measure.WORK, Measure.INTENSITY, 158.0),  # iso/conv_transpose_1d
        Rate(15.205e6, 0.063142e6, Measure.WORK),  # iso/conv_transpose
    ),
    ("linear",): (
        Rate(0.10692e6, 0.068837e6, Measure.WORK, Measure.RESULTS, 2_900, spread=2.0),  # ctx/gru
        Rate(0.58043e6, 0.022544e6, Measure.WORK, Measure.RESULTS, 46_400),  # ctx/matmul_dyn
        Rate(5.2907e6, 0.16775e6, Measure.WORK),  # ctx/conv1d
    ),
    ("add", "sub"): (Rate(17_990, 10_561, Measure.ENTRIES),),  # iso/sub
    ("mul",): (Rate(21_500, 5_751.1, Measure.ENTRIES, spread=2.0),),  # iso/mul
    ("relu",): (Rate(25_000, 25_000, Measure.ENTRIES),),  # iso/relu
    ("concat",): (Rate(50_000, 5_751.1, Measure.ENTRIES, spread=2.0),),  # iso/concat_c
    ("transpose",): (
        Rate(68_871, 87_481, by=Measure.RESULTS, below=92_700),  # iso/transpose_hw
        Rate(45_712, 3_750.8, spread=4.0),  # iso/transpose_nc
    ),
    ("upsample_bilinear",): (Rate(198_280, 1_311.7, spread=2.0),),  # iso/upsample_bilinear
    ("gather",): (Rate(MEMORY.ane, 11_502, cpu_of=Measure.TABLE),),  # iso/gather_w
    ("gru", "rnn", "lstm"): (Rate(16.152e6, 0.02312e6, Measure.WORK),),  # iso/gru; the engine takes none
}  # fmt: skip
"""Ops with estimates of their own. A convolution and a linear layer have no bound of memory in them. A gather counts
the bytes that it moves on the engine, and its whole table on the CPU."""

RESIDENT = 4 << 20
"""Bytes of weights up to which ops with rates of their own have no bound of memory: twice what the study's largest
linear layer has. That more are read at the rate of memory is mctc's own assumption."""
GELU_OPERATIONS = 78
"""For each element, on the CPU."""
SCORE_OPERATIONS = 16
"""For each score of scaled_dot_product_attention, on the CPU, its products left out: with 16.0 to 16.4 the plans of
vx-lang/Vx #437 (M4) come out, and the study's one size is bound by its bytes (iso/sdpa: 33.6 million operations of
products would take 44 us, Core ML says 8.6)."""
SPREAD = {"scaled_dot_product_attention": 2.0}
"""The same as Rate.spread, of ops without a rate of their own."""
INT8_RATIO = 1.88
"""How many times as fast products of int8 by int8 may be as those of fp16: maderix/ANE README, M4, 18.6 to 35.1 TOPS on
a path past Core ML. Contested (ANE-QT-009): cadamcat 1.86 on an M5 Pro through Core AI, 751K 0.97 to 2 on an M6,
CoreML-LLM refused on an iPhone 17 Pro. The segmenter is not known to count on it: placements do not."""
FREE = frozenset(("identity", "read_state"))
"""Taken to cost nothing; views (reshape, squeeze and the like) are estimated by their bytes."""
