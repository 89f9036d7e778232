"""Findings that are known and accepted: a file of fingerprints with counts, so that only what is new fails.

A package goes by its name; where two of one call have the same, by as much of the path as tells them apart.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mctc.atomic import write_text
from mctc.diagnostics.errors import UsageError
from mctc.linter.coreml.report import Report
from mctc.records import dataclass

KIND = "mctc lint baseline"
VERSION = 1
LIMIT = 256 << 20
AGAIN = "write it again with --write-baseline"


@dataclass(frozen=True)
class KnownFinding:
    """So many findings of one fingerprint in one package."""

    package: str
    fingerprint: str
    count: int


@dataclass(frozen=True)
class Baseline:
    """What is known, for every package by its name."""

    packages: Mapping[str, Mapping[str, int]]

    def of(self, path: str) -> tuple[str, Mapping[str, int]]:
        """The name in the baseline of the package at a path, and what is known of it."""
        parts = _parts(path)
        ends = ("/".join(parts[-length:]) for length in range(len(parts), 0, -1))
        name = next((end for end in ends if end in self.packages), parts[-1])
        return name, self.packages.get(name, {})


def write(reports: Sequence[Report]) -> str:
    """The text of a baseline that knows all findings of these reports, the same whatever their order."""
    entries = []
    for report, name in zip(reports, _names([report.label for report in reports]), strict=True):
        counts = Counter(finding.fingerprint for finding in report.findings)
        entries += [(name, fingerprint, count) for fingerprint, count in counts.items()]
    rows = [
        json.dumps({"package": name, "fingerprint": fingerprint, "count": count})
        for name, fingerprint, count in sorted(entries)
    ]
    listed = "[\n    " + ",\n    ".join(rows) + "\n  ]" if rows else "[]"  # one a line, for reviews and merges
    return f'{{\n  "kind": {json.dumps(KIND)},\n  "version": {VERSION},\n  "findings": {listed}\n}}\n'


def save(reports: Sequence[Report], path: Path) -> None:
    """Writes the baseline of these reports, whole or not at all. Raises UsageError when that can't be done."""
    try:
        write_text(path, write(reports))
    except OSError as error:
        raise UsageError(f"{path}: can't be written ({(error.strerror or str(error)).lower()})") from error


def read(path: Path) -> Baseline:
    """A baseline from a file. Raises UsageError for one that is missing, damaged or of another version."""
    try:
        size = path.stat().st_size
        if size > LIMIT:
            raise UsageError(f"{path}: {size} bytes are no baseline")
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        hint = "--write-baseline makes one" if isinstance(error, FileNotFoundError) else None
        raise UsageError(f"{path}: can't be read ({(error.strerror or str(error)).lower()})", hint=hint) from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: not a baseline, not even JSON: {error}", hint=AGAIN) from error
    if not isinstance(content, dict) or content.get("kind") != KIND:
        raise UsageError(f"{path}: not a baseline of mctc lint", hint=AGAIN)
    if content.get("version") != VERSION:
        found = json.dumps(content.get("version"))[:40]
        raise UsageError(f"{path}: the baseline has version {found}, this mctc reads {VERSION}", hint=AGAIN)
    return Baseline(_packages(content.get("findings"), path))


def apply(report: Report, baseline: Baseline) -> Report:
    """The report without what is known: of each fingerprint, as many findings as the baseline counts."""
    left = Counter(baseline.of(report.label)[1])
    findings = []
    for finding in report.findings:
        if left[finding.fingerprint] > 0:
            left[finding.fingerprint] -= 1
        else:
            findings.append(finding)
    hidden = report.hidden + len(report.findings) - len(findings)
    return replace(report, findings=tuple(findings), hidden=hidden)


def stale(
    reports: Iterable[Report], baseline: Baseline, codes: Iterable[str] | None = None
) -> tuple[KnownFinding, ...]:
    """What the baseline knows and these reports, before `apply`, no longer have, with how many of it.

    codes: the rules that were shown (None: all). What rules say that were not shown or not applied is not known, nor
    what is in packages that were not checked.
    """
    shown = None if codes is None else frozenset(codes)
    found = []
    for report in reports:
        name, known = baseline.of(report.label)
        missed = {code for code, _ in report.skipped}
        counts = Counter(finding.fingerprint for finding in report.findings)
        for fingerprint, count in sorted(known.items()):
            code = fingerprint.partition("|")[0]
            if code not in missed and (shown is None or code in shown) and count > counts[fingerprint]:
                found.append(KnownFinding(name, fingerprint, count - counts[fingerprint]))
    return tuple(found)


def _packages(rows: Any, path: Path) -> dict[str, dict[str, int]]:
    if not isinstance(rows, list):
        raise UsageError(f"{path}: the baseline is damaged: no list of findings", hint=AGAIN)
    packages: dict[str, dict[str, int]] = {}
    for place, row in enumerate(rows, 1):
        match row:
            case {"package": str(name), "fingerprint": str(fingerprint), "count": int(count)} if _counts(count):
                packages.setdefault(name, {})[fingerprint] = count
            case _:
                raise UsageError(f"{path}: the baseline is damaged: entry {place} is none", hint=AGAIN)
    return packages


def _counts(number: int) -> bool:
    return number > 0 and not isinstance(number, bool)


def _names(paths: Sequence[str]) -> list[str]:
    """The shortest end of each path that no other has, at least its last part."""
    parts = [_parts(path) for path in paths]
    return [_shortest(each, [other for other in parts if other != each]) for each in parts]


def _shortest(parts: tuple[str, ...], others: Sequence[tuple[str, ...]]) -> str:
    length = 1
    while length < len(parts) and any(other[-length:] == parts[-length:] for other in others):
        length += 1
    return "/".join(parts[-length:])


def _parts(path: str) -> tuple[str, ...]:
    full = Path(os.path.abspath(path))  # noqa: PTH100 — links are not followed
    return full.parts[1:] or full.parts
