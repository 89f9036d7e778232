"""`mctc verify`: the proof over a build, each check by something that did not make what is checked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property, partial
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np

from mctc.diagnostics.diagnostic import DiagnosticError
from mctc.diagnostics.errors import MctcError, UsageError
from mctc.diagnostics.near import did_you_mean, listing
from mctc.driver.engine import RuntimeMissingError
from mctc.driver.manifest import PROGRAM, WHOLE, sha256
from mctc.driver.options import BuildError, BuildOptions
from mctc.driver.reading import read_program, read_text
from mctc.driver.target import Target
from mctc.evaluate.engine.arithmetic import arithmetic
from mctc.ir.op import Array
from mctc.ir.printer import print_program
from mctc.ir.program import Op, Program
from mctc.ir.rounding import Rounding
from mctc.ir.types import Role
from mctc.numerics.battery import BATTERY, BROKEN, NOISE, Item
from mctc.numerics.limits import FP32, STEPS, Limit, limit_of
from mctc.numerics.parameters import is_small
from mctc.numerics.undefined import first_undefined
from mctc.numerics.undefined import told as told_op
from mctc.proof.ahead import Ahead, Asked, timed
from mctc.proof.check import Check, by_rounding, compare, worst
from mctc.proof.engine import Engined
from mctc.proof.narrowed import lost_in_half
from mctc.proof.padded import can_pad, over_padded
from mctc.proof.runtimes import OtherBuild, build_other, precisions
from mctc.proof.runtimes import runtimes as runtime_targets
from mctc.proof.speech import heard, speech_s
from mctc.proof.subject import Subject
from mctc.runtime.built import Built, open_built
from mctc.runtime.step import Packages, stepping
from mctc.streaming.derive import derive_program
from mctc.streaming.latencies import derive_latencies
from mctc.weights import Weights

WHOLE_RUN = "IR reference, whole"
OTHER_CHUNK = "IR reference, chunk x 2"
Arrays = Mapping[str, Array]


class Proof:
    """All checks of a build. Raises BuildError when the folder is no build, or was not made from `weights`.

    runtimes: names of targets whose runtimes are asked besides; None asks all that are installed.
    inputs: names of items of the battery; all of them if there is none. engines: arithmetics of the Neural Engine that
    a build for it is executed in besides, and engine_limit the decibels that each component must reach there.
    """

    def __init__(
        self, folder: Path, weights: Path | None = None, runtimes: Sequence[str] | None = None,
        inputs: Sequence[str] = (), engines: Sequence[str] = (), engine_limit: float | None = None,
    ) -> None:  # fmt: skip
        self.inputs = _known(inputs)
        self.built: Built = open_built(folder)
        self.runtimes = [] if runtimes is not None and not runtimes else runtime_targets(runtimes or ())
        self.folder, self.weights_file = folder, weights
        self.engines, self.engine_limit = tuple(map(arithmetic, engines)), engine_limit
        if any(each.kind != "engine" for each in self.engines):
            raise UsageError("fp32 and fp16 are checks of every build", hint="--arithmetic engine[:FAMILY[:UNKNOWN]]")
        if self.engines and not self.built.target.as_engine:
            raise BuildError(f"what target {self.built.target.name} writes isn't executed as the Neural Engine does")
        if weights is not None and "seed" in self.built.manifest.get("weights", {}):
            raise BuildError(f"{folder} holds initial weights, not those of {weights}", hint="leave --weights off")

    def checks(self) -> Iterator[Check]:
        """Every check, as it is measured. One that raises fails; what stands on programs that can't be read ends."""
        yield from self._guard("files", "build", self.files)
        readable = True
        for check in self._guard("programs", "build", self.programs):
            readable = readable and check.ok is not False
            yield check
        if not readable:
            return
        wholes = {
            name: [*self._guard(WHOLE_RUN, name, partial(self.reference, name))] for name in self.built.every_function
        }
        with ExitStack() as stack:
            others = [self._of_target(each, stack) for each in self.runtimes if each.name != self.built.target.name]
            yield from self._guard("passes", "build", self.passes)
            yield from self._guard("coremltools", "package", self.coremltools)
            yield from self._here(wholes)
            yield from chain.from_iterable(others)

    def _here(self, wholes: Mapping[str, Iterable[Check]]) -> Iterator[Check]:
        """The reference, and the build by its own runtime."""
        for name in self.built.every_function:
            yield from wholes[name]
            yield from self._guard("IR reference, steps", name, partial(self.steps, name))
            if self._takes_chunks(name):
                yield from self._guard(OTHER_CHUNK, name, partial(self.other_chunk, name))
        yield from self._checked(self._asked(Packages(self.built, load=self._weights), self.deployed, self.subject))
        yield from self._on_engines()

    def _on_engines(self) -> Iterator[Check]:
        """The build in the arithmetic of the Neural Engine."""
        for each in self.engines:
            engined = Engined(Packages(self.built, load=self._weights), self.subject, self.engine_limit)
            for name in self.built.every_function:
                try:
                    yield from engined.checks(name, each)
                except MctcError as error:
                    yield Check(f"{self.built.target.runtime}, {each}", name, str(error), "", False)

    def _guard(self, name: str, component: str, check: Callable[[], Check]) -> Iterator[Check]:
        try:
            yield check()
        except MctcError as error:
            yield Check(name, component, str(error), "", False)

    def files(self) -> Check:
        """Every file is the one that the manifest was written for."""
        listed = self.built.manifest["files"]
        wrong = [n for n, digest in listed.items() if not _inside(self.folder, n) or sha256(self.folder / n) != digest]
        told = f"differ: {', '.join(wrong)}" if wrong else f"{len(listed)} as built"
        return Check("files", "build", told, "SHA-256", not wrong)

    def programs(self) -> Check:
        """The IR verifier on both programs."""
        from mctc.ir.verify import verify

        verify(self.whole)
        verify(self.deployed)
        count = sum(len(f.ops) for program in (self.whole, self.deployed) for f in program.functions.values())
        return Check("programs", "build", f"{count} ops type-check", "IR verifier", True)

    def passes(self) -> Check:
        """The spec compiled again, every pass evaluated before and after; the result is the build's own program."""
        from mctc.diagnostics.source import FileRead
        from mctc.driver import sources
        from mctc.driver.make import compile_for
        from mctc.language import elaborate_file

        source = self.built.manifest["source"]
        spec, root = self.folder / source["spec"], self.folder / sources.FOLDER
        if not _inside(self.folder, source["spec"]):
            return Check("passes", "build", f"{source['spec']} is not here", "", None)
        options, read = self._options(), list[FileRead]()
        program = elaborate_file(spec, model=options.model, defines=options.defines, read=read.append, root=root)
        if sources.source_record(read) != source:
            return Check("passes", "build", sources.changed(source, read, self.built.manifest["mctc"]), "", None)
        compiled = compile_for(self.built.target, program, options)
        same = print_program(compiled.deployed, locations=True) == read_text(self.folder / PROGRAM)
        worst = max(
            (ran.error or 0.0) for stage in compiled.ran.values() for ran in stage if _promises_exactness(ran.name)
        )
        count = sum(map(len, compiled.ran.values()))
        told = f"{count} passes, worst exact one {worst:.1e}" if same else "they give another program"
        return Check("passes", "build", told, "its promise", same)

    def coremltools(self) -> Check:
        """coremltools rebuilds every operation and infers its types."""
        target = self.built.target
        if not hasattr(target, "retyped"):
            return Check("coremltools", "package", "coremltools reads nothing that this target writes", "", None)
        packages = sorted({function.package for function in self.built.every_function.values()})
        count = sum(target.retyped(package) for package in packages)
        return Check("coremltools", "package", f"{count} results retyped", "equal types", True)

    def reference(self, name: str) -> Check:
        """The whole component by the ops' reference semantics: what every runtime is measured against."""
        start = perf_counter()
        undefined = {item: self._undefined(name, item) for item in self.subject.items(name)}
        seconds = perf_counter() - start
        notes = [f"{name}: {op} is not finite on {item.name}" for item, op in undefined.items() if op is not None]
        results = self.subject.utterance(name, NOISE).results
        nowhere = any(array.size and not np.isfinite(array).any() for array in results.values())
        for item in self.subject.asked(BATTERY):
            op = self.subject.out_of_range(name, item)
            notes += [f"{name}: fp16 can't hold {told_op(op)} on {item.name}: not compared there"] if op else []
        told = "nowhere finite" if nowhere else "the measure"
        return Check(WHOLE_RUN, name, told, "", not nowhere, 0.0, seconds, notes=tuple(notes))

    def _undefined(self, name: str, item: Item) -> str | None:
        """The first op of the whole component that is not finite, if one is that a result depends on."""
        uttered = self.subject.utterance(name, item)
        if all(np.isfinite(array).all() for array in uttered.results.values()):
            return None
        op = first_undefined(self.whole.functions[self.subject.component(name)], uttered.inputs, self._value)
        return "a result" if op is None else told_op(op)

    def _value(self, name: str) -> Array:
        return self.subject.parameter(self.whole)(name)

    def steps(self, name: str) -> Check:
        """The deployed step over chunks, by the ops' reference semantics too, with parameters as they are: a step may
        store what is computed of some, and that is rounded then."""
        subject = self._exact
        run = partial(subject.stepped, name)
        return self._measured(Asked("IR reference, steps", name, FP32, subject.items(name), timed(run), subject))

    def other_chunk(self, name: str) -> Check:
        """The step derived for chunks of twice the length: no result may depend on where a chunk ends."""
        lengths = replace(self.built.lengths, chunk=2 * self.built.lengths.chunk)
        derived, infos = derive_program(self.whole, lengths, only={name})
        steps = {**self.subject.steps, **infos}
        subject = self._exact.but(deployed=derived, steps=steps, lengths=lengths, heard={})
        run = timed(partial(subject.stepped, name))
        return self._measured(Asked(OTHER_CHUNK, name, STEPS, (BROKEN,), run, subject))

    def _takes_chunks(self, name: str) -> bool:
        info = self.subject.steps[name]
        return info.streams and info.role is Role.TIME and info.component == name

    def _of_target(self, target: Target, stack: ExitStack) -> Iterable[Check]:
        """The program built for another target, in every precision that it has, and executed by its runtime.

        One that computes outside of Python begins at once and goes on until `stack` is closed, if the model is small:
        all that is compared is in memory then.
        """
        if not target.own_threads or not is_small(self.whole):
            return self._one_by_one(target)
        ahead = Ahead()
        stack.callback(ahead.close)
        parts = list[Iterable[Check]]()
        for precision in precisions(target):
            made = self._build_for(target, precision, ahead.folder / precision)
            begun = [made] if isinstance(made, Check) else self._checked([ahead.begin(each) for each in made])
            parts.append(begun)
            if isinstance(made, Check) and made.ok is None:
                break
        return chain.from_iterable(parts)

    def _one_by_one(self, target: Target) -> Iterator[Check]:
        for precision in precisions(target):
            with TemporaryDirectory() as scratch:
                made = self._build_for(target, precision, Path(scratch) / "build")
                if not isinstance(made, Check):
                    yield from self._checked(made)
                    continue
                yield made
                if made.ok is None:
                    return

    def _build_for(self, target: Target, precision: str, folder: Path) -> Check | Iterator[Asked]:
        """What a build for another target is asked, or why there is none: `ok` is None where nothing can be built."""
        label = str(target.runtime)
        if precision == "fp16" and not target.mixed_precision and (op := self._lost_in_half) is not None:
            told = f"it has no parts in fp32, and {told_op(op)} is beyond fp16"
            return Check(f"{label}, {precision}", "build", told, "", None)
        try:
            other = build_other(target, self.whole, self._options(), precision, self.built, folder)
            packages = Packages(other.built, load=self._weights)
            for function in other.built.functions.values():
                packages.engine(function.package)
        except RuntimeMissingError as error:
            return Check(label, "build", str(error), "", None)
        except DiagnosticError as error:  # it writes steps alone, and there are none
            return Check(label, "build", error.diagnostics[0].message, "", None)
        except MctcError as error:
            return Check(f"{label}, {precision}", "build", str(error), "", False)
        return self._asked(packages, other.deployed, self._subject_of(other))

    @cached_property
    def _lost_in_half(self) -> Op | None:
        found = (lost_in_half(self.subject, name) for name in self.built.every_function)
        return next((op for op in found if op is not None), None)

    def _subject_of(self, other: OtherBuild) -> Subject:
        """What another build is held to: the program with the numbers that it holds, which fp16 may have rounded."""
        if print_program(other.whole) == print_program(self.whole):
            return self.subject
        return self.subject.but(whole=other.whole, deployed=other.deployed)

    def _asked(self, packages: Packages, deployed: Program, subject: Subject) -> Iterator[Asked]:
        """What a build's runtime makes of chunks and, where it has functions for them, of whole utterances."""
        target = packages.built.target
        for precision in target.computes or (packages.precision,):
            at = Packages(packages.built, precision, self._weights) if precision != packages.precision else packages
            name, limit = f"{target.runtime}, {precision}", limit_of(precision)
            for each in packages.built.every_function:
                run = partial(self.over_chunks, each, at, deployed, subject=subject)
                yield Asked(name, each, limit, subject.items(each), timed(run), subject, deployed)
            for each in packages.built.whole:
                whole = timed(partial(self.over_whole, each, at, subject=subject))
                yield Asked(f"{name}, whole", each, limit, subject.items(each, whole=True), whole, subject)
                if at.takes_lengths(each) and can_pad(subject, each):
                    padded = timed(partial(over_padded, subject, each, at.whole(each)))
                    yield Asked(f"{name}, padded", each, limit, (NOISE,), padded, subject)

    def _checked(self, asked: Iterable[Asked]) -> Iterator[Check]:
        for each in asked:
            yield from self._guard(each.check, each.component, partial(self._measured, each))

    def over_chunks(
        self, name: str, packages: Packages, deployed: Program, item: Item, subject: Subject | None = None
    ) -> Arrays:
        return (subject or self.subject).over_chunks(name, lambda: stepping(packages.step(name)), item, deployed)

    def over_whole(self, name: str, packages: Packages, item: Item, subject: Subject | None = None) -> Arrays:
        return (subject or self.subject).over_whole(name, packages.whole(name), item)

    def _measured(self, asked: Asked) -> Check:
        """How far results are from the whole component's, on the worst item of the battery.

        Steps may store what the component computes of weights, so what is further from the component may be as near to
        the steps that an artifact was written from.
        """
        name, subject, limit, deployed = asked.component, asked.subject, asked.limit, asked.deployed
        seconds = 0.0

        def run(item: Item) -> Arrays:
            nonlocal seconds
            results, took = asked.run(item)
            seconds += took
            return results

        predicted = partial(subject.predicted, name, deployed=deployed)
        steps = partial(subject.stepped, name, deployed=deployed) if deployed is not None else None
        rows = list(compare(asked.items, limit, partial(subject.results, name), run, predicted, steps))
        bad = worst(rows, limit)
        ok = all(row.ok for row in rows)
        lost = {row.item: None for row in rows if row.found.lost}
        ends = [self._ends(name, item, limit) for item in lost]
        notes = (*ends, *(f"{asked.check}, {name}: {each}" for each in by_rounding(rows, limit)))
        told = bad.told(limit)
        return Check(asked.check, name, told, str(limit), ok, bad.found.error, seconds, bad.item.name, notes)

    def _ends(self, name: str, item: Item, limit: Limit) -> str:
        """Which op is the first that is not finite when every result is rounded as the limit says."""
        function, inputs = self.whole.functions[self.subject.component(name)], self.subject.utterance(name, item).inputs
        op = first_undefined(function, inputs, self._value, rounding=Rounding(limit.rounding))
        where = "a result" if op is None else told_op(op)
        return f"{name}: {where} is not finite on {item.name} in {np.dtype(limit.rounding).name}"

    @cached_property
    def _exact(self) -> Subject:
        return self.subject.but(exact=True)

    @cached_property
    def whole(self) -> Program:
        return read_program(self.folder / WHOLE)

    @cached_property
    def deployed(self) -> Program:
        return read_program(self.folder / PROGRAM)

    @cached_property
    def subject(self) -> Subject:
        audio = self.built.manifest["audio"] or {}
        stepped = {str(entry["component"]) for entry in self.built.manifest["functions"].values()}
        derived, steps = derive_latencies(self.whole, self.built.lengths, tuple(self.built.latencies), stepped)
        return Subject(
            self.whole, self.deployed, steps,
            self.built.lengths, self._weights, self.inputs, (audio.get("function", ""), audio.get("input", "")),
            heard(self.built.front_end, speech_s(derived, steps)),
        )  # fmt: skip

    def _weights(self, program: Program) -> Weights:
        return self.built.values(program, self.weights_file)

    def _options(self) -> BuildOptions:
        seed = self.built.manifest["weights"].get("seed", 0)
        return BuildOptions.of_record(
            self.built.manifest["options"], target=self.built.target.name, seed=seed,
            chunk=self.built.chunk if self.built.lengths.streams and not self.built.latencies else None,
            weights=self.weights_file, verify_each=True,
        )  # fmt: skip


def _known(names: Sequence[str]) -> frozenset[str]:
    """Names of items of the battery. Raises BuildError for one that is none."""
    known = [item.name for item in BATTERY]
    for name in names:
        if name not in known:
            raise BuildError(
                f"no input is called `{name}`", hint=did_you_mean(name, known) or f"there are {listing(known)}"
            )
    return frozenset(names)


def _promises_exactness(name: str) -> bool:
    from mctc.plugins import registry
    from mctc.rewrite.base import Rounds, Stores, Within

    return not isinstance(registry().passes()[name].promise, (Rounds, Stores, Within))


def _inside(folder: Path, name: str) -> bool:
    path = folder / name
    return path.resolve().is_relative_to(folder.resolve()) and path.is_file()
