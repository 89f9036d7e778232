"""Models that others made: read, executed, compared, and what lint costs on them."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.packages.tally import ROUNDING, Tried, attempt, models, worst
from bench.row import Row
from bench.setting import Setting

FILES, EXECUTED, COMPARED = 100, 0.95, 25
SECONDS, BYTES = 2.0, 200_000_000
SHOWN = 8


def rows(setting: Setting) -> list[Row]:
    """Nothing without a folder of models (--packages)."""
    if setting.packages is None:
        return []
    tried = []
    for path in models(setting.packages):
        with tempfile.TemporaryDirectory(dir=setting.work) as folder:
            tried.append(attempt(setting, path, Path(folder)))
            shutil.rmtree(folder, ignore_errors=True)
    return [_read(tried, setting.packages), _executed(tried), _compared(tried), _cost(tried)]


def _read(tried: Sequence[Tried], folder: Path) -> Row:
    sources = {each.path.relative_to(folder).parts[:2] for each in tried}
    kinds = Counter(each.reading.get("kind", "refused") for each in tried)
    ours = [each for each in tried if not each.reading["read"] and not each.reading["own"]]
    note = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    return Row(
        f"public models of {len(sources)} sources: read, or refused for a reason that is the file's own",
        f"≥ {FILES}, all",
        f"{len(tried) - len(ours)} of {len(tried)}",
        len(tried) >= FILES and not ours,
        note + _named(ours, lambda each: each.reading["why"]),
    )


def _executed(tried: Sequence[Tried]) -> Row:
    whole = [each for each in tried if not each.filled]
    filled = [each for each in tried if each.filled]
    ran, all_ = (sum(len(getattr(each, name)) for each in whole) for name in ("executed", "programs"))
    also = f"{sum(len(each.executed) for each in filled)} of {sum(len(each.programs) for each in filled)}"
    failed = [each for each in tried if each.failed]
    return Row(
        "ML programs among them whose weights are there: executed / others, with noise in place of their weights",
        f"≥ {EXECUTED:.0%}",
        f"{ran} of {all_} / {also}",
        bool(all_) and ran >= EXECUTED * all_,
        "on zeros and on noise" + _named(failed, lambda each: each.failed[0]["failed"]),
    )


def _compared(tried: Sequence[Tried]) -> Row:
    whole, filled = (sum(len(each.agreeing) for each in tried if each.filled is absent) for absent in (False, True))
    differing = [each for each in tried if each.differing]
    largest = max((worst(entry) for each in tried for entry in each.compared), default=0.0)
    return Row(
        f"the same, read by coremltools and computed by torch in fp64: outputs within {ROUNDING:g} of the largest",
        f"≥ {COMPARED}, all",
        f"{whole} / {filled} agree, {len(differing)} differ",
        whole >= COMPARED and not differing,
        f"largest difference {largest:.1e}" + _named(differing, lambda each: str(each.differing[0]["differences"])),
    )


def _cost(tried: Sequence[Tried]) -> Row:
    slowest, largest = max(tried, key=lambda each: each.cpu), max(tried, key=lambda each: each.peak)
    return Row(
        "`mctc lint` of each: most CPU time / peak memory",
        f"≤ {SECONDS:.0f} s / ≤ {BYTES / 1e6:.0f} MB",
        f"{slowest.cpu:.1f} s / {largest.peak / 1e6:.0f} MB",
        slowest.cpu <= SECONDS and largest.peak <= BYTES,
        f"slowest {slowest.path.name}, largest {largest.path.name}",
    )


def _named(tried: Sequence[Tried], why: Callable[[Tried], str]) -> str:
    """'; not: a.mlpackage (reason), b.mlpackage (reason) and 3 more'."""
    shown = ", ".join(f"{each.path.name} ({why(each)})" for each in tried[:SHOWN])
    more = f" and {len(tried) - SHOWN} more" if len(tried) > SHOWN else ""
    return f"; not: {shown}{more}" if tried else ""
