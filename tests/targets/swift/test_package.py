"""What `--target swift` writes, as far as it takes no Swift: files, data, names, and the text as people review it."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mctc.audio.mel import MelConfig, analysis
from mctc.driver import BuildOptions, build
from mctc.driver.contents import check_unchanged
from mctc.proof.proof import Proof
from mctc.runtime.built import open_built
from mctc.targets.swift.errors import SwiftError
from mctc.targets.swift.names import Names
from mctc.targets.swift.package import RUNTIME, as_text, texts, write_package
from tests.targets.swift.builds import two_chunks
from tests.targets.swift.workspace import model_of

GOLDEN, LETTERS = (Path(__file__).with_name(name) for name in ("golden", "letters.txt"))
DEFINES = {"width": 32, "depth": 1, "vocab": 28}


@pytest.fixture(scope="module")
def packaged(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small transducer of letters, built for swift."""
    folder = tmp_path_factory.mktemp("swift") / "small"
    tokens = LETTERS
    build(root / "spec/mct_small.mct", folder, BuildOptions(target="swift", defines=DEFINES, tokens=tokens))
    return folder


@pytest.fixture(scope="module")
def model(packaged: Path) -> Any:
    return json.loads((packaged / "MctSmall/Sources/MctSmall/Model/model.json").read_text())


def test_the_runtime_is_copied_byte_for_byte(packaged: Path) -> None:
    sources = packaged / "MctSmall/Sources/MctSmall"
    for path in RUNTIME.glob("*.swift"):
        assert (sources / path.name).read_bytes() == path.read_bytes()
    assert {path.name for path in sources.glob("*.swift")} == {path.name for path in RUNTIME.glob("*.swift")}


def test_the_core_ml_package_lies_in_a_folder_that_is_copied(packaged: Path) -> None:
    assert 'resources: [.copy("Model")]' in (packaged / "MctSmall/Package.swift").read_text()
    first, second = packaged / "mct_small.mlpackage", packaged / "MctSmall/Sources/MctSmall/Model/mct_small.mlpackage"
    for path in (each for each in first.rglob("*") if each.is_file()):
        assert (second / path.relative_to(first)).samefile(path)


def test_a_build_knows_the_files_of_its_package(packaged: Path) -> None:
    built = open_built(packaged)
    assert built.manifest["extra_targets"]["swift"] == {"artifacts": ["MctSmall"]}
    assert "MctSmall/Package.swift" in built.manifest["files"]
    check_unchanged(packaged)


def test_the_model_is_described_as_the_manifest_has_it(packaged: Path, model: Any) -> None:
    built = open_built(packaged)
    assert (model["kind"], model["encoder"], model["predictor"], model["joiner"]) == (
        "transducer", "encoder", "predictor", "joiner",
    )  # fmt: skip
    assert (model["vocabulary"], model["blank"], model["streams"], model["trained"]) == (29, 0, True, False)
    joined = model["functions"]["joiner"]["outputs"][0]
    assert (joined["frameAxis"], joined["channelAxis"], joined["frames"]) == (3, 1, 8)
    assert built.tokens is not None
    assert [piece.encode() for piece in model["tokens"]["pieces"]] == list(built.tokens.pieces)


def test_window_and_filters_are_the_numbers_of_the_front_end(model: Any) -> None:
    window, filters = analysis(MelConfig())
    features = model["features"]
    assert features["windowWeights"] == window.tolist()
    power = np.random.default_rng(0).random((1, 257))
    energies = []
    for start, weights in zip(features["filterStarts"], features["filterWeights"]):
        energy = 0.0
        for tap, weight in enumerate(weights):
            energy += power[0, start + tap] * weight
        energies.append(energy)
    assert energies == filters.apply(power)[0].tolist()


def test_a_model_of_several_chunks_tells_which_functions_are_of_which(root: Path, tmp_path: Path) -> None:
    two_chunks((root / "tests/runtime/ahead.mct").read_text(encoding="utf-8"), tmp_path / "two")
    told = json.loads((model_of(tmp_path / "two") / "model.json").read_text())
    usual, other = told["chunks"]
    assert (usual, other["seconds"]) == ({"seconds": 0.16, "functions": {}}, 0.08)
    for name, called in other["functions"].items():
        first, second = (told["functions"][each]["inputs"] for each in (name, called))
        assert [2 * (port["frames"] or 0) for port in second] == [port["frames"] or 0 for port in first]
    assert "encoder" in other["functions"]


def test_with_swift_packages_a_build_for_the_neural_engine(root: Path, packaged: Path, tmp_path: Path) -> None:
    tokens = LETTERS
    options = BuildOptions(defines=DEFINES, tokens=tokens, packaged=("swift",))
    build(root / "spec/mct_small.mct", tmp_path / "ane", options)
    for path in (each for each in (packaged / "MctSmall").rglob("*") if each.is_file()):
        assert (tmp_path / "ane/MctSmall" / path.relative_to(packaged / "MctSmall")).read_bytes() == path.read_bytes()


def test_its_core_ml_package_is_executed_as_the_neural_engine_does(packaged: Path) -> None:
    proof = Proof(packaged, None, [], engines=["engine"])
    assert [str(each) for each in proof.engines] == ["engine:h18"]


