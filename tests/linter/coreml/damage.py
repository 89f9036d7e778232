"""Damages a package in many ways and lints every copy: `python damage.py PACKAGE FOLDER COUNT SEED`.

Prints JSON: how each ended (a report, or a refusal), what escaped (a traceback), the slowest, and every file that was
opened outside the damaged package while it was linted. Beside each copy lies a secret that nothing may open.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mctc.diagnostics.errors import MctcError
from mctc.linter.coreml.check import check_package
from mctc.linter.coreml.formats.text import render_text
from mctc.linter.coreml.support import KNOWN
from mctc.linter.coreml.table import table
from mctc.package import read_package
from mctc.package.protobuf import model_class

MODEL = Path("Data/com.apple.CoreML/model.mlmodel")
WEIGHTS = Path("Data/com.apple.CoreML/weights/weight.bin")
SECRET = "secret.bin"
HUGE = (0, 1, 1 << 31, (1 << 63) - 1, (1 << 64) - 1)
Random = random.Random


def truncate(package: Path, rng: Random) -> None:
    file = package / rng.choice([MODEL, WEIGHTS, Path("Manifest.json")])
    os.truncate(file, rng.randrange(file.stat().st_size))


def flip(package: Path, rng: Random) -> None:
    file = package / rng.choice([MODEL, MODEL, WEIGHTS])
    content = bytearray(file.read_bytes())
    for _ in range(rng.choice([1, 3, 30])):
        content[rng.randrange(len(content))] = rng.randrange(256)
    file.write_bytes(content)


def point_outside(package: Path, rng: Random) -> None:
    manifest = json.loads((package / "Manifest.json").read_text())
    secret = str((package.parent / SECRET).absolute())
    path = rng.choice([f"../../{SECRET}", secret, f"com.apple.CoreML/../../../{SECRET}", "..", "", "com.apple.CoreML"])
    rng.choice(list(manifest["itemInfoEntries"].values()))["path"] = path
    (package / "Manifest.json").write_text(json.dumps(manifest))


def link_outside(package: Path, rng: Random) -> None:
    file = package / rng.choice([MODEL, WEIGHTS, Path("Manifest.json")])
    file.unlink()
    file.symlink_to(package.parent / SECRET)


def pipe(package: Path, rng: Random) -> None:
    file = package / rng.choice([MODEL, WEIGHTS, Path("Manifest.json")])
    file.unlink()
    os.mkfifo(file)


def edit(change: Callable[[Any, Random], None]) -> Callable[[Path, Random], None]:
    """Damage done to the specification's messages."""

    def damage(package: Path, rng: Random) -> None:
        model = model_class()()
        model.ParseFromString((package / MODEL).read_bytes())
        for _ in range(rng.choice([1, 2, 8])):
            change(model, rng)
        (package / MODEL).write_bytes(model.SerializeToString())

    return damage


def operations(model: Any, rng: Random) -> Any:
    function = model.mlProgram.functions[rng.choice(sorted(model.mlProgram.functions))]
    return function.block_specializations[function.opset].operations


def cycle(model: Any, rng: Random) -> None:
    """An operand becomes the op's own result, a later one, or a name that nothing defines."""
    ops = operations(model, rng)
    op = rng.choice(list(ops))
    name = rng.choice([*(each.name for each in op.outputs), *(o.name for o in rng.choice(list(ops)).outputs), "ghost"])
    if op.inputs:
        op.inputs[rng.choice(sorted(op.inputs))].arguments.add(name=name)


def retype(model: Any, rng: Random) -> None:
    """An op takes another type, so that its operands are not those that rules expect."""
    rng.choice(list(operations(model, rng))).type = rng.choice(
        [*sorted(KNOWN), "constexpr_lut_to_dense", "", "\x1b[31m"]
    )


def resize(model: Any, rng: Random) -> None:
    """Extents and ranks that can't be."""
    op = rng.choice(list(operations(model, rng)))
    values = [output.type for output in op.outputs] + [value.type for value in op.attributes.values()]
    tensor = rng.choice(values).tensorType if values else None
    if tensor is None:
        return
    if rng.random() < 0.3:
        del tensor.dimensions[:]
    for _ in range(rng.choice([1, 1, 5, 25, 40])):
        dimension = tensor.dimensions.add()
        if rng.random() < 0.8:
            dimension.constant.size = rng.choice(HUGE)
        else:
            dimension.unknown.variadic = rng.random() < 0.5


