"""Writes a Swift package beside the Core ML packages of a build."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from mctc.driver.manifest import read_manifest
from mctc.runtime.built import open_built
from mctc.targets.swift.check import checked
from mctc.targets.swift.description import Json, described
from mctc.targets.swift.errors import SwiftError
from mctc.targets.swift.names import Names

HERE = Path(__file__).parent
RUNTIME, TEMPLATES = HERE / "runtime", HERE / "templates"
MODEL = "Model"  # the folder of what the package carries: a copied one, whose models Xcode makes no classes of
SUFFIX = ".mlpackage"
TOOLS = {
    "features": ("readme_features.txt", "Encode.swift"),
    "embedding": ("readme_embedding.txt", "Encode.swift"),
    "sound": ("readme_sound.txt", "Filter.swift"),
}
"""README and command-line tool of the kinds of models that make no text."""


def write_package(folder: Path) -> Sequence[str]:
    """Writes the package into a build's folder, under its module's name, which it returns. Raises SwiftError."""
    manifest = read_manifest(folder)
    artifacts = sorted({str(function["package"]) for function in manifest["functions"].values()})
    if not all(artifact.endswith(SUFFIX) for artifact in artifacts):
        raise SwiftError("a Swift package takes Core ML packages", hint="build with --target ane, or --target swift")
    names = Names.of(str(manifest["model"]))
    if (folder / names.module).exists():
        raise SwiftError(f"{folder} has a {names.module} already", hint="give the model another name")
    told = described(folder)
    for path, text in texts(names, str(told["kind"])).items():
        written = folder / names.module / path
        written.parent.mkdir(parents=True, exist_ok=True)
        written.write_text(text, encoding="utf-8")
    model = folder / names.module / "Sources" / names.module / MODEL
    model.mkdir()
    (model / "model.json").write_text(as_text(told), encoding="utf-8")
    check = folder / names.module / f"Tests/{names.module}Tests/check.json"
    check.write_text(json.dumps(checked(open_built(folder).front_end)) + "\n", encoding="utf-8")
    tables = {port["rows"] for function in told["functions"].values() for port in function["inputs"] if port["rows"]}
    for artifact in [*artifacts, *sorted(tables)]:
        _linked(folder / artifact, model / artifact)
    return (names.module,)


def texts(names: Names, kind: str) -> dict[str, str]:
    """Every text of the package of a kind of model, as model.json has it, by its path in it."""
    library, tool = f"Sources/{names.module}", f"Sources/{names.product}"
    places = {
        "Package.swift": "Package.swift",
        "swift-format.json": ".swift-format",
        "Documentation.md": f"{library}/{names.module}.docc/{names.module}.md",
        "WaveFile.swift": f"{tool}/WaveFile.swift",
        "RuntimeTests.swift": f"Tests/{names.module}Tests/RuntimeTests.swift",
    }
    readme, program = TOOLS.get(kind, ("readme.txt", "Transcribe.swift"))
    places |= {readme: "README.md", program: f"{tool}/{program}"}
    if kind not in TOOLS:
        places |= {"CaptionsApp.swift": "App/CaptionsApp.swift"}
    filled = {place: names.filled((TEMPLATES / name).read_text(encoding="utf-8")) for name, place in places.items()}
    runtime = {f"{library}/{path.name}": path.read_text(encoding="utf-8") for path in sorted(RUNTIME.glob("*.swift"))}
    return {**filled, **runtime}


def as_text(description: Json) -> str:
    """model.json: a line for each entry, numbers of one list in one line."""
    parts = [f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in description.items()]
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _linked(source: Path, place: Path) -> None:
    """A file or folder at a second place, by hard links where the disk has them: weights take no more room."""
    if source.is_file():
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source, place)
        except OSError:
            shutil.copyfile(source, place)
        return
    for each in sorted(source.rglob("*")):
        if each.is_file():
            _linked(each, place / each.relative_to(source))
