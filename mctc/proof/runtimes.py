"""Builds of one program for every runtime there is: what `mctc verify` compares."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from mctc.diagnostics.near import did_you_mean, listing
from mctc.driver.make import compile_for, compile_whole_for, target_named, write_build
from mctc.driver.options import PRECISIONS, BuildOptions, OptionError
from mctc.driver.target import Target
from mctc.ir.program import Program
from mctc.plugins import registry
from mctc.records import dataclass
from mctc.runtime.built import Built, open_built


@dataclass(frozen=True)
class OtherBuild:
    """A build that is executed, the whole program with the numbers that it holds, and the steps it was written from."""

    built: Built
    whole: Program
    deployed: Program


def runtimes(names: Iterable[str] = ()) -> list[Target]:
    """The targets whose runtimes can be asked, or those of them that are named, by the target or by the runtime. Raises
    OptionError for a name that is none of them."""
    targets = {name: target_named(name) for name in registry().names("targets")}
    known = {name: target for name, target in targets.items() if target.cross_checks}
    libraries = {target.runtime: name for name, target in known.items()}  # what a report calls them
    chosen = {libraries.get(name, name) for name in names}
    for name in sorted(chosen - known.keys()):
        hint = did_you_mean(name, known) or f"there are {listing(known)}"
        raise OptionError(f"there is no runtime `{name}`", hint=hint)
    return [target for name, target in known.items() if name in (chosen or known)]


def build_other(
    target: Target, whole: Program, options: BuildOptions, precision: str, like: Built, folder: Path
) -> OtherBuild:
    """Builds `whole`, a program behind the common passes, for another target. Raises MctcError.

    It isn't read back: the whole battery follows, over the artifacts as they lie on the disk.
    """
    settings = replace(
        options, target=target.name, state=None, layout=None, precision=precision, without=(), device=None,
        allow_errors=True, verify_each=False, split=None,
    ).resolved(target.forms)  # fmt: skip
    if like.target.requirements.lays_out:
        compiled = compile_for(target, _unstored(whole), settings)
    else:
        compiled = compile_whole_for(target, whole, settings)
    write_build(compiled, folder, settings, target, like.manifest["source"], reads_back=False)
    return OtherBuild(open_built(folder), compiled.reference, compiled.deployed)


def _unstored(whole: Program) -> Program:
    """The program as before it was said how its parameters are stored: the common passes say it again."""
    told = {name: replace(p, quantization=None, wide=False) for name, p in whole.parameters.items()}
    return replace(whole, parameters=told)


def precisions(target: Target) -> tuple[str, ...]:
    """What to build for a target in, so that its runtime is seen in every precision: the exact one first."""
    built = target.forms["precision"]
    return built[:1] if target.computes else tuple(each for each in reversed(PRECISIONS) if each in built)
