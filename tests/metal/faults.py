"""Faults put into the kernels on purpose: each a small edit of the shipped text, and the check that finds it.

`python -m tests.metal.faults`, from the root of the repository, writes the table of docs/metal.md.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mctc.targets.torch.runtime import metal
from mctc.targets.torch.runtime.metal import kernel_names

from . import scan, scan_over_lanes, transducer
from .errors import Check

RULES, FRONT_END, LAUNCH, VALUES = "text rules", "clang", "launch check", "values"
# Without a barrier another thread's write comes too early or too late; which one it is, is up to the schedule.
RACE, BOUNDS, DIVERGENCE = "engine: race or unwritten memory", "engine: out of bounds", "engine: divergence"
ENGINE = {"race": RACE, "uninitialised": RACE, "out of bounds": BOUNDS, "divergence": DIVERGENCE}

GROUP_BARRIER = "threadgroup_barrier(mem_flags::mem_threadgroup);"
ANY_BARRIER = re.compile(r"\w+_barrier\(mem_flags::\w+\);")

TEXTS = [path.read_text() for path in sorted(Path(metal.__file__).parent.glob("*.metal"))]
# What is launched with the faulty text; what it needs of other kernels comes from the shipped one.
STAGES: dict[str, Callable[[str], Check]] = {
    "selective_scan_forward": scan.forward_check,
    "selective_scan_backward": scan.backward_check,
    "selective_scan_forward_over_lanes": scan_over_lanes.forward_check,
    "rnnt_alphas": transducer.loss_check,
    "rnnt_gradients": transducer.gradient_check,
    "rnnt_collapse": transducer.collapse_check,
    "rnnt_collapse_gradient": transducer.collapse_gradient_check,
}


@dataclass(frozen=True)
class Fault:
    what: str
    kernel: str
    """The kernel that is launched, a key of STAGES."""
    old: str
    new: str
    found: str
    """The first check that finds it, in the order of the text rules, clang, the launch check, the engine, values."""
    case: str
    within: str = ""
    """The function that is edited; the kernel where empty."""
    which: tuple[int, int] = (1, 1)
    """(2, 3): `old` is there three times, and the second is meant."""
    layout: str = scan.AS_CHOSEN

    def edited(self, text: str) -> str:
        """The text with the fault. Raises ValueError where `old` isn't there as often as it should be."""
        start, end = function(text, self.within or self.kernel)
        place, count = self.which
        parts = text[start:end].split(self.old)
        if len(parts) != count + 1:
            where = self.within or self.kernel
            raise ValueError(
                f"{self.what}: {where} has {self.old!r} {len(parts) - 1} times, not {count}: edit faults.py"
            )
        before, after = self.old.join(parts[:place]), self.old.join(parts[place:])
        return text[:start] + before + self.new + after + text[end:]


def function(text: str, name: str) -> tuple[int, int]:
    """Where a function of the text starts and ends, its attributes included."""
    head = re.search(rf"^(\[\[[^\n]*\n)?(kernel|inline) [\w ]+\b{name}\(", text, re.MULTILINE)
    if head is None:
        raise ValueError(f"no function {name}: edit faults.py")
    return head.start(), text.index("\n}\n", head.start()) + 3


RAGGED, BLOCKS = "three states, several tiles, ragged", "several blocks of channels"
VIEWS, HALF, LANES = "views", "fp16", scan_over_lanes.RAGGED
FORWARD, BACKWARD = "selective_scan_forward", "selective_scan_backward"
OVER_LANES = "selective_scan_forward_over_lanes"
INNERMOST, OUTERMOST = (f"37 classes, {axis} innermost, float32" for axis in ("vocabulary", "time"))
STRIPS = "more columns than a threadgroup"
# The launch that needs every barrier of a kernel: what is launched, with which case, laid out how.
NEEDS_BARRIERS = {
    FORWARD: (FORWARD, RAGGED, scan.AS_CHOSEN),
    "selective_scan_chunk_ends": (FORWARD, RAGGED, scan.IN_CHUNKS),
    BACKWARD: (BACKWARD, RAGGED, scan.AS_CHOSEN),
    "rnnt_alphas": ("rnnt_alphas", STRIPS, scan.AS_CHOSEN),
    "rnnt_gradients": ("rnnt_gradients", STRIPS, scan.AS_CHOSEN),
    "rnnt_collapse": ("rnnt_collapse", OUTERMOST, scan.AS_CHOSEN),
}


