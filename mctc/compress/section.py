"""The text of a spec with another `quantize` section; all else stays as it was written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mctc.compress.errors import CompressError
from mctc.compress.rules import text_of
from mctc.diagnostics.diagnostic import DiagnosticError
from mctc.ir.program import QuantizeRule
from mctc.language import syntax as s
from mctc.language.format import format_source
from mctc.language.modules import Loader
from mctc.language.parser import parse_all
from mctc.language.variants import choose
from mctc.records import dataclass

NAME, INDENT = "quantize", "    "


@dataclass(frozen=True)
class Edit:
    """A file of a spec, before and after."""

    path: Path
    before: str
    after: str


def with_section(spec: Path, model: str | None, defines: Mapping[str, Any], rules: Sequence[QuantizeRule]) -> Edit:
    """The file that holds the model, with these rules in place of its section. Comments of the old one stay in front.

    Raises DiagnosticError for a spec at fault, and CompressError for a model that another file holds.
    """
    loader = Loader(None)
    module = loader.load(spec)
    if module is None or loader.problems:
        raise DiagnosticError(loader.problems)
    chosen = choose(module, model, defines)
    if chosen.module is not module:
        held = chosen.module.source.name
        raise CompressError(
            f"{spec}: the sections of {chosen.name} are those of a model in {held}",
            hint=f"write a model with sections of its own, or compress {held} with -D",
        )
    source = module.source
    text = source.text
    found = [each for each in chosen.model.body.statements if isinstance(each, s.Section) and each.name.text == NAME]
    begin, end = found[0].span[1:] if found else (_closing(chosen.model),) * 2
    kept = [c.span.text for c in parse_all(source).comments if begin <= c.span.start < end] if found else []
    section = text_of(rules, INDENT)
    if kept:
        head, _, tail = section.partition("\n")
        section = "\n".join([head, *(f"{2 * INDENT}{comment}" for comment in kept), tail])
    new = text[:begin] + (section if found else f"{INDENT}{section}\n") + text[end:]
    formatted = format_source(text, source.name) == text
    return Edit(spec, text, format_source(new, source.name) if formatted else new)


def _closing(model: s.Model) -> int:
    """Where the line of a model's closing brace begins."""
    text, end = model.body.span.source.text, model.body.span.end - 1
    return text.rfind("\n", 0, end) + 1 if not text[text.rfind("\n", 0, end) + 1 : end].strip() else end