def test_a_build_without_core_ml_packages_is_refused(tmp_path: Path, small: Path) -> None:
    manifest = json.loads((small / "manifest.json").read_text())
    for function in manifest["functions"].values():
        function["package"] = "model.onnx"
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(SwiftError, match="takes Core ML packages"):
        write_package(tmp_path)


@pytest.mark.parametrize(
    ("name", "module", "product"),
    [
        ("mct_small", "MctSmall", "mct-small"),
        ("whisper", "Whisper", "whisper-cli"),
        ("_", "Recognizer", "recognizer-cli"),
        ("speech", "ModelSpeech", "speech"),
        ("training", "ModelTraining", "training"),
        ("core_ML", "ModelCoreML", "core-ml"),
        ("_2x", "Model2x", "2x"),
    ],
)
def test_names_are_those_of_swift(name: str, module: str, product: str) -> None:
    assert Names.of(name) == Names(module, product)
    assert module.lower() != product.lower(), "one folder on a disk that ignores case"


def test_the_text_is_what_was_reviewed(packaged: Path, model: Any) -> None:
    """The package's manifest, and the data but for long lists of numbers and the build's own digest."""
    numbers = ("windowWeights", "filterStarts", "filterWeights")
    features = {key: value if key not in numbers else "..." for key, value in model["features"].items()}
    shown = as_text({**model, "digest": "...", "version": "...", "features": features})
    texts = {"Package.swift": (packaged / "MctSmall/Package.swift").read_text(), "model.json": shown}
    for name, text in texts.items():
        golden = GOLDEN / name
        if os.environ.get("MCTC_UPDATE_GOLDEN"):
            golden.parent.mkdir(exist_ok=True)
            golden.write_text(text, encoding="utf-8")
        assert text == golden.read_text(encoding="utf-8")


def test_a_model_of_no_sound_is_refused(tmp_path: Path) -> None:
    spec = "dim B: batch\n component gain(x: f32[B, 8]) -> f32[B, 8] { return linear(x, 8) as only }"
    (tmp_path / "gains.mct").write_text(f"model gains {{\n{spec}\n}}\n")
    with pytest.raises(SwiftError, match="no function of gains takes sound alone"):
        build(tmp_path / "gains.mct", tmp_path / "gains", BuildOptions(target="swift"))


@pytest.mark.parametrize(
    ("kind", "program", "call"),
    [
        ("ctc", "Transcribe.swift", "recognizer.append(samples)"),
        ("features", "Encode.swift", "model.encode(samples)"),
        ("embedding", "Encode.swift", "model.embedding(of: samples)"),
        ("sound", "Filter.swift", "model.filtered(samples)"),
    ],
)
def test_the_readme_of_a_kind_shows_its_call(kind: str, program: str, call: str) -> None:
    found = texts(Names.of("vad"), kind)
    assert [path for path in found if path.startswith("Sources/vad-cli")] == [
        "Sources/vad-cli/WaveFile.swift", f"Sources/vad-cli/{program}",
    ]  # fmt: skip
    assert ("App/CaptionsApp.swift" in found) == (kind == "ctc")
    assert call in found["README.md"]
    assert "__" not in found["README.md"]


FEELS = """model feels {
    dim T: time @ 100 Hz
    dim E: KIND = 3
    component c(mel: f32[T, 80]) -> f32[1, E] { return softmax(linear(reduce_mean(mel, "time"), E)) }
    utterance { length = 2 s }
}"""


def test_one_frame_of_an_utterance_is_a_vector_and_no_search(tmp_path: Path) -> None:
    """One frame has nothing to be searched for: class 0 would be a blank."""
    (tmp_path / "feels.mct").write_text(FEELS.replace("KIND", "channel"))
    folder = build(tmp_path / "feels.mct", tmp_path / "out", BuildOptions(target="swift")).folder
    (told,) = (path for path in folder.rglob("model.json"))
    assert json.loads(told.read_text())["kind"] == "embedding"
    (tmp_path / "padded.mct").write_text(FEELS.replace("KIND", "vocabulary"))
    with pytest.raises(SwiftError, match="output of c has a vocabulary, which is padded"):
        build(tmp_path / "padded.mct", tmp_path / "padded", BuildOptions(target="swift"))


def test_every_public_declaration_is_documented() -> None:
    """In the comments that DocC reads."""
    public = re.compile(r" *public (?!extension|init|(?:nonisolated |static )?func)")
    for path in RUNTIME.glob("*.swift"):
        lines = path.read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(lines):
            if public.match(line):
                before = next(
                    each.strip() for each in reversed(lines[:number]) if not each.strip().startswith(("@", "#"))
                )
                assert before.startswith("///"), f"{path.name}:{number + 1}: {line.strip()}"


def test_the_documentation_has_a_place_for_every_public_type() -> None:
    sources = "\n".join(path.read_text(encoding="utf-8") for path in RUNTIME.glob("*.swift"))
    types = re.findall(r"^ {0,4}public (?:final )?(?:actor|class|enum|struct|typealias) (\w+)", sources, re.MULTILINE)
    page = texts(Names.of("vad"), "ctc")["Sources/Vad/Vad.docc/Vad.md"]
    listed = re.findall(r"^- ``(\w+)``$", page, re.MULTILINE)
    assert sorted(set(types) - {"Function", "Method"}) == sorted(listed)
