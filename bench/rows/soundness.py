"""Sound specs that are called unproven: every shipped spec and every constant of one digit, by ten seeds each."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.reduced import SIZES
from bench.row import Row
from bench.setting import Setting

SEEDS = range(10)
RUNTIMES = ("torch", "onnx")  # besides the package's own evaluator; Core AI's runtime takes minutes a program
CONSTANT = """model constant(width = 8) {{
    dim B: batch
    dim T: time @ 100 Hz
    component encoder(x: f32[B, T, width]) -> f32[B, T, width] {{
        return {constant} * linear(x, width) + {constant}
    }}
    stream {{ chunk = 80 ms }}
}}
"""


@dataclass(frozen=True)
class Case:
    """A spec at a size and a seed. plugins: files that it stands on."""

    name: str
    spec: Path
    seed: int
    defines: Mapping[str, Any] = field(default_factory=dict)
    plugins: tuple[Path, ...] = ()


def rows(setting: Setting) -> list[Row]:
    """Needs the extras onnx and train."""
    made = list(cases(setting))
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        outcomes = list(pool.map(prove, made))
    unproven = [f"{case.name} at seed {case.seed}: {told}" for case, told in zip(made, outcomes) if told]
    specs = len({case.name for case in made})
    return [
        Row(
            "sound specs called unproven by build or verify: every spec of spec/ (reduced) and examples/, every "
            f"constant 0.1 ... 0.9, {len(SEEDS)} seeds each",
            "0",
            f"{len(unproven)} of {len(made)}",
            not unproven,
            "; ".join([f"{specs} specs; runtimes: the package's evaluator, {', '.join(RUNTIMES)}", *unproven[:9]]),
        )
    ]


def cases(setting: Setting) -> Iterator[Case]:
    """Every spec with every seed."""
    found = [(path, SIZES[path.stem]) for path in sorted((setting.root / "spec").glob("*.mct"))]
    found += [(path, {}) for path in sorted((setting.root / "examples").glob("*/*.mct"))]
    for tenth in range(1, 10):
        path = setting.work / f"constant_0_{tenth}.mct"
        path.write_text(CONSTANT.format(constant=f"0.{tenth}"), encoding="utf-8")
        found.append((path, {}))
    for path, defines in found:
        plugins = tuple(sorted(path.parent.glob("*.py"))) if "examples" in path.parts else ()
        yield from (Case(path.stem, path, seed, defines, plugins) for seed in SEEDS)


def prove(case: Case) -> str | None:
    """Why a case is not proven, or None where it is."""
    from mctc.diagnostics.errors import MctcError
    from mctc.driver import BuildOptions, build
    from mctc.plugins import load_file
    from mctc.proof.proof import Proof

    for plugin in case.plugins:
        load_file(plugin)
    with TemporaryDirectory(prefix="mctc-soundness-") as folder:
        built = Path(folder) / "built"
        try:
            build(case.spec, built, BuildOptions(seed=case.seed, defines=dict(case.defines)))
            failed = [check for check in Proof(built, runtimes=RUNTIMES).checks() if check.ok is False]
        except MctcError as error:
            return str(error)
    return "; ".join(f"{check.name}, {check.component}: {check.measured}" for check in failed) or None
