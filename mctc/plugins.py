"""The registry: passes, targets, ops and lint rules, from installed packages and from single files.

What comes with mctc is listed in the `BUILT_IN` of the folder that it lies in. A package declares what it brings as
entry points, one for each name, in the groups `mctc.passes`, `mctc.targets`, `mctc.ops` and `mctc.rules` (a family of
rules each). A stranger's pass and a built-in one differ in nothing else. Reading the names imports none of the modules
they point to.

A single file, given as `--plugin file.py`, says in `MCTC_PLUGINS` what it brings:

    MCTC_PLUGINS = {"passes": [ClampDelta]}

The classes carry their own names (`name = "clamp-delta"`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache, lru_cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from mctc.diagnostics.errors import ExitCode, MctcError
from mctc.diagnostics.near import did_you_mean, listing
from mctc.entry_points import may_have
from mctc.records import dataclass
from mctc.version import __version__

if TYPE_CHECKING:
    from importlib.metadata import Distribution, EntryPoint

KINDS = ("passes", "targets", "ops", "rules")
"""What a plugin can bring; the entry-point group of a kind is `mctc.` and the kind."""

SINGULAR = {"passes": "pass", "targets": "target", "ops": "op", "rules": "family of rules"}

LISTS = {"passes": "mctc.passes", "targets": "mctc.targets", "rules": "mctc.linter.coreml.rules"}
"""The packages that list what is built in (`BUILT_IN`); the ops of the IR declare themselves."""

FORMS = {
    "passes": "mctc.rewrite.plugin_form",
    "targets": "mctc.driver.plugin_form",
    "ops": "mctc.ir.plugin_form",
    "rules": "mctc.linter.coreml.plugin_form",
}
"""The modules that say what one of a kind must look like (`faults`)."""

EXPORTS = "MCTC_PLUGINS"
DISTRIBUTION = "mctc"

_imported: list[str] = []
"""Names of modules that are none of mctc's own, whose import was begun."""


def strangers() -> tuple[str, ...]:
    """The modules of plugins that have run in this process, those that failed too."""
    return tuple(_imported)


class PluginError(MctcError):
    """A plugin that can't be used: which one, and why."""


class UnknownNameError(PluginError):
    """A name that no plugin has: the command line is at fault."""

    exit_code = ExitCode.USAGE


@dataclass(frozen=True)
class Plugin:
    """One named thing that an installed package or a file brings.

    `origin` says where it comes from: 'mctc 0.1.0', or the path of a file. `load` imports it where need be. module: the
    name of the module that it lies in, or of the package above.
    """

    kind: str
    name: str
    origin: str
    load: Callable[[], Any]
    module: str = ""

    def __str__(self) -> str:
        return f"{SINGULAR[self.kind]} `{self.name}` of {self.origin}"


