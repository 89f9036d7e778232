"""What `mctc lint` costs, what it decides, and how its placements compare with a public study's."""

from __future__ import annotations

import json

from bench.process import Command, alternate, cpu, measure, spread
from bench.pytest_row import row_of_tests
from bench.row import Row
from bench.setting import Setting
from bench.split_heads import write_package

RULES = 110
LARGE_CPU, LARGE_BYTES = 10.0, 600_000_000
SMALL = 0.5
DAMAGED = 1000
RIGHT, DOUBTFUL, WRONG = 90, 9, 0.7
MEDIAN, MOST = 0.10, 0.30
NO_TORCH = "import sys; sys.modules['torch'] = None; import coremltools"


def cost(setting: Setting) -> list[Row]:
    """Whole processes: a package of 15,000 ops, and mct_small against the import of coremltools."""
    return [_large(setting), _small(setting)]


def _large(setting: Setting) -> Row:
    package = setting.work / "split_heads.mlpackage"
    ops = write_package(package)
    setting.run([setting.mctc, "lint", package, "--fail-on", "never"])
    used = setting.run([setting.mctc, "lint", package, "--fail-on", "never"])
    page = setting.run([setting.mctc, "lint", package, "--fail-on", "never", "--format", "html", "-o", "page.html"])
    return Row(
        f"`mctc lint` of a package of {ops:,} ops (a Whisper-large-like encoder with split heads): CPU / peak memory",
        f"≤ {LARGE_CPU:.0f} s / ≤ {LARGE_BYTES / 1e6:.0f} MB",
        f"{used.cpu:.1f} s / {used.peak / 1e6:.0f} MB",
        used.cpu <= LARGE_CPU and used.peak <= LARGE_BYTES,
        f"the same as an HTML page: {page.cpu:.1f} s, {page.peak / 1e6:.0f} MB",
    )


def _small(setting: Setting) -> Row:
    package = setting.built / "mct_small.mlpackage"
    commands: dict[str, Command] = {
        "lint": [setting.mctc, "lint", package],
        "coremltools": [setting.python, "-c", "import coremltools"],
        "coremltools without torch": [setting.python, "-c", NO_TORCH],
    }
    runs = alternate(commands, setting.pairs, setting.work, setting.environment)
    ratios = {name: cpu(runs["lint"]) / cpu(runs[name]) for name in commands if name != "lint"}
    return Row(
        '`mctc lint` of mct_small, CPU time against `python -c "import coremltools"`, with / without torch beside it',
        f"≤ {SMALL}x / ≤ {SMALL}x",
        " / ".join(f"{ratio:.2f}x" for ratio in ratios.values()),
        all(ratio <= SMALL for ratio in ratios.values()),
        ", ".join(f"{name} {spread(each)}" for name, each in runs.items()),
    )


def decisions(setting: Setting) -> list[Row]:
    """Rules and their examples, limits, costs, false alarms, networks, damaged packages."""
    here = "tests/linter/coreml"
    return [
        _rules(),
        row_of_tests(setting, "lint rules: each fires on its example and not on the other", "all",
                     [f"{here}/test_rules.py"]),
        row_of_tests(setting, "false alarms of other checkers, on packages made with coremltools: errors", "0",
                     [f"{here}/rules/test_false_alarms.py", f"{here}/test_networks.py"]),
        row_of_tests(setting, "size limits with a last passing and a first failing size, for the named family", "all",
                     [f"{here}/rules/test_size_limits.py"]),
        row_of_tests(setting, "published example costs: which backend is cheaper, or a tie", "all nine",
                     [f"{here}/test_cost.py"]),
        _damaged(setting),
    ]  # fmt: skip


def placements(setting: Setting) -> list[Row]:
    """Ops of 475 graphs against Core ML's plans on an M4, and estimates against Core ML's, on the half not fitted."""
    driver = setting.root / "tests" / "lint" / "coreml" / "study.py"
    command: Command = [setting.python, driver]
    told = json.loads(measure(command, setting.work, setting.environment).output.splitlines()[-1])
    right, doubtful, wrong = (told[name] for name in ("right", "doubtful", "wrong"))
    median, most = told["median"], told["most"]
    source = "751K/Apple-Neural-Engine-Microarchitecture-Study-M6, M4, macOS 27.0.1; docs/lint-placement.md"
    return [
        Row(
            f"{told['ops']:,} ops of 475 graphs: firm and right / doubtful / firm and wrong",
            f"≥ {RIGHT} / ≤ {DOUBTFUL} / ≤ {WRONG} %",
            f"{right:.1f} / {doubtful:.1f} / {wrong:.1f} %",
            right >= RIGHT and doubtful <= DOUBTFUL and wrong <= WRONG,
            source,
        ),
        Row(
            "estimates of single ops against Core ML's, on the half not fitted: median / 95 % within",
            f"≤ {MEDIAN:.0%} / ≤ {MOST:.0%}",
            f"{median:.4%} / {most:.2%}",
            median <= MEDIAN and most <= MOST,
            f"{told['figures']} figures; {source}",
        ),
    ]


def _rules() -> Row:
    from mctc.linter.coreml.table import table

    rules = table().rules
    both = sum(bool(rule.fires and rule.silent) for rule in rules.values())
    contested = sum(rule.contested for rule in rules.values())
    note = f"{contested} are contested: a warning at most, with both sides"
    return Row("lint rules with a firing and a silent example", f"≥ {RULES}", str(both), both >= RULES, note)


def _damaged(setting: Setting) -> Row:
    folder = setting.work / "damaged"
    folder.mkdir()
    driver = setting.root / "tests" / "lint" / "coreml" / "damage.py"
    package = setting.built / "mct_small.mlpackage"
    command: Command = [setting.python, driver, package, folder, str(DAMAGED), "1"]
    told = json.loads(measure(command, folder, setting.environment).output.splitlines()[-1])
    crashed, hung = told["ended"].get("escaped", 0), told["slowest"] > 10
    ended = told["ended"]
    return Row(
        f"{DAMAGED:,} damaged copies of mct_small's package: crashes / slowest / files opened outside",
        "0 / ≤ 10 s / 0",
        f"{crashed} / {told['slowest']:.1f} s / {len(told['opened'])}",
        not crashed and not hung and not told["opened"],
        f"{ended.get('report', 0)} reports, {ended.get('refused', 0)} refusals",
    )
