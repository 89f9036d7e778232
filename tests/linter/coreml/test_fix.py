"""Repairs change what they say and no number; what can't be proven changes nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mctc.linter.coreml.fix import proof
from mctc.linter.coreml.fix.apply import fix_package
from mctc.linter.coreml.fix.body import Body
from mctc.linter.coreml.fix.proof import FixError
from mctc.linter.coreml.fix.repairs import REPAIRS, Repair
from mctc.linter.coreml.table import Table
from mctc.package import PackageError, read_package

Make = Callable[..., Path]


@pytest.fixture(scope="session")
def make(coremltools: Any, tmp_path_factory: pytest.TempPathFactory) -> Make:
    """`make(body, (1, 4, 1, 8))`: a saved package of a function of the MIL builder, no pass run over it."""
    from coremltools.converters.mil import Builder as mb
    from coremltools.converters.mil.mil import types

    def run(body: Callable[[Any, Any], Any], shape: tuple[int, ...] = (1, 4, 1, 8)) -> Path:
        @mb.program(input_specs=[mb.TensorSpec(shape, dtype=types.fp16)], opset_version=coremltools.target.iOS18)
        def program(x: Any) -> Any:
            return body(mb, x)

        model = coremltools.convert(
            program, minimum_deployment_target=coremltools.target.iOS18, skip_model_load=True,
            compute_units=coremltools.ComputeUnit.CPU_ONLY, pass_pipeline=coremltools.PassPipeline.EMPTY,
        )  # fmt: skip
        path = tmp_path_factory.mktemp("fix") / "made.mlpackage"
        model.save(str(path))
        return path

    return run


def there_and_back(mb: Any, x: Any) -> Any:
    wide = mb.cast(x=mb.relu(x=x), dtype="fp32")
    return mb.exp(x=mb.cast(x=wide, dtype="fp16"), name="y")


def joined(mb: Any, x: Any) -> Any:
    return mb.relu(x=mb.concat(values=[x, mb.exp(x=x)], axis=-3, interleave=False), name="y")


def gathered(mb: Any, x: Any) -> Any:
    one = mb.gather(x=x, indices=np.int32(-2), axis=1)
    some = mb.gather(x=x, indices=np.array([2, 3, 4], np.int32), axis=-1)
    return mb.add(x=one, y=mb.reduce_sum(x=some), name="y")


def scattered_gather(mb: Any, x: Any) -> Any:
    return mb.exp(x=mb.gather(x=x, indices=np.array([2, 4, 1], np.int32), axis=1), name="y")


def shaped(mb: Any, x: Any) -> Any:
    return mb.exp(x=mb.reshape(x=x, shape=mb.shape(x=mb.relu(x=x))), name="y")


def turned(mb: Any, x: Any) -> Any:
    there = mb.transpose(x=mb.relu(x=x), perm=[0, 2, 3, 1])
    return mb.exp(x=mb.transpose(x=there, perm=[0, -1, 1, 2]), name="y")


def turned_on(mb: Any, x: Any) -> Any:
    there = mb.transpose(x=x, perm=[0, 2, 3, 1])
    return mb.exp(x=mb.transpose(x=there, perm=[0, 2, 3, 1]), name="y")


def kinds(path: Path) -> list[str]:
    return [op.type for op in read_package(path).functions["main"].operations if op.type != "const"]


@pytest.mark.parametrize(
    ("body", "codes", "left"),
    [
        (there_and_back, ["ANE-DT-003"], ["relu", "exp"]),
        (joined, ["ANE-CC-001"], ["exp", "concat", "relu"]),
        (gathered, ["ANE-OP-023"] * 2, ["slice_by_index", "slice_by_index", "reduce_sum", "add"]),
        (scattered_gather, [], ["gather", "exp"]),
        (shaped, ["ANE-OP-019"], ["reshape", "exp"]),
        (turned, ["ANE-LY-005"], ["relu", "exp"]),
        (turned_on, [], ["transpose", "transpose", "exp"]),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_a_cause_is_removed_and_the_numbers_stay(make: Make, body: Any, codes: list[str], left: list[str]) -> None:
    path = make(body)
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    done = fix_package(path)
    assert [change.code for change in done.changes] == codes
    assert kinds(path) == left
    assert bool(done.compared) is bool(codes)
    if not codes:
        assert before == {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    assert fix_package(path).changes == ()


def test_coremltools_can_still_read_what_was_repaired(make: Make, coremltools: Any) -> None:
    path = make(gathered)
    fix_package(path)
    model = coremltools.models.MLModel(str(path), skip_model_load=True)
    assert [each.name for each in model.get_spec().description.output] == ["y"]


def test_an_intended_backend_is_dropped(make: Make) -> None:
    from mctc.package.protobuf import model_class

    path = make(turned_on)
    file = path / "Data/com.apple.CoreML/model.mlmodel"
    model = model_class()()
    model.ParseFromString(file.read_bytes())
    block = model.mlProgram.functions["main"].block_specializations["CoreML8"]
    op = next(each for each in block.operations if each.type == "exp")
    op.attributes["IntendedBackend"].type.tensorType.dataType = 2
    op.attributes["IntendedBackend"].immediateValue.tensor.strings.values.append("bnns")
    file.write_bytes(model.SerializeToString())
    assert [each.code for each in fix_package(path).changes] == ["ANE-GR-005"]
    assert "IntendedBackend" not in read_package(path).functions["main"].operations[-1].attributes


def test_a_blob_of_the_cache_is_never_written(make: Make, tmp_path: Path) -> None:
    repository = tmp_path / "models--someone--a-model"
    package = Path(shutil.copytree(make(gathered), repository / "snapshots" / "1" / "m.mlpackage"))
    blob = repository / "blobs" / ("0f" * 32)
    blob.parent.mkdir()
    model = package / "Data/com.apple.CoreML/model.mlmodel"
    shutil.move(model, blob)
    model.symlink_to(blob)
    before = blob.read_bytes()
    with pytest.raises(FixError, match="a link to a file outside"):
        fix_package(package)
    assert blob.read_bytes() == before


def test_only_what_was_chosen_is_repaired_and_a_rehearsal_writes_nothing(make: Make) -> None:
    path = make(turned)
    assert fix_package(path, {"ANE-DT-003"}).changes == ()
    assert [each.code for each in fix_package(path, write=False).changes] == ["ANE-LY-005"]
    assert kinds(path) == ["relu", "transpose", "transpose", "exp"]


def test_a_repair_that_changes_a_number_is_found_out(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(body: Body) -> list[str]:
        done = [op for op in body.ops if op.type == "relu"]
        for op in done:
            op.type = "exp"
        return ["relu to exp"] * len(done)

    monkeypatch.setattr("mctc.linter.coreml.fix.apply.REPAIRS", (Repair("ANE-XX-001", "wrong", wrong),))
    path = make(turned)
    with pytest.raises(FixError, match="a repair changes y of main, so nothing was changed"):
        fix_package(path)
    assert kinds(path) == ["relu", "transpose", "transpose", "exp"]
    assert [each.name for each in path.parent.iterdir()] == ["made.mlpackage"]


def test_what_cannot_be_evaluated_is_not_repaired(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> dict[str, Any]:
        raise PackageError("no such luck")

    monkeypatch.setattr(proof, "_run", fail)
    path = make(turned)
    with pytest.raises(FixError, match="can't be proven, so nothing was changed: no such luck"):
        fix_package(path)
    assert kinds(path) == ["relu", "transpose", "transpose", "exp"]


def test_a_compiled_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mlmodelc").mkdir()
    with pytest.raises(FixError, match=r"only a \.mlpackage can be repaired"):
        fix_package(tmp_path / "a.mlmodelc")


def test_every_repair_is_of_a_rule(rules: Table) -> None:
    assert {repair.code for repair in REPAIRS} <= set(rules.rules)
