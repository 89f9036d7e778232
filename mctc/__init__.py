"""mctc compiles speech architectures, written once in a small language, into what Apple silicon needs.

From Python (docs/python-api.md): `load` reads a spec, `build` builds it, `open` runs what was built, `lint` checks Core
ML packages. What is wrong is raised as an `MctcError`; of a spec, a `DiagnosticError` with every diagnostic.

The rooms: `language` (text to program), `ir` (typed programs), `rewrite` (passes and pipelines), `driver` (builds),
`evaluate` (numpy evaluators of programs and of Core ML packages), `package` (reads packages from disk), `linter`,
`runtime`, `audio`, `decode`, `tokens` and `transcript` (speech in, words out), `diagnostics`, `cli`, `plugins`. Beside
them, from the top-level folders of the same names: `passes`, `targets` and `spec`. Importing this package imports none
of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mctc.version import __version__

if TYPE_CHECKING:
    from fractions import Fraction
    from pathlib import Path

    from mctc.diagnostics.diagnostic import Diagnostic, DiagnosticError
    from mctc.diagnostics.errors import MctcError
    from mctc.driver.make import BuildResult
    from mctc.ir.program import Program
    from mctc.linter.coreml.lint import Linted
    from mctc.runtime.model import Model
else:
    from mctc.lazy_names import lazy

    __getattr__ = lazy(
        __name__,
        {
            "Diagnostic": "diagnostics.diagnostic",
            "DiagnosticError": "diagnostics.diagnostic",
            "MctcError": "diagnostics.errors",
        },
    )

__all__ = ["Diagnostic", "DiagnosticError", "MctcError", "__version__", "build", "lint", "load", "open"]


def load(path: Path | str, *, model: str | None = None, defines: Mapping[str, Any] | None = None) -> Program:
    """The program of a spec, as it says it: of the file's last model, unless `model` names another.

    defines: values of the model's parameters, `{"width": 320}`. Raises DiagnosticError with every error of the file.
    """
    from pathlib import Path

    from mctc.arguments import PATH, TEXT, expect, paths_told, plain
    from mctc.driver.load import load_program

    expect(PATH, path=path)
    expect(TEXT, True, model=model)
    with paths_told():
        return load_program(Path(path), model, plain(defines))


def build(
    spec: Path | str,
    out: Path | str | None = None,
    *,
    target: str = "ane",
    model: str | None = None,
    defines: Mapping[str, Any] | None = None,
    weights: Path | str | None = None,
    tokens: Path | str | None = None,
    seed: int = 0,
    chunk: str | Fraction | int | None = None,
    state: str | None = None,
    layout: str | None = None,
    precision: str | None = None,
    device: str | None = None,
    passes: Mapping[str, Mapping[str, Any]] | None = None,
    without: Sequence[str] = (),
    packaged: Sequence[str] = (),
    split: str | None = None,
    budgets: Mapping[str, str] | None = None,
    force: bool = False,
    allow_errors: bool = False,
    verify_each: bool = False,
) -> BuildResult:
    """Builds a spec for a target into a folder, build/MODEL if left out; the options are those of `mctc build`.

    chunk: audio a call, such as "320 ms", seconds (Fraction) or frames (int); the spec's if left out. passes: options
    of passes, such as `{"lower-selective-scan": {"form": "decay"}}`. budgets: what the build may cost on its device,
    such as `{"compile": "10s"}`. packaged: targets that package the build for apps besides, such as swift. split: into
    how many packages the costliest function is cut, or 'layers'. The folder is written whole, after it was read back
    and agreed with the program, or not at all. Raises MctcError: what is wrong with the spec (DiagnosticError), the
    options or the weights.
    """
    from pathlib import Path

    from mctc.arguments import LENGTH, LIST, PATH, TABLE, TEXT, WHOLE, expect, paths_told, plain
    from mctc.driver import BuildOptions
    from mctc.driver import build as build_spec
    from mctc.driver.budget import parse_budget
    from mctc.driver.chunk import parse_chunk

    expect(PATH, spec=spec)
    expect(PATH, True, out=out, weights=weights, tokens=tokens)
    expect(TEXT, target=target)
    expect(TEXT, True, model=model, state=state, layout=layout, precision=precision, device=device, split=split)
    expect(WHOLE, seed=seed)
    expect(LENGTH, True, chunk=chunk)
    expect(LIST, without=without, packaged=packaged)
    expect(TABLE, True, passes=passes, budgets=budgets)
    expect(TABLE, **{f"passes[{name!r}]": options for name, options in (passes or {}).items()})
    options = BuildOptions(
        target=target,
        model=model,
        defines=plain(defines),
        weights=None if weights is None else Path(weights),
        tokens=None if tokens is None else Path(tokens),
        seed=int(seed),
        chunk=parse_chunk(chunk) if isinstance(chunk, str) else chunk,
        state=state,
        layout=layout,
        precision=precision,
        device=device,
        passes=dict(passes or {}),
        without=tuple(without),
        packaged=tuple(packaged),
        split=split,
        budgets=tuple(parse_budget(f"{quantity}={limit}") for quantity, limit in (budgets or {}).items()),
        force=force,
        allow_errors=allow_errors,
        verify_each=verify_each,
    )
    with paths_told():
        return build_spec(Path(spec), None if out is None else Path(out), options)


def open(  # noqa: A001
    path: Path | str, arithmetic: str | None = None, weights: Path | str | None = None, precision: str | None = None
) -> Model:
    """A build, or a package of anybody's, ready to be called: `mctc.open("build/mct_small").transcribe("talk.flac")`.

    arithmetic: 'fp32', 'fp16', 'engine', 'engine:h16', ...; that of the build if left out. weights: the checkpoint, for
    a build whose files hold none. precision: how `arithmetic` was called before engines. See
    `mctc.runtime.model.Model`.
    """
    from mctc.arguments import PATH, TEXT, expect, paths_told
    from mctc.runtime.model import open_model

    expect(PATH, path=path)
    expect(PATH, True, weights=weights)
    expect(TEXT, True, arithmetic=arithmetic, precision=precision)
    with paths_told():
        return open_model(path, arithmetic or precision, weights)


def lint(
    *paths: Path | str,
    device: str | None = None,
    os: str | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    select: Iterable[str] = (),
    ignore: Iterable[str] = (),
    severity: Mapping[str, str] | None = None,
    exclude: Iterable[str] = (),
    config: Path | str | None = None,
) -> Linted:
    """What of Core ML packages leaves the Neural Engine; the options are those of `mctc lint`.

    shapes: of inputs that can have several, `{"mel": (1, 80, 1500)}`. severity: another one for rules, by code. config:
    a file of settings, read where it is named alone. Raises UsageError for what is no package, and MctcError for one
    that can't be read.
    """
    from pathlib import Path

    from mctc.arguments import LIST, PATH, SHAPE, TABLE, TEXT, expect, paths_told
    from mctc.linter.coreml.lint import lint_paths, settings_of

    expect(PATH, **{f"paths[{index}]": path for index, path in enumerate(paths)})
    expect(PATH, True, config=config)
    expect(TEXT, True, device=device, os=os)
    expect(LIST, select=select, ignore=ignore, exclude=exclude)
    expect(TABLE, True, severity=severity, shapes=shapes)
    expect(TEXT, **{f"severity[{code!r}]": level for code, level in (severity or {}).items()})
    expect(SHAPE, **{f"shapes[{name!r}]": shape for name, shape in (shapes or {}).items()})
    read = None if config is None else Path(config)
    with paths_told():
        settings = settings_of(read, select, ignore, severity or {}, device=device, os=os, exclude=exclude)
        return lint_paths([Path(path) for path in paths], settings, shapes or {})
