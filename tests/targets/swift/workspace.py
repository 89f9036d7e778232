"""An emitted package laid out to be compiled here, and its programs."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.targets.swift.toolchain import HERE, JOBS, Toolchain, environment, lay_out

PROOF = """
package.targets.append(.executableTarget(name: "proof", dependencies: ["{module}"], path: "Proof"))
"""
LIMIT_S = 600  # of a program


@dataclass(frozen=True)
class Workspace:
    """folder: of the package. module, product: its names. model: the folder of its model as it was built. variables:
    of the environment of its programs."""

    toolchain: Toolchain
    folder: Path
    module: str
    product: str
    model: Path
    configuration: str = "debug"
    variables: Mapping[str, str] = field(default_factory=dict)

    def build(self, product: str, warnings: bool = False) -> None:
        """Compiles a program. Raises AssertionError where that fails or, unless `warnings` are allowed, where the
        compiler warns of anything."""
        words = ("swift", "build", "-c", self.configuration, *JOBS, "--product", product)
        done = self.toolchain.run(*words, at=self.folder)
        warned = [line for line in (done.stdout + done.stderr).splitlines() if "warning:" in line]
        assert warnings or not warned, warned

    def run(
        self, product: str, *words: str, variables: Mapping[str, str] | None = None, errors: bool = False
    ) -> str:  # fmt: skip
        """What a program prints, on standard error too with `errors`. Raises AssertionError where it fails."""
        binary = (self.folder / ".build" / self.configuration / product).resolve()
        command = [*self.toolchain.program(binary), *words]
        variables = {**environment(), **self.variables, **(variables or {})}
        done = subprocess.run(command, env=variables, text=True, capture_output=True, check=False, timeout=LIMIT_S)
        assert done.returncode == 0, f"{product} {' '.join(words)}\n{done.stderr[-2000:]}"
        return done.stdout + (done.stderr if errors else "")

    def transcribe(self, recordings: Sequence[Path], cache: Path, *options: str) -> list[dict[str, Any]]:
        """What the emitted tool hears in recordings: a record for each."""
        given = ["--json", "--model", str(self.model), "--cache", str(cache), *options, *map(str, recordings)]
        return [json.loads(line) for line in self.run(self.product, *given).splitlines()]


def prepare(toolchain: Toolchain, built: Path, place: Path, configuration: str = "debug") -> Workspace:
    """The package of a build, laid out in `place`."""
    (package,) = (path.parent for path in built.glob("*/Package.swift"))
    module = package.name
    folder = lay_out(package, place, module, PROOF.format(module=module))
    proof = folder / "Proof/Proof.swift"
    proof.parent.mkdir()
    proof.write_text((HERE / "proof/Proof.swift").read_text(encoding="utf-8").replace("__MODULE__", module), "utf-8")
    (tool,) = (path.name for path in (package / "Sources").iterdir() if path.name != module)
    return Workspace(toolchain, folder, module, tool, package / "Sources" / module / "Model", configuration)
