"""Workflow commands: one annotation for a rule and a line, the worst first, and none that a name could forge."""

from __future__ import annotations

from dataclasses import replace

from mctc.linter.coreml.formats.github import render_github
from tests.linter.coreml.formats.sample import PROGRAM, sample, samples


def test_there_is_an_annotation_per_rule_and_place_the_worst_first() -> None:
    lines = render_github(samples()).split("\n")
    assert [line.partition(",")[0] for line in lines] == [
        "::error title=ANE-XX-001 sample-relu",
        "::warning title=ANE-XX-002 sample-tanh",
        "::warning title=ANE-XX-003 sample-conv",
        "::warning title=ANE-XX-004 sample-softmax",
        "::notice title=ANE-XX-005 sample-package",
    ]
    assert ",file=spec/a b.mct,line=15,col=32::conv of conv_0 is a sample (main: conv_0)%0A" in lines[2]
    assert lines[1].endswith("%0ASources disagree. Fix: Leave tanh out. (mctc explain ANE-XX-002)")


def test_a_name_ends_no_command_and_holds_no_control_character() -> None:
    text = render_github([sample(path="a,b:c\n::error::%.mlpackage")])
    assert all(line.startswith(("::error title=", "::warning title=", "::notice title=")) for line in text.split("\n"))
    assert "file=a%2Cb%3Ac\N{REPLACEMENT CHARACTER}%3A%3Aerror%3A%3A%25.mlpackage::" in text
    assert all(character.isprintable() or character == "\n" for character in text)


def test_many_findings_of_a_rule_are_one_annotation() -> None:
    many = "\n".join(f"    t: fp16[1, 96, 1, 16] = tanh(x=s, name='t{number}')" for number in range(9))
    report = sample(program=PROGRAM.replace("    return", many.lstrip("\n") + "\n    return"))
    (line,) = [line for line in render_github([report]).split("\n") if "ANE-XX-002" in line]
    assert "%0Aand 5 more messages of this rule%0A" in line
    alike = replace(report, findings=tuple(replace(each, message="alike") for each in report.findings))
    (line,) = [line for line in render_github([alike]).split("\n") if "ANE-XX-002" in line]
    assert "::alike (main: tanh_0, main: t0, main: t1 and 7 more)%0A" in line


def test_a_clean_package_prints_nothing() -> None:
    assert render_github(samples()[1:]) == ""
