"""Swift for the tests that need it: on PATH, or in a folder of Debian's packages that `.ci/swift-toolchain` made.

A workspace is an emitted package with the stand-ins for Apple's frameworks beside it, where those are not.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
STAND_INS = HERE / "stand_ins"
SERVER = HERE / "core_ml_server.py"
FOLDER = "MCTC_SWIFT_TOOLCHAIN"  # the variable that names the folder
JOBS = ("-j", "1")
FRAMEWORKS = ("Accelerate", "AVFoundation", "CoreML")

DECLARED = """
#if os(Linux)
for name in {names} {{
    package.targets.append(.target(name: name, path: "StandIns/\\(name)", swiftSettings: [.swiftLanguageMode(.v5)]))
}}
for target in package.targets where target.name == "{module}" {{
    target.dependencies += {dependencies}
}}
#endif
"""


@dataclass(frozen=True)
class Toolchain:
    """root: the folder in which Swift is installed; None where `swift` is on PATH."""

    root: Path | None

    def command(self, *words: str, at: Path) -> list[str]:
        """What runs a tool of the toolchain in a folder."""
        if self.root is None:
            return ["env", "-C", str(at), *words]
        inside = "/" + at.relative_to(self.root).as_posix()
        return ["chroot", str(self.root), "/usr/bin/env", "-C", inside, *words]

    def run(self, *words: str, at: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Runs a tool. Raises AssertionError with what it said where it fails."""
        done = subprocess.run(self.command(*words, at=at), text=True, capture_output=True, check=False)
        assert not check or done.returncode == 0, f"{' '.join(words)}\n{done.stdout[-8000:]}\n{done.stderr[-4000:]}"
        return done

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
    return {**os.environ, "MCTC_CORE_ML": f"{sys.executable}\t{SERVER}", "HOME": os.environ.get("HOME", "/root")}


def lay_out(package: Path, place: Path, module: str, more: str = "") -> Path:
    """A copy of an emitted package, with the stand-ins beside it and in its manifest where Apple's frameworks are not.

    more: text behind its manifest.
    """
    workspace = place / package.name
    shutil.copytree(package, workspace, copy_function=_linked)
    manifest = workspace / "Package.swift"
    text = manifest.read_text(encoding="utf-8")
    if sys.platform.startswith("linux"):
        for name in FRAMEWORKS:
            shutil.copytree(STAND_INS / name, workspace / "StandIns" / name)
        listed = "[" + ", ".join(f'"{name}"' for name in FRAMEWORKS) + "]"
        text += DECLARED.format(names=listed, dependencies=listed, module=module)
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
