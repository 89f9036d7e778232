"""From a file to a Program: the chosen model's values, dims, components and sections."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import partial
from pathlib import Path

from mctc.diagnostics.diagnostic import Diagnostic, DiagnosticError, Note
from mctc.diagnostics.near import did_you_mean
from mctc.diagnostics.source import FileRead, Span
from mctc.ir.build import Builder
from mctc.ir.dims import Extent
from mctc.ir.domain import Domain
from mctc.ir.location import Origin
from mctc.ir.marks import doubtful_masks
from mctc.ir.masks import mask_domains
from mctc.ir.program import Dim, Function, Program, Value
from mctc.ir.table_ids import id_domains
from mctc.ir.types import Role
from mctc.language import syntax as s
from mctc.language.bodies import Bodies, poison
from mctc.language.calls import Calls
from mctc.language.domains import check_ids, doubtful_mask
from mctc.language.failure import FaultError, LimitError, SilentError, fail
from mctc.language.modules import Loader
from mctc.language.objective import check_objective
from mctc.language.read import Spec
from mctc.language.scope import Elements, Frame, Scope
from mctc.language.sections import Sections, annotate
from mctc.language.session import Session
from mctc.language.values import Defines, Measure, Quantity, SharedParameter, describe
from mctc.language.variants import Chosen, choose

ROLES = (Role.BATCH, Role.TIME, Role.LABEL, Role.CHANNEL, Role.FEATURE, Role.VOCABULARY)


def elaborate_file(
    path: Spec | str,
    *,
    model: str | None = None,
    defines: Defines | None = None,
    read: Callable[[FileRead], None] | None = None,
    root: Path | None = None,
) -> Program:
    """The program of a model: of the file's last one, unless `model` names another. `defines` override its values.

    `read` is told every file that was read: imports, the prelude, and files of constants, too. root: the folder
    that imports may not leave; that of the project if left out. Raises DiagnosticError with every error found.
    """
    spec = Path(path) if isinstance(path, str) else path
    program, diagnostics = elaborate_all(spec, model=model, defines=defines, read=read, root=root)
    errors = [diagnostic for diagnostic in diagnostics if diagnostic.is_error]
    if errors or program is None:
        raise DiagnosticError(errors)
    return program


def elaborate_all(
    path: Spec,
    *,
    model: str | None = None,
    defines: Defines | None = None,
    read: Callable[[FileRead], None] | None = None,
    root: Path | None = None,
) -> tuple[Program | None, list[Diagnostic]]:
    """The program, None where there is none, and all diagnostics. Never raises for what a source can hold."""
    loader = Loader(root)
    module = loader.load(path)
    if read:
        for each in loader.modules.values():
            read(each.source)
    if module is None or loader.problems:
        return None, loader.problems
    try:
        chosen = choose(module, model, defines or {})
    except FaultError as failure:
        return None, [failure.diagnostic]
    made = elaborate_model(chosen)
    if read:
        for data in loader.data.read.values():
            read(data)
    return made


def elaborate_model(chosen: Chosen) -> tuple[Program | None, list[Diagnostic]]:
    """The program of a chosen model and all diagnostics."""
    session = Session(Program(chosen.name))
    try:
        ModelElaborator(session, chosen).run()
    except LimitError as fatal:
        session.report(fatal.diagnostic)
    except RecursionError:
        message = "this model is nested too deeply"
        session.report(Diagnostic("MCT0006", message, chosen.model.name.span, "call fewer blocks inside one another"))
    return session.program, session.diagnostics


class ModelElaborator:
    """Runs the body of a model: what binds names first, in order, then the components, then the sections."""

    def __init__(self, session: Session, chosen: Chosen) -> None:
        self.session, self.chosen = session, chosen
        self.calls = Calls(session)
        self.bodies = Bodies(session, self.calls)
        self.sections = Sections(session, self.calls)
        self.scope = Scope()
        bound, labels = session.facts(chosen.model.body)
        self.frame = Frame(chosen.module, self.scope, "", Elements(labels), bound, labels)

    def run(self) -> None:
        self._values()
        components: list[s.Component] = []
        sections: list[s.Section] = []
        self._statements(self.chosen.model.body, components, sections)
        for component in components:
            self._guarded(component, partial(self._component, component))
        if not components:
            message = f"model `{self.chosen.model.name.text}` has no component"
            self.session.report(
                Diagnostic("MCT0110", message, self.chosen.model.name.span, "add `component name(...) -> ... { }`")
            )
        for section in sections:
            self._guarded(section, partial(self.sections.run, section, self.frame))
        annotate(self.session.program, self.session, self.sections.seen.get("quantize"))
        if not any(diagnostic.is_error for diagnostic in self.session.diagnostics):
            check_objective(self.session.program, self.session, self.sections.seen.get("train"))

    def _values(self) -> None:
        """Binds the values of the model's header: overrides, else defaults."""
        for item in self.chosen.model.inputs or ():
            name = item.name.text
            if isinstance(item, s.TensorInput):
                hint = "tensors are inputs of components"
                self.session.report(Diagnostic("MCT0111", f"`{name}`: a model has no tensor inputs", item.span, hint))
            elif name in self.chosen.values:
                self.scope.values[name] = self.chosen.values[name]
            elif item.default is not None:
                self._guarded(item, partial(self._default, item))
            else:
                hint = f"give it a default, or pass `-D {name}=...`"
                self.session.report(Diagnostic("MCT0090", f"the model needs `{name}`", item.span, hint))

    def _default(self, item: s.ValueInput) -> None:
        assert item.default is not None
        self.scope.values[item.name.text] = self.calls.evaluator.constant(item.default, self.frame, "a default")

    def _guarded(self, node: s.Statement | s.Input, action: Callable[[], None]) -> None:
        try:
            action()
        except LimitError:
            raise
        except FaultError as failure:
            self.session.report(failure.diagnostic)
            if not isinstance(node, (s.TensorInput, s.ValueInput)):
                poison(node, self.frame)
        except SilentError:
            if not isinstance(node, (s.TensorInput, s.ValueInput)):
                poison(node, self.frame)

    def _statements(self, body: s.Body, components: list[s.Component], sections: list[s.Section]) -> None:
        for node in body.statements:
            self.session.step(node.span)
            if isinstance(node, s.Component):
                components.append(node)
            elif isinstance(node, s.Section):
                sections.append(node)
            else:
                self._guarded(node, partial(self._statement, node, components, sections))

    def _statement(self, node: s.Statement, components: list[s.Component], sections: list[s.Section]) -> None:
        if isinstance(node, s.Dim):
            self._dim(node)
        elif isinstance(node, s.If):
            for condition, body in node.branches:
                if self.calls.evaluator.condition(condition, self.frame):
                    return self._statements(body, components, sections)
            if node.otherwise is not None:
                self._statements(node.otherwise, components, sections)
        elif isinstance(node, s.Parameter):
            name = self.bodies.parameters.declare(node, self.frame)
            self.scope.values[node.name.text] = SharedParameter(name)
        elif isinstance(node, (s.Assign, s.Assert)):
            self.bodies.table[type(node)](node, self.frame)
        else:
            hint = "a model holds dim, component, param, bindings, assert, if and sections"
            what = type(node).__name__.lower()
            raise fail("MCT0045", f"`{what}` can't stand in a model", node.span, hint)
        return None

    def _dim(self, node: s.Dim) -> None:
        name, role = node.name.text, self._role(node.role)
        if name in self.scope.values:
            raise fail("MCT0043", f"`{name}` is defined twice", node.name.span, "give one of them another name")
        self.scope.dims.add(name)
        rate = None
        if node.rate is not None:
            value = self.calls.evaluator.constant(node.rate, self.frame, "a rate")
            if not isinstance(value, Quantity) or value.unit != "Hz" or value.value <= 0:
                hint = "a rate is in frames a second: `@ 100 Hz`"
                raise fail("MCT0145", f"this is not a rate: {describe(value)}", node.rate.span, hint)
            rate = value.value
        if (rate is not None) is not (role is Role.TIME):
            message = "a time dimension needs its rate" if rate is None else f"a {role.value} dimension has no rate"
            hint = f"`dim {name}: time @ 100 Hz`" if rate is None else "only time has one"
            raise fail("MCT0145", message, node.role.span if rate is None else node.span, hint)
        self._define_dim(node, name, role, rate)

    def _define_dim(self, node: s.Dim, name: str, role: Role, rate: Fraction | None) -> None:
        if node.extent is None:
            if role in (Role.CHANNEL, Role.FEATURE, Role.VOCABULARY):
                hint = f"`dim {name}: {role.value} = 256`"
                raise fail("MCT0148", f"a {role.value} dimension needs its extent", node.span, hint)
            self.session.program.dims[name] = Dim(role, rate)
            self.scope.values[name] = Measure(Extent.of(name), role)
            return
        value = self.calls.evaluator.constant(node.extent, self.frame, "an extent")
        self.scope.values[name] = Measure(self.calls.types.extent(value, node.extent.span), role)

    def _role(self, node: s.Identifier) -> Role:
        for role in ROLES:
            if role.value == node.text:
                return role
        names = [role.value for role in ROLES]
        hint = did_you_mean(node.text, names) or f"the roles are {', '.join(names)}"
        raise fail("MCT0053", f"there is no role `{node.text}`", node.span, hint)

    def _component(self, node: s.Component) -> None:
        name = node.name.text
        before = self.frame.elements.claim(name, node.name.span)
        if before is not None:
            note = Note("it is defined here first", before)
            raise fail("MCT0043", f"`{name}` is defined twice", node.name.span, "give one of them another name", note)
        if node.results is None:
            hint = "write `-> f32[...]` behind the inputs"
            raise fail("MCT0112", f"component `{name}` declares no result", node.name.span, hint)
        self.session.builder = Builder(self.session.program)
        bound, labels = self.session.facts(node.body, node.inputs)
        frame = Frame(self.chosen.module, Scope(self.scope), name, Elements(labels), bound, labels)
        domains: dict[str, Domain] = {}
        inputs = [self._input(item, frame, domains) for item in node.inputs]
        returned = self.bodies.run(node.body, frame)
        if returned is None:
            raise fail("MCT0101", f"component `{name}` returns nothing", node.name.span, "it ends with `return`")
        values = self.calls.results(name, node.results, returned, frame)
        names = self._result_names(node, node.results)
        origin = Origin(node.name.span.place, name)
        results = list(zip(names, values, strict=True))
        function = Function(name, inputs, self.session.builder.ops, results, origin=origin, domains=domains)
        function.domains = {**mask_domains(function), **id_domains(function), **domains}
        check_ids(function, {item.name.text: item.span for item in node.inputs})
        self.session.program.functions[name] = function
        for op in doubtful_masks(function):
            self.session.report(doubtful_mask(op))

    def _input(self, item: s.Input, frame: Frame, domains: dict[str, Domain]) -> Value:
        """The value of an input; what its entries may be is put among `domains`."""
        if not isinstance(item, s.TensorInput):
            hint = "give it a type, or make it a value of the model"
            raise fail("MCT0111", f"`{item.name.text}`: the inputs of a component are tensors", item.span, hint)
        if item.default is not None:
            raise fail("MCT0111", "an input of a component has no default", item.default.span, "remove it")
        type_, domain = self.calls.types.input(item.type, frame)
        value = Value(type_, item.name.text)
        if domain is not None:
            domains[value.name] = domain
        if item.name.text in frame.scope.values:
            raise fail("MCT0043", f"`{item.name.text}` is defined twice", item.name.span, "rename one of them")
        frame.scope.values[item.name.text] = value
        return value

    def _result_names(self, node: s.Component, results: tuple[s.Result, ...]) -> list[str]:
        """The names of the results: as written, else `output`, or output_0, output_1 ... when there are several."""
        names: list[str] = []
        inputs = {item.name.text for item in node.inputs}
        for index, result in enumerate(results):
            name = result.name.text if result.name else "output" if len(results) == 1 else f"output_{index}"
            if name in names or name in inputs:
                span: Span = result.name.span if result.name else result.span
                raise fail("MCT0113", f"`{name}` is the name of another input or result", span, "choose another name")
            names.append(name)
        return names
