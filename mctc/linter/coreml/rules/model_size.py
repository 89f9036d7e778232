"""Sizes of models (ANE-SZ)."""

from __future__ import annotations

from collections.abc import Iterator

from mctc.linter.coreml.graph import PackageGraph
from mctc.linter.coreml.placement import Eligible, Placement, Predicted
from mctc.linter.coreml.rule import Effect, Hit, PackageRule, PlacementRule, RuleFamily, Severity, Sides
from mctc.linter.coreml.segment import CHARGES, Backend
from mctc.linter.coreml.target import Scope, Target
from mctc.linter.coreml.trace import VIEWS

PHONE_BYTES = 1_000_000_000
"""Apple's limit for the Neural Engine of an iPhone."""
WARN_BYTES = 1_000_000_000
MAC_BYTES = 2_015_800_000
"""The largest package that was seen on the engine as a whole."""
SMALL_BYTES = 5_000_000
NEARLY_ALL = 0.95
"""The part of a function, by estimated CPU time, that has to be eligible for its size alone to decide."""
NEEDED = CHARGES.launch + CHARGES.output
"""Microseconds that a function has to save: the launch and the copy of its outputs."""


def _phone(package: PackageGraph, _: Target) -> Iterator[Hit]:
    if (size := package.weight_bytes) > PHONE_BYTES:
        yield Hit(f"{_gigabytes(size)} of weights; the engine of an iPhone takes {_gigabytes(PHONE_BYTES)}")


def _mac(package: PackageGraph, _: Target) -> Iterator[Hit]:
    if (size := package.weight_bytes) > MAC_BYTES:
        yield Hit(f"{_gigabytes(size)} of weights; the largest package seen on the engine had {_gigabytes(MAC_BYTES)}")


def _large(package: PackageGraph, _: Target) -> Iterator[Hit]:
    if WARN_BYTES < (size := package.weight_bytes) <= MAC_BYTES:
        yield Hit(f"{_gigabytes(size)} of weights in one package; above 1 GB it is seen on either side")


def _small(package: PackageGraph, _: Target) -> Iterator[Hit]:
    size = package.weight_bytes
    if size < SMALL_BYTES and any(function.ops for function in package.functions.values()):
        yield Hit(f"{size / 1e6:.2f} MB of weights")


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.2f} GB"


def _not_worth_it(placement: Placement, target: Target) -> Iterator[Hit]:
    found = _saving(placement)
    if found is None or found[1] >= NEEDED:
        return
    share, saving, able = found
    what = f"the whole of {placement.function.name}" if share == 1.0 else _most_of(placement, share)
    saved = f"saves only {int(saving)} µs" if saving >= 1 else "saves nothing"
    close = saving * target.device.doubt >= NEEDED or Predicted.DOUBTFUL in placement.predicted
    doubt = ", within the estimate's error" if close else ""
    yield Hit(f"{what} is {able}, but {saved} where {NEEDED:.0f} µs are needed: likely on the CPU{doubt}")


def _just_worth_it(placement: Placement, target: Target) -> Iterator[Hit]:
    found = _saving(placement, off_engine=False)
    if found is None or found[1] < NEEDED:
        return
    # Where no op is contested, estimates that rest on one size alone make all of it doubtful.
    unsure = set(placement.predicted) == {Predicted.DOUBTFUL} and Eligible.CONTESTED not in placement.eligible
    near = found[1] < NEEDED * target.device.doubt
    if near or unsure:
        name, saves = placement.function.name, f"saves {int(found[1])} µs where {NEEDED:.0f} µs are needed"
        yield Hit(f"{name} {saves}{'' if near else ', by estimates that may be off by more'}: too close to call")


def _most_of(placement: Placement, share: float) -> str:
    return f"{min(share, 0.99):.0%} of {placement.function.name} (by estimated time)"


def _saving(placement: Placement, *, off_engine: bool = True) -> tuple[float, float, str] | None:
    """The eligible part of a function by CPU time, the microseconds that it saves on the engine, and the word for it.

    None for one that is in good part not eligible, has nothing to compute, or isn't predicted where `off_engine` says.
    """
    rows = list(zip(placement.costs, placement.eligible, strict=True))
    spent = sum(each.cpu for each, _ in rows)
    computes = spent and any(op.type not in VIEWS for op in placement.function.ops)
    if not computes or off_engine is (Backend.ANE in placement.path):
        return None
    willing = [each for each, eligible in rows if eligible is not Eligible.NO]
    share = 1.0 if len(willing) == len(rows) else sum(each.cpu for each in willing) / spent
    able = "eligible or contested" if Eligible.CONTESTED in placement.eligible else "eligible"
    return (share, sum(each.cpu - each.ane for each in willing), able) if share >= NEARLY_ALL else None


