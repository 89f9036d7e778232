"""The target class that the registry finds under the name `coreai`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from mctc.driver.compile import Compiled, Wants
from mctc.driver.device_refusals import sequences_of_rows
from mctc.driver.engine import Engine
from mctc.driver.options import BuildOptions
from mctc.driver.refusal import Refusal
from mctc.driver.target import Agreement, Load, Target, Written
from mctc.targets.coreai.library import require_coreai

if TYPE_CHECKING:
    from mctc.weights import Weights


class CoreAiTarget(Target):
    """Core AI assets (.aimodel), for iOS 27 and macOS 27 on."""

    name: ClassVar[str] = "coreai"
    wants: ClassVar[Wants] = Wants(stack="coreai")
    forms = {"state": ("io", "packed", "separate"), "layout": ("single",), "precision": ("fp16", "fp32")}
    suffix: ClassVar[str | None] = ".aimodel"
    runtime: ClassVar[str | None] = "Core AI runtime"
    witness: ClassVar[bool] = True
    judge: ClassVar[str] = "the Neural Engine's rule set"
    verdict: ClassVar[str] = "neural_engine.json"

    def refuses(self, compiled: Compiled, options: BuildOptions) -> Iterator[Refusal]:
        """Ports that clash, sequences that are no rows."""
        yield from super().refuses(compiled, options)
        yield from sequences_of_rows(compiled.deployed)

    def write(
        self, compiled: Compiled, weights: Weights, folder: Path, options: BuildOptions, metadata: Mapping[str, str]
    ) -> Written:
        """Writes one asset of all functions. Raises CoreAiError, and RuntimeMissingError where coreai is missing."""
        require_coreai()
        from mctc.targets.coreai.asset import write_asset

        return write_asset(
            compiled.deployed,
            weights,
            folder,
            states_as_io=options.state == "io",
            precision=options.precision or "fp16",
            metadata=metadata,
        )

    def check(
        self, compiled: Compiled, weights: Weights, folder: Path, options: BuildOptions, written: Written
    ) -> list[Agreement]:
        """Runs every function in coreai's runtime. Raises CoreAiError where one disagrees with its program."""
        from mctc.targets.coreai.readback import check_asset

        return check_asset(compiled.deployed, weights, folder, written, precision=options.precision or "fp16")

    def report(self, compiled: Compiled, folder: Path, options: BuildOptions, written: Written) -> Sequence[str]:
        """Writes neural_engine.json; returns what the Neural Engine's rules call errors. An asset in fp32 is for
        comparing: it is held to none."""
        if options.precision == "fp32":
            return ()
        from mctc.targets.coreai.neural_engine.report import write_report

        (artifact,) = written.artifacts
        return write_report(folder / artifact, folder)

    def engine(self, artifact: Path, precision: str, load: Load | None = None) -> Engine:
        """coreai's runtime, in the precision that the asset was built in. Raises CoreAiError for an asset that it can't
        run, RuntimeMissingError where coreai is missing."""
        require_coreai()
        from mctc.targets.coreai.engine import CoreAiEngine

        return CoreAiEngine(artifact, precision)
