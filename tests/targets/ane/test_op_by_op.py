"""The read-back of functions, op by op: it takes what is right, and nothing that the proof of the whole finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.reduced import SIZES
from mctc.diagnostics.errors import MctcError
from mctc.driver.make import build
from mctc.driver.options import BuildOptions
from mctc.driver.target import Agreement, Written
from mctc.evaluate.coreml import Evaluator
from mctc.evaluate.coreml.pieces import Piece
from mctc.ir.build import Builder
from mctc.ir.location import Origin
from mctc.ir.op import Op
from mctc.ir.program import Program, Quantization, Value
from mctc.numerics.limits import limit_of
from mctc.package import Package, read_package
from mctc.package.model import Constant, Function, Operation, Reference
from mctc.package.types import NamedType
from mctc.package.weight_file import WeightFile
from mctc.passes.round_numbers import RoundNumbers
from mctc.proof import op_by_op, readback
from mctc.proof.readback import Readback
from mctc.rewrite.base import Context
from mctc.targets.ane.errors import EmitError
from mctc.targets.ane.target import AneTarget
from mctc.weights import Weights

from .conftest import compiled
from .hand_made import add_parameter, finish, laid_out, streaming_program
from .package_changes import changes, with_last_bit, with_operation

DEPTH = 3
SPECS = Path(__file__).parents[3] / "spec"
Change = Callable[[Function], Function]


@dataclass
class Artifact:
    """A program as a package, and what is compared with it."""

    program: Program
    weights: Weights
    folder: Path
    target: AneTarget
    written: Written

    @property
    def package(self) -> Package:
        return read_package(self.folder / self.written.artifacts[0])

    def read_back(self, package: Package, function: str | None = None) -> list[Agreement]:
        """What a build finds where this is what it wrote, of one function or all."""
        engine = Evaluator(package, "fp32", keep_weights=False)
        read = Readback(self.folder, lambda _: engine, "fp32", EmitError, limit_of("fp16"), named=self.target.named)
        asked = {name: each for name, each in self.written.interfaces.items() if function in (None, name)}
        return read.steps(self.program, self.weights, asked)


@pytest.fixture(scope="module")
def spooled() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mctc.spool.SMALL", 0)
        yield


@pytest.fixture(scope="module", params=["packed", "io"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    folder = tmp_path_factory.mktemp("made")
    quantised = {"encoder.layers.0.proj.weight": Quantization("int8", 8), "out.weight": Quantization("palette", 4)}
    program = streaming_program(DEPTH, quantised)
    _branches(program)
    program = RoundNumbers().run(program, Context())
    weights, target = Weights(program.sources), AneTarget()
    if request.param == "io":  # and what a build of a whole model does: stored numbers are left in the package
        request.getfixturevalue("spooled")
        weights.spool(folder)
    options = BuildOptions(state=request.param)
    written = target.write(compiled(program), weights, folder, options, {})
    return Artifact(program, weights, folder, target, written)


def _branches(program: Program) -> None:
    """Adds a function in which what is alike meets: what one round gives less what the other gives."""
    for name in ("rounds.0.weight", "rounds.1.weight"):
        add_parameter(program, name, 16, 16, 1, 1)
    builder, x = Builder(program, Origin(None, "rounds")), Value(laid_out(16, 8), "x")
    one, other = (
        builder.op("tanh", builder.op("conv2d", x, builder.parameter(f"rounds.{i}.weight"))) for i in range(2)
    )
    finish(builder, "rounds", [x], [("less", builder.op("sub", one, other)), ("one", one), ("other", other)], [])


@pytest.fixture
def whole(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The functions that had to be compared as a whole."""
    whole: list[str] = []
    compared = readback._Function.compared

    def counted(self: readback._Function) -> list[Agreement]:
        whole.append(self.function.name)
        return compared(self)

    monkeypatch.setattr(readback._Function, "compared", counted)
    return whole


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was alike to the operations that were called, in order."""
    called: list[str] = []
    holds = op_by_op.OpByOp._holds
    monkeypatch.setattr(
        op_by_op.OpByOp,
        "_holds",
        lambda self, taken, *more: (called.append(str(taken.likeness)), holds(self, taken, *more))[1],
    )
    return called


def test_what_was_written_is_proven_op_by_op_and_what_is_alike_called_once(
    made: Artifact, whole: list[str], called: list[str]
) -> None:
    found = made.read_back(made.package)
    assert not whole
    assert {each.op_by_op for each in found} == {True}
    assert {each.result for each in found if each.function == "encoder"} >= {"encoded"}
    assert max(each.error for each in found) < 1e-5
    items = len(readback.ITEMS)
    for kind, calls in (("conv2d", 1), ("layer_norm", items)):
        ops = [op for _, op in made.program.ops() if op.name == kind]
        assert calls <= sum(f"'{kind}'" in told for told in called) < items * len(ops)


@pytest.mark.parametrize("every", [5, pytest.param(1, marks=pytest.mark.slow)])
def test_what_the_whole_proof_finds_is_proven_by_no_op(
    made: Artifact, whole: list[str], monkeypatch: pytest.MonkeyPatch, every: int
) -> None:
    """Every use of a value by an operation is led to another value of its type, every constant changed: op by op
    all of it is seen that the comparison of results sees."""
    package = made.package
    found = unseen = 0
    for name, function in package.functions.items():
        for what, changed in islice(changes(function), 0, None, every):
            faulty = replace(package, functions={**package.functions, name: changed})
            whole.clear()
            with monkeypatch.context() as plain:
                plain.setattr(readback._Function, "op_by_op", lambda self, parts: None)
                wrong = _refused(made, faulty, name)
            if not wrong:
                unseen += 1
                continue
            found += 1
            whole.clear()
            assert _refused(made, faulty, name), what
            assert whole, what
    assert found > 60 / every
    assert unseen < found


@pytest.fixture
def in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every operation that can be called with parts of its operands is, with one place of them at a time, and products
    with the first and the last alone."""
    for name in ("LARGE", "PART", "PRODUCTS"):
        monkeypatch.setattr(f"mctc.evaluate.coreml.in_parts.{name}", 1)


