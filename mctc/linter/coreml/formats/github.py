"""The report as workflow commands of GitHub: annotations beside the lines of a spec, or on a package.

GitHub shows the first ten of a level that a step prints, so findings of one rule on one line are one annotation, and
the worst come first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mctc.diagnostics.clean import clean
from mctc.linter.coreml.formats.artifacts import Artifact, artifact_of, relative
from mctc.linter.coreml.formats.words import by_message, by_rule, of_function, shortened
from mctc.linter.coreml.report import Finding, Report, Unchecked
from mctc.linter.coreml.rule import Rule, Severity
from mctc.linter.github import workflow_command

LEVELS = {
    Severity.ERROR: "error",
    Severity.WARNING: "warning",
    Severity.PERFORMANCE: "warning",
    Severity.NUMERICS: "warning",
    Severity.INFO: "notice",
}
SHOWN_OPS = 3
SHOWN_MESSAGES = 5
LONGEST = 200


def render_github(reports: Sequence[Report], unchecked: Sequence[Unchecked] = ()) -> str:
    """A line an annotation, without a closing newline; empty where nothing was found."""
    lines = [_unchecked(each) for each in unchecked]
    found = [
        (rule, artifact, group)
        for report in reports
        for rule, findings in by_rule(report.findings)
        for artifact, group in _by_artifact(report, findings).items()
    ]
    found.sort(key=lambda each: each[2][0].severity.rank)
    return "\n".join([*lines, *(_annotation(*each) for each in found)])


def _unchecked(model: Unchecked) -> str:
    text = "\n".join(clean(line) for line in (model.reason, model.hint, *model.about) if line)
    return workflow_command(
        "error" if model.fails else "notice", text, {"title": "not checked", "file": clean(relative(model.path))}
    )


def _by_artifact(report: Report, findings: Iterable[Finding]) -> dict[Artifact, list[Finding]]:
    groups: dict[Artifact, list[Finding]] = {}
    for finding in findings:
        groups.setdefault(artifact_of(report, finding), []).append(finding)
    return groups


def _annotation(rule: Rule, artifact: Artifact, findings: list[Finding]) -> str:
    severity = findings[0].severity
    properties = {"title": f"{rule.code} {rule.name}", "file": clean(artifact.file)}
    if artifact.line is not None:
        properties |= {"line": str(artifact.line), "col": str(artifact.column)}
    messages = by_message(findings)
    lines = [_line(message, group) for message, group in messages[:SHOWN_MESSAGES]]
    if len(messages) > SHOWN_MESSAGES:
        lines.append(f"and {len(messages) - SHOWN_MESSAGES} more messages of this rule")
    contested = "Sources disagree. " if rule.contested else ""
    lines.append(f"{contested}Fix: {' '.join(rule.fix.split())} (mctc explain {rule.code})")
    return workflow_command(LEVELS[severity], "\n".join(lines), properties)


def _line(message: str, findings: list[Finding]) -> str:
    """'gru never runs on the Neural Engine (encoder: gru_0, gru_1 and 4 more)'."""
    named = [of_function(each) for each in findings if each.op is not None]
    named = named or sorted({each.function for each in findings if each.function is not None})
    shown = ", ".join(clean(shortened(name, LONGEST)) for name in named[:SHOWN_OPS])
    more = f" and {len(named) - SHOWN_OPS} more" if len(named) > SHOWN_OPS else ""
    return f"{clean(message)} ({shown}{more})" if shown else clean(message)
