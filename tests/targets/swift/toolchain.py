"""Swift for the tests that need it: on PATH, or in a folder of Debian's packages that `.ci/swift-toolchain` made.

A workspace is an emitted package with the stand-ins for Apple's frameworks beside it, where those are not.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
STAND_INS = HERE / "stand_ins"
SERVER = HERE / "core_ml_server.py"
FOLDER = "MCTC_SWIFT_TOOLCHAIN"  # the variable that names the folder
SANITIZER = "MCTC_SWIFT_SANITIZER"  # that which programs are compiled with, if any: `address` or `thread`
JOBS = ("-j", str(max(1, (os.cpu_count() or 1) // 2)))
FRAMEWORKS = ("Accelerate", "AVFoundation", "CoreML")
STAND_INS_PLACE = "stand-ins"  # the folder, and the package, of the stand-ins beside laid out packages

STAND_INS_MANIFEST = f"""// swift-tools-version: 6.0
import PackageDescription

let names = {json.dumps(FRAMEWORKS)}
let package = Package(
    name: "{STAND_INS_PLACE}",
    products: names.map {{ .library(name: $0, targets: [$0]) }},
    targets: names.map {{ .target(name: $0, swiftSettings: [.swiftLanguageMode(.v5)]) }}
)
"""
DECLARED = """
#if os(Linux)
package.dependencies.append(.package(path: "../{place}"))
for target in package.targets where {modules}.contains(target.name) {{
    target.dependencies += {names}.map {{ .product(name: $0, package: "{place}") }}
}}
#endif
for target in package.targets {{
    target.swiftSettings = [.unsafeFlags(["-strict-concurrency=complete"])]
}}
"""
BESIDE = """
package.targets.append(.target(name: "{module}", path: "Beside/{module}", resources: [.copy("Model")]))
"""
SUPPRESSED = HERE / "suppressed_leaks.txt"


@dataclass(frozen=True)
class Toolchain:
    """root: the folder in which Swift is installed; None where `swift` is on PATH."""

    root: Path | None

    def command(self, *words: str, at: Path) -> list[str]:
        """What runs a tool of the toolchain in a folder, which is the one that it is run in where Swift is on PATH."""
        if self.root is None:
            return list(words)
        return ["chroot", str(self.root), "/usr/bin/env", "-C", self.inside(at), *words]

    def inside(self, path: Path) -> str:
        """A path as the tools see it."""
        return str(path) if self.root is None else "/" + path.relative_to(self.root).as_posix()

    def run(
        self, *words: str, at: Path, check: bool = True, variables: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:  # fmt: skip
        """Runs a tool. variables: of its environment, the caller's if left out. Raises AssertionError with what it said
        where it fails."""
        command = self.command(*words, at=at)
        done = subprocess.run(command, cwd=at, env=variables, text=True, capture_output=True, check=False)
        assert not check or done.returncode == 0, f"{' '.join(words)}\n{done.stdout[-8000:]}\n{done.stderr[-4000:]}"
        return done

    def build(self, *words: str, at: Path) -> subprocess.CompletedProcess[str]:
        """Compiles, with the sanitizer that is asked for. Raises AssertionError where that fails."""
        sanitizer = os.environ.get(SANITIZER)
        return self.run("swift", "build", *JOBS, *(("--sanitize", sanitizer) if sanitizer else ()), *words, at=at)

    def workspace(self) -> Path:
        """An empty folder that the toolchain sees."""
        place = (Path("/tmp") if self.root is None else self.root / "scratch") / f"mctc-{uuid.uuid4().hex[:8]}"
        place.mkdir(parents=True)
        return place

    def program(self, binary: Path) -> list[str]:
        """What runs a program that the toolchain built, outside of its folder."""
        if self.root is None:
            return [str(binary)]
        found = (self.root / "usr/libexec/swift/lib/swift/linux", self.root / "usr/lib/x86_64-linux-gnu")
        loader = self.root / "usr/lib64/ld-linux-x86-64.so.2"
        return [str(loader), "--library-path", ":".join(map(str, found)), str(binary)]


def find_toolchain() -> Toolchain | None:
    """Swift 6 on PATH or in the folder that `MCTC_SWIFT_TOOLCHAIN` names; None where there is none."""
    folder = os.environ.get(FOLDER)
    if folder:
        return Toolchain(Path(folder))
    return Toolchain(None) if shutil.which("swift") else None


def environment() -> dict[str, str]:
    """The variables of a program whose CoreML is the stand-in."""
    sanitizers = {"LSAN_OPTIONS": f"suppressions={SUPPRESSED}", "TSAN_OPTIONS": "halt_on_error=1"}
    evaluator = {"MCTC_CORE_ML": f"{sys.executable}\t{SERVER}", "HOME": os.environ.get("HOME", "/root")}
    return {**os.environ, **sanitizers, **evaluator}


def lay_out(package: Path, place: Path, *beside: Path, more: str = "") -> Path:
    """A copy of an emitted package, with a package of stand-ins beside it where Apple's frameworks are not.

    beside: other emitted packages, whose modules it has too. more: text behind its manifest.
    """
    workspace = place / package.name
    shutil.copytree(package, workspace, copy_function=_linked)
    manifest = workspace / "Package.swift"
    text = manifest.read_text(encoding="utf-8")
    for other in beside:
        shutil.copytree(other / "Sources" / other.name, workspace / "Beside" / other.name, copy_function=_linked)
        text += BESIDE.format(module=other.name)
    modules = json.dumps([package.name, *(other.name for other in beside)])
    frameworks = place / STAND_INS_PLACE
    if sys.platform.startswith("linux") and not frameworks.exists():
        shutil.copytree(STAND_INS, frameworks / "Sources")
        (frameworks / "Package.swift").write_text(STAND_INS_MANIFEST, encoding="utf-8")
    text += DECLARED.format(names=json.dumps(FRAMEWORKS), modules=modules, place=STAND_INS_PLACE)
    manifest.unlink()
    manifest.write_text(text + more, encoding="utf-8")
    return workspace


def _linked(source: str, place: str) -> str:
    if source.endswith(".bin"):
        try:
            os.link(source, place)
            return place
        except OSError:
            pass
    return str(shutil.copyfile(source, place))