def missing_barriers(text: str) -> Iterator[Fault]:
    """Each barrier of each kernel of a text, left out."""
    for kernel in kernel_names(text):
        start, end = function(text, kernel)
        seen: Counter[str] = Counter()
        barriers = ANY_BARRIER.findall(text[start:end])
        if barriers and kernel not in NEEDS_BARRIERS:
            raise ValueError(f"{kernel} has barriers: NEEDS_BARRIERS has to name a launch that needs them")
        for barrier in barriers:
            seen[barrier] += 1
            number = f"barrier {seen.total()} of {len(barriers)} left out"
            which = (seen[barrier], barriers.count(barrier))
            launched, case, layout = NEEDS_BARRIERS[kernel]
            yield Fault(number, launched, barrier, "", RACE, case, kernel, which, layout)


FAULTS = [
    # The language.
    Fault("an em dash in the text", FORWARD, "float rate[HELD];", "float rate[HELD]; // \u2014", RULES, RAGGED),
    Fault(
        "dynamic threadgroup memory", FORWARD,
        "uint3 thread_index [[thread_position_in_threadgroup]]",
        "uint3 thread_index [[thread_position_in_threadgroup]], threadgroup float* scratch [[threadgroup(0)]]",
        RULES, RAGGED,
    ),
    Fault(
        "an atomic sum", FORWARD, "tile_input[tile_row + s + part] = sum;",
        "atomic_fetch_add_explicit(&tile_input[tile_row + s + part], sum, memory_order_relaxed);", RULES, RAGGED,
    ),
    Fault("a scalar position beside those of three", FORWARD, "uint3 thread_index", "uint thread_index", RULES, RAGGED),
    Fault("two buffers bound to one place", FORWARD, "C [[buffer(4)]]", "C [[buffer(3)]]", RULES, RAGGED),
    Fault("a literal in fp64", FORWARD, "STATES ? float(B", "STATES ? 1.0 * float(B", FRONT_END, RAGGED),
    Fault("a pointer without an address space", BACKWARD, "thread float* values", "float* values", FRONT_END, RAGGED,
          within="sum_over_channels"),
    Fault("a device pointer into threadgroup memory", BACKWARD, "device KEPT* total = ",
          "device KEPT* total = tile_B; total = ", FRONT_END, RAGGED),
    Fault("a write to a const tensor", FORWARD, "h_last[(batch", "A[(batch", FRONT_END, RAGGED),
    Fault("an index cut to 32 bits", FORWARD, "const long first_channel", "const uint first_channel", FRONT_END,
          RAGGED),
    Fault("a store that rounds by itself", FORWARD, "ELEMENT(value)", "value", FRONT_END, HALF),
    Fault("a function that Metal has not", FORWARD, "fast::exp2(step", "fast::expm1(step", FRONT_END, RAGGED),
    # The launch.
    Fault("a tensor read as another type", "rnnt_alphas", "device const int* frame_lengths",
          "device const uint* frame_lengths", LAUNCH, "ragged"),
    Fault("a list of 64 bits read as one of 32", FORWARD, "constant long* sizes", "constant int* sizes", LAUNCH,
          RAGGED),
    Fault("more than 32 KiB of threadgroup memory", FORWARD, "tile_B[STEPS *", "tile_B[99 * STEPS *", LAUNCH, RAGGED),
    Fault("fewer threads allowed than launched", FORWARD, "threadgroup(THREADS)", "threadgroup(THREADS / 2)", LAUNCH,
          RAGGED),
    # Barriers.
    Fault("a barrier of device memory for threadgroup memory", FORWARD, GROUP_BARRIER,
          "threadgroup_barrier(mem_flags::mem_device);", RACE, RAGGED, which=(2, 2)),
    Fault("a barrier in a divergent branch", FORWARD, GROUP_BARRIER, f"if (first_row < rows) {{ {GROUP_BARRIER} }}",
          DIVERGENCE, RAGGED, which=(1, 2)),
    Fault("an early return before a barrier", FORWARD, "// The channel whose", "if (first_row >= rows) { return; } //",
          DIVERGENCE, RAGGED),
    # Indices.
    Fault("no clamp at the end of time", FORWARD, "min(next + read_step, end - 1)", "next + read_step", BOUNDS, RAGGED),
    Fault("padded states read", FORWARD, "bool real = present && n < STATES;", "bool real = present;", BOUNDS, RAGGED),
    Fault("absent channels read", FORWARD, "min(first_row + read_row + i * (32 / STEPS), rows - 1)",
          "first_row + read_row + i * (32 / STEPS)", BOUNDS, RAGGED),
    Fault("another tensor's stride", FORWARD, "batch * DELTA_BATCH", "batch * X_BATCH", BOUNDS, VIEWS),
    Fault("a stored state one place off", FORWARD, "start / INTERVAL * channels",
          "(start / INTERVAL + 1) * channels", BOUNDS, RAGGED),
    Fault("a stored state one place off", BACKWARD, "this_start / INTERVAL * channels",
          "(this_start / INTERVAL + 1) * channels", BOUNDS, RAGGED),
    Fault("every chunk writes the last state", FORWARD, "present && end == (uint)LENGTH", "present", RACE, RAGGED,
          layout=scan.IN_CHUNKS),
    Fault("the state of another tile", BACKWARD, "this_tile + 1 == at", "this_tile == at", VALUES, RAGGED),
    # Arithmetic.
    Fault("a wrong shuffle mask over states", FORWARD, "low : high, 2)", "low : high, 1)", VALUES, RAGGED,
          within="sum_over_states"),
    Fault("a wrong shuffle mask over channels", BACKWARD, "values[0], mask * LANES)", "values[0], mask)", VALUES,
          RAGGED, within="sum_over_channels"),
    Fault("two buffers swapped", FORWARD, "B [[buffer(3)]],\n    device const ELEMENT* C [[buffer(4)]]",
          "C [[buffer(3)]],\n    device const ELEMENT* B [[buffer(4)]]", VALUES, RAGGED),
    Fault("a gradient not added up over channels", BACKWARD, "block == partial ? sum : float(*total) + sum",
          "sum", VALUES, BLOCKS, layout=scan.ONE_SUM),
    Fault("a gradient not added up over time", BACKWARD, "dbias[i] += d_step", "dbias[i] = d_step", VALUES, RAGGED),
    Fault("a partial sum left out", BACKWARD, "i < PARTIALS * over_time", "i < over_time", VALUES, BLOCKS,
          within="selective_scan_sums"),
    Fault("the sums of later chunks left out", BACKWARD, "i < BATCH * CHUNKS", "i < BATCH", VALUES, RAGGED,
          within="selective_scan_sums", layout=scan.IN_CHUNKS, which=(1, 2)),
    Fault("the first state left out", FORWARD, "HAS_H && real ?", "false ?", VALUES, RAGGED),
    # Time across lanes.
    Fault("no clamp at the end of time", OVER_LANES, "min(first + TILE, last)", "first + TILE", BOUNDS, LANES),
    Fault("absent channels read", OVER_LANES, "min(row, rows - 1)", "row", BOUNDS, LANES),
    Fault("a stored state one place off", OVER_LANES, "first / INTERVAL * channels",
          "(first / INTERVAL + 1) * channels", BOUNDS, LANES),
    Fault("the state after a lane's steps stored", OVER_LANES, "simd_shuffle_up(sum[m], 1)", "sum[m]", VALUES, LANES),
    Fault("the first state left out", OVER_LANES, "lane == 0 ? fma(total[m], state[m], sum[m]) : sum[m]", "sum[m]",
          VALUES, LANES),
    Fault("decays of lanes before left out", OVER_LANES, "total[m] * longer", "total[m]", VALUES, LANES),
    # The transducer loss.
    Fault("one buffer where there are two", "rnnt_alphas", "handed[(k + 1) & 1]", "handed[k & 1]", RACE, "ragged"),
    Fault("a barrier of the wrong memory between strips", "rnnt_alphas", "mem_flags::mem_device", "mem_flags::mem_none",
          RACE, STRIPS),
    Fault("columns past the last return early", "rnnt_alphas", "int diagonals",
          "if (u > last_column) { return; } int diagonals", DIVERGENCE, "ragged"),
    Fault("no clamp of the frames read ahead", "rnnt_gradients", "min(max(d + k - lane, 0), last_frame)",
          "(d + k - lane)", BOUNDS, "ragged"),
    Fault("a strip writes the border that it reads", "rnnt_gradients", "* 2 + 1 - side)", "* 2 + side)", RACE,
          STRIPS),
    Fault("the gradient of the loss left out", "rnnt_gradients", "-dloss[utterance]", "-1.0f", VALUES, "ragged"),
    Fault("a reduction over half of the lanes", "rnnt_collapse", "ushort apart = SIMD / 2", "ushort apart = SIMD / 4",
          VALUES, INNERMOST, which=(2, 2)),
    Fault("frames past the last written", "rnnt_collapse", "inside && simd == 0", "simd == 0", RACE, OUTERMOST),
    Fault("classes past the last written", "rnnt_collapse_gradient", "if (v < classes)", "if (v < classes + 1)", RACE,
          INNERMOST),
]  # fmt: skip
FAULTS += [fault for text in TEXTS for fault in missing_barriers(text)]


def table() -> str:
    """The faults and what finds them, as a table of docs/metal.md."""
    rows = [f"| {fault.what} | `{fault.within or fault.kernel}` | {fault.found} |" for fault in FAULTS]
    return "\n".join(["| fault | in | found by |", "|---|---|---|", *rows])


def main() -> None:
    """Writes the table of docs/metal.md anew."""
    document = Path(__file__).parents[2] / "docs" / "metal.md"
    text = document.read_text()
    start = text.index(table().split("\n")[0])
    end = text.index("\n\n", start)
    document.write_text(text[:start] + table() + text[end:])


if __name__ == "__main__":
    main()
