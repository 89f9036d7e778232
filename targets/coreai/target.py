"""The target class that the registry finds under the name `coreai`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from mctc.driver.compiled import Compiled, Requirements
from mctc.driver.engine import Engine
from mctc.driver.options import BuildOptions
from mctc.driver.target import Load, Written
from mctc.emit.skeleton import Emitted, Job, Skeleton
from mctc.ir.program import Function, Program
from mctc.targets.coreai.errors import CoreAiError
from mctc.targets.coreai.library import require_coreai


class CoreAiTarget(Skeleton):
    """Core AI assets (.aimodel), for iOS 27 and macOS 27 on."""

    name: ClassVar[str] = "coreai"
    raises = CoreAiError
    requirements: ClassVar[Requirements] = Requirements(stack="coreai")
    forms = {"state": ("io", "packed", "separate"), "layout": ("single",), "precision": ("fp16", "fp32")}
    suffix: ClassVar[str | None] = ".aimodel"
    runtime: ClassVar[str | None] = "Core AI runtime"
    cross_checks: ClassVar[bool] = True
    own_threads: ClassVar[bool] = True
    judge: ClassVar[str] = "the Neural Engine's rule set"
    verdict: ClassVar[str] = "neural_engine.json"

    def write_artifact(self, job: Job, program: Program, functions: Sequence[Function], path: Path) -> Emitted:
        """Writes an asset. Raises CoreAiError, and RuntimeMissingError where coreai is missing."""
        require_coreai()
        from mctc.targets.coreai.asset import write_asset

        return write_asset(job, program, functions, path)

    def report(self, compiled: Compiled, folder: Path, options: BuildOptions, written: Written) -> Sequence[str]:
        """Writes neural_engine.json; returns what the Neural Engine's rules call errors. An asset in fp32 is for
        comparing: it is held to none."""
        if options.precision == "fp32":
            return ()
        from mctc.targets.coreai.neural_engine.report import write_report

        (artifact,) = written.artifacts
        return write_report(folder / artifact, folder)

    def summary(self, folder: Path) -> Sequence[str]:
        """How many errors, warnings and remarks the Neural Engine's rules have."""
        path = folder / self.verdict
        if not path.is_file():
            return ()
        findings = json.loads(path.read_text(encoding="utf-8"))["findings"]
        counts = Counter(finding["severity"] for finding in findings)
        told = ", ".join(f"{count} {severity}{'s' * (count != 1)}" for severity, count in counts.items())
        return (f"rules of the Neural Engine: {told or 'nothing found'} ({self.verdict})",)

    def engine(self, artifact: Path, precision: str, load: Load | None = None) -> Engine:
        """coreai's runtime, in the precision that the asset was built in. Raises CoreAiError for an asset that it can't
        run, RuntimeMissingError where coreai is missing."""
        require_coreai()
        from mctc.targets.coreai.engine import CoreAiEngine

        return CoreAiEngine(artifact, precision)
