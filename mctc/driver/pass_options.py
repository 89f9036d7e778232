"""What passes are told: by the `passes` section of a spec, and by a build, which wins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mctc.diagnostics.diagnostic import LocatedError
from mctc.diagnostics.near import did_you_mean
from mctc.driver.options import BuildOptions, OptionError
from mctc.ir.program import Section
from mctc.plugins import registry
from mctc.rewrite.base import Pass
from mctc.rewrite.options import PassOptionError, given, parsed

CODE = "MCT0157"
Told = dict[str, dict[str, Any]]


def pass_options(section: Section, options: BuildOptions) -> Told:
    """Checked values by pass and option. Raises LocatedError for the spec's, MctcError for the build's."""
    told: Told = {}
    for key, value in section.settings.items():
        _of_spec(key, value, section, told)
    for name, values in options.passes.items():
        told.setdefault(name, {}).update(given(_named(name), values))
    for name in options.passes.keys() & set(options.without):
        raise OptionError(f"pass `{name}` is left out, and told what to do", hint="say one of the two")
    return told


def parsed_options(texts: Iterable[tuple[str, Mapping[str, str]]]) -> Told:
    """The same from pairs of a pass and the texts of its options, as a command line has them. Raises MctcError."""
    told: Told = {}
    for name, values in texts:
        if twice := told.get(name, {}).keys() & values.keys():
            raise OptionError(f"option `{min(twice)}` of pass `{name}` is given twice", hint="give it once")
        told.setdefault(name, {}).update(parsed(_named(name), values))
    return told


def _of_spec(key: str, value: object, section: Section, told: Told) -> None:
    """A setting 'lower_selective_scan.form': in a spec, a name has no hyphens."""
    written, _, option = key.partition(".")
    known = {name.replace("-", "_"): name for name in registry().passes()}
    place = section.places.get(key)
    if written not in known:
        hint = did_you_mean(written, known) or "`mctc passes` lists them"
        raise LocatedError(CODE, f"there is no pass `{written}`", place, hint=hint)
    try:
        told.setdefault(known[written], {}).update(given(_named(known[written]), {option: value}))
    except PassOptionError as error:
        raise LocatedError(CODE, error.message, place, hint=error.hint) from None


def _named(name: str) -> type[Pass]:
    known = registry().passes()
    if name not in known:
        raise OptionError(f"there is no pass `{name}`", hint=did_you_mean(name, known) or "`mctc passes` lists them")
    return known[name]
