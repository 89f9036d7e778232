"""Options of passes, from a spec and from a build, which wins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mctc.diagnostics.diagnostic import DiagnosticError
from mctc.driver import BuildOptions
from mctc.driver.options import OptionError
from mctc.driver.pass_options import parsed_options, pass_options
from mctc.ir.text import parse_program, print_program
from mctc.language import elaborate_file
from mctc.language.format import format_source

HEAD = "model m {\n    dim T: time @ 100 Hz\n    component c(x: f32[T, 8]) -> f32[T, 8] { return relu(x) }\n"


def told(section: str, tmp_path: Path, **passes: Any) -> Any:
    path = tmp_path / "m.mct"
    path.write_text(f"{HEAD}    {section}\n}}\n")
    return pass_options(elaborate_file(path).passes, BuildOptions(passes=passes))


def test_a_spec_tells_a_pass_and_a_build_wins(tmp_path: Path) -> None:
    section = 'passes { lower_selective_scan.form: "decay"; split_dimensions.limit: 2 * 32 }'
    assert told(section, tmp_path) == {"lower-selective-scan": {"form": "decay"}, "split-dimensions": {"limit": 64}}
    more = told(section, tmp_path, **{"split-dimensions": {"limit": 8}, "pack-states": {"limit": None}})
    assert more["split-dimensions"] == {"limit": 8}
    assert more["pack-states"] == {"limit": None}


@pytest.mark.parametrize(
    ("entry", "place", "said"),
    [
        ("lower_selective_scn.form: 1", "4:14", "did you mean `lower_selective_scan`"),
        ("lower_selective_scan.from: 1", "4:14", "did you mean `form`?"),
        ('lower_selective_scan.form: "decoy"', "4:14", "did you mean `decay`?"),
        ("split_dimensions.limit: 0", "4:14", "a whole number of at least 1"),
        ("split_dimensions: 4", "4:14", "`passes` holds options"),
        ("split_dimensions.limit: 8; split_dimensions.limit: 9", "4:41", "remove one of them"),
        ("split_dimensions.limit: 8 ms", "4:38", "a number, a string, true, false or none"),
    ],
)
def test_what_is_wrong_in_a_spec_is_told_at_its_place(entry: str, place: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(DiagnosticError) as caught:
        told(f"passes {{ {entry} }}", tmp_path)
    (found,) = caught.value.diagnostics
    assert found.span is not None
    assert f"{found.span.place}".endswith(place)
    assert said in f"{found.message} {found.hint}"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (BuildOptions(passes={"lower-scam": {}}), "there is no pass `lower-scam`"),
        (BuildOptions(passes={"pack-states": {"limit": 8}}, without=("pack-states",)), "is left out, and told"),
    ],
)
def test_what_is_wrong_in_a_build_is_a_fault_of_the_command_line(options: BuildOptions, said: str) -> None:
    with pytest.raises(OptionError, match=said):
        pass_options(parse_program("program @m {}").passes, options)


def test_an_option_that_is_given_twice_is_refused() -> None:
    assert parsed_options([("pack-states", {"limit": "8"})]) == {"pack-states": {"limit": 8}}
    with pytest.raises(OptionError, match="option `limit` of pass `pack-states` is given twice"):
        parsed_options([("pack-states", {"limit": "8"})] * 2)


def test_the_section_is_formatted_and_kept_by_the_textual_form(tmp_path: Path) -> None:
    text = f'{HEAD}    passes {{ pack_states.limit: 8; lower_selective_scan.form: "decay" }}\n}}\n'
    assert format_source(text) == text
    (tmp_path / "m.mct").write_text(text)
    program = elaborate_file(tmp_path / "m.mct")
    assert parse_program(print_program(program, locations=True)).passes.settings == program.passes.settings


def test_manifests_of_before_passes_had_options_are_read() -> None:
    recorded = {"state": "io", "scan": "decay", "without": ["dead-code"]}
    options = BuildOptions.of_record(recorded, seed=3)
    assert options.passes == {"lower-selective-scan": {"form": "decay"}}
    assert (options.state, options.without, options.seed) == ("io", ("dead-code",), 3)
    assert BuildOptions.of_record(options.recorded()) == BuildOptions.of_record(recorded)
