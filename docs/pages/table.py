"""The generated pages, and what writes each."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from docs.pages import architectures, diagnostics, lint_json, lint_mps, lint_rules, ops, padding, passes

PAGES: Mapping[str, Callable[[], str]] = {
    "ops.md": ops.page,
    "passes.md": passes.page,
    "diagnostics.md": diagnostics.page,
    "lint-rules.md": lint_rules.page,
    "lint-mps.md": lint_mps.page,
    "lint-json.md": lint_json.page,
    "architectures.md": architectures.page,
    "padding.md": padding.page,
    architectures.PICTURE: architectures.picture,
}
