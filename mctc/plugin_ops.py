"""The ops that plugins bring, declared so that specs and passes can use them."""

from __future__ import annotations

from mctc.ir.declared import registry as declared
from mctc.ir.op import Op, declare
from mctc.plugins import PluginError, registry


def declare_ops() -> dict[str, type[Op]]:
    """Declares the ops of plugins (those of the IR itself are not among them) and returns them by name. Raises
    PluginError for one whose name is taken."""
    declared()  # those of the IR first, so that it is the plugin's that comes second
    result = {}
    for name in registry().names("ops"):
        try:
            result[name] = declare(registry().load("ops", name))
        except ValueError as error:
            raise PluginError(
                f"{registry().plugin('ops', name)}: {error}", hint="give the op of the plugin another name"
            ) from error
    return result
