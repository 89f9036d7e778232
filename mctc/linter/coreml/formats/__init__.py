"""How a Report is printed, a module a format: each gets reports and returns text.

text (terminal) · json_report, json_schema (schema of the JSON) · sarif (2.1.0) · github (workflow
commands) · markdown (a comment on a pull request) · page (HTML) · difference (two packages) · agreement (a measured
plan) · foreign (a model that is no program) · words, artifacts, json_text, plain (what several formats say alike).

Names in a report come from strangers' packages: every format makes them harmless for its medium.
"""
