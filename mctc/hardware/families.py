"""Limits of the Neural Engine by compiler family, one row each.

"Core ML" marks what was measured through Core ML (751K's study of an M4, H16); "compiled" what Apple's compiler took or
refused for H16 and for H18G alike, on an M4 (the same study, commit 6d4c3cf, arch_h16g_h18g.tsv: 67 models, the same
verdict for both but for topk); "direct" what was measured or read on a path that skips Core ML (ane-guide: H13
measured, other families from the compiler's tables). Core ML is stricter on some and looser on other axes, so a rule
that rests on a direct figure alone never says more than a warning.
"""

from __future__ import annotations

from mctc.diagnostics.errors import UsageError
from mctc.records import dataclass

MIB = 1 << 20
UNPUBLISHED = 2.0
"""The factor of doubt where neither charges nor estimates were published; mctc's own."""


@dataclass(frozen=True)
class Family:
    """Largest values that the engine of one family takes. Extents are elements, kernels and windows positions.

    extent: height and width of a tensor; H13, H14 and H16 measured, H18G compiled, H15 and H17 from the tables.
    channels, batch: from the tables of every family.
    depth: the fifth axis, from the tables.
    rank: axes of a tensor (Apple; five are placed through Core ML on H16).
    transpose: the extent that a transpose may move, from the tables.
    matmul_inner: the contracted axis of a matmul; H13 direct (16384), H16 Core ML (32768 passes, 40000 does not), H18G
        compiled, the same.
    kernel_row, kernel_column, kernel_square: widest 1xK, tallest Kx1 and largest KxK convolution. H16 Core ML (15, 31,
        16); H13 direct (13, 29, 13); the tables give H14 and later a width of 16. H18G compiled: 15, 31 and 15; 1x16,
        32x1 and 17x17 fail, and 16x16 was given up at 8 GB, for H16 too, where Core ML takes it.
    working_set: bytes of one operand that stay near the engine (decompiled; H17 measured; contested).
    pool_max_width: widest window of a max_pool. H16 Core ML (8 passes, 9 does not; 9x1 passes), H18G compiled, the
        same; others not measured through Core ML, and far looser on direct paths.
    pool_average: largest window of an avg_pool that was tried. H16 Core ML and H18G compiled (14, no failing size
        found); 13 is what the days of neural-network models had for older chips.
    argument_axis: the axis of an arg-min or arg-max; H13 direct (2048 passes, 2049 does not).
    slice_magnitude: the largest value that a slice off the start of the last axis passes on; beyond it becomes an
        infinity (ane-guide, direct; H13 and H14, gone from H15).
    palette_bits: widths of palette indices that are not widened.
    int8_compute: multiplies int8 by int8 (Apple: A17 Pro, M4 and later).
    doubt: the factor by which charges and estimates of the segmenter may be off. Both were published for H16 alone,
        whose plans follow from them (751K: 481 of 482 graphs, ties included) and whose estimates mctc gives back within
        1 % (docs/lint-placement.md). Elsewhere nothing was published (UNPUBLISHED).
    """

    name: str
    extent: int
    depth: int
    matmul_inner: int
    kernel_row: int
    kernel_column: int
    kernel_square: int
    working_set: int
    palette_bits: tuple[int, ...]
    int8_compute: bool
    channels: int = 65536
    batch: int = 65536
    rank: int = 5
    pool_max_width: int = 8
    pool_average: int = 13
    argument_axis: int = 2048
    slice_magnitude: float | None = None
    doubt: float = UNPUBLISHED

    @property
    def transpose(self) -> int:
        """The extent that a transpose may move: that of the family's axes."""
        return self.extent


EARLY_BITS = (1, 2, 4, 6, 8)
LATE_BITS = (1, 2, 3, 4, 6, 8)

FAMILIES = {
    row.name: row
    for row in (
        Family("H13", 16384, 16384, 16384, 13, 29, 13, 2 * MIB, EARLY_BITS, False, slice_magnitude=4094),
        Family("H14", 16384, 16384, 16384, 15, 31, 16, 2 * MIB, EARLY_BITS, False, slice_magnitude=4094),
        Family("H15", 16384, 16384, 16384, 15, 31, 16, 2 * MIB, EARLY_BITS, False),
        Family("H16", 65536, 65536, 32768, 15, 31, 16, 2 * MIB, EARLY_BITS, True, pool_average=14, doubt=1.03),
        Family("H17", 65536, 65536, 32768, 15, 31, 16, 4_720_000, EARLY_BITS, True),
        Family("H18", 65536, 65536, 32768, 15, 31, 16, 4_720_000, LATE_BITS, True),
        Family("H18G", 65536, 65536, 32768, 15, 31, 15, 4_720_000, LATE_BITS, True, pool_average=14),
    )
}

MEASURED = FAMILIES["H16"]
"""The family whose limits were measured through Core ML."""

OLDEST = "H13"
ORDER = tuple(FAMILIES)


def up_to(last: str) -> frozenset[str]:
    """The families from the oldest to `last`."""
    return frozenset(ORDER[: _place(last) + 1])


def since(first: str) -> frozenset[str]:
    """The families from `first` to the newest."""
    return frozenset(ORDER[_place(first) :])


def _place(name: str) -> int:
    if name not in FAMILIES:
        raise UsageError(f"there is no family `{name}`", hint=f"known are {', '.join(FAMILIES)}")
    return ORDER.index(name)
