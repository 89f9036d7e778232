"""Several files as one program: where an imported name is defined, what class a value has, which methods it has.

Files are parsed when something asks for them, and few of them ever are: those with a training loop and what it reaches.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from pathlib import Path

from mctc.diagnostics.source import SourceFile
from mctc.linter.mps.code import Code, argument, is_own, method, receiver
from mctc.linter.mps.scopes import Binding, Kind
from mctc.linter.mps.training import TrainingStep
from mctc.records import dataclass

CLASS = re.compile(r"^[ \t]*class\s+(\w+)\s*\(([^)]*)\)\s*:", re.MULTILINE)
SAME = {"to", "cuda", "cpu", "train", "eval", "half", "float", "double", "requires_grad_", "share_memory", "apply"}
WRAPPING = {"DistributedDataParallel", "DataParallel", "DDP", "FullyShardedDataParallel", "FSDP", "compile", "script"}
HOLDING = {"Sequential", "ModuleList", "ModuleDict"}
PASSING = {"enumerate", "zip", "reversed", "list", "tuple", "iter", "tqdm", "sorted"}
DEPTH = 10
MOST_TEXT = 10_000_000  # characters of files that are kept parsed

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Place:
    """A node and the file that it stands in."""

    code: Code
    node: ast.AST


class Program:
    """read: the text of a file, None where it can't be read. Paths are those that the files are opened by."""

    def __init__(self, files: Iterable[Path], read: Callable[[Path], SourceFile | None]) -> None:
        self.files = list(files)
        self.steps: dict[Path, dict[int, TrainingStep]] = {file: {} for file in self.files}
        self._read = read
        self._codes: dict[Path, Code | None] = {}
        self.calls: dict[ast.AST, list[tuple[Code, ast.Call]]] = {}  # to a function, or to a class to make an instance
        self._fresh = True  # whether no caller was noted since classes of values were found
        self._classes: dict[ast.AST, list[Place]] = {}
        self._modules: dict[tuple[Path, tuple[str, ...]], Path | None] = {}
        self._definitions: dict[tuple[Path, str], Place | None] = {}

    def code(self, file: Path) -> Code | None:
        """The parsed file; None for what is no Python."""
        if file not in self._codes:
            source = self._read(file)
            try:
                self._codes[file] = None if source is None else Code(source, self.steps[file])
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                self._codes[file] = None
        return self._codes[file]

    def parsed(self, file: Path) -> Code | None:
        """The same, only where it was parsed before; it goes out of the program's hands."""
        return self._codes.pop(file, None)

    def text(self, file: Path) -> str:
        source = self._read(file)
        return "" if source is None else source.text

    def forget(self) -> None:
        """Lets go of the parsed files where they are many; what is known about steps stays."""
        if sum(len(code.source.text) for code in self._codes.values() if code is not None) > MOST_TEXT:
            self._codes.clear()
            self.calls.clear()
            self._definitions.clear()
            self._classes.clear()

    @cached_property
    def _by_name(self) -> dict[str, list[Path]]:
        """Files by the last part of their module's name."""
        found: dict[str, list[Path]] = {}
        for file in self.files:
            found.setdefault(file.parent.name if file.name == "__init__.py" else file.stem, []).append(file)
        return found

    @cached_property
    def _subclasses(self) -> dict[str, list[tuple[Path, str]]]:
        """File and name of the classes that name a base, by the last part of its name."""
        found: dict[str, list[tuple[Path, str]]] = {}
        for file in self.files:
            for name, bases in CLASS.findall(self.text(file)):
                for base in bases.split(","):
                    found.setdefault(base.strip().rpartition(".")[2], []).append((file, name))
        return found

    def module(self, importer: Path, parts: list[str]) -> Path | None:
        """The file of a module, looked for beside the importer and in the folders above."""
        key = (importer.parent, tuple(parts))
        if key not in self._modules:
            self._modules[key] = self._find_module(importer, parts)
        return self._modules[key]

    def _find_module(self, importer: Path, parts: list[str]) -> Path | None:
        named = parts[-1] if parts else importer.parent.name
        folder = importer.parent
        candidates = self._by_name.get(named, [])
        if not candidates:
            return None
        for _ in range(DEPTH):
            base = folder.joinpath(*parts)
            for wanted in (base.with_name(base.name + ".py"), base / "__init__.py"):
                if wanted in candidates:
                    return wanted
            if folder == folder.parent:
                break
            folder = folder.parent
        return None

    def definition(self, code: Code, name: str, depth: int = 4) -> Place | None:
        """The function or class that an imported name stands for, where a file of the program defines it."""
        key = (Path(code.source.name), name)
        if key not in self._definitions:
            self._definitions[key] = self._find_definition(key[0], name, depth)
        return self._definitions[key]

    def _find_definition(self, importer: Path, name: str, depth: int) -> Place | None:
        dots = len(name) - len(name.lstrip("."))
        parts = [part for part in name.split(".") if part]
        if dots:
            importer = importer.parents[dots - 1] / "__init__.py" if dots <= len(importer.parents) else importer
        for length in range(len(parts) - 1, 0 if not dots else -1, -1):
            file = self.module(importer, parts[:length]) if length else importer
            inside = self.code(file) if file in self.steps else None
            if inside is not None:
                return self._defined_in(inside, parts[length:], depth)
        return None

    def _defined_in(self, code: Code, parts: list[str], depth: int) -> Place | None:
        bindings = code.scopes[code.tree].names.get(parts[0], [])
        for binding in bindings:
            if binding.kind is Kind.IMPORTED and depth:
                return self.definition(code, ".".join([binding.imported, *parts[1:]]), depth - 1)
            if isinstance(binding.node, ast.ClassDef) and len(parts) == 2:
                return self.method_of(Place(code, binding.node), parts[1])
            if isinstance(binding.node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and len(parts) == 1:
                return Place(code, binding.node)
        return None

    def named(self, code: Code, node: ast.AST) -> list[Place]:
        """The functions and classes that a name or a dotted name may stand for."""
        if isinstance(node, ast.Name):
            found = [each.node for each in code.bindings(node) if each.kind is Kind.DEFINED]
            if found:
                return [Place(code, each) for each in found]
        imported = code.name(node)
        place = self.definition(code, imported) if "." in imported else None
        return [] if place is None else [place]

    def bases(self, place: Place) -> Iterator[Place]:
        assert isinstance(place.node, ast.ClassDef)
        for base in place.node.bases:
            yield from (each for each in self.named(place.code, base) if isinstance(each.node, ast.ClassDef))

    def method_of(self, owner: Place, name: str, depth: int = 6) -> Place | None:
        """The method of a class by its name, its own or that of a base."""
        assert isinstance(owner.node, ast.ClassDef)
        for each in owner.node.body:
            if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef)) and each.name == name:
                return Place(owner.code, each)
        bases = self.bases(owner) if depth else ()
        return next((found for base in bases if (found := self.method_of(base, name, depth - 1))), None)

    def overriding(self, owner: Place, name: str, seen: set[str] | None = None) -> Iterator[Place]:
        """The methods of that name in classes that derive from `owner`."""
        assert isinstance(owner.node, ast.ClassDef)
        seen = set() if seen is None else seen
        if owner.node.name in seen:
            return
        seen.add(owner.node.name)
        for file, derived in self._subclasses.get(owner.node.name, []):
            code = self.code(file)
            for binding in [] if code is None else code.scopes[code.tree].names.get(derived, []):
                if code is None or not isinstance(binding.node, ast.ClassDef):
                    continue
                place = Place(code, binding.node)
                if all(base.node is not owner.node for base in self.bases(place)):
                    continue
                for each in binding.node.body:
                    if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef)) and each.name == name:
                        yield Place(code, each)
                yield from self.overriding(place, name, seen)

    def classes(self, code: Code, node: ast.AST, depth: int = DEPTH) -> list[Place]:
        """The classes that a value may be an instance of, as far as files of the program define them."""
        if depth == 0:
            return []
        if node not in self._classes:
            self._classes[node] = []  # for a value that is made of itself
            self._classes[node] = _once(self._classes_of(code, node, depth))
        return self._classes[node]

    def _classes_of(self, code: Code, node: ast.AST, depth: int) -> list[Place]:
        if isinstance(node, ast.IfExp):
            return [*self.classes(code, node.body, depth - 1), *self.classes(code, node.orelse, depth - 1)]
        if isinstance(node, (ast.List, ast.Tuple)):
            return [each for part in node.elts for each in self.classes(code, part, depth - 1)]
        if isinstance(node, (ast.ListComp, ast.GeneratorExp)):
            return self.classes(code, node.elt, depth - 1)
        if isinstance(node, (ast.Subscript, ast.Starred)):
            return self.classes(code, node.value, depth - 1)
        if isinstance(node, ast.Name):
            if node.id == "self":
                around = code.class_of(node)
                return [] if around is None else [Place(code, around)]
            found = [self._bound(code, each, depth) for each in code.bindings(node)]
            return [each for places in found for each in places]
        if isinstance(node, ast.Attribute):
            return self._attribute(code, node, depth)
        return self._made_by(code, node, depth) if isinstance(node, ast.Call) else []

    def _bound(self, code: Code, binding: Binding, depth: int) -> list[Place]:
        if binding.kind in (Kind.ASSIGNED, Kind.ITERATED):
            return self.classes(code, binding.node, depth - 1)
        return self._given(code, binding.node, depth) if binding.kind is Kind.PARAMETER else []

    def _given(self, code: Code, parameter: ast.AST, depth: int) -> list[Place]:
        """What a parameter gets from the callers that are known, else what its annotation says."""
        function = code.parents[code.parents[parameter]]
        around = code.class_of(function)
        made = isinstance(around, ast.ClassDef) and getattr(function, "name", "") == "__init__"
        found: list[Place] = []
        for caller, call in self.calls.get(around if made and around is not None else function, []):
            given = given_to(call, function, parameter, bound=around is not None)
            if given is not None:
                found += self.classes(caller, given, depth - 1)
        annotation = getattr(parameter, "annotation", None)
        if found or annotation is None:
            return found
        return [each for each in self.named(code, annotation) if isinstance(each.node, ast.ClassDef)]

    def _attribute(self, code: Code, node: ast.Attribute, depth: int) -> list[Place]:
        if is_own(node):
            around = code.class_of(node)
            owners = [] if around is None else [Place(code, around)]
        else:
            owners = self.classes(code, node.value, depth - 1)
        if node.attr == "module" and not is_own(node):  # of DistributedDataParallel
            return owners
        return [each for owner in owners for each in self._held(owner, node.attr, depth)]

    def _held(self, owner: Place, name: str, depth: int) -> list[Place]:
        """The classes of what methods of a class, or of its bases, assign to an attribute."""
        values = owner.code.attributes.get((owner.node, name), []) if isinstance(owner.node, ast.ClassDef) else []
        found = [each for value in values for each in self.classes(owner.code, value, depth - 1)]
        return found or [each for base in self.bases(owner) for each in self._held(base, name, depth - 1) if depth > 1]

    def _made_by(self, code: Code, call: ast.Call, depth: int) -> list[Place]:
        last = code.called(call).rpartition(".")[2] or method(call) or getattr(call.func, "id", "")
        if last in WRAPPING | HOLDING | PASSING or (last == "deepcopy" and call.args):
            return [each for arg in call.args for each in self.classes(code, arg, depth - 1)]
        if method(call) in SAME and not code.called(call):
            return self.classes(code, receiver(call), depth - 1)
        found: list[Place] = []
        for each in self.called(code, call, depth - 1, methods=False):
            if isinstance(each.node, ast.ClassDef):
                self.record(each.node, code, call)
                found.append(each)
            elif isinstance(each.node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                self.record(each.node, code, call)
                found += self._returned(each, depth)
        return found

    def _returned(self, place: Place, depth: int) -> list[Place]:
        returns = (each.value for each in ast.walk(place.node) if isinstance(each, ast.Return))
        return [found for value in returns if value for found in self.classes(place.code, value, depth - 1)]

    def record(self, target: ast.AST, code: Code, call: ast.Call) -> None:
        known = self.calls.setdefault(target, [])
        if all(call is not each for _, each in known):
            known.append((code, call))
            self._fresh = False

    def looks_anew(self) -> None:
        """Forgets the classes of values where more callers are known since they were found."""
        if not self._fresh:
            self._classes.clear()
            self._fresh = True

    def called(self, code: Code, call: ast.Call, depth: int = DEPTH, *, methods: bool = True) -> list[Place]:
        """The functions, methods and classes that a call may call: those of the program, none of a library."""
        found = self.named(code, call.func)
        if found or depth == 0:
            return found
        if isinstance(call.func, ast.Attribute):
            return self._methods(code, call.func, depth)
        if not methods:
            return []
        return self._forwards(self.classes(code, call.func, depth))

    def _methods(self, code: Code, func: ast.Attribute, depth: int) -> list[Place]:
        around = code.class_of(func)
        if isinstance(func.value, ast.Call) and code.called(func.value) == "super" and around is not None:
            bases = list(self.bases(Place(code, around)))
            return [inherited for each in bases if (inherited := self.method_of(each, func.attr))]
        if func.attr == "apply":  # of torch.autograd.Function
            functions = [each for each in self.named(code, func.value) if isinstance(each.node, ast.ClassDef)]
            methods = [self.method_of(each, name) for each in functions for name in ("forward", "backward")]
            return [each for each in methods if each is not None]
        owners = self.classes(code, func.value, depth - 1)
        found = [each for owner in owners if (each := self.method_of(owner, func.attr))]
        if isinstance(func.value, ast.Name) and func.value.id == "self" and owners:
            found += self.overriding(owners[0], func.attr)
        return found or self._forwards(self.classes(code, func, depth))

    def _forwards(self, owners: list[Place]) -> list[Place]:
        """What calling an instance calls."""
        methods = (self.method_of(owner, name) for owner in owners for name in ("forward", "__call__"))
        return [each for each in methods if each is not None]


def _once(places: list[Place]) -> list[Place]:
    return list({id(each.node): each for each in places}.values())


def given_to(call: ast.Call, function: ast.AST, parameter: ast.AST, *, bound: bool) -> ast.expr | None:
    """The argument of a call that a parameter gets; `bound`: the first parameter is the instance."""
    if not isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)) or not isinstance(parameter, ast.arg):
        return None
    positional = [*function.args.posonlyargs, *function.args.args]
    fixed = any(getattr(each, "id", "") == "staticmethod" for each in function.decorator_list)
    if parameter not in positional:
        return argument(call, parameter.arg)
    position = positional.index(parameter) - (bound and not fixed)
    return argument(call, parameter.arg, position) if position >= 0 else None
