"""docs/lint-mps.md, from the rules of `mctc lint --mps`."""

from __future__ import annotations

from mctc.linter.mps.rule import CodeRule
from mctc.linter.mps.table import RULES, SUBJECTS

INTRODUCTION = """# Lint rules for training on MPS

`mctc lint --mps FILE.py...` checks PyTorch training code for what fails, slows down or misleads on a Mac's GPU. It
parses the files and runs nothing: torch is not imported and need not be installed.

```
mctc lint --mps train.py models/            files, and folders with every .py file in them
mctc lint --mps --select MPS05 train.py     only codes that begin so; --ignore leaves codes out
mctc lint --mps --statistics .              a line per rule, with counts
mctc lint --mps --format sarif -o x.sarif . text, json, sarif, github, markdown or html, as for packages
mctc explain MPS050                         the text of this page
```

It exits with 0 when nothing is found, 1 when something is, and 2 when a file can't be read or parsed, or the command
line is at fault. `# noqa: MPS050` at the end of the line that a finding names leaves that finding out, `# noqa` all of
that line.

A rule fires where the files leave little doubt. Code under a condition that speaks of a device (`if
torch.cuda.is_available():`, `device.type == "cuda"`), behind an exit of that kind, inside a `try`, or in a function
with `cuda` in its name counts as written for that device. float64 and missing kernels are accepted on what surely lies
on the CPU, in data sets and collate functions, and in a function that asks about MPS itself. Nothing is found in
tests: files and folders that are named so, functions that begin with `test_` (MPS013 alone is about tests).

A training loop is the innermost loop around `loss.backward()` or `optimizer.step()`; what stands under an `if` in it,
or behind `if step % 100: continue`, is taken to run now and then. What the loop calls is part of it, wherever the
function or the method stands in the files that are checked together: helpers, `forward` of modules, what subclasses
override, `backward` of a torch.autograd.Function, and the hooks of Lightning, of SpeechBrain's Brain and of
transformers' Trainer. A finding in such a function names the loop that calls it. Give the whole folder, so that calls
between files are seen.

Sources are the developer field guide that came with the project (its sections 2.1 to 2.3 and 4.1), the source and the
documentation of PyTorch, and issues of its repository. "Tried with torch 2.13" means a build without CUDA on Linux.
Nothing on this page was measured on a Mac."""

LEFT_OUT = {  # rows of the field guide's tables that have no rule, and why
    "2.3, System-wide slowdown: whether the model fits": (
        "needs the sizes of model, batch and machine; watch memory pressure, or torch.mps.driver_allocated_memory"
    ),
    "2.3, a watermark exported in the shell": ("is not in the file; MPS040 and MPS041 see what a program sets itself"),
    "2.3, NotImplementedError for bitwise, complex and indexing operations in general": (
        "depends on the version of torch, on types and on the form of an index; MPS060 and MPS068 have those that torch"
        " 2.13 lacks"
    ),
    "2.3, limited int64": "depends on the operation and on the version of the system",
    "2.3, Small tensor ops with sizes known at run time": "needs the size; MPS063 sees literal shapes",
    "2.1, a native arm64 Python": "a property of the installation; platform.machine() says arm64",
    "4.1, batch size, gradient accumulation and checkpointing": "depends on the machine's memory",
    "4.1, PyTorch or MLX": "a choice, not a fault",
}

TRIED = """## Tried on public code

Every distinct line that is found was read (2026-11-29), with the code around it where the line alone does not tell.
What recipes have word for word was read once; what it rests on (that a length was moved, that the other branch is the
CPU) was looked up in each copy. Wrong means: the code as written does not fail, wait or mislead there on a Mac. Nothing
was run on a Mac.

| code | files | findings | wrong |
|---|---|---|---|
| speechbrain/speechbrain 9c826ef (2026-04), all of it | 613 | 57 | 1 |
| k2-fsa/icefall 36e0420 (2026-06), its 29 zipformer folders and the library | 327 | 414 | 0 |
| state-spaces/mamba e9594ce (2026-07) | 68 | 86 | 0 |
| xi-j/Mamba-ASR 6bace09 (2024-08) | 12 | 3 | 0 |
| mattmireles/mamba-asr-mps cf596ed (2026-04), a port to MPS | 44 | 35 | 0 |

* The wrong one is MPS030 in SpeechBrain's Filterbank: the tensor stays behind, and what is computed from it is moved.
* 144 are MPS009. 238 are MPS050, MPS051 and MPS053, 223 of these in a function that a training loop calls.
* A finding of MPS009 in a script for decoding or export is counted as right: it chooses the CPU there, too.
* In icefall's train.py, model.py, optim.py, scaling.py and subsampling.py of LibriSpeech, SpeechBrain's core.py and
  seven files of mamba-asr-mps every wait of a training step was looked for by hand: 35 are found, 12 are not. Ten of
  these stand behind a condition on a local name (`if rnnt_use_naive:`) or in the `else` of one, which is taken for now
  and then; two copy lengths that are made of the `shape` of k2's ragged tensor.
* Models that come out of a configuration (SpeechBrain's YAML, a registry) are not followed into `forward`."""


def page() -> str:
    """The text of docs/lint-mps.md."""
    out = [INTRODUCTION, _overview()]
    for title, subject in SUBJECTS.items():
        out.append(f"## {title}")
        out += [_section(rule) for rule in subject.RULES]
    rows = "\n".join(f"| {row} | {why} |" for row, why in LEFT_OUT.items())
    out.append("## What a file can't tell\n\nThese rows of the field guide's tables have no rule.")
    out.append(f"| section and row | why |\n|---|---|\n{rows}")
    out.append(TRIED)
    return "\n\n".join(out) + "\n"


def _overview() -> str:
    rows = [f"| [{rule.code}](#{_anchor(rule)}) | {rule.severity.value} | {rule.summary} |" for rule in RULES.values()]
    return "\n".join(["| rule | | what it finds |", "|---|---|---|", *rows])


def _section(rule: CodeRule) -> str:
    found = f"Found:\n\n```python\n{rule.bad.rstrip()}\n```"
    clean = f"Not found:\n\n```python\n{rule.good.rstrip()}\n```"
    return "\n\n".join([f"### {_heading(rule)}", rule.why, rule.fix, f"Source: {rule.source}", found, clean])


def _heading(rule: CodeRule) -> str:
    return f"{rule.code}: {rule.name}"


def _anchor(rule: CodeRule) -> str:
    return _heading(rule).lower().replace(": ", "-")
