"""Every spec of spec/, at a small size, is packaged, and its own package hears as mctc hears."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from bench.reduced import SIZES
from mctc.audio import bundled_recording, load_audio
from mctc.decode.settings import Settings
from mctc.driver import BuildOptions, build
from mctc.ir.types import Role
from mctc.runtime.built import open_built
from mctc.runtime.decoding import Asked, search_of
from mctc.runtime.encoder_decoder import EncoderDecoder
from mctc.runtime.label_inputs import POSITION
from mctc.runtime.pooled import pool
from mctc.runtime.stream import front_end_of
from mctc.runtime.utterance import transcribe_samples
from mctc.targets.swift.names import Names
from tests.speaks import moonshine
from tests.targets.swift.expected import encoded, record_of
from tests.targets.swift.toolchain import Toolchain
from tests.targets.swift.workspace import model_of, prepare

ALL = {**SIZES, "moonshine_tiny": moonshine.SIZES}
KINDS = {
    "conformer_s2s": "decoder", "conmamba_s2s": "decoder", "conmambamamba_s2s": "decoder", "moonshine_tiny": "decoder",
    "qwen3_asr_0_6b": "decoder", "samba_asr": "decoder", "whisper_small": "decoder", "whisper_tiny": "decoder",
    "conformer_chunked": "ctc", "conformer_ctc": "ctc", "conformer_streaming": "ctc", "conmamba_ctc": "ctc",
    "emformer": "ctc", "parakeet_ctc": "ctc", "wav2vec2": "ctc", "zipformer": "ctc", "paraformer": "ctc",
    "mimi": "features", "silero_vad": "features", "ecapa_tdnn": "embedding", "denoiser": "sound",
}  # fmt: skip
"""Others are transducers."""
TESTED = {
    "silero_vad", "ecapa_tdnn", "denoiser", "parakeet_tdt", "conformer_streaming", "whisper_tiny", "conformer_s2s",
    "qwen3_asr_0_6b", "moonshine_tiny", "wav2vec2",
}  # fmt: skip
"""Models of all kinds but streaming transducers, whose packages' own tests run too."""


def test_no_spec_is_left_out(root: Path) -> None:
    assert set(ALL) == {path.stem for path in (root / "spec").glob("*.mct")}


@pytest.fixture(scope="module")
def packaged(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Builds a spec for swift at its small size."""
    folder = tmp_path_factory.mktemp("specs")

    def make(name: str) -> Path:
        if not (folder / name).exists():
            named = name if name == "moonshine_tiny" else None  # the only file of several models
            options = BuildOptions(target="swift", defines=ALL[name], model=named, allow_errors=True)
            build(root / "spec" / f"{name}.mct", folder / name, options)
        return folder / name

    return make


@pytest.mark.quick("conformer_streaming")
@pytest.mark.parametrize("name", ALL)
def test_a_spec_is_packaged_as_what_it_is(name: str, packaged: Any) -> None:
    built = packaged(name)
    model = json.loads((model_of(built) / "model.json").read_text())
    assert model["kind"] == KINDS.get(name, "transducer")
    assert model_of(built).parent.name == Names.of(model["model"]).module
    for function in model["functions"].values():
        assert (model_of(built) / function["package"]).is_dir()
        assert all((model_of(built) / port["rows"]).is_file() for port in function["inputs"] if port["rows"])


@pytest.fixture(scope="module")
def place(toolchain: Toolchain) -> Iterator[Path]:
    folder = toolchain.workspace()
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_the_package_of_a_spec_hears_what_mctc_hears(
    name: str, packaged: Any, toolchain: Toolchain, place: Path, tmp_path: Path
) -> None:
    """Compiled without a warning, concurrency checked completely."""
    built = packaged(name)
    own = prepare(toolchain, built, place)
    own.build(own.product)
    rate = int(open_built(built).manifest["audio"]["sample_rate"])
    sound = load_audio(bundled_recording(), rate)[: rate // 2 + 77]
    path = tmp_path / "speech.wav"
    sf.write(path, sound, rate, subtype="FLOAT")
    if KINDS.get(name) in ROWS:
        words = ("--model", str(own.model), "--cache", str(tmp_path / "cache"), str(path))
        rows = [line.split("\t")[1].split() for line in own.run(own.product, *words).splitlines()]
        found = np.array([[np.float32(number) for number in row] for row in rows])
        np.testing.assert_array_equal(found, ROWS[KINDS[name]](built, sound, path))
    elif KINDS.get(name) == "sound":
        made = tmp_path / "made.wav"
        own.run(own.product, "--model", str(own.model), "--cache", str(tmp_path / "cache"), str(path), str(made))
        found, rate_made = sf.read(made, dtype="float32")
        assert rate_made == rate
        np.testing.assert_array_equal(found, encoded(built, sound)[:, 0])
    else:
        tables, options = tables_of(built, tmp_path)
        (record,) = own.transcribe([path], tmp_path / "cache", *options)
        labels = [(each["token"], each.get("frame")) for each in record["tokens"]]
        assert labels == labels_of(name, built, sound, tables)
    if name in TESTED:
        own.test()


def vector_of(built: Path, sound: Any, path: Path) -> Any:
    """The one row of a model that makes one vector of an utterance."""
    return pool(open_built(built), path).results["embedding"][None]


ROWS: Mapping[str, Callable[[Path, Any, Path], Any]] = {
    "features": lambda built, sound, path: encoded(built, sound),
    "embedding": vector_of,
}


def labels_of(name: str, built: Path, sound: Any, tables: dict[str, Any]) -> list[tuple[int, int | None]]:
    """The labels that mctc hears, and their frames; those of a text that is written when all was heard have none."""
    if KINDS.get(name) != "decoder":
        return [(each["token"], each["frame"]) for each in record_of(built, sound, Settings())["tokens"]]
    model = EncoderDecoder(open_built(built), tables)
    heard = transcribe_samples(model, front_end_of(model.built), sound, search_of(model.built, Asked()), "it")
    return [(label, None) for piece in heard.pieces for label in piece.labels]


def tables_of(built: Path, folder: Path) -> tuple[dict[str, Any], list[str]]:
    """Rows for the inputs of a decoder that take rows that the build does not have."""
    tables: dict[str, Any] = {}
    options: list[str] = []
    for function in open_built(built).functions.values():
        for port in function.inputs:
            at = port.type.find(Role.CHANNEL)
            if port.spec == POSITION and at is not None and port.table is None:
                width = port.type.extents[at].value
                tables[POSITION] = np.random.default_rng(0).standard_normal((600, width), np.float32)
                np.save(folder / "position.npy", tables[POSITION])
                options = ["--table", f"{POSITION}={folder / 'position.npy'}"]
    return tables, options
