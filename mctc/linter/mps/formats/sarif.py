"""Findings as SARIF 2.1.0, for code scanning and for viewers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from mctc.diagnostics.clean import clean
from mctc.diagnostics.diagnostic import Diagnostic
from mctc.linter.coreml.formats.artifacts import relative, uri
from mctc.linter.coreml.formats.json_text import json_text
from mctc.linter.coreml.formats.words import shortened
from mctc.linter.mps.explain import explain
from mctc.linter.mps.formats.text import file_of, message_of
from mctc.linter.mps.rule import CodeRule
from mctc.linter.mps.table import RULES
from mctc.version import __version__

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
ROOT = "%SRCROOT%"
FINGERPRINT = "mctcLintMps/v1"
LONGEST = 1000  # GitHub refuses messages beyond 1024 characters
MOST = 25_000  # and a run of more results


def render_sarif(found: Sequence[Diagnostic]) -> str:
    """One log of one run, without a closing newline. What could not be read is a notification."""
    checked = [each for each in found if each.span is not None]
    codes = sorted({each.code for each in checked})
    seen: Counter[str] = Counter()
    run = {
        "tool": {
            "driver": {"name": "mctc lint", "semanticVersion": __version__, "rules": [_rule(RULES[c]) for c in codes]}
        },
        "invocations": [_invocation([each for each in found if each.span is None], len(checked))],
        "originalUriBaseIds": {ROOT: {"description": {"text": "The folder that mctc was run in."}}},
        "columnKind": "unicodeCodePoints",
        "results": [_result(each, codes.index(each.code), seen) for each in checked[:MOST]],
    }
    return json_text({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]})


def _rule(rule: CodeRule) -> dict[str, Any]:
    return {
        "id": rule.code,
        "name": rule.name,
        "shortDescription": _text(rule.summary),
        "fullDescription": _text(rule.why),
        "help": {"text": _escaped(explain(rule))},
        "defaultConfiguration": {"level": rule.severity.value},
        "properties": {"source": rule.source, "problem.severity": rule.severity.value},
    }


def _invocation(unread: Sequence[Diagnostic], results: int) -> dict[str, Any]:
    said = [
        {"level": "error", "message": _text(clean(each.message)), "locations": [{"physicalLocation": _file(each)}]}
        for each in unread
    ]
    if results > MOST:
        left = f"{results - MOST} results are left out; --format json has all of them."
        said.append({"level": "warning", "message": _text(left)})
    successful = {"executionSuccessful": not unread}
    return {**successful, "toolExecutionNotifications": said} if said else successful


def _result(found: Diagnostic, index: int, seen: Counter[str]) -> dict[str, Any]:
    assert found.span is not None
    at = found.span.location
    region = {"startLine": at.line, "startColumn": at.column, "endLine": at.end_line, "endColumn": at.end_column}
    line = f"{found.code}\n{relative(file_of(found))}\n{found.span.source.line(at.line).strip()}"
    seen[line] += 1
    said = ". ".join(filter(None, (message_of(found), found.hint)))
    return {
        "ruleId": found.code,
        "ruleIndex": index,
        "level": found.severity.value,
        "message": _text(clean(said)),
        "locations": [{"physicalLocation": {**_file(found), "region": region}}],
        "partialFingerprints": {FINGERPRINT: sha256(f"{line}\n{seen[line]}".encode(errors="replace")).hexdigest()},
    }


def _file(found: Diagnostic) -> dict[str, Any]:
    path = relative(file_of(found))
    where = {"uri": uri(path)} if path.startswith("/") else {"uri": uri(path), "uriBaseId": ROOT}
    return {"artifactLocation": where}


def _text(text: str) -> dict[str, str]:
    return {"text": _escaped(shortened(text, LONGEST))}


def _escaped(text: str) -> str:
    """Text in which nothing is a placeholder or a link (sections 3.11.5 and 3.11.6 of SARIF)."""
    return text.replace("{", "{{").replace("}", "}}").replace("](", "] (")