def misplace(model: Any, rng: Random) -> None:
    """Offsets and names of weight files that lead elsewhere."""
    for op in operations(model, rng):
        for value in op.attributes.values():
            if value.WhichOneof("value") == "blobFileValue" and rng.random() < 0.5:
                value.blobFileValue.offset = rng.choice([*HUGE, 63, 64, 65])
                if rng.random() < 0.3:
                    value.blobFileValue.fileName = f"@model_path/../../../{SECRET}"


def remove(model: Any, rng: Random) -> None:
    ops = operations(model, rng)
    kind = rng.randrange(4)
    op = rng.choice(list(ops))
    if kind == 0:
        del ops[rng.randrange(len(ops))]
    elif kind == 1 and op.inputs:
        del op.inputs[rng.choice(sorted(op.inputs))]
    elif kind == 2:
        op.outputs.add(name=rng.choice(["", "x", "y", "a" * 10_000]))
    else:
        op.attributes.clear()


def repeat(model: Any, rng: Random) -> None:
    """Ops inside ops, and ops many times over."""
    ops = operations(model, rng)
    op = rng.choice(list(ops))
    if rng.random() < 0.5:
        block = op.blocks.add()
        apart = [type(each).FromString(each.SerializeToString()) for each in list(ops)[:20] if not each.blocks]
        for _ in range(20):
            block.operations.add().CopyFrom(rng.choice(apart))
            block = block.operations[-1].blocks.add()
    else:
        apart = type(op).FromString(op.SerializeToString())  # growing a field by its own entry crashes protobuf itself
        ops.extend([apart] * 500)


def describe(model: Any, rng: Random) -> None:
    """Descriptions that don't fit the program."""
    feature = rng.choice([model.description.input, model.description.output, model.description.state]).add()
    feature.name = rng.choice(["x", "ghost", ""])
    array = feature.type.multiArrayType
    array.shape.extend(rng.choice([[1 << 62] * 3, [-1], []]))
    array.enumeratedShapes.shapes.add().shape.extend([1 << 62] * rng.choice([1, 300]))


DAMAGES = [truncate, flip, flip, point_outside, link_outside, pipe] + [
    edit(change) for change in (cycle, retype, retype, resize, resize, misplace, remove, remove, repeat, describe)
]


class Watcher:
    """Notes what is opened while it is on."""

    def __init__(self) -> None:
        self.inside: Path | None = None
        self.opened: set[str] = set()
        sys.addaudithook(self.hear)

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and self.inside is not None and isinstance(arguments[0], (str, bytes, os.PathLike)):
            path = os.path.realpath(os.fsdecode(arguments[0]))
            if path.endswith((".py", ".pyc")):  # what Python itself imports late
                return
            if not path.startswith(f"{self.inside}/") and path != str(self.inside):
                self.opened.add(path)


def main(package: Path, folder: Path, count: int, seed: int) -> None:
    rules = list(table().rules.values())
    (folder / SECRET).write_bytes(b"secret" * 1000)
    copy = folder / "copy.mlpackage"
    render_text([check_package(read_package(package), rules)])  # whatever is imported late is imported now
    watcher, rng = Watcher(), Random(seed)
    ended: Counter[str] = Counter()
    escaped: list[str] = []
    slowest = 0.0
    for index in range(count):
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(package, copy)
        damage = DAMAGES[index % len(DAMAGES)]
        damage(copy, rng)
        started = time.perf_counter()
        watcher.inside = Path(os.path.realpath(copy))
        try:
            render_text([check_package(read_package(copy), rules)])
            ended["report"] += 1
        except MctcError:
            ended["refused"] += 1
        except BaseException:
            ended["escaped"] += 1
            escaped.append(f"{index}: {traceback.format_exc(limit=-4)}")
        watcher.inside = None
        slowest = max(slowest, time.perf_counter() - started)
    print(json.dumps({
        "ended": ended, "escaped": escaped[:5], "slowest": slowest, "opened": sorted(watcher.opened),
    }))  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
