"""The report as SARIF 2.1.0, for code scanning and for viewers: one run for all packages.

Levels follow the order of severities: error is error; warning, performance and numerics are warning (slow is a problem
here, and silently wrong numbers all the more); info is note. The word itself is in the properties of every result.

A finding lies in the spec where mctc made the package, and in the package, which has no lines, where it did not.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from mctc.diagnostics.clean import clean
from mctc.linter.coreml.explain import evidence, explain, markdown, scope
from mctc.linter.coreml.formats.artifacts import Artifact, artifact_of, relative, uri
from mctc.linter.coreml.formats.json_text import json_text
from mctc.linter.coreml.formats.words import ESTIMATE, shortened
from mctc.linter.coreml.report import Finding, Report, Unchecked
from mctc.linter.coreml.rule import CONFIDENCE, Rule, Severity
from mctc.version import __version__

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
ROOT = "%SRCROOT%"
FINGERPRINT = "mctcLint/v1"
LEVELS = {
    Severity.ERROR: "error",
    Severity.WARNING: "warning",
    Severity.PERFORMANCE: "warning",
    Severity.NUMERICS: "warning",
    Severity.INFO: "note",
}
KINDS = {"error": "error", "warning": "warning", "note": "recommendation"}  # in the words of GitHub's code scanning
LONGEST = 1000  # GitHub cuts or refuses descriptions and messages beyond 1024 characters
MOST = 25_000  # and refuses a run of more results


def render_sarif(reports: Sequence[Report], unchecked: Sequence[Unchecked] = ()) -> str:
    """All reports as one SARIF log, without a closing newline."""
    rules = {finding.rule.code: finding.rule for report in reports for finding in report.findings}
    places = {code: place for place, code in enumerate(sorted(rules))}
    driver = {
        "name": "mctc lint",
        "semanticVersion": __version__,
        "rules": [_rule(rules[code]) for code in places],
    }
    found = [(report, finding) for report in reports for finding in report.findings]
    found.sort(key=lambda each: each[1].severity.rank)
    unread = dict.fromkeys(each.path for each in unchecked if each.fails)
    run = {
        "tool": {"driver": driver},
        "invocations": [_invocation(len(found), reports, unchecked)],
        "originalUriBaseIds": {ROOT: {"description": {"text": "The folder that mctc was run in."}}},
        "artifacts": [*map(_artifact, reports), *({"location": _location_of(relative(path))} for path in unread)],
        "columnKind": "unicodeCodePoints",
        "results": [_result(report, finding, places[finding.rule.code]) for report, finding in found[:MOST]],
        "properties": {"estimate": ESTIMATE},
    }
    return json_text({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]})


def _rule(rule: Rule) -> dict[str, Any]:
    level = LEVELS[rule.severity]
    return {
        "id": rule.code,
        "name": rule.name,
        "shortDescription": _text(rule.summary),
        "fullDescription": _text(" ".join(rule.why.split())),
        "help": {"text": _escaped(explain(rule)), "markdown": _escaped(markdown(rule))},
        "defaultConfiguration": {"level": level},
        "properties": {
            "severity": rule.severity.value,
            "evidence": evidence(rule),
            "confidence": CONFIDENCE[rule.confidence],
            "contested": rule.contested,
            "scope": scope(rule.scope),
            "effect": rule.effect.value,
            "source": rule.source,
            "precision": CONFIDENCE[rule.confidence],
            "problem.severity": KINDS[level],
        },
    }


def _invocation(found: int, reports: Sequence[Report], unchecked: Sequence[Unchecked]) -> dict[str, Any]:
    """What was not checked is a notification, an error where nothing of a package was."""
    said = [
        _notification("error" if each.fails else "note", " — ".join(filter(None, (each.reason, each.hint))), each.path)
        for each in unchecked
    ]
    said += [_notification("warning", note, report.path) for report in reports for note in report.notes]
    if found > MOST:
        left = f"{found - MOST} results are left out, the least severe; --format json has all of them."
        said.append(_notification("warning", left))
    successful = {"executionSuccessful": not any(each.fails for each in unchecked)}
    return {**successful, "toolExecutionNotifications": said} if said else successful


def _notification(level: str, text: str, path: str | None = None) -> dict[str, Any]:
    told: dict[str, Any] = {"level": level, "message": _text(clean(text))}
    if path is not None:
        told["locations"] = [{"physicalLocation": {"artifactLocation": _location_of(relative(path))}}]
    return told


def _artifact(report: Report) -> dict[str, Any]:
    return {
        "location": _location_of(relative(report.path)),
        "roles": ["analysisTarget"],
        "properties": {
            "target": report.target,
            "opset": report.opset,
            **({"member": report.member} if report.member else {}),
            **({"network": report.network.kind} if report.network is not None else {}),
            "hidden": report.hidden,
            "skippedRules": [code for code, _ in report.skipped],
        },
    }


def _result(report: Report, finding: Finding, place: int) -> dict[str, Any]:
    artifact = artifact_of(report, finding)
    result = {
        "ruleId": finding.rule.code,
        "ruleIndex": place,
        "level": LEVELS[finding.severity],
        "message": _text(clean(_message(finding))),
        "locations": [{"physicalLocation": _physical(artifact), **_logical(finding)}],
        "partialFingerprints": {FINGERPRINT: sha256(_encoded(finding.fingerprint)).hexdigest()},
        "properties": {"severity": finding.severity.value, **_about(finding)},
    }
    if artifact.line is not None:
        package = {"artifactLocation": _location_of(relative(report.path))}
        result["relatedLocations"] = [{"physicalLocation": package, "message": {"text": "in this package"}}]
    return result


def _message(finding: Finding) -> str:
    """GitHub shows no logical locations, so the op is named in the text too."""
    named = ": ".join(name for name in (finding.function, finding.op) if name is not None)
    return f"{finding.message} ({shortened(named, LONGEST // 4)})" if named else finding.message


def _about(finding: Finding) -> dict[str, Any]:
    about = {
        "opType": finding.op_type,
        "index": finding.index,
        "instance": finding.place.instance if finding.place is not None else None,
        "sizes": list(finding.sizes) or None,
    }
    return {key: value for key, value in about.items() if value is not None}


def _physical(artifact: Artifact) -> dict[str, Any]:
    physical: dict[str, Any] = {"artifactLocation": _location_of(artifact.file)}
    if artifact.line is not None:
        physical["region"] = {"startLine": artifact.line, "startColumn": artifact.column}
    return physical


def _location_of(path: str) -> dict[str, str]:
    return {"uri": uri(path)} if path.startswith("/") else {"uri": uri(path), "uriBaseId": ROOT}


def _logical(finding: Finding) -> dict[str, Any]:
    names = [name for name in (finding.function, finding.op) if name is not None]
    if not names:
        return {}
    kind = "function" if finding.op is None else "layer" if finding.function is None else "op"
    logical = {"name": names[-1], "fullyQualifiedName": "/".join(names), "kind": kind}
    return {"logicalLocations": [logical]}


def _text(text: str) -> dict[str, str]:
    return {"text": _escaped(shortened(text, LONGEST))}


def _escaped(text: str) -> str:
    """Text in which nothing is a placeholder ({0}, section 3.11.5 of SARIF) or a link ([text](target), 3.11.6)."""
    return text.replace("{", "{{").replace("}", "}}").replace("](", "] (")


def _encoded(text: str) -> bytes:
    """Names out of JSON may hold halves of surrogate pairs."""
    return text.encode("utf-8", errors="surrogatepass")
