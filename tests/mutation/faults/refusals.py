"""Faults in what `mctc check` tells and in what never becomes code."""

from __future__ import annotations

from ..fault import Fault

CHECK = "tests/driver/test_check.py"
OBJECTIVES = "tests/language/test_objectives.py"
HOSTILE = "tests/targets/torch/test_hostile_text.py"
FAULTS = (
    Fault(
        name="no-target-asked",
        file="mctc/driver/check.py",
        what="check asks no target what it refuses",
        old='for name in registry().names("targets"):',
        new="for name in wanted:",
        caught_by=f"{CHECK}::test_a_model_that_does_not_say_how_long_a_call_is",
    ),
    Fault(
        name="keywords-as-names",
        file="targets/torch/reserved.py",
        what="words of Python's own pass as names of modules",
        old="return not _is_name(name) or iskeyword(name) or",
        new="return not _is_name(name) or",
        caught_by=f"{CHECK}::test_names_that_a_module_has_are_told_of_the_targets_that_write_one",
    ),
    Fault(
        name="packed-state-takes-a-name",
        file="passes/pack_states.py",
        what="the packed state takes the name of a result",
        old="next(name for name in names if not taken & {name, name + STATE_OUT})",
        new="next(names)",
        caught_by=f"{CHECK}::test_the_packed_state_gives_way_to_a_port",
    ),
    Fault(
        name="silent-palette",
        file="passes/annotate_quantization.py",
        what="nothing tells of weights that a palette's groups do not divide",
        old="            outcome.warn(context)",
        new="            pass",
        caught_by=f"{CHECK}::test_groups_that_do_not_divide_are_told_at_the_rule",
    ),
    Fault(
        name="blank-behind-the-vocabulary",
        file="mctc/language/objective.py",
        what="a blank may be the class behind the last",
        old="if value >= classes]",
        new="if value > classes]",
        caught_by=f"{OBJECTIVES}::test_a_setting_at_fault_is_named_where_it_stands",
    ),
    Fault(
        name="any-width-fits",
        file="mctc/objectives/components.py",
        what="a joiner fits an encoder of another width",
        old="same = static_width(value.type) == static_width(given)",
        new="same = True",
        caught_by=f"{OBJECTIVES}::test_components_that_do_not_fit_are_told_what_is_missing",
    ),
    Fault(
        name="string-pasted",
        file="targets/torch/expressions/text.py",
        what="a string is put between quotes as it is",
        old="""return f'"{escaped(value)}"'""",
        new="""return f'"{value}"'""",
        caught_by=f"{HOSTILE}::test_a_string_is_printed_as_itself",
    ),
    Fault(
        name="docstring-pasted",
        file="targets/torch/class_text.py",
        what="names of the spec go into docstrings as they are",
        old="    text = escaped(text)\n",
        new="",
        caught_by=f"{HOSTILE}::test_a_name_of_a_program_never_becomes_code",
    ),
    Fault(
        name="file-name-pasted",
        file="targets/torch/module.py",
        what="the name of the spec's file goes into the head of a module as it is",
        old='''yield f\'"""{escaped(about)}\'''',
        new='''yield f\'"""{about}\'''',
        caught_by=f"{HOSTILE}::test_a_file_may_have_any_name",
    ),
)
