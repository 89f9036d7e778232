"""Faults in the command line, in what a build says of its spec, and in where a file may end."""

from __future__ import annotations

from ..fault import Fault

CODES = "tests/cli/test_exit_codes.py::test_a_command_line_ends_as_the_page_says"
SOURCES = "tests/driver/test_sources.py"
VERBOSITY = "tests/cli/test_verbosity.py"
FAULTS = (
    Fault(
        name="places-by-the-given-path",
        file="mctc/diagnostics/source.py",
        what="a program's places hold the path that named the spec",
        old="return self._location(self.source.identity)",
        new="return self._location(self.source.name)",
        caught_by=f"{SOURCES}::test_the_bytes_are_the_same_whatever_path_names_the_spec",
    ),
    Fault(
        name="imports-not-kept",
        file="mctc/driver/sources.py",
        what="a build keeps the spec, but not what it imports",
        old="    for source in read:\n        if not source.shipped:",
        new="    for source in [*read][:1]:\n        if not source.shipped:",
        caught_by=f"{SOURCES}::test_a_build_is_compiled_again_from_its_own_copy_of_the_spec",
    ),
    Fault(
        name="numpy-warns",
        file="mctc/ir/op.py",
        what="numpy warns the user of arithmetic that overflows or is undefined",
        old='np.errstate(over="ignore", invalid="ignore", divide="ignore")',
        new='np.errstate(under="ignore")',
        caught_by="tests/cli/test_numeric_warnings.py::test_a_program_is_evaluated_without_a_warning",
    ),
    Fault(
        name="component-called-main",
        file="mctc/linter/coreml/check.py",
        what="a component goes by Core ML's `main`",
        old="        return components.get(name, name)\n",
        new="        return name\n",
        caught_by="tests/cli/test_names.py::test_a_component_goes_by_its_name",
    ),
    Fault(
        name="end-within-a-statement",
        file="mctc/language/parser.py",
        what="a file that ends within a statement is an empty program",
        old="if expected and not problems and not lexed.problems:",
        new="if expected and problems and not lexed.problems:",
        caught_by="tests/language/test_check_command.py::test_a_file_that_ends_within_a_statement_is_refused",
    ),
    Fault(
        name="option-at-fault-fails",
        file="mctc/driver/options.py",
        what="a value that an option has not is told as a fault of the spec",
        old="exit_code = ExitCode.USAGE",
        new="exit_code = ExitCode.FAILED",
        caught_by=CODES,
    ),
    Fault(
        name="empty-path",
        file="mctc/cli/options.py",
        what="an empty path is the current folder",
        old='if value == "":',
        new="if value is None:",
        caught_by=CODES,
    ),
    Fault(
        name="standard-input-twice",
        file="mctc/cli/options.py",
        what="standard input is read again, and is empty",
        old="if STDIN in context.meta:",
        new="if STDIN in context.params:",
        caught_by=CODES,
    ),
    Fault(
        name="quiet-talks",
        file="mctc/cli/verbosity.py",
        what="-q is taken and does nothing",
        old="if verbosity() is not Verbosity.QUIET:",
        new="if verbosity() is not None:",
        caught_by=f"{VERBOSITY}::test_quiet_says_nothing_when_all_is_well",
    ),
    Fault(
        name="progress-in-logs",
        file="mctc/cli/terminal.py",
        what="a line moves in the logs of CI",
        old='return _moves(stream) and not os.environ.get("CI")',
        new="return _moves(stream)",
        caught_by=f"{VERBOSITY}::test_logs_and_dumb_terminals_get_no_moving_line",
    ),
)