RULES = RuleFamily(
    name="model-size",
    title="Sizes of models",
    not_decidable=(
        ("ANE-SZ-003", "the sum over all models that a process has loaded (3.75 GB on an M1) is not in one file"),
        ("ANE-SZ-004", "which other models are loaded while this one compiles is not in the file"),
        ("ANE-SZ-007", "into how many packages a model was cut, a single package does not tell"),
        ("ANE-SZ-008", "how many programs a process compiles or loads is not in the file"),
    ),
    rules=(
        PackageRule(
            code="ANE-SZ-001",
            name="too-large-for-iphone",
            summary="more than 1 GB of weights: too large for the engine of an iPhone",
            severity=Severity.ERROR,
            effect=Effect.OFF,
            evidence="A",
            confidence="H",
            scope=Scope(platforms=frozenset({"ios"})),
            why="""
                Apple: a model that is to run on the engine of an iPhone must not be larger than 1 GB; Stable Diffusion
                1.5, 1.72 GB in fp16, is cut in two for that.
            """,
            fix="Cut the model in two (ct.models.utils.bisect_model), or store weights in 6 bits and less.",
            source="coremltools docs-guides mlmodel-utilities.md:178; apple/ml-stable-diffusion README:552",
            find=_phone,
            fires="""
                x: fp16[1, 10000, 1, 64]
                for _ in range(6):
                    x: fp16[1, 10000, 1, 64] = conv(x=x, weight=fp16[10000, 10000, 1, 1])
                return x
            """,
            silent="""
                x: fp16[1, 10000, 1, 64]
                for _ in range(5):
                    x: fp16[1, 10000, 1, 64] = conv(x=x, weight=fp16[10000, 10000, 1, 1])
                return x
            """,
        ),
        PackageRule(
            code="ANE-SZ-002",
            name="too-large-for-mac",
            summary="more weights than any package that was seen on the engine of a Mac",
            severity=Severity.WARNING,
            effect=Effect.DOUBT,
            evidence="B",
            confidence="M",
            scope=Scope(platforms=frozenset({"macos"})),
            why="""
                On an M4 Max packages of 1.9 and 2.0158 GB ran on the engine as a whole; one of 2.3 GB compiled and was
                then placed on the CPU, all of it.
            """,
            fix="Cut the model into packages of at most 1 GB.",
            source="videlalvaro/ane-book journal 055",
            find=_mac,
            fires="""
                x: fp16[1, 10000, 1, 64]
                for _ in range(11):
                    x: fp16[1, 10000, 1, 64] = conv(x=x, weight=fp16[10000, 10000, 1, 1])
                return x
            """,
            silent="""
                x: fp16[1, 10000, 1, 64]
                for _ in range(10):
                    x: fp16[1, 10000, 1, 64] = conv(x=x, weight=fp16[10000, 10000, 1, 1])
                return x
            """,
        ),
        PlacementRule(
            code="ANE-SZ-005",
            name="too-little-work",
            summary="a function is eligible, but saves less than a launch costs: the most common silent fallback",
            severity=Severity.WARNING,
            evidence="B",
            confidence="H",
            why="""
                Core ML weighs the engine against the CPU and charges 125 µs for a launch and 125 µs for copying the
                outputs. A function that saves less stays on the CPU without a word: the most common reason why a model
                of supported ops is not on the engine. Encoders of 2 layers, decoders of 3 to 29 MB and a 4x4 matmul
                were seen there. The estimates are an M4's with macOS 27.0.1.
            """,
            fix="Join functions that run one after another, do more steps or a larger batch a call, or leave it there.",
            source=(
                "751K/Apple-Neural-Engine-Microarchitecture-Study-M6 coreml_dispatch.md section 2.3 (440 of 482 "
                "placements reproduced); LuuOW/meridian-mcp mlcore/ane_encoder/README.md; FluidAudio ANE_Profiler.md; "
                "videlalvaro/ane-book experiment 27"
            ),
            find=_not_worth_it,
            fires="""
                x: fp16[1, 64, 32, 32]
                y: fp16[1, 64, 32, 32] = conv(x=x, weight=fp16[64, 64, 3, 3], pad_type="same")
                z: fp16[1, 64, 32, 32] = conv(x=y, weight=fp16[64, 64, 3, 3], pad_type="same")
                return z
            """,
            silent="""
                x: fp16[1, 64, 32, 32]
                for _ in range(3):
                    x: fp16[1, 64, 32, 32] = conv(x=x, weight=fp16[64, 64, 3, 3], pad_type="same")
                return x
            """,
        ),
        PlacementRule(
            code="ANE-SZ-005b",
            name="just-enough-work",
            summary="a function saves hardly more than a launch costs: too close to call",
            severity=Severity.INFO,
            evidence="B",
            confidence="M",
            why="""
                The charges are known (125 µs for a launch, 125 µs for copying outputs), and so are an M4's estimates
                with macOS 27.0.1: within 3 % there it is too close to call. For other chips nothing was published, so
                it is called too close within a factor of two. Some estimates, such as those of linear layers that
                aren't square, rest on one size alone, and may be off by more.
            """,
            fix="Look at the plan on the device (MLComputePlan).",
            source="751K/Apple-Neural-Engine-Microarchitecture-Study-M6 coreml_dispatch.md section 2.3",
            find=_just_worth_it,
            fires="""
                x: fp16[1, 64, 32, 32]
                for _ in range(5):
                    x: fp16[1, 64, 32, 32] = conv(x=x, weight=fp16[64, 64, 3, 3], pad_type="same")
                return x
            """,
            silent="""
                x: fp16[1, 64, 32, 32]
                for _ in range(6):
                    x: fp16[1, 64, 32, 32] = conv(x=x, weight=fp16[64, 64, 3, 3], pad_type="same")
                return x
            """,
        ),
        PackageRule(
            code="ANE-SZ-006",
            name="small-package",
            summary="less than 5 MB of weights: too little to tell by, the estimate counts",
            severity=Severity.INFO,
            evidence="B",
            confidence="L",
            why="""
                Rules of thumb ask for 14 or 50 MB. Packages of 0.03 and 0.8 MB were on the CPU, but so was one of
                23 MB, and others of 5.3 and 7 MB were on the engine: megabytes stand in badly for the work saved.
            """,
            fix="Go by the estimated saving, not by the size.",
            source=(
                "videlalvaro/ane-book experiments 27 and 30; FluidAudio ANE_Profiler.md; LuuOW/meridian-mcp "
                "mlcore/ane_encoder/README.md"
            ),
            sides=Sides(
                stays="ane-book experiment 30: shards of 5.3 MB on the engine; FluidAudio: a decoder of 7 MB, 100 %",
                leaves="ane-book experiment 27: a shard of 0.03 MB, 0 of 47; LuuOW: an encoder of 0.8 MB, 0 %",
            ),
            find=_small,
            fires="""
                x: fp16[1, 1000, 1, 64]
                for _ in range(2):
                    x: fp16[1, 1000, 1, 64] = conv(x=x, weight=fp16[1000, 1000, 1, 1])
                return x
            """,
            silent="""
                x: fp16[1, 1000, 1, 64]
                for _ in range(3):
                    x: fp16[1, 1000, 1, 64] = conv(x=x, weight=fp16[1000, 1000, 1, 1])
                return x
            """,
        ),
        PackageRule(
            code="ANE-SZ-009",
            name="large-package",
            summary="more than 1 GB of weights in one package",
            severity=Severity.WARNING,
            effect=Effect.DOUBT,
            evidence="B",
            confidence="M",
            scope=Scope(platforms=frozenset({"macos"})),
            why="""
                Packages above 1.4 GB were seen to go to the GPU in silence, one of 1.94 GB on a Mac; of 1.5 and 1.7 GB
                to stop with error -14 on an M4 Max where 828 MB ran. Others of 1.5 to 2.016 GB are on the engine of an
                M4 Max as a whole. No size above 1 GB is safe.
            """,
            fix="Cut the model into packages of at most 1 GB.",
            source=(
                "john-rocky/CoreML-LLM DECODE_STATE_LAYOUTS.md:45-57; videlalvaro/ane-book "
                "research/ANE_SCALING_FINDINGS.md and journal 055"
            ),
            sides=Sides(
                stays="ane-book journal 055: 1.5, 1.9 and 2.016 GB with states, 100 % on the engine of an M4 Max",
                leaves=(
                    "CoreML-LLM: 0 % of 1.94 GB on a Mac; ane-book scaling findings: error -14 for 1.5 and 1.7 GB on "
                    "an M4 Max"
                ),
            ),
            find=_large,
            fires="""
                x: fp16[1, 10000, 1, 64]
                for _ in range(6):
                    x: fp16[1, 10000, 1, 64] = conv(x=x, weight=fp16[10000, 10000, 1, 1])
                return x
            """,
            silent="""
                x: fp16[1, 10000, 1, 64]
                for _ in range(5):
                    x: fp16[1, 10000, 1, 64] = conv(x=x, weight=fp16[10000, 10000, 1, 1])
                return x
            """,
        ),
    ),
)
