"""What a plugin brings is looked at as it is loaded: an error names the plugin, the thing and the fault."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from mctc.plugin_ops import declare_ops
from mctc.plugins import FORMS, LISTS, PluginError, Registry, registry

PASS = """
from mctc.rewrite.base import Exact, Pass, Within

class Clamp(Pass):
    name = "clamp"
    promise = Exact()
    {line}

    def {run}(self, program, context):
        return program

MCTC_PLUGINS = {{"passes": [{member}]}}
"""
OP = """
from mctc.ir.fields import operand, variadic_operand
from mctc.ir.op import Op

class Cube(Op):
    name = "cube"
    x = operand()
    {line}

    {infer}
    def infer(self):
        return (self.x.type,)

    def {reference}(self, x):
        return (x ** 3,)

MCTC_PLUGINS = {{"ops": [Cube]}}
"""
TARGET = """
from mctc.driver.target import Target

class Text(Target):
    name = "text"
    {line}

    def write(self, compiled, weights, folder, options, metadata): ...
    def {check}(self, compiled, weights, folder, options, written): ...

MCTC_PLUGINS = {{"targets": [Text]}}
"""


def pass_with(line: str = "", run: str = "run", member: str = "Clamp") -> str:
    return PASS.format(line=line, run=run, member=member)


def op_with(line: str = "", infer: str = "", reference: str = "reference") -> str:
    return OP.format(line=line, infer=infer, reference=reference)


def target_with(line: str = "", check: str = "check") -> str:
    return TARGET.format(line=line, check=check)


@pytest.mark.parametrize("source", [pass_with(), op_with(), target_with(), pass_with('before = ["linear-to-conv?"]')])
def test_what_has_the_right_form_is_loaded(tmp_path: Path, source: str) -> None:
    (tmp_path / "plugin.py").write_text(source)
    assert len(Registry().load_file(tmp_path / "plugin.py")) == 1


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            pass_with('stage = "nonsense"'),
            "pass `clamp` of .*: `stage` must be one of 'common', .*'deploy', not 'nonsense'",
        ),
        (pass_with("stage = None"), "`stage` must be"),
        (pass_with("stage = []"), "`stage` must be"),
        (pass_with("promise = Exact"), r"`promise` must be Exact\(\)"),
        (pass_with('promise = "exact"'), "`promise` must be"),
        (pass_with('after = "linear-to-conv"'), r"`after` must be a tuple .*; write \('linear-to-conv',\)"),
        (pass_with("before = ('x', 3)"), "`before` must be a tuple of names"),
        (pass_with("before = None"), "`before` must be"),
        (pass_with("after = ('x',); before = ('y', 'x?')"), "both after and before x"),
        (pass_with("after = ('clamp',)"), "next to itself"),
        (pass_with(run="go"), "has no `run`"),
        (pass_with(member="Clamp()"), "must be a class derived from .*Pass"),
        (pass_with(member="type('X', (), {'name': 'x'})"), "pass `x` of .*: must be a class derived from"),
        (op_with("operands = 'x weight?'"), "op `cube` of .*: .*one field for each operand"),
        (op_with("attributes = {'scale': 1}"), "one field for each attribute"),
        (op_with("xs = variadic_operand(); y = operand()"), "must be the last one"),
        (op_with("nonzero = 'x'"), "`nonzero` must be a tuple"),
        (op_with("forms = {'torch': 'x ** 3'}"), "`forms` must be a table of functions"),
        (op_with("forms = print"), "`forms` must be a table of functions"),
        (op_with(infer="@classmethod"), "`infer` must be a method of one application"),
        (op_with(reference="compute"), "has no `reference`"),
        (target_with("extra_targets = 'torch'"), "target `text` of .*: `extra_targets` must be a tuple"),
        (target_with("forms = {'state': 'packed'}"), "`forms` must give a tuple of strings"),
        (target_with(check="prove"), "has no `check`"),
        ("class R:\n    name = 'r'\nMCTC_PLUGINS = {'rules': [R]}", "family of rules `r` of .*: is a type"),
    ],
)
def test_what_has_another_form_is_an_error_that_says_so(tmp_path: Path, source: str, message: str) -> None:
    (tmp_path / "plugin.py").write_text(source)
    found = Registry()
    with pytest.raises(PluginError, match=message) as caught:
        found.load_file(tmp_path / "plugin.py")
    assert str(tmp_path / "plugin.py") in str(caught.value)
    assert all(found.names(kind) == () for kind in ("passes", "ops", "targets", "rules"))


@pytest.mark.parametrize("name", ["linear", "Linear"])
def test_an_op_of_the_ir_is_not_declared_anew(tmp_path: Path, name: str) -> None:
    source = op_with().replace('"cube"', '"linear"').replace("Cube", name)
    (tmp_path / "plugin.py").write_text(source)
    found = Registry()
    found.load_file(tmp_path / "plugin.py")
    with pytest.raises(PluginError, match=r"op `linear` of .*plugin\.py: op 'linear' is declared twice"):
        declare_ops(found)


def test_a_file_with_one_name_twice_brings_nothing(tmp_path: Path) -> None:
    (tmp_path / "plugin.py").write_text(pass_with(member="Clamp, Clamp"))
    found = Registry()
    with pytest.raises(PluginError, match="two passes are called `clamp`"):
        found.load_file(tmp_path / "plugin.py")
    assert found.names("passes") == ()


def test_the_plugin_whose_code_failed_is_named(tmp_path: Path) -> None:
    (tmp_path / "fails.py").write_text(pass_with().replace("return program", "return program.nothing"))
    found = Registry()
    found.load_file(tmp_path / "fails.py")
    with pytest.raises(AttributeError) as caught:
        found.load("passes", "clamp")().run(None, None)
    assert found.at_fault(caught.value) == str(tmp_path / "fails.py")
    assert found.at_fault(ValueError("of nobody")) is None


@pytest.mark.parametrize("kind", sorted(LISTS))
def test_what_is_built_in_has_the_form_of_its_kind(kind: str) -> None:
    """Nothing looks at it as it is loaded."""
    faults = import_module(FORMS[kind]).faults
    names = registry().names(kind)
    assert names
    assert {name: list(faults(registry().load(kind, name))) for name in names} == {name: [] for name in names}
