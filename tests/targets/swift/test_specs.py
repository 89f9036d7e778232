"""Every spec of spec/, at a small size, is packaged and heard with as mctc hears it."""

from __future__ import annotations

import json
from dataclasses import replace
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
from mctc.runtime.stream import front_end_of
from mctc.runtime.utterance import transcribe_samples
from mctc.targets.swift.names import Names
from tests.speaks import moonshine
from tests.targets.swift.checks import Proof, record_of

WRITE_NO_TEXT = {"silero_vad"}  # which the package's recognisers have no place for
ALL = {name: sizes for name, sizes in SIZES.items() if name not in WRITE_NO_TEXT} | {"moonshine_tiny": moonshine.SIZES}
KINDS = {
    "conformer_s2s": "decoder", "conmamba_s2s": "decoder", "conmambamamba_s2s": "decoder", "moonshine_tiny": "decoder",
    "qwen3_asr_0_6b": "decoder", "samba_asr": "decoder", "whisper_small": "decoder", "whisper_tiny": "decoder",
    "conformer_ctc": "ctc", "conformer_streaming": "ctc", "conmamba_ctc": "ctc", "parakeet_ctc": "ctc",
}  # fmt: skip
"""Others are transducers."""


def test_no_spec_is_left_out(root: Path) -> None:
    assert set(ALL) | WRITE_NO_TEXT == {path.stem for path in (root / "spec").glob("*.mct")}


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


def model_of(built: Path) -> Path:
    (model,) = built.glob("*/Sources/*/Model")
    return model


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


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_a_spec_hears_what_mctc_hears(name: str, packaged: Any, proof: Proof, tmp_path: Path) -> None:
    built = packaged(name)
    rate = int(open_built(built).manifest["audio"]["sample_rate"])
    sound = load_audio(bundled_recording(), rate)[: rate // 2 + 77]
    sf.write(tmp_path / "speech.wav", sound, rate, subtype="FLOAT")
    tables, options = tables_of(built, tmp_path)
    workspace = replace(proof.workspace, model=model_of(built))
    (record,) = workspace.transcribe([tmp_path / "speech.wav"], proof.folder / "cache", *options)
    found = [(each["token"], each.get("frame")) for each in record["tokens"]]
    if KINDS.get(name) == "decoder":
        model = EncoderDecoder(open_built(built), tables)
        heard = transcribe_samples(model, front_end_of(model.built), sound, search_of(model.built, Asked()), "it")
        told = [label for piece in heard.pieces for label in piece.labels]
        assert [label for label, _ in found] == told
    else:
        told = record_of(built, sound, Settings())["tokens"]
        assert found == [(each["token"], each["frame"]) for each in told]


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