class Registry:
    """All plugins by kind and name: mctc's own first, then those of other packages, then those of files."""

    def __init__(self, plugins: Mapping[str, Mapping[str, Plugin]] | None = None) -> None:
        self._plugins: dict[str, dict[str, Plugin]] = {kind: {} for kind in KINDS}
        self._files: set[Path] = set()
        for of_kind in (plugins or {}).values():
            for plugin in of_kind.values():
                self.add(plugin)

    def add(self, plugin: Plugin) -> None:
        """Raises PluginError when the name is taken: nothing is replaced silently."""
        present = self._plugins[plugin.kind].setdefault(plugin.name, plugin)
        if present is not plugin:
            raise PluginError(
                f"two {plugin.kind} are called `{plugin.name}`: one of {present.origin}, one of {plugin.origin}",
                hint="uninstall one of the two, or give it another name",
            )

    def origin(self, kind: str, name: str) -> str | None:
        """Where the plugin of that name comes from; None where there is none."""
        found = self._plugins[kind].get(name)
        return found.origin if found else None

    def at_fault(self, error: BaseException) -> str | None:
        """The origin of the plugin, none of mctc's own, whose code an exception went through, if it did: the last."""
        found, step = None, error.__traceback__
        while step is not None:
            module = str(step.tb_frame.f_globals.get("__name__", ""))
            found = next((origin for name, origin in self._modules() if _within(module, name)), found)
            step = step.tb_next
        return found

    def _modules(self) -> list[tuple[str, str]]:
        """The modules of plugins that are loaded, and their origins."""
        return [(plugin.module, plugin.origin) for kind in self._plugins.values() for plugin in kind.values()
                if plugin.module and not _within(plugin.module, DISTRIBUTION)]  # fmt: skip

    def names(self, kind: str) -> tuple[str, ...]:
        """The names of a kind (one of KINDS); imports nothing."""
        return tuple(self._plugins[kind])

    def plugin(self, kind: str, name: str) -> Plugin:
        """The plugin of that name. Raises UnknownNameError with near names when there is none."""
        of_kind = self._plugins[kind]
        if name not in of_kind:
            hint = did_you_mean(name, of_kind) or (f"known: {listing(of_kind)}" if of_kind else None)
            raise UnknownNameError(f"there is no {SINGULAR[kind]} `{name}`", hint=hint)
        return of_kind[name]

    def load(self, kind: str, name: str) -> Any:
        """The object itself. Raises PluginError when it doesn't exist or can't be imported."""
        return self.plugin(kind, name).load()

    def passes(self, *, deploys: bool = True) -> dict[str, type[Any]]:
        """Every pass class by name; imports them. deploys: False for those alone that a program which isn't deployed
        needs, where all passes are mctc's own; a plugin's may ask to run next to any."""
        of_kind = self._plugins["passes"]
        if deploys or any(plugin.module != DISTRIBUTION for plugin in of_kind.values()):
            return self._all("passes")
        from importlib import import_module

        left_out = import_module(LISTS["passes"]).DEPLOY
        return {name: plugin.load() for name, plugin in of_kind.items() if name not in left_out}

    def load_file(self, path: Path | str) -> tuple[Plugin, ...]:
        """Imports a plugin file and adds what its `MCTC_PLUGINS` lists. A second call with the same file adds nothing.

        Raises PluginError when the file can't be read or imported, or lists something that can't be used.
        """
        path = Path(path)
        if path.resolve() in self._files:
            return ()
        found = tuple(_exports(_import_file(path), path))
        trial = Registry(self._plugins)  # all of a file or nothing
        for plugin in found:
            trial.add(plugin)
        self._plugins = trial._plugins
        self._files.add(path.resolve())
        return found

    def _all(self, kind: str) -> dict[str, Any]:
        return {name: plugin.load() for name, plugin in self._plugins[kind].items()}


@lru_cache(maxsize=1)
def registry() -> Registry:
    """The registry of this process. Raises PluginError when mctc itself is not installed, or two packages clash."""
    result = Registry()
    for kind, package in LISTS.items():
        for plugin in _built_in(kind, package):
            result.add(plugin)
    if not may_have(f"{DISTRIBUTION}."):
        return result
    from importlib.metadata import entry_points

    declared = entry_points()  # once: it reads the metadata of every installed package
    for kind in KINDS:
        for entry in declared.select(group=f"mctc.{kind}"):
            if _package(entry) != DISTRIBUTION:  # an mctc that was installed before it had lists declares its own
                result.add(_from_entry(kind, entry))
    return result


def load_file(path: Path | str) -> tuple[Plugin, ...]:
    """`registry().load_file(path)`."""
    return registry().load_file(path)


def _package(entry: EntryPoint) -> str:
    return _identity(entry.dist)[0] if entry.dist else "an unnamed package"


@cache
def _identity(package: Distribution) -> tuple[str, str]:
    """Name and version; kept, because each look parses the package's metadata anew."""
    metadata = package.metadata
    return metadata["Name"], metadata["Version"]


def _built_in(kind: str, package: str) -> Iterator[Plugin]:
    """What mctc's own list says. Raises PluginError where the folder of the list is not installed as a package."""
    from importlib import import_module

    try:
        listed: Mapping[str, str] = import_module(package).BUILT_IN
    except ModuleNotFoundError as error:
        raise PluginError(
            "mctc is not installed in this environment, so its own passes and targets can't be found",
            hint="run `pip install -e .` in the folder of its pyproject.toml; if it is installed elsewhere, call "
            "`mctc`, not `python -m mctc`",
        ) from error
    for name, place in listed.items():
        yield _named(kind, name, f"{package}.{place}", f"{DISTRIBUTION} {__version__}")