@pytest.mark.usefixtures("in_parts")
@pytest.mark.parametrize("made", ["packed"], indirect=True)
@pytest.mark.parametrize("every", [9, pytest.param(1, marks=pytest.mark.slow)])
def test_what_the_whole_proof_finds_is_proven_by_no_op_in_parts(
    made: Artifact, whole: list[str], monkeypatch: pytest.MonkeyPatch, every: int
) -> None:
    test_what_the_whole_proof_finds_is_proven_by_no_op(made, whole, monkeypatch, every)


@pytest.mark.usefixtures("in_parts")
def test_what_was_written_is_proven_in_parts_and_products_by_their_ends(
    made: Artifact, whole: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    parts: list[tuple[bool, int]] = []
    in_parts = Piece.in_parts

    def counted(self: Piece, arrays: Sequence[np.ndarray], *, ends: bool = False) -> Iterator[Any]:
        found = list(in_parts(self, arrays, ends=ends))
        parts.append((ends, len(found)))
        return iter(found)

    monkeypatch.setattr(Piece, "in_parts", counted)
    found = made.read_back(made.package)
    assert not whole
    assert (True, 2) in parts
    assert max(count for ends, count in parts if not ends) > 2
    monkeypatch.undo()
    for each, other in zip(found, made.read_back(made.package), strict=True):
        assert (each.function, each.result, each.op_by_op) == (other.function, other.result, True)
        assert each.error == pytest.approx(other.error, abs=1e-6)


def test_what_is_alike_is_told_apart_where_it_meets(made: Artifact, whole: list[str]) -> None:
    package = made.package
    function = package.functions["rounds"]
    place, less = next((i, each) for i, each in enumerate(function.operations) if each.type == "sub")
    turned = with_operation(function, place, replace(less, inputs={"x": less.inputs["y"], "y": less.inputs["x"]}))
    with pytest.raises(EmitError, match="less of rounds, on noise, differs"):
        made.read_back(replace(package, functions={**package.functions, "rounds": turned}))
    assert whole == ["rounds"]


def test_an_operation_that_no_op_became_is_for_the_whole_to_judge(made: Artifact, whole: list[str]) -> None:
    package = made.package
    function = package.functions["rounds"]
    less = next(each for each in function.operations if each.type == "sub")
    more = replace(
        less, index=1 + max(each.index for each in function.operations), outputs=(_renamed(less.outputs[0]),)
    )
    longer = replace(function, body=replace(function.body, operations=(*function.operations, more)))
    made.read_back(replace(package, functions={**package.functions, "rounds": longer}))
    assert whole == ["rounds"]


@pytest.mark.parametrize("made", ["packed"], indirect=True)  # where states are written
def test_an_operation_behind_the_last_op_of_what_leaves_is_called(made: Artifact, whole: list[str]) -> None:
    package = made.package
    function = package.functions["encoder"]
    place, write = next((i, each) for i, each in enumerate(function.operations) if each.type == "write_state")
    (data,) = write.inputs["data"]
    assert isinstance(data, Reference)
    item = next(each for operation in function.operations for each in operation.outputs if each.name == data.name)
    index = 1 + max(each.index for each in function.operations)
    between = Operation(index, "abs", "between", {"x": (data,)}, (replace(item, name="between"),), {})
    written = replace(write, inputs={**write.inputs, "data": (Reference("between"),)})
    operations = (*function.operations[:place], between, written, *function.operations[place + 1 :])
    longer = replace(function, body=replace(function.body, operations=operations))
    with pytest.raises(EmitError, match=r"layers.0.window.* of encoder, on noise, differs"):
        made.read_back(replace(package, functions={**package.functions, "encoder": longer}))
    assert whole == ["encoder"]


def _renamed(item: NamedType) -> NamedType:
    return replace(item, name=f"{item.name}_again")


def _refused(made: Artifact, package: Package, function: str) -> bool:
    try:
        made.read_back(package, function)
    except MctcError:
        return True
    return False


@pytest.mark.parametrize("name", ["encoder.layers.2.proj.weight", "encoder.layers.0.proj.weight", "out.weight"])
def test_a_single_bit_of_what_is_stored_is_seen(made: Artifact, whole: list[str], name: str) -> None:
    """Of one number, in a round that gives what the first one gives."""
    package = made.package
    function = package.functions["encoder"]
    called = made.target.named(made.folder / made.written.artifacts[0], "encoder")
    assert called is not None
    (value,) = [v for v in called if v.owner is not None and getattr(v.owner, "parameter", "") == name]
    place = next(i for i, each in enumerate(function.operations) if each.outputs[0].name == called[value])
    operation = function.operations[place]
    if operation.type == "const":
        changed = replace(
            operation, attributes={**operation.attributes, "val": with_last_bit(operation.attributes["val"])}
        )
    else:
        key = "data" if "data" in operation.inputs else "lut"
        (constant,) = operation.inputs[key]
        assert isinstance(constant, Constant)
        changed = replace(operation, inputs={**operation.inputs, key: (with_last_bit(constant),)})
    _refused(
        made,
        replace(package, functions={**package.functions, "encoder": with_operation(function, place, changed)}),
        "encoder",
    )
    assert whole[:1] == ["encoder"]


def test_what_functions_share_lies_in_one_place_and_other_tensors_in_others(made: Artifact) -> None:
    engine = Evaluator(made.package, "fp32", keep_weights=False)
    lies: dict[object, str] = {}
    for name, function in made.package.functions.items():
        pieces, again = engine.pieces(name), Evaluator(read_package(made.package.path), "fp32").pieces(name)
        for operation in (each for each in function.operations if each.outputs):
            item = operation.outputs[0]
            place = pieces.lies(item.name)
            assert place == again.lies(item.name)
            if place is not None:
                assert lies.setdefault(place, item.name) == item.name
            elif operation.type == "const":
                assert not operation.attributes["val"].stored_bytes
    assert lies


def test_stored_numbers_that_lie_in_the_package_are_not_read_from_there_where_they_were_written_otherwise(
    tmp_path: Path, whole: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mctc.spool.SMALL", 0)
    program, target = RoundNumbers().run(streaming_program(DEPTH, {}), Context()), AneTarget()
    weights = Weights(program.sources)
    weights.spool(tmp_path)
    add = WeightFile.add

    def wrongly(self: WeightFile, dtype: str, array: np.ndarray) -> int:
        return add(self, dtype, array[::-1] if array.ndim == 4 else array)

    monkeypatch.setattr(WeightFile, "add", wrongly)
    written = target.write(compiled(program), weights, tmp_path, BuildOptions(), {})
    made = Artifact(program, weights, tmp_path, target, written)
    with pytest.raises(EmitError, match="differs"):
        made.read_back(made.package)
    assert whole


def test_a_product_is_shown_once_and_what_bends_in_every_call(
    made: Artifact, whole: list[str], called: list[str]
) -> None:
    made.read_back(made.package, "rounds")
    assert [sum(f"'{kind}'" in told for told in called) for kind in ("conv2d", "tanh", "sub")] == [1, 2, 1]


def test_of_trained_weights_the_first_call_computes_every_op(
    made: Artifact, whole: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[set[Op]] = []
    begin = op_by_op.OpByOp.begin

    def watched(self: op_by_op.OpByOp, *given: object, **named: object) -> op_by_op.OpByOp:
        result = begin(self, *given, **named)  # type: ignore[arg-type]
        seen.append({*self.same})
        return result

    monkeypatch.setattr(op_by_op.OpByOp, "begin", watched)
    monkeypatch.setattr(Weights, "trained", property(lambda self: True))
    made.read_back(made.package)
    assert not whole
    assert not seen[0]
    assert all(seen[1 : len(readback.ITEMS)])


@pytest.mark.parametrize(("body", "refused"), [("sqrt(square(y * 10000))", True), ("tanh(square(y * 10000))", False)])
def test_numbers_that_are_lost_in_fp16_are_for_the_whole_to_judge(
    tmp_path: Path, whole: list[str], body: str, refused: bool
) -> None:
    spec = tmp_path / "m.mct"
    spec.write_text(f"""model m() {{
    dim B: batch
    dim T: time @ 100 Hz
    component c(x: f32[B, T, 64]) -> f32[B, T, 64] {{
        y = linear(x, 64)
        z = {body}
        return z
    }}
    stream {{ chunk = 40 ms }}
}}
""")
    if refused:
        with pytest.raises(MctcError, match="on noise, is not finite in fp16: square"):
            build(spec, tmp_path / "out", BuildOptions())
    else:
        build(spec, tmp_path / "out", BuildOptions())
    assert whole == ["c"] * refused


UNDEFINED = {"paraformer"}
"""Whose results are not finite somewhere, as untrained and as small as here."""


@pytest.mark.quick("whisper_small", "qwen3_asr_0_6b")
@pytest.mark.parametrize("name", sorted(SIZES.keys() - UNDEFINED))
def test_specs_are_proven_op_by_op(tmp_path: Path, whole: list[str], name: str) -> None:
    build(SPECS / f"{name}.mct", tmp_path / name, BuildOptions(defines=tuple(SIZES[name].items())))
    assert not whole


@pytest.mark.parametrize(
    ("array", "expected"),
    [(np.zeros((2, 300)), False), (np.full(9, 0.5), False), (np.arange(4.0).reshape(2, 2), True), (np.ones(0), False)],
)
def test_an_operand_that_is_one_number_shows_nothing_of_a_product(array: np.ndarray, expected: bool) -> None:
    assert op_by_op._varies(array) is expected
