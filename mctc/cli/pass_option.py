"""--pass 'NAME{option=value, ...}': options of passes on a command line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import click

from mctc.cli.options import Decorated, names_of

WRITTEN = r"(?s)\s*([\w-]+)\s*\{(.*)\}\s*"
PAIR = r"(?s)\s*(\w+)\s*=\s*(\S.*?)\s*"


Written = tuple[str, dict[str, str]]  # a pass and the texts of its options


def parse_pass(text: str) -> Written:
    """'lower-selective-scan{form=decay}' as its name and the texts of its options. Raises click.BadParameter."""
    found = re.fullmatch(WRITTEN, text)
    pairs = [re.fullmatch(PAIR, each) for each in found[2].split(",")] if found else []
    if found is None or None in pairs:
        raise click.BadParameter(f"{text!r} is not of the form NAME{{option=value, ...}}")
    return found[1], {pair[1]: pair[2] for pair in pairs if pair}


def _passes(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> list[Written]:
    return [parse_pass(text) for text in texts]


def told(passes: Iterable[Written], scan: str | None = None) -> Mapping[str, Mapping[str, Any]]:
    """Checked values by pass and option, of --pass and --scan. Raises MctcError."""
    written = list(passes)
    if scan is not None:
        from mctc.driver.options import SCAN_OPTION, SCAN_PASS

        written.append((SCAN_PASS, {SCAN_OPTION: scan}))
    if not written:
        return {}
    from mctc.driver.pass_options import parsed_options

    return parsed_options(written)


def pass_option(command: Decorated) -> Decorated:
    """--pass, passed as `passes: list[Written]`; `told` gives their values."""
    return click.option(
        "--pass", "passes", multiple=True, metavar="NAME{OPTION=VALUE}", callback=_passes,
        shell_complete=names_of("passes"),
        help="Set options of a pass, which `mctc passes NAME` lists; several are separated by commas. Repeatable.",
    )(command)  # fmt: skip


def scan_option(command: Decorated) -> Decorated:
    """--scan FORM, passed as `scan: str | None`."""
    return click.option(
        "--scan", metavar="FORM", help="Short for --pass 'lower-selective-scan{form=FORM}'.",
    )(command)  # fmt: skip