def _from_entry(kind: str, entry: EntryPoint) -> Plugin:
    return _named(kind, entry.name, entry.value, " ".join(_identity(entry.dist)) if entry.dist else _package(entry))


def _named(kind: str, name: str, place: str, origin: str) -> Plugin:
    """The plugin at 'module:attribute', which is imported and looked at when it is loaded first."""

    @cache
    def load() -> Any:
        from importlib import import_module

        module, _, attribute = place.partition("[")[0].strip().partition(":")
        if not _within(module, DISTRIBUTION):
            _imported.append(module)
        try:
            loaded = import_module(module.strip())
            for each in filter(None, attribute.strip().split(".")):
                loaded = getattr(loaded, each)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # whatever a stranger's module raises on import, SystemExit too
            raise _broken(f"{kind} `{name}` of {origin}", place, error) from error
        _check_name(kind, loaded, name, f"{origin} ({place})")
        if not _within(module, DISTRIBUTION):  # tests look at what is built in
            _check_form(kind, loaded, name, origin)
        return loaded

    return Plugin(kind, name, origin, load, place.partition(":")[0].partition(".")[0])


def _check_form(kind: str, loaded: Any, name: str, origin: str) -> None:
    from importlib import import_module

    if fault := next(import_module(FORMS[kind]).faults(loaded), None):
        raise PluginError(f"{SINGULAR[kind]} `{name}` of {origin}: {fault}", hint="docs/plugins.md says what it needs")


def _check_name(kind: str, loaded: Any, name: str, place: str) -> None:
    own = getattr(loaded, "name", None)
    if own != name:
        raise PluginError(
            f"the {kind} entry point `{name}` of {place} has the name {own!r} in its class",
            hint="the entry point and the `name` of the class must be the same",
        )


def _broken(what: str, place: str, error: BaseException) -> PluginError:
    return PluginError(
        f"{what} can't be imported from {place}: {type(error).__name__}: {error}",
        hint="mend or uninstall that plugin; MCTC_TRACEBACK=1 shows where it fails",
    )


def _import_file(path: Path) -> ModuleType:
    import sys
    from importlib.util import module_from_spec, spec_from_file_location

    if not path.is_file():
        raise PluginError(f"{path}: there is no such plugin file")
    # A name of its own, so that a plugin called `numpy.py` shadows nothing.
    name = f"mctc_plugin_{path.stem}"
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise PluginError(f"{path}: a plugin is a Python file, with a name that ends in .py")
    module = module_from_spec(spec)
    sys.modules[name] = module
    _imported.append(name)
    try:
        spec.loader.exec_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever a stranger's module raises on import, SystemExit too
        del sys.modules[name]
        raise _broken(f"the plugin {path}", str(path), error) from error
    return module


def _exports(module: ModuleType, path: Path) -> Iterator[Plugin]:
    exports = getattr(module, EXPORTS, None)
    if exports is not None and not isinstance(exports, Mapping):
        raise PluginError(
            f"{path}: {EXPORTS} must be a table of lists by kind, not {exports!r}",
            hint=f'for example {EXPORTS} = {{"passes": [MyPass]}}',
        )
    for kind in exports or {}:
        if kind not in KINDS:
            raise PluginError(f"{path}: {EXPORTS} has the kind {kind!r}", hint=f"the kinds are {listing(KINDS)}")
    if not exports or not any(exports.values()):
        told = f"has no {EXPORTS}" if exports is None else f"lists nothing in {EXPORTS}"
        raise PluginError(
            f"{path}: this file {told}, so it brings nothing",
            hint=f'end it with, for example, {EXPORTS} = {{"passes": [MyPass]}}',
        )
    for kind, members in exports.items():
        if not isinstance(members, (list, tuple)):
            raise PluginError(f"{path}: {EXPORTS}[{kind!r}] must be a list of classes, not {members!r}")
        for member in members:
            name = getattr(member, "name", None)
            if not isinstance(name, str) or not name:
                raise PluginError(f"{path}: {member!r} in {EXPORTS}[{kind!r}] needs a `name`, a string")
            _check_form(kind, member, name, str(path))
            yield Plugin(kind, name, str(path), lambda member=member: member, module.__name__)  # type: ignore[misc]


def _within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")
