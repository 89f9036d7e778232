"""From a spec to a folder: what is in it, that it is the same every time, and that a failure changes nothing."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from mctc.checkpoint import WeightsError
from mctc.diagnostics.diagnostic import LocatedError
from mctc.diagnostics.errors import MctcError
from mctc.driver import BuildOptions, BuildResult, build, program_at
from mctc.driver.make import refuse, target_named
from mctc.driver.manifest import read_manifest
from mctc.driver.options import BuildError
from mctc.initializers import initialise
from mctc.ir.text import parse_program, print_program
from mctc.ir.verify import verify
from mctc.language import elaborate_file
from mctc.package import read_package

from .conftest import Build


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def checkpoint(result: BuildResult, path: Path, **changes: np.ndarray | None) -> Path:
    """The initial weights of seed 0 as a checkpoint; a change of None leaves a tensor out."""
    sources = result.compiled.deployed.sources
    tensors: dict[str, Any] = {name: initialise(name, type_, rule, 0) for name, (type_, rule) in sources.items()}
    tensors.update(changes)
    save_file({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items() if tensor is not None}, path)
    return path


def test_the_manifest_tells_how_to_call_every_function(make: Build) -> None:
    manifest = make().manifest
    assert manifest["schema"] == 2
    assert manifest["model"] == "small"
    assert manifest["stream"] == {
        "chunk_frames": 8, "chunk_ms": 80.0, "frame_rate_hz": 100,
        "utterance_frames": None, "streams": True, "labels": None,
    }  # fmt: skip
    assert manifest["blank"] == 0
    assert manifest["weights"] == {"seed": 0}
    encoder = manifest["functions"]["encoder"]
    assert encoder["package"] == "small.mlpackage"
    (mel,), (encoded,), (state,) = encoder["inputs"], encoder["outputs"], encoder["states"]
    assert (mel["name"], mel["shape"], mel["dtype"], mel["frames"]) == ("mel", [1, 16, 1, 8], "fp16", 8)
    assert (encoded["shape"], encoded["frames"], encoded["latency_ms"]) == ([1, 32, 1, 4], 4, 80.0)
    assert state["shape"][-1] % 32 == 0
    assert {entry["name"] for entry in encoder["packing"]} >= {"encoder.layers.0.mamba.h", "encoder.front.context"}
    (token,) = manifest["functions"]["predictor"]["inputs"]
    assert (token["dtype"], token["ids_below"]) == ("fp16", 41)
    (vocabulary,) = manifest["vocabularies"]
    assert (vocabulary["function"], vocabulary["valid"], vocabulary["padded"]) == ("joiner", 41, 64)


def test_the_front_end_is_told_where_an_input_is_log_mel(spec: Path, tmp_path: Path) -> None:
    result = build(spec, tmp_path / "out", BuildOptions(defines={"mels": 80}))
    assert result.manifest["audio"]["bins"] == 80
    assert result.manifest["audio"]["hop"] == 160


def test_the_folder_holds_what_the_manifest_lists(make: Build, spec: Path) -> None:
    result = make()
    files = tree(result.folder)
    assert json.loads(files.pop("manifest.json")) == result.manifest == read_manifest(result.folder)
    assert {name: hashlib.sha256(data).hexdigest() for name, data in files.items()} == result.manifest["files"]
    assert result.manifest["source"]["spec"] == "source/small.mct"
    assert files["source/small.mct"] == spec.read_bytes()
    assert result.manifest["source"]["files"]["small.mct"] == result.manifest["files"]["source/small.mct"]


def test_every_result_and_state_was_compared(make: Build) -> None:
    compared = {(entry["function"], entry["result"]): entry["error"] for entry in make().manifest["verification"]}
    assert {function for function, _ in compared} == {"encoder", "predictor", "joiner"}
    assert ("encoder", "state_out") in compared
    assert max(compared.values()) < 1e-4


def test_the_programs_beside_the_package_read_back(make: Build) -> None:
    result = make()
    for name, program in (("program.mir", result.compiled.deployed), ("whole.mir", result.compiled.reference)):
        text = (result.folder / name).read_text()
        read = parse_program(text)
        verify(read)
        assert text == print_program(read, locations=True) == print_program(program, locations=True)


def test_every_operation_of_the_package_leads_to_a_line_of_the_spec(make: Build, spec: Path) -> None:
    result = make()
    origins: Mapping[str, Mapping[str, Any]] = json.loads((result.folder / "origins.json").read_text())
    package = read_package(result.folder / "small.mlpackage")
    assert set(origins) == set(package.functions)
    for name, function in package.functions.items():
        ops = result.compiled.deployed.functions[name].ops
        for operation in function.operations:
            if operation.type not in ("const", "read_state") and "constexpr" not in operation.type:
                assert 0 <= origins[name][operation.name]["op"] < len(ops)
    ops = result.compiled.deployed.functions["encoder"].ops
    norm = origins["encoder"]["encoder_layers_1_layer_norm_layer_norm"]
    assert norm["instance"] == ops[norm["op"]].origin.path == "encoder.layers.1.layer_norm"
    assert norm["place"] == str(ops[norm["op"]].origin.location)
    assert norm["place"].startswith(f"{spec.name}:11:")


def test_two_builds_have_the_same_bytes(make: Build) -> None:
    assert tree(make("one").folder) == tree(make("two").folder)


def test_another_seed_gives_other_weights_and_nothing_else(make: Build) -> None:
    one, two = tree(make("one").folder), tree(make("two", seed=1).folder)
    different = {name for name in one if one[name] != two[name]}
    assert different == {"manifest.json", "small.mlpackage/Data/com.apple.CoreML/weights/weight.bin"}


def test_a_checkpoint_of_the_same_weights_gives_the_same_package(make: Build, tmp_path: Path) -> None:
    seeded = make("seeded")
    weights = checkpoint(seeded, tmp_path / "w.safetensors")
    bound = make("bound", weights=weights)
    assert tree(bound.folder / "small.mlpackage") == tree(seeded.folder / "small.mlpackage")
    assert bound.manifest["weights"] == {
        "file": "w.safetensors",
        "sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
    }


def test_weights_that_do_not_fit_are_listed_and_change_nothing(make: Build, tmp_path: Path) -> None:
    result = make()
    before = tree(result.folder)
    changes = {
        "encoder.norm.weight": None,
        "encoder.front.bias": np.zeros(7, np.float32),
        "encoder.extra.weight": np.zeros((2, 3), np.float32),
    }
    weights = checkpoint(result, tmp_path / "w.safetensors", **changes)
    with pytest.raises(WeightsError) as caught:
        make(weights=weights)
    text = str(caught.value)
    assert "missing: encoder.norm.weight [32]" in text
    assert "misshapen: encoder.front.bias is [7], the program takes [32]" in text
    assert "extra: encoder.extra.weight [2, 3]" in text
    assert tree(result.folder) == before


def test_of_a_checkpoint_of_another_spec_the_first_few_names_of_a_kind_are_told(make: Build, tmp_path: Path) -> None:
    weights = tmp_path / "other.safetensors"
    save_file({f"decoder.layers.{at}.weight": np.zeros(3, np.float32) for at in range(300)}, weights)
    with pytest.raises(WeightsError) as caught:
        make(weights=weights)
    first, *lines = str(caught.value).splitlines()
    assert re.search(r"does not fit small, which takes (\d+) tensors: \1 missing, 300 extra; the first of them:", first)
    assert [line.split()[0] for line in lines] == ["missing:"] * 5 + ["extra:"] * 5


def test_a_checkpoint_with_a_value_beyond_fp16_is_refused(make: Build, tmp_path: Path) -> None:
    result = make()
    before = tree(result.folder)
    weights = checkpoint(result, tmp_path / "w.safetensors", **{"encoder.norm.weight": np.full(32, 1e6, np.float32)})
    with pytest.raises(MctcError, match=r"encoder\.norm\.weight at \S+ has a value of magnitude 1e\+06"):
        make(weights=weights)
    assert tree(result.folder) == before
    assert not list(tmp_path.glob(".out*"))


@pytest.mark.parametrize(
    "options",
    [
        {"state": "io"},
        {"state": "separate", "allow_errors": True},
        {"layout": "separate"},
        {"passes": {"lower-selective-scan": {"form": "prefix"}}},
        {"chunk": 4},
        {"device": "m4"},
    ],
    ids=str,
)
def test_other_ways_to_build_agree_with_their_programs_too(make: Build, options: dict[str, object]) -> None:
    manifest = make(**options).manifest
    assert max(entry["error"] for entry in manifest["verification"]) < 1e-4
    packages = {function["package"] for function in manifest["functions"].values()}
    assert len(packages) == (3 if options.get("layout") == "separate" else 1)
    encoder = manifest["functions"]["encoder"]
    outputs = {port["name"] for port in encoder["outputs"]}
    assert (outputs >= {f"{port['name']}_out" for port in encoder["states"]}) == (options.get("state") == "io")


def test_a_build_writes_what_lint_says_with_places_in_the_spec(make: Build, spec: Path) -> None:
    folder = make(device="m4").folder
    (package,) = json.loads((folder / "placement.json").read_text())["packages"]
    assert package["path"] == "small.mlpackage"
    assert package["target"]["name"].startswith("M4 (H16)")
    assert {function["name"] for function in package["functions"]} == {"encoder", "predictor", "joiner"}
    places = [op["place"] for function in package["functions"] for op in function["ops"] if op["place"]]
    assert places
    page = (folder / "placement.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "small.mlpackage" in page
    assert str(folder.parent) not in page.replace(str(spec), "")


def test_a_build_stops_at_errors_of_lint_and_leaves_the_old_one(make: Build) -> None:
    before = tree(make().folder)
    with pytest.raises(BuildError, match="ANE-ST-003 5 states") as refused:
        make(state="separate")
    assert "--allow-errors" in str(refused.value.hint)
    folder = make("out", allow_errors=True).folder
    assert tree(folder) == before
    page = make("with_errors", state="separate", allow_errors=True).folder / "placement.html"
    assert "ANE-ST-003" in page.read_text()


def test_a_build_with_many_errors_counts_them_all_and_lists_a_dozen() -> None:
    with pytest.raises(BuildError) as refused:
        refuse([f"error {number}" for number in range(30)], BuildOptions(), target_named("ane"))
    assert "mctc lint finds 30 errors" in refused.value.message
    assert refused.value.message.endswith("\n  error 11\n  and 18 more")


def test_a_program_can_be_seen_before_and_after_any_pass(spec: Path) -> None:
    program = elaborate_file(spec)
    kinds = {
        when: {op.name for _, op in program_at(program, **{when: "lower-selective-scan"}).ops()}
        for when in ("before", "after")
    }
    assert "selective_scan" in kinds["before"]
    assert "selective_scan" not in kinds["after"]
    assert "lstm" in {op.name for _, op in program_at(program, after="derive-step").ops()}
    with pytest.raises(BuildError, match="there is no pass `lower-selectiv-scan`") as caught:
        program_at(program, after="lower-selectiv-scan")
    assert "lower-selective-scan" in str(caught.value.hint)


def test_a_spec_without_a_chunk_asks_for_one(spec: Path, tmp_path: Path) -> None:
    spec.write_text(spec.read_text().replace("stream { chunk = 80 ms }", ""))
    with pytest.raises(BuildError, match="doesn't say how much audio a call takes") as caught:
        build(spec, tmp_path / "out")
    assert "--chunk" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("decades = 8", "needs the whole recording"),
        ("shortest = 500 ms", "needs the whole recording"),
        ('normalise = "recording"', "needs the whole recording"),
        ("fft = 200", "window must not be longer"),
        ('scale = "bark"', "scale must be 'slaney', 'htk' or 'kaldi'"),
        ("high = 9 kHz", "low and high must satisfy"),
        ("window = 25.03 ms", "window must be a whole number of samples at 16000 Hz, not 400.48"),
        ("preemphasis = 2", "preemphasis must be between 0 and 1"),
    ],
)
def test_a_front_end_that_cannot_be_is_refused(setting: str, words: str, spec: Path, tmp_path: Path) -> None:
    text = spec.read_text().replace("mels = 16", "mels = 80")
    spec.write_text(text.replace("stream {", f"audio {{ {setting} }}\n    stream {{"))
    with pytest.raises(LocatedError, match=words) as caught:
        build(spec, tmp_path / "out")
    (found,) = caught.value.diagnostics
    assert found.span is not None
    assert found.span.text == setting.partition(" ")[0]


def test_the_front_end_that_a_spec_states_travels_with_the_build(spec: Path, tmp_path: Path) -> None:
    said = 'audio { rate = 8 kHz; hop = 20 ms; window = 32 ms; fft = 256; log = "ln"; normalise = "none" }'
    text = spec.read_text().replace("time @ 100 Hz", "time @ 50 Hz")
    spec.write_text(text.replace("stream {", f"{said}\n    stream {{"))
    result = build(spec, tmp_path / "out")
    audio = result.manifest["audio"]
    wanted = {"bins": 16, "sample_rate": 8000, "hop": 160, "window": 256, "fft": 256, "f_max": 4000, "log": "ln"}
    assert {key: audio[key] for key in wanted} == wanted
    assert json.loads(read_package(result.folder / "small.mlpackage").metadata.user["mctc.audio"]) == audio
    spec.write_text(text)
    plain = build(spec, tmp_path / "plain")
    assert plain.manifest["audio"] is None
    assert "mctc.audio" not in read_package(plain.folder / "small.mlpackage").metadata.user


def test_weights_that_no_disk_holds_are_refused_at_once(spec: Path, tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"weights of small take [\d,.]+ GB or more"):
        build(spec, tmp_path / "out", BuildOptions(defines={"width": 100_000_000}))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "match"),
    [({"state": "both"}, "state can't be 'both'"), ({"layout": "many"}, "layout")],
)
def test_unknown_options_are_refused(options: dict[str, Any], match: str) -> None:
    with pytest.raises(BuildError, match=match):
        BuildOptions(**options)


def test_a_manifest_that_is_missing_damaged_or_of_another_time_is_named(tmp_path: Path) -> None:
    for text, match in ((None, "holds no manifest.json"), ("{", "is damaged"), ('{"schema": 99}', "has schema 99")):
        if text is not None:
            (tmp_path / "manifest.json").write_text(text)
        with pytest.raises(BuildError, match=match):
            read_manifest(tmp_path)


def test_an_output_says_how_many_frames_of_the_input_one_of_its_own_stands_for(small: Path, ahead: Path) -> None:
    for folder, frames in ((small, 4), (ahead, 2)):
        (output,) = read_manifest(folder)["functions"]["encoder"]["outputs"]
        (mel,) = read_manifest(folder)["functions"]["encoder"]["inputs"][:1]
        assert output["input_frames_per_frame"] == frames
        assert mel["frames"] == frames * output["frames"]
