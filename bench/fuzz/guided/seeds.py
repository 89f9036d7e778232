"""What a run begins with, all of it made from what mctc ships: specs, the examples of diagnostics and of lint rules."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from bench.fuzz.guided.bundle import Bundle, Member, emptied
from bench.fuzz.guided.examples import IR, MODELS, SPECS
from bench.fuzz.guided.mil_printer import Printer
from bench.fuzz.guided.packaging import bundle_of
from mctc.diagnostics.catalogue.table import CATALOGUE
from mctc.evaluate.coreml.declaration import REGISTRY
from mctc.ir.declared import registry
from mctc.ir.text import print_program
from mctc.language import elaborate_file
from mctc.language.modules import library_root
from mctc.linter.coreml.network.notation import is_network
from mctc.linter.coreml.notation import read_notation
from mctc.linter.coreml.table import table
from mctc.package import Constant, Package, read_package
from mctc.package.dtypes import DTYPES

LARGEST = 1 << 14
"""Bytes of weights in one seed: an example of a rule about large tensors is no seed."""

GRAMMAR = [
    "import",
    "model",
    "block",
    "component",
    "dim",
    "param",
    "repeat",
    "return",
    "assert",
    "if",
    "else",
    "as",
    "and",
    "or",
    "not",
    "true",
    "false",
    "none",
    "train",
    "stream\nquantize",
    "batch",
    "time",
    "label",
    "channel",
    "feature",
    "vocabulary",
    "f32",
    "f16",
    "i32",
    "bool",
    "Hz",
    "ms",
    "...",
    "->",
    "**",
    "//",
    "==",
    "!=",
    "<=",
    ">=",
    "<",
    ">",
    "=",
    "@",
    ":",
    ",",
    ";",
    ".",
    "*",
    "/\nprogram",
    "function",
    "source",
    "instance",
    "vocabulary",
    "state",
    "next",
    "packed",
    "parameter",
    "constant",
    "splat",
    "bytes",
    "result",
    "at",
    "in",
    "by\n{",
    "}",
    "(",
    ")",
    "[",
    "]",
    '"',
    "#",
    "\\",
    "\n",
]


MIL = """program func tensor state list dict tuple string const cond while_loop block name val x y weight path offset
BLOBFILE @model_path/weights/weight.bin ../weight.bin main ios15 ios18 true false ? * ...
0x1p-1 inf nan -> = ( ) [ ] { } < > , ;"""
FEATURE = {
    "name": "x",
    "type": "MultiArray",
    "dataType": "Float16",
    "shape": "[1, 2]",
    "isOptional": "0",
    "hasShapeFlexibility": "1",
    "enumeratedShapes": "[[1, 2], [1, 4]]",
    "shapeRange": "[[1, 1], [1, -1]]",
}
METADATA = [
    {
        "specificationVersion": 9,
        "modelType": {"name": "MLModelType_mlProgram"},
        "userDefinedMetadata": {"note": "a note"},
        "inputSchema": [FEATURE],
        "outputSchema": [FEATURE],
        "stateSchema": [FEATURE],
        "defaultFunctionName": "main",
        "functions": [{"name": "main", "inputSchema": [FEATURE]}],
    }
]


def text_seeds() -> Iterator[str]:
    """The library's specs, the example of every diagnostic, and the examples."""
    for path in sorted(library_root().rglob("*.mct")):
        yield path.read_text(encoding="utf-8")
    yield from (entry.example for entry in CATALOGUE.values() if entry.example)
    yield from SPECS


def ir_seeds(folder: Path) -> Iterator[str]:
    """The IR of every example, and of every op; `folder` is for files."""
    yield from IR
    for text in SPECS:
        (folder / "seed.mct").write_text(text, encoding="utf-8")
        yield print_program(elaborate_file(folder / "seed.mct"), locations=True)


def text_words() -> tuple[str, ...]:
    """What stands in texts: keywords, names of ops and of their attributes."""
    names = {name for op in registry().values() for name in (op.name, *op.defaults)}
    return (*" ".join(GRAMMAR).split(), "\n", *sorted(names))


def model_seeds(folder: Path) -> Iterator[bytes]:
    """The examples of the lint rules: each as a package, some of them compiled or bare. `folder` is for their files."""
    for number, package in enumerate(_examples()):
        bundle = bundle_of(package)
        yield bundle.encoded()
        if number % 3 == 0:
            yield _compiled(bundle, folder, older=number % 2 == 0).encoded()
        if number % 9 == 0:
            yield _bare(bundle).encoded()


def model_words() -> tuple[str, ...]:
    """What stands in models: names of ops and operands, types, marks of MIL text, keys of JSON."""
    names = {name for op in REGISTRY.items() for name in (op[0], *op[1].operands)}
    return (*MIL.split(), *sorted(DTYPES), *sorted(names), *(f"CoreML{number}" for number in range(4, 11)))


def _examples() -> Iterator[Package]:
    """The small packages among the examples of rules, each once."""
    texts = dict.fromkeys(text for rule in table().rules.values() for text in (rule.fires, rule.silent))
    programs = (text for text in texts if not is_network(text))
    for package in map(read_notation, (*programs, *MODELS)):
        if sum(constant.stored_bytes for constant in _constants(package)) <= LARGEST:
            yield package


def _constants(package: Package) -> Iterator[Constant]:
    for function in package.functions.values():
        for operation in function.walk():
            for bindings in operation.inputs.values():
                yield from (each for each in bindings if isinstance(each, Constant))


def _compiled(bundle: Bundle, folder: Path, older: bool) -> Bundle:
    """The model as Core ML's compiler leaves it, as far as the program goes."""
    text = Printer(older).program(read_package(bundle.write(emptied(folder))))
    files = {"model.mil": text.encode(), "metadata.json": json.dumps(METADATA).encode()}
    weights = bundle.members["Data/com.apple.CoreML/weights/weight.bin"]
    return Bundle("x.mlmodelc", {**{name: Member(each) for name, each in files.items()}, "weights/weight.bin": weights})


def _bare(bundle: Bundle) -> Bundle:
    model, weights = (
        bundle.members[f"Data/com.apple.CoreML/{name}"] for name in ("model.mlmodel", "weights/weight.bin")
    )
    return Bundle("x.mlmodel", {"": model, "weights/weight.bin": weights})
