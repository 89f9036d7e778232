"""Compressed weights come back, bit by bit, as the numbers that the program computes with.

In a process of its own: coreai's runtime ends the process where it can't make sense of packed constants.
"""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from mctc.targets.coreai.dialect import packed

SCHEMES = [
    *product(["int8", "int4"], [None], [8]),
    *product(["palette"], [None, 4], [1, 2, 3, 4, 6, 8]),
]
SHAPES = [(16, 12, 1, 1), (4, 3, 1, 3), (256, 128, 1, 1)]
TABLE = (12, 8)  # of an embedding: its output channels lie along axis 1
SCRIPT = """
import json, sys
from pathlib import Path
import numpy as np
from mctc.ir.build import Builder
from mctc.ir.program import Program, Quantization, Value
from mctc.targets.coreai.graphs import read_graphs
from tests.targets.ane.hand_made import add_parameter, finish, laid_out
from tests.targets.coreai.conftest import made
from tests.targets.coreai.test_compressed_weights import SCHEMES, SHAPES, TABLE

program = Program("weights")
x = Value(laid_out(1, 1), "x")
for s, (scheme, group, bits) in enumerate(SCHEMES):
    b = Builder(program)
    results = []
    for i, shape in enumerate([*SHAPES, TABLE]):
        how = Quantization(scheme, bits, group, axis=1 if shape == TABLE else 0)
        add_parameter(program, f"w{s}.{i}", *shape, quantization=how)
        results.append((f"y{i}", b.parameter(f"w{s}.{i}")))
    finish(b, f"f{s}", [x], [*results, ("same", x)], [])
written = made(program, Path(sys.argv[1]))
engine, wrong = written.engine(), []
for s in range(len(SCHEMES)):
    found = engine.function(f"f{s}")({"x": np.zeros((1, 1, 1, 1))})
    for i in range(len(SHAPES) + 1):
        expected = written.weights.deployed(written.program.parameters[f"w{s}.{i}"])
        if not np.array_equal(found[f"y{i}"].astype(np.float32), expected):
            wrong.append([SCHEMES[s], i])
kinds = sorted({op.kind for graph in read_graphs(written.asset).values() for op in graph.computed})
size = (written.asset / "main.mlirb").stat().st_size
print(json.dumps({"wrong": wrong, "kinds": kinds, "size": size}))
"""


@pytest.fixture(scope="module")
def outcome(root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    command = [sys.executable, "-c", SCRIPT, str(tmp_path_factory.mktemp("weights"))]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return dict(json.loads(done.stdout.splitlines()[-1]))


def test_every_scheme_gives_the_numbers_that_the_program_computes_with(outcome: dict[str, object]) -> None:
    assert outcome["wrong"] == []


def test_they_are_stored_compressed(outcome: dict[str, object]) -> None:
    assert outcome["kinds"] == ["blockwise_shift_scale", "lut_to_dense"]
    entries = sum(int(np.prod(shape)) for shape in (*SHAPES, TABLE))
    assert isinstance(outcome["size"], int)
    assert outcome["size"] < entries * len(SCHEMES)  # half of what fp16 takes, tables and all


@pytest.mark.parametrize(("bits", "codes"), [(4, [1, 2, 15]), (2, [3, 0, 1, 2, 1])])
def test_the_first_code_lies_in_the_lowest_bits(bits: int, codes: list[int]) -> None:
    joined = int.from_bytes(packed(np.array(codes, np.uint8), bits).tobytes(), "little")
    assert [joined >> bits * i & ((1 << bits) - 1) for i in range(len(codes))] == codes
    assert packed(np.array([-1, -7], np.int8), 4).tolist() == [0x9F]
