"""An emitted package laid out to be compiled here, and its programs."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.targets.swift.toolchain import HERE, Toolchain, environment, lay_out

PROOF = """
package.targets.append(.executableTarget(name: "proof", dependencies: {modules}, path: "Proof"))
"""
LIMIT_S = 300  # of a program


@dataclass(frozen=True)
class Workspace:
    """folder: of the package. module, product: its names. model: the folder of its model as it was built. optimised:
    whether its programs are. scratch: where they are compiled; workspaces that share one compile the stand-ins once.
    limit_s: of a program. variables: of the environment of its programs."""

    toolchain: Toolchain
    folder: Path
    module: str
    product: str
    model: Path
    scratch: Path
    optimised: bool = False
    limit_s: int = LIMIT_S
    variables: Mapping[str, str] = field(default_factory=dict)

    def build(self, product: str, warnings: bool = False) -> None:
        """Compiles a program. Raises AssertionError where that fails or, unless `warnings` are allowed, where the
        compiler warns of anything."""
        done = self.toolchain.build(*self._options, "--product", product, at=self.folder)
        warned = [line for line in (done.stdout + done.stderr).splitlines() if "warning:" in line]
        assert warnings or not warned, warned

    def run(
        self, product: str, *words: str, variables: Mapping[str, str] | None = None, errors: bool = False
    ) -> str:  # fmt: skip
        """What a program prints, on standard error too with `errors`. Raises AssertionError where it fails."""
        binary = (self.scratch / "release" / product).resolve()
        command = [*self.toolchain.program(binary), *words]
        variables = {**environment(), **self.variables, **(variables or {})}
        try:
            done = subprocess.run(
                command, env=variables, text=True, capture_output=True, check=False, timeout=self.limit_s
            )
        except subprocess.TimeoutExpired as error:
            raise AssertionError(f"{product} {' '.join(words)} does not end within {self.limit_s} s") from error
        assert done.returncode == 0, f"{product} {' '.join(words)}\n{done.stderr[-2000:]}"
        return done.stdout + (done.stderr if errors else "")

    def test(self) -> None:
        """Runs the package's own tests. Raises AssertionError where one fails."""
        temporary = self.folder / "Temporary"  # what an earlier run has left elsewhere is of a package that is gone
        temporary.mkdir(exist_ok=True)
        variables = {**environment(), "TMPDIR": str(temporary)}
        if self.toolchain.root is None:
            self.toolchain.run("swift", "test", *self._options, at=self.folder, variables=variables)
            return
        # The test program runs outside of the toolchain's folder, where the evaluator is.
        self.toolchain.build(*self._options, "--build-tests", at=self.folder)
        bundle = (self.scratch / "release" / f"{self.module}PackageTests.xctest").resolve()
        variables |= {"PACKAGE_FOLDER": str(self.folder)}
        told = self.run(bundle.name, "--testing-library", "swift-testing", variables=variables, errors=True)
        assert "Test run with" in told

    @property
    def _options(self) -> list[str]:
        """Modules are compiled whole, which takes half the time of a debug build even where nothing is optimised."""
        scratch = self.toolchain.inside(self.scratch)
        return ["-c", "release", "--scratch-path", scratch, *(() if self.optimised else ("-Xswiftc", "-Onone"))]

    def transcribe(self, recordings: Sequence[Path], cache: Path, *options: str) -> list[dict[str, Any]]:
        """What the emitted tool hears in recordings: a record for each."""
        given = ["--json", "--model", str(self.model), "--cache", str(cache), *options, *map(str, recordings)]
        return [json.loads(line) for line in self.run(self.product, *given).splitlines()]


def prepare(
    toolchain: Toolchain, built: Path, place: Path, optimised: bool = False, limit_s: int = LIMIT_S
) -> Workspace:  # fmt: skip
    """The package of a build, laid out in `place`."""
    package = package_of(built)
    return replace(_workspace(toolchain, package, lay_out(package, place), place, optimised), limit_s=limit_s)


def prepare_proof(
    toolchain: Toolchain, built: Path, beside: Path, place: Path, optimised: bool = False
) -> Workspace:  # fmt: skip
    """The same with the proof's program, which has the package of the build `beside` too."""
    package, other = package_of(built), package_of(beside)
    more = PROOF.format(modules=json.dumps([package.name, other.name]))
    folder = lay_out(package, place, other, more=more)
    (folder / "Proof").mkdir()
    for source in (HERE / "proof").glob("*.swift"):
        text = source.read_text(encoding="utf-8").replace("__MODULE__", package.name)
        (folder / "Proof" / source.name).write_text(text.replace("__BESIDE__", other.name), encoding="utf-8")
    return _workspace(toolchain, package, folder, place, optimised)


def package_of(built: Path) -> Path:
    """The folder of the Swift package of a build."""
    (package,) = (path.parent for path in built.glob("*/Package.swift"))
    return package


def model_of(built: Path) -> Path:
    """The folder of its model."""
    package = package_of(built)
    return package / "Sources" / package.name / "Model"


def _workspace(
    toolchain: Toolchain, package: Path, folder: Path, place: Path, optimised: bool = False
) -> Workspace:  # fmt: skip
    module = package.name
    (tool,) = (path.name for path in (package / "Sources").iterdir() if path.name != module)
    model = package / "Sources" / module / "Model"
    return Workspace(toolchain, folder, module, tool, model, place / "build", optimised)
