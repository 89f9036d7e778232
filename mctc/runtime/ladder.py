"""`mctc verify`: the ladder of proof over a build, each rung by something that did not build the rung below."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from mctc.build.manifest import PROGRAM, WHOLE, sha256
from mctc.build.options import BuildError, BuildOptions
from mctc.diagnostics.errors import MctcError
from mctc.ir.op import Array
from mctc.ir.program import Program
from mctc.ir.text import parse_program
from mctc.runtime.built import Built, open_built
from mctc.runtime.streams import Streams
from mctc.weights import Weights

FP32_ERROR = 1e-4  # of the largest magnitude in a result
FP16_SNR_DB = 40.0
SPEECH_S = 10.0


@dataclass(frozen=True)
class Rung:
    """What was checked on which component, what was measured, and whether it holds. `ok` None: it could not be run."""

    name: str
    component: str
    measured: str
    limit: str
    ok: bool | None


class Ladder:
    """All rungs of a build. Raises BuildError when the folder is no build, or was not made from `weights`."""

    def __init__(self, folder: Path, weights: Path | None = None) -> None:
        self.built: Built = open_built(folder)
        self.folder, self.weights_file = folder, weights
        if weights is not None and "seed" in self.built.manifest.get("weights", {}):
            raise BuildError(f"{folder} holds initial weights, not those of {weights}", hint="leave --weights off")

    def climb(self) -> Iterator[Rung]:
        """Every rung, as it is measured. A rung that raises fails; what stands on programs that can't be read ends."""
        yield from self._guard("files", "build", self.files)
        readable = True
        for rung in self._guard("programs", "build", self.programs):
            readable = readable and rung.ok is not False
            yield rung
        if not readable:
            return
        yield from self._guard("passes", "build", self.passes)
        yield from self._guard("coremltools", "package", self.witness)
        for name in self.built.functions:
            yield from self._guard("step in the IR", name, partial(self.steps, name))
            yield from self._guard("package, fp32", name, partial(self.exact, name))
            yield from self._guard("package, fp16", name, partial(self.rounded, name))

    def _guard(self, name: str, component: str, rung: Callable[[], Rung]) -> Iterator[Rung]:
        try:
            yield rung()
        except MctcError as error:
            yield Rung(name, component, str(error), "", False)

    def files(self) -> Rung:
        """Every file is the one that the manifest was written for."""
        listed = self.built.manifest["files"]
        wrong = [n for n, digest in listed.items() if not _inside(self.folder, n) or sha256(self.folder / n) != digest]
        told = f"differ: {', '.join(wrong)}" if wrong else f"{len(listed)} as built"
        return Rung("files", "build", told, "SHA-256", not wrong)

    def programs(self) -> Rung:
        """The IR verifier on both programs."""
        from mctc.ir.verify import verify

        verify(self.whole)
        verify(self.deployed)
        count = sum(len(f.ops) for program in (self.whole, self.deployed) for f in program.functions.values())
        return Rung("programs", "build", f"{count} ops type-check", "IR verifier", True)

    def passes(self) -> Rung:
        """The spec compiled again, every pass evaluated before and after; the result is the build's own program."""
        from mctc.build.make import compile_for
        from mctc.diagnostics.source import SourceFile
        from mctc.ir.printer import print_program
        from mctc.language import elaborate_file

        source = self.built.manifest["source"]
        if not Path(source["spec"]).is_file():
            return Rung("passes", "build", f"{source['spec']} is not here", "", None)
        options, read = self._options(), list[SourceFile]()
        program = elaborate_file(source["spec"], model=options.model, defines=options.defines, read=read.append)
        hashes = {each.name: hashlib.sha256(each.text.encode()).hexdigest() for each in read}
        if hashes != source["files"]:
            return Rung("passes", "build", "the spec has changed since", "", None)
        compiled = compile_for(self.built.target, program, options)
        same = print_program(compiled.deployed, locations=True) == (self.folder / PROGRAM).read_text(encoding="utf-8")
        worst = max(
            (ran.error or 0.0) for stage in compiled.ran.values() for ran in stage if _promises_exactness(ran.name)
        )
        count = sum(map(len, compiled.ran.values()))
        told = f"{count} passes, worst exact one {worst:.1e}" if same else "they give another program"
        return Rung("passes", "build", told, "its promise", same)

    def witness(self) -> Rung:
        """coremltools rebuilds every operation and infers its types."""
        target = self.built.target
        if not hasattr(target, "retyped"):
            return Rung("coremltools", "package", "this target has no witness", "", None)
        packages = sorted({function.package for function in self.built.functions.values()})
        count = sum(target.retyped(package) for package in packages)
        return Rung("coremltools", "package", f"{count} results retyped", "equal types", True)

    def steps(self, name: str) -> Rung:
        """The deployed step over chunks against the whole component, both by the ops' reference semantics."""
        error = self._error(name, self.streams.by_reference(name))
        return Rung("step in the IR", name, f"{error:.1e}", f"{FP32_ERROR:g}", error <= FP32_ERROR)

    def exact(self, name: str) -> Rung:
        """The package from disk, evaluated in fp32 and type-checked, over chunks against the whole component."""
        error = self._error(name, self.streams.by_package(name, "fp32"))
        return Rung("package, fp32", name, f"{error:.1e}", f"{FP32_ERROR:g}", error <= FP32_ERROR)

    def rounded(self, name: str) -> Rung:
        """The same with every value rounded to fp16, as a signal-to-noise ratio."""
        streamed = self.streams.by_package(name, "fp16")
        whole = self.streams.utterance(name).results
        snr = min(signal_to_noise(whole[key], streamed[key]) for key in streamed)
        return Rung("package, fp16", name, f"{snr:.1f} dB", f"{FP16_SNR_DB:g} dB", snr >= FP16_SNR_DB)

    @cached_property
    def whole(self) -> Program:
        return _program(self.folder / WHOLE)

    @cached_property
    def deployed(self) -> Program:
        return _program(self.folder / PROGRAM)

    @cached_property
    def streams(self) -> Streams:
        return Streams(self.built, self.whole, self.deployed, self._weights, self._mel())

    def _error(self, name: str, streamed: dict[str, Array]) -> float:
        from mctc.rewrite.validate import relative_error

        whole = self.streams.utterance(name).results
        return max(relative_error(whole[key], streamed[key]) for key in streamed)

    def _mel(self) -> Array | None:
        if self.built.mel is None:
            return None
        from mctc.audio import bundled_recording, load_audio, log_mel

        rate = self.built.mel.sample_rate
        return log_mel(load_audio(bundled_recording(), rate)[: int(SPEECH_S * rate)], self.built.mel)

    def _weights(self, program: Program) -> Weights:
        described: dict[str, Any] = self.built.manifest["weights"]
        if "seed" in described:
            return Weights(program.sources, described["seed"], cache=True)
        if self.weights_file is None:
            hint = f"pass --weights {described['file']}"
            raise BuildError("this build holds trained weights, and a proof needs the checkpoint as well", hint=hint)
        if sha256(self.weights_file) != described["sha256"]:
            raise BuildError(f"{self.weights_file} is not the checkpoint of this build ({described['file']})")
        return Weights.load(program, self.weights_file, cache=True)

    def _options(self) -> BuildOptions:
        recorded = dict(self.built.manifest["options"])
        recorded["without"] = tuple(recorded["without"])
        return BuildOptions(**recorded, chunk=self.built.chunk, verify_each=True)


def signal_to_noise(signal: Array, other: Array) -> float:
    """10 log10 of the signal's power over that of the difference, in dB."""
    noise = float(np.square(other - signal).sum())
    return float("inf") if noise == 0 else 10 * float(np.log10(np.square(signal).sum() / noise))


def _promises_exactness(name: str) -> bool:
    from mctc.plugins import registry
    from mctc.rewrite.base import Within

    return not isinstance(registry().passes()[name].promise, Within)


def _inside(folder: Path, name: str) -> bool:
    path = folder / name
    return path.resolve().is_relative_to(folder.resolve()) and path.is_file()


def _program(path: Path) -> Program:
    try:
        return parse_program(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BuildError(f"{path} cannot be read: {error.strerror}", hint="build it again") from error
