"""A trained build, the same model built otherwise, and what each of them hears."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import cached_property
from io import StringIO
from pathlib import Path
from typing import Any

from mctc.cli.main import run
from mctc.score.alignment import Counts
from mctc.score.manifests.read import read_data
from mctc.score.utterance import Utterance

UNQUANTISED = ("--without", "annotate-quantization")


@dataclass(frozen=True)
class Asked:
    """limit: utterances of each test, None for all; sample: of each test by slow engines; minutes: of a long stream."""

    limit: int | None
    sample: int
    minutes: int
    jobs: int


@dataclass(frozen=True)
class System:
    """A way to hear: the options of a build, and of `mctc score`. build None: the one that was given."""

    name: str
    build: tuple[str, ...] | None = None
    score: tuple[str, ...] = ()
    slow: bool = False

    @property
    def label(self) -> str:
        """The name as one of a file."""
        return re.sub("[^a-z0-9]+", "-", self.name)

    @property
    def checkpoint(self) -> bool:
        """Whether the weights are not in the build."""
        return self.build is not None and "torch" in self.build


MODULE = System("module, fp32, whole", ("--target", "torch", *UNQUANTISED), ("--whole",))
STREAMED = System("onnxruntime, fp32", ("--target", "onnx", *UNQUANTISED))
STORED = System("onnxruntime, int4/int8", ("--target", "onnx"))
HALF = System("package, fp16", ("--target", "ane", *UNQUANTISED), slow=True)
PACKAGE = System("package, int4/int8", slow=True)
SYSTEMS = (MODULE, STREAMED, STORED, HALF, PACKAGE)


@dataclass(frozen=True)
class Heard:
    """One utterance: its errors in words, what was heard, and how late words that were heard right came."""

    id: str
    words: Counts
    text: str
    delays: tuple[float, ...]


@dataclass(frozen=True)
class Model:
    """A build of target ane, the checkpoint that it was made with, the manifests of tests, and a folder to work in."""

    folder: Path
    weights: Path
    tests: tuple[Path, ...]
    work: Path
    asked: Asked

    @cached_property
    def sets(self) -> Mapping[str, Sequence[Utterance]]:
        """The utterances of each test, as many as asked for, by the name of its file."""
        return {path.stem.removeprefix("test-"): read_data([path])[: self.asked.limit] for path in self.tests}

    @cached_property
    def manifest(self) -> Mapping[str, Any]:
        content: Mapping[str, Any] = json.loads((self.folder / "manifest.json").read_text(encoding="utf-8"))
        return content

    def built(self, options: tuple[str, ...] | None) -> Path:
        """The folder of the same spec, weights and tokens built with other options. Raises SystemExit."""
        if options is None:
            return self.folder
        name = "-".join(each.strip("-") for each in options) or "ane"
        out = self.work / "builds" / name
        if not (out / "manifest.json").exists():
            recorded, source = self.manifest["options"], self.folder / self.manifest["source"]["spec"]
            tokens = self.folder / self.manifest["tokens"]["file"]
            told = ["build", source, "--weights", self.weights, "--tokens", tokens, "-o", out, *options]
            told += [word for pair in recorded["defines"].items() for word in ("-D", "{}={}".format(*pair))]
            told += ["--model", recorded["model"]] if recorded["model"] else []
            _command(*told)
        return out

    def heard(self, system: System, manifests: Mapping[str, Path], key: str) -> dict[str, list[Heard]]:
        """The utterances of each manifest by a system, in order; `key` names the file of what was heard before."""
        kept = self.work / "scores" / f"{system.label}-{key}.jsonl"
        kept.parent.mkdir(parents=True, exist_ok=True)
        result, weights = kept.with_suffix(".json"), ["--weights", self.weights] if system.checkpoint else []
        _command(
            "score", self.built(system.build), *manifests.values(), "--normaliser", "simple", "--shard", "1/1",
            "--jobs", self.asked.jobs, "--resume", kept, "--output", result, *weights, *system.score,
        )  # fmt: skip
        entries = iter(json.loads(result.read_text(encoding="utf-8"))["utterances"])
        counts = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in manifests.items()}
        return {name: [_heard(next(entries)) for _ in range(count)] for name, count in counts.items()}


def _heard(entry: Mapping[str, Any]) -> Heard:
    words = entry["words"]
    counts = Counts(*(int(words[key]) for key in ("said", "substitutions", "deletions", "insertions")))
    return Heard(str(entry["id"]), counts, str(entry["heard"]), tuple(entry["delays"]))


def _command(*words: object) -> None:
    """A command of mctc, without what it prints. Raises SystemExit where it fails."""
    told = ["--quiet", *map(str, words)]
    with redirect_stdout(StringIO()):
        code = run(told)
    if code:
        raise SystemExit(f"mctc {' '.join(told)} exits with {code}")
