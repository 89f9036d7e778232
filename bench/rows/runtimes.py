"""Every spec by every runtime, and a long stream by two engines that have nothing in common."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import numpy as np

from bench.reduced import SIZES, defined
from bench.row import Row
from bench.rows.drift import MINUTES, MOST, encode
from bench.setting import Setting
from bench.speech import long_mel
from mctc.driver.make import target_named
from mctc.driver.options import BuildOptions
from mctc.numerics.battery import NOISE
from mctc.numerics.difference import signal_to_noise
from mctc.numerics.limits import FP16, FP32
from mctc.proof.check import Check
from mctc.proof.proof import Proof
from mctc.proof.runtimes import OtherBuild, build_other
from mctc.runtime.built import open_built
from mctc.runtime.step import Packages

OTHER = "coreai"


def rows(setting: Setting) -> list[Row]:
    """Needs the extras onnx, coreai and train."""
    names = sorted(spec.stem for spec in (setting.root / "spec").glob("*.mct"))
    proofs = {name: Proof(built(setting, name)) for name in names} | {"mct_small, whole": Proof(setting.built)}
    checks = {name: list(proof.checks()) for name, proof in proofs.items()}
    exact = [(name, check) for name, found in checks.items() for check in found if _in_fp32(check)]
    worst = max(check.error or 0.0 for _, check in exact)
    broken = [
        f"{name}: {check.name}, {check.measured}" for name, found in checks.items() for check in found if not check.ok
    ]
    others = {name: runtime(proof, setting.work / f"{name}_{OTHER}") for name, proof in proofs.items()}
    ratios = {name: halves(proofs[name], other) for name, other in others.items()}
    return [
        Row(
            f"{len(names)} specs, reduced, and mct_small as it is: largest disagreement of any runtime with the IR "
            "reference, fp32",
            f"≤ {FP32} relative",
            f"{worst:.1e}",
            bool(broken),  # none is left out
            "; ".join(["the worst of each runtime and its time for all specs", *told(exact), *broken]),
        ),
        Row(
            "the same in fp16: the package's evaluator against the Core AI runtime, the worst component of all",
            f"≥ {FP16}",
            f"{min(min(found.values()) for found in ratios.values()):.1f} dB",
            min(min(found.values()) for found in ratios.values()) >= (FP16.decibels or 0.0),
            "; ".join(
                f"{name}: " + ", ".join(f"{c} {r:.1f}" for c, r in each.items()) for name, each in ratios.items()
            ),
        ),
        long_stream(setting),
    ]


def _in_fp32(check: Check) -> bool:
    return check.seconds is not None and check.name.partition(", ")[2] != "fp16"


def built(setting: Setting, name: str) -> Path:
    """The folder of a spec at its reduced size, as `mctc build` writes it."""
    folder = setting.work / f"{name}_reduced"
    setting.run([setting.mctc, "build", setting.root / "spec" / f"{name}.mct", "-o", folder, *defined(name)])
    return folder


def runtime(proof: Proof, folder: Path) -> OtherBuild:
    """The same program as a Core AI asset in fp16."""
    lengths = proof.built.lengths
    options = BuildOptions(chunk=lengths.chunk if lengths.streams else None, seed=proof.built.seed or 0)
    return build_other(target_named(OTHER), proof.whole, options, "fp16", proof.built, folder)


def halves(proof: Proof, other: OtherBuild) -> dict[str, float]:
    """Signal to noise of the evaluator's results against the other runtime's, the worst result of each component."""
    mine, packages, found = Packages(proof.built, "fp16"), Packages(other.built), dict[str, float]()
    for name in proof.built.functions:
        ours = proof.over_chunks(name, mine, proof.deployed, NOISE)
        theirs = proof.over_chunks(name, packages, other.deployed, NOISE)
        found[name] = min(signal_to_noise(theirs[key], ours[key]) for key in ours)
    return found


def told(checks: list[tuple[str, Check]]) -> Iterator[str]:
    """The worst error of each runtime, of which spec, and the time that it took for all of them."""
    ordered = sorted(checks, key=lambda pair: pair[1].name)
    for name, group in groupby(ordered, key=lambda pair: pair[1].name):
        found = list(group)
        spec, worst = max(found, key=lambda pair: pair[1].error or 0.0)
        seconds = sum(check.seconds or 0.0 for _, check in found)
        yield f"{name} {worst.error or 0.0:.1e} ({spec}) in {seconds:.0f} s"


def long_stream(setting: Setting) -> Row:
    """One stream from start to end by both engines in fp16: how far they are apart in every minute."""
    folder = built(setting, "mct_small")  # whole, the other runtime would take an hour
    other = runtime(Proof(folder), setting.work / f"reduced_{OTHER}")
    mel = long_mel(60 * MINUTES)
    theirs, ours = encode(other.built, "fp16", mel), encode(open_built(folder), "fp16", mel)
    minutes = zip(np.array_split(theirs, MINUTES), np.array_split(ours, MINUTES))
    ratios = [signal_to_noise(*minute) for minute in minutes]
    grown = max(ratios[0] - ratio for ratio in ratios)
    return Row(
        f"{MINUTES} minutes of speech streamed with the state carried, the package's evaluator against the Core AI "
        "runtime, fp16: growth of the disagreement from the first minute to the worst",
        f"≤ {MOST:g} dB",
        f"{max(grown, 0.0):.1f} dB",
        grown <= MOST,
        f"mct_small reduced to {dict(SIZES['mct_small'])}; dB by minute: "
        + ", ".join(f"{ratio:.1f}" for ratio in ratios),
    )
