"""Faults in what is written for a user, in what is read of a user's, and in how plugins are held to their form."""

from __future__ import annotations

from ..fault import Fault

FOLDER = "tests/driver/test_folder.py"
ATOMIC = "tests/test_atomic.py"
FORM = "tests/test_plugin_form.py"

FAULTS = (
    Fault(
        name="checkpoints-dropped",
        file="mctc/driver/folder.py",
        what="a rebuild drops what no build wrote into the folder",
        old="        carry(old, new, built, force=force or not before)\n",
        new="        pass\n",
        caught_by=f"{FOLDER}::test_what_no_build_wrote_is_in_the_new_folder_too",
    ),
    Fault(
        name="edits-unseen",
        file="mctc/driver/contents.py",
        what="a file that was edited since it was built is replaced",
        old=" and sha256(path) == hash_",
        new="",
        caught_by=f"{FOLDER}::test_a_file_that_was_changed_since_stops_a_build_unless_forced",
    ),
    Fault(
        name="late-files-lost",
        file="mctc/atomic.py",
        what="what came into the old folder just before the exchange goes with it",
        old="            keep(fresh, target)\n",
        new="            pass\n",
        caught_by=f"{FOLDER}::test_what_comes_while_the_folders_are_exchanged_is_kept",
    ),
    Fault(
        name="pipes-renamed-over",
        file="mctc/atomic.py",
        what="a FIFO is replaced by a regular file",
        old="if not stat.S_ISREG(mode):",
        new="if stat.S_ISCHR(mode):",
        caught_by=f"{ATOMIC}::test_a_fifo_is_written_through_and_stays_one",
    ),
    Fault(
        name="descriptors-renamed-over",
        file="mctc/atomic.py",
        what="where a descriptor is a file, /dev/fd/N is renamed over it",
        old="        if numbered:\n",
        new="        if numbered and not text:\n",
        caught_by=f"{ATOMIC}::test_a_descriptor_is_written_through_and_its_file_stays",
    ),
    Fault(
        name="living-siblings-removed",
        file="mctc/scratch.py",
        what="what another process is writing just now is taken for what a kill left",
        old="                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)\n                yield path",
        new="                yield path",
        caught_by=f"{ATOMIC}::test_what_a_killed_writer_left_is_removed_by_the_next",
    ),
    Fault(
        name="negative-shapes",
        file="mctc/checkpoint.py",
        what="a header's shape may have negative extents",
        old="type(value) is int and 0 <= value <= most",
        new="type(value) is int and value <= most",
        caught_by="tests/test_checkpoint.py::test_a_damaged_header_is_refused_with_the_reason",
    ),
    Fault(
        name="any-stage",
        file="mctc/rewrite/plugin_form.py",
        what="a pass of a stage that doesn't exist is taken and never run",
        old="if cls.stage not in STAGES:",
        new="if not cls.stage:",
        caught_by=f"{FORM}::test_what_has_another_form_is_an_error_that_says_so",
    ),
    Fault(
        name="before-is-after",
        file="mctc/rewrite/order.py",
        what="a pass runs behind those that it wants to precede",
        old="((name, False) for name in cls.before)",
        new="((name, True) for name in cls.before)",
        caught_by="tests/rewrite/test_order.py::test_after_and_before_are_met_and_ties_go_by_name",
    ),
    Fault(
        name="passes-of-nothing",
        file="mctc/rewrite/pipeline.py",
        what="a plugin's pass that returns no program is not named",
        old="if not isinstance(after, Program):",
        new="if after is ...:",
        caught_by="tests/rewrite/test_pipeline.py::test_a_pass_of_a_plugin_that_fails_is_named_with_the_cause",
    ),
)
