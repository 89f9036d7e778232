"""All rules: those that come with mctc and those of plugins, from the registry."""

from __future__ import annotations

from collections.abc import Container, Mapping

from mctc.linter.coreml.rule import Rule, RuleFamily
from mctc.plugins import PluginError, registry
from mctc.records import dataclass


@dataclass(frozen=True)
class Table:
    """families in the order of the registry; rules by code; family: the name of the one that brings a code."""

    families: tuple[RuleFamily, ...]
    rules: Mapping[str, Rule]
    family: Mapping[str, str]


def table(without: Container[str] = ()) -> Table:
    """Every rule, but for those of the families named in `without`. Raises PluginError when a family can't be imported,
    is none, or two rules have one code."""
    names = [name for name in registry().names("rules") if name not in without]
    families: tuple[RuleFamily, ...] = tuple(registry().load("rules", name) for name in names)
    rules: dict[str, Rule] = {}
    owner: dict[str, str] = {}
    for family in families:
        for rule in family.rules:
            if rule.code in rules:
                raise PluginError(
                    f"two lint rules have the code {rule.code}: one of `{owner[rule.code]}`, one of `{family.name}`",
                    hint="give the rule of the plugin another code",
                )
            rules[rule.code], owner[rule.code] = rule, family.name
    return Table(families, rules, owner)
