"""What is felt while working: a step in the evaluator, a recording through a build, the proof, and large builds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from shutil import rmtree
from time import process_time
from typing import Any

import numpy as np

from bench.growth import AXES, costs, slope
from bench.process import Command, alternate, cpu, spread
from bench.row import Row
from bench.setting import Setting
from mctc.audio import bundled_recording, load_audio
from mctc.ir.op import Array
from mctc.proof.proof import Proof
from mctc.runtime.built import open_built
from mctc.runtime.step import Packages, Step

STEP, FACTOR, LARGE, SLOPE = 4.0, 0.06, 2.0, 1.1
MILLIONS = {"whisper_small": 242, "parakeet_ctc": 609, "qwen3_asr_0_6b": 782}
"""Large specs, and how many million parameters each has."""
PEAK = 1.2e9  # bytes
PLAIN = """
import sys
import numpy as np
generator = np.random.default_rng(0)
for _ in range(int(sys.argv[1])):
    weights = generator.random((1024, 1024), np.float32)
    scale = np.abs(weights).max(axis=1, keepdims=True) / 127
    codes = np.rint(weights / scale).astype(np.int8)
    with open(sys.argv[2], "ab") as file:
        file.write(codes.tobytes())
"""
"""So many million parameters drawn, quantised to int8 and written, by numpy alone."""


def rows(setting: Setting) -> list[Row]:
    """Needs onnxruntime; other runtimes are asked where they are installed."""
    return [_step(setting), _run(setting), _proof(setting)]


def large(setting: Setting) -> list[Row]:
    """Builds of the large specs, each against numpy's time for as many parameters."""
    return [_large(setting, spec, millions) for spec, millions in MILLIONS.items()]


def _large(setting: Setting, name: str, millions: int) -> Row:
    spec, out, file = setting.root / "spec" / f"{name}.mct", setting.work / name, setting.work / "plain.bin"
    built = setting.run([setting.mctc, "build", spec, "-o", out])
    rmtree(out)
    plain = setting.run([setting.python, "-c", PLAIN, str(millions), file])
    file.unlink()
    ratio = built.cpu / plain.cpu
    what = f"build of {name}, CPU time against drawing, quantising and writing as many numbers in numpy; peak memory"
    return Row(
        what,
        f"≤ {LARGE:g}x; ≤ {PEAK / 1e9:g} GB",
        f"{ratio:.1f}x; {built.peak / 1e9:.2f} GB",
        ratio <= LARGE and built.peak <= PEAK,
        f"{built.cpu:.1f} s against {plain.cpu:.1f} s",
    )


def growth(setting: Setting) -> list[Row]:
    """The power with which the CPU time of a build grows along each axis of `bench.growth`."""
    found = {axis.name: list(costs(setting, axis)) for axis in AXES}
    fixed = min(each[0].seconds for each in found.values()) / 2
    slopes = {axis.name: slope(found[axis.name], fixed) / axis.power for axis in AXES}
    told = "; ".join(f"{name}: " + ", ".join(f"{c.value:,} {c.seconds:.1f} s" for c in f) for name, f in found.items())
    return [
        Row(
            "CPU time of a build as a power of the work that grows: " + " / ".join(slopes),
            f"≤ {SLOPE:g}",
            " / ".join(f"{each:.2f}" for each in slopes.values()),
            all(each <= SLOPE for each in slopes.values()),
            told,
        )
    ]


def _step(setting: Setting) -> Row:
    other = _built(setting, "onnx")
    sides = {
        "the fp16 evaluator": Packages(open_built(setting.built)).step("encoder"),
        "onnxruntime": Packages(open_built(other)).step("encoder"),
    }
    runs = {name: _stepping(step) for name, step in sides.items()}
    times = {name: [_taken(run) for _ in range(20 * setting.pairs)] for name, run in runs.items()}
    ours, theirs = (min(each) for each in times.values())
    what = "a step of mct_small's encoder, CPU time: the fp16 evaluator against onnxruntime in fp32"
    note = f"{1000 * ours:.1f} ms against {1000 * theirs:.1f} ms, the least of {20 * setting.pairs} steps each"
    return Row(what, f"≤ {STEP:g}x", f"{ours / theirs:.1f}x", ours <= STEP * theirs, note)


def _stepping(step: Step) -> Callable[[], Any]:
    generator = np.random.default_rng(0)
    types = {port.spec: port.type for port in step.function.inputs}
    inputs: Mapping[str, Array] = {
        name: generator.standard_normal(prod(type_.shape)).reshape(type_.shape).astype(np.float32)
        for name, type_ in types.items()
    }
    step(inputs)
    return lambda: step(inputs)


def _taken(run: Callable[[], Any]) -> float:
    start = process_time()
    run()
    return process_time() - start


def _run(setting: Setting) -> Row:
    weights = setting.root / "spec" / "trained" / "mct_small.safetensors"
    tokens = setting.root / "spec" / "trained" / "pieces.model"
    built, recording = _built(setting, "onnx", "--weights", weights, "--tokens", tokens), bundled_recording()
    commands: dict[str, Command] = {
        "numpy": [setting.python, "-c", "import numpy"],
        "run": [setting.mctc, "run", built, recording],
    }
    runs = alternate(commands, setting.pairs, setting.work, setting.environment)
    factor = cpu(runs["run"]) / (len(load_audio(recording, 16_000)) / 16_000)
    what = (
        "`mctc run` of the onnx build of the shipped model over the bundled recording: real-time factor, whole process"
    )
    note = f"{spread(runs['run'])}; import of numpy {spread(runs['numpy'])}"
    return Row(what, f"≤ {FACTOR:g}", f"{factor:.3f}", factor <= FACTOR, note)


def _proof(setting: Setting) -> Row:
    """The thread that goes on while the Core AI runtime computes in its own: the wall time of two idle cores."""
    from time import thread_time

    start, own = process_time(), thread_time()
    checks = list(Proof(setting.built).checks())
    whole, here = process_time() - start, thread_time() - own
    asked = sorted({check.name.partition(",")[0] for check in checks if check.seconds is not None})
    what = "`mctc verify` of mct_small, all runtimes that are installed: CPU seconds of the main thread"
    note = f"{whole:.1f} s in all threads; asked: {', '.join(asked)}; failed: {sum(c.ok is False for c in checks)}"
    return Row(what, "≤ 15 s", f"{here:.1f} s", here <= 15, note)


def _built(setting: Setting, target: str, *arguments: Any) -> Any:
    folder = setting.work / f"{target}_{len(arguments)}"
    if not folder.exists():
        setting.run([setting.mctc, "build", setting.small, "--target", target, "-o", folder, *arguments])
    return folder
