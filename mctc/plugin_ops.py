"""The ops that plugins bring, declared so that specs and passes can use them."""

from __future__ import annotations

from mctc.ir.declared import registry as declared
from mctc.ir.op import Op, declare
from mctc.plugins import PluginError, Registry, registry


def declare_ops(plugins: Registry | None = None) -> dict[str, type[Op]]:
    """Declares the ops of plugins (those of the IR itself are not among them) and returns them by name. Raises
    PluginError for one whose name is taken. plugins: in place of those of this process."""
    plugins = registry() if plugins is None else plugins
    declared()  # those of the IR first, so that it is the plugin's that comes second
    result = {}
    for name in plugins.names("ops"):
        try:
            result[name] = declare(plugins.load("ops", name))
        except ValueError as error:
            raise PluginError(
                f"{plugins.plugin('ops', name)}: {error}", hint="give the op of the plugin another name"
            ) from error
    return result
