"""How a Report is printed, a module a format: each gets reports and returns text.

text (terminal) · json_report, json_schema (schema of the JSON, docs/lint-json.md) · sarif (2.1.0) · github (workflow
commands) · markdown (a comment on a pull request) · words, artifacts, json_text (what several formats say alike).

Names in a report come from strangers' packages: every format makes them harmless for its medium.
"""
