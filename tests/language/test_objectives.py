"""The `train` section: every fault of an objective is a located diagnostic, by `check` and by whoever elaborates."""

from __future__ import annotations

from pathlib import Path

import pytest

from mctc.ir.printer import print_program
from mctc.ir.text import parse_program
from mctc.language import check_file, elaborate_file
from mctc.objectives.components import labels
from mctc.objectives.settings import OBJECTIVES, complete

from .conftest import Check, Elaborate

HEAD = "dim B: batch; dim T: time @ 100 Hz; dim U: label; dim V: vocabulary = 30\n"
ENCODER = "component encoder(x: f32[B, T, 8]) -> f32[B, T, 8] { return linear(x, 8) }\n"
CLASSES = "component encoder(x: f32[B, T, 8]) -> f32[B, T, V] { return linear(x, V) }\n"
PREDICTOR = "component predictor(token: i32[B, U] < V) -> f32[B, U, 8] { return embedding(token, V, 8) }\n"
JOINER = """component joiner(e: f32[B, T, 8], p: f32[B, U, 8]) -> f32[B, T, U, V] { return linear(tanh(e + p), V) }\n"""
BETWEEN = "component between(x: f32[B, T, 8]) -> f32[B, T, 8] { return linear(x, 8) }\n"
HEAD_OF_CTC = BETWEEN.replace("between", "head").replace("-> f32[B, T, 8]", "-> f32[B, T, V]").replace(", 8)", ", V)")
OVER_TIME = """component decoder(token: i32[B, U] < V, memory: f32[B, T, 8]) -> f32[B, U, V] {
    y = embedding(token, V, 8)
    return linear(y + attention(y, memory, memory, heads = 1), V)
}\n"""
DECODER = """component decoder(token: i32[B, U] < V, memory: f32[B, U, 8]) -> f32[B, U, V] {
    return linear(embedding(token, V, 8) + memory, V)
}\n"""
MEMORY = ENCODER.replace("-> f32", "-> memory: f32")
TRANSDUCER = ENCODER + PREDICTOR + JOINER
BEHIND = TRANSDUCER.replace("< V", "< 27").replace("embedding(token, V", "embedding(token, 27")  # classes, 3 durations
APART = TRANSDUCER.replace(
    "-> f32[B, T, U, V] { return", "-> (y: f32[B, T, U, V], z: f32[B, T, U, 3]) { return"
).replace("+ p), V)", "+ p), V), linear(e + p, 3)")


def model(components: str, objective: str) -> str:
    return f"model m {{\n{HEAD}{components}train {{ objective = {objective} }}\n}}\n"


def told(check: Check, components: str, objective: str) -> list[tuple[str, str]]:
    """(code, text at the place) of what is found in a model."""
    return [(found.code, found.span.text if found.span else "") for found in check(model(components, objective))]


@pytest.mark.parametrize(
    ("components", "objective"),
    [
        (TRANSDUCER, "rnnt"),
        (TRANSDUCER, "rnnt(blank = 29)"),
        (TRANSDUCER, "rnnt(fast_emit = 0.005, delay_penalty = 1 / 500)"),
        (TRANSDUCER.replace("-> f32[B, T, U, V] { return", "-> (y: f32[B, T, U, V], z: f32[B, T, U, 8]) { return")
                   .replace("+ p), V)", "+ p), V), e + p"), "rnnt"),
        (BEHIND, "tdt(blank = 26, durations = [0, 1, 2], sigma = 0.05, fast_emit = 0.001)"),
        (APART, "tdt(blank = 29, durations = [1, 4, 2])"),
        (CLASSES, "ctc(blank = 0, zero_infinity = true)"),
        (MEMORY + DECODER, "cross_entropy(begin = 1, end = 2)"),
        (MEMORY + DECODER, "cross_entropy(begin = [1, 3], end = 2, prompt = 4, label_smoothing = 0.1, ignored = 0)"),
        (MEMORY + DECODER, "cross_entropy(begin = 1, end = 2, prompt = [4, 5], context = 2, heading = 6)"),
        (CLASSES + DECODER.replace("memory", "place"), "joint_ctc_attention(ctc_weight = 1)"),
    ],
)  # fmt: skip
def test_what_fits_is_no_fault(check: Check, components: str, objective: str) -> None:
    assert told(check, components, objective) == []


def test_a_context_stands_within_the_prompt(check: Check) -> None:
    objective = "cross_entropy(begin = 1, end = 2, prompt = [4, 5], context = 3)"
    assert told(check, MEMORY + DECODER, objective) == [("MCT0152", "3")]


@pytest.mark.parametrize(
    ("objective", "code", "place"),
    [
        ("ctcc(blank = 0)", "MCT0150", "ctcc"),
        ("rnnt", "MCT0153", "rnnt"),
        ("ctc(blnk = 0)", "MCT0151", "blnk"),
        ("ctc(blank = 0, blank = 1)", "MCT0151", "blank"),
        ("ctc(0)", "MCT0142", "0"),
        ("3", "MCT0142", "3"),
        ('ctc(blank = "print(1)")', "MCT0152", '"print(1)"'),
        ("ctc(blank = -1)", "MCT0152", "-1"),
        ("ctc(blank = 0.5)", "MCT0152", "0.5"),
        ("ctc(blank = true)", "MCT0152", "true"),
        ("rnnt(fast_emit = -0.1)", "MCT0152", "-0.1"),
        ('rnnt(delay_penalty = "high")', "MCT0152", '"high"'),
        ("ctc(fast_emit = 0.1)", "MCT0151", "fast_emit"),
        ("ctc(blank = [0])", "MCT0152", "[0]"),
        ("ctc(blank = none)", "MCT0152", "none"),
        ("ctc(zero_infinity = 1)", "MCT0152", "1"),
        ("ctc(blank = 30)", "MCT0154", "30"),
        ("cross_entropy(begin = 1)", "MCT0151", "cross_entropy(begin = 1)"),
        ("cross_entropy(begin = 1, end = [2])", "MCT0152", "[2]"),
        ("cross_entropy(begin = [1, x], end = 2)", "MCT0050", "x"),
        ("cross_entropy(begin = 1, end = 2, context = 0.5)", "MCT0152", "0.5"),
        ("cross_entropy(begin = 1, end = 2, heading = [3])", "MCT0152", "[3]"),
        ("cross_entropy(begin = [1, [2]], end = 2)", "MCT0152", "[1, [2]]"),
        ("cross_entropy(begin = 1, end = 2, label_smoothing = 1)", "MCT0152", "1"),
        ("joint_ctc_attention(ctc_weight = 1.5)", "MCT0152", "1.5"),
        ("tdt(blank = 0)", "MCT0151", "tdt(blank = 0)"),
        ("tdt(durations = 4)", "MCT0152", "4"),
        ("tdt(durations = [])", "MCT0152", "[]"),
        ("tdt(durations = [0])", "MCT0152", "[0]"),
        ("tdt(durations = [0, 1, 1])", "MCT0152", "[0, 1, 1]"),
        ("tdt(durations = [0, -1, 1])", "MCT0152", "[0, -1, 1]"),
        ("joint_ctc_attention(ctc_weight = 320 ms)", "MCT0152", "320 ms"),
        ("joint_ctc_attention(blank = 0)", "MCT0153", "joint_ctc_attention(blank = 0)"),
    ],
)
def test_a_setting_at_fault_is_named_where_it_stands(check: Check, objective: str, code: str, place: str) -> None:
    assert told(check, CLASSES, objective) == [(code, place)]


@pytest.mark.parametrize(
    ("components", "objective", "words"),
    [
        (ENCODER, "ctc", "no result over time has a vocabulary"),
        (CLASSES + DECODER, "ctc", "nothing would train `decoder`"),
        (TRANSDUCER.replace("p: f32[B, U, 8]", "p: f32[B, U, 1]"), "rnnt", "is f32[B, U, 1]"),
        (TRANSDUCER.replace("< V", "< 20"), "rnnt", "below 20, but there are 30 classes"),
        (TRANSDUCER.replace("token: i32[B, U] < V", "token: f32[B, U, 8]").replace("embedding(token, V, 8)", "token"),
         "rnnt", "no ids of labels"),
        (TRANSDUCER.replace("T, U, V]", "T, U, 8]").replace("+ p), V)", "+ p), 8)"), "rnnt", "gives no vocabulary"),
        (APART, "tdt(durations = [0, 1])",
         "`z` of `joiner` is f32[B, T, U, 3], which are no logits of 2 durations"),
        (TRANSDUCER.replace("< V", "< 20"), "tdt(durations = [0, 1])", "below 20, but there are 28 classes"),
        (TRANSDUCER, f"tdt(durations = {list(range(29))})", "30 entries for its classes and 29 durations"),
        (MEMORY + DECODER + DECODER.replace("decoder", "second"), "cross_entropy(begin = 1, end = 2)", "one decoder"),
        (MEMORY + DECODER.replace("< V", "< 20"), "cross_entropy(begin = 1, end = 2)", "takes the labels"),
        (MEMORY.replace("T, 8] {", "T, 4] {").replace(", 8)", ", 4)") + DECODER, "cross_entropy(begin = 1, end = 2)",
         "f32[B, U, 8]"),
    ],
)  # fmt: skip
def test_components_that_do_not_fit_are_told_what_is_missing(
    check: Check, components: str, objective: str, words: str
) -> None:
    (found,) = check(model(components, objective))
    assert found.code == "MCT0153"
    assert found.span is not None
    assert found.span.text == objective
    assert words in found.message


@pytest.mark.parametrize(
    ("components", "told", "cure"),
    [
        (ENCODER + BETWEEN + OVER_TIME,
         "`memory` of `decoder` could take `output` of `encoder` or `output` of `between`: they have its type",
         "`-> memory:"),
        (MEMORY + BETWEEN.replace("-> f32", "-> memory: f32") + OVER_TIME,
         "`memory` of `decoder` could take `memory` of `encoder` or `memory` of `between`, which have its name",
         "names of their own"),
        (ENCODER.replace("T, 8] {", "T, 4] {").replace(", 8)", ", 4)") + OVER_TIME,
         "`memory` of `decoder` is f32[B, T, 8], but `output` of `encoder` is given to it, f32[B, T, 4]",
         "`-> memory:"),
    ],
)  # fmt: skip
def test_an_input_that_could_take_several_results_or_a_wrong_one_is_told_which(
    check: Check, components: str, told: str, cure: str
) -> None:
    (found,) = check(model(components, "cross_entropy(begin = 1, end = 2)"))
    assert (found.code, told in found.message) == ("MCT0153", True)
    assert found.hint is not None
    assert cure in found.hint


@pytest.mark.parametrize(
    ("components", "component"),
    [
        (ENCODER + HEAD_OF_CTC + OVER_TIME, "encoder"),  # both results are called `output`
        (ENCODER + BETWEEN.replace("-> f32", "-> memory: f32") + OVER_TIME, "between"),
        (MEMORY + BETWEEN + OVER_TIME, "encoder"),
    ],
)
def test_an_input_takes_the_result_of_its_name_or_the_encoders_first(
    elaborate: Elaborate, components: str, component: str
) -> None:
    found = labels(elaborate(model(components, "cross_entropy(begin = 1, end = 2)")))
    (memory,) = (value for value in found.decoder.inputs if value.name == "memory")
    assert found.hearing.taken(found.decoder, memory).component == component


def test_a_language_model_alone_is_told_that_it_has_no_objective(check: Check) -> None:
    alone = "component lm(token: i32[B, U] < V) -> f32[B, U, V] { return linear(embedding(token, V, 8), V) }\n"
    (found,) = check(model(alone, "cross_entropy(begin = 1, end = 2)"))
    assert "needs an encoder" in found.message
    assert "a loss of its own" in (found.hint or "")


LAYERED = """component encoder(x: f32[B, T, 8]) -> f32[B, T, V] {
    repeat 2 { x = x + relu(linear(x, 8)) }
    a, b = split(x, 2)
    return linear(concat(b, a), V) as head
}\n"""


@pytest.mark.parametrize(
    "auxiliary",
    [
        "ctc(of = encoder, weight = 0.3)",
        'ctc(of = "encoder.layers.1", weight = 1 / 3, blank = 2, dropout = 0.1, zero_infinity = false)',
        '[ctc(of = "encoder.layers.0", weight = 2), ctc(of = "encoder.layers.1.linear", weight = 0)]',
    ],
)
def test_auxiliary_objectives_fit(elaborate: Elaborate, auxiliary: str) -> None:
    text = model(LAYERED, f"ctc; auxiliary = {auxiliary}").replace("of = encoder,", 'of = "encoder.layers.1",')
    program = elaborate(text)
    assert parse_program(print_program(program)).train == program.train


@pytest.mark.parametrize(
    ("auxiliary", "code", "place", "words"),
    [
        ("rnnt(of = encoder, weight = 1)", "MCT0150", "rnnt", "no auxiliary objective"),
        (
            "ctc(weight = 1, classes = 4, targets = x)",
            "MCT0153",
            "ctc(weight = 1, classes = 4, targets = x)",
            "needs a head",
        ),
        ('ctc(of = "encoder.layers.0", weight = 1, classes = 4)', "MCT0153", '"encoder.layers.0"', "has both"),
        (
            'frame_classes(of = "encoder.layers.0", weight = 1, classes = 1, targets = x)',
            "MCT0153",
            '"encoder.layers.0"',
            "1 classes",
        ),
        (
            'frame_classes(of = "encoder.layers.0", weight = 1, classes = 4)',
            "MCT0151",
            'frame_classes(of = "encoder.layers.0", weight = 1, classes = 4)',
            "needs `targets`",
        ),
        ('frame_classes(of = "encoder.layers.0", weight = 1, classes = 4, targets = 3)', "MCT0152", "3", "can't be"),
        (
            'frame_classes(of = "encoder.layers.0", weight = 1, classes = 4, targets = x, ignored = 4)',
            "MCT0154",
            "4",
            "4 classes",
        ),
        ('ctc(of = "encoder.layers.0", weight = 1, blnk = 0)', "MCT0151", "blnk", "no setting"),
        ('ctc(of = "encoder.layers.0", weight = -1)', "MCT0152", "-1", "can't be"),
        ('ctc(of = "encoder.layers.0", weight = 1, dropout = 1)', "MCT0152", "1", "can't be"),
        ("ctc(of = 3, weight = 1)", "MCT0152", "3", "can't be"),
        ("ctc(of = decoder, weight = 1)", "MCT0153", "decoder", "is no component over time"),
        ('ctc(of = "encoder.layers.2", weight = 1)', "MCT0153", '"encoder.layers.2"', "is no part of `encoder`"),
        ("ctc(of = encoder, weight = 1)", "MCT0153", "encoder", "no vector of channels for each frame"),
        ('ctc(of = "encoder.layers.0", weight = 1, blank = 30)', "MCT0154", "30", "30 classes"),
        ("3", "MCT0142", "3", "a name with its settings"),
    ],
)
def test_an_auxiliary_objective_at_fault_is_named_where_it_stands(
    check: Check, auxiliary: str, code: str, place: str, words: str
) -> None:
    (found,) = check(model(LAYERED, f"ctc; auxiliary = [{auxiliary}]"))
    assert found.span is not None
    assert (found.code, found.span.text) == (code, place)
    assert words in found.message


@pytest.mark.parametrize(
    "told",
    [
        'ctc(blank = 0) + 0.3 * ctc(of = "encoder.layers.1")',
        '2 * (ctc * 0.5 + frame_classes(of = "encoder.layers.0", classes = 3, targets = y))',
        '0.5 * ctc; auxiliary = ctc(of = "encoder.layers.1", weight = 1)',
    ],
)
def test_a_sum_of_objectives_is_read(elaborate: Elaborate, told: str) -> None:
    program = elaborate(model(LAYERED, told))
    assert parse_program(print_program(program)).train == program.train
    assert program.train.call("objective") == ("ctc", {"blank": 0} if "blank" in told else {})


def test_the_weights_of_a_sum_are_multiplied(elaborate: Elaborate) -> None:
    told = '2 * (ctc + (ctc(of = "encoder.layers.1") * 0.5 + 3 * ctc(of = "encoder.layers.0")))'
    further = 'ctc(of = "encoder.layers.0", weight = 7)'
    settings = elaborate(model(LAYERED, f"{told}; auxiliary = {further}")).train.settings
    assert settings["objective_weight"] == 2
    assert [each["weight"] for _, each in settings["auxiliary"]] == [1, 6, 7]


@pytest.mark.parametrize(
    ("told", "code", "place", "words"),
    [
        ('ctc(of = "encoder.layers.0")', "MCT0153", 'ctc(of = "encoder.layers.0")', "the model's own classes"),
        ("ctc + ctc", "MCT0153", "ctc", "trains the classes of frames already"),
        ("ctc + cross_entropy(begin = 1, end = 2) + rnnt", "MCT0153", "rnnt", "one objective of labels"),
        ("ctc - ctc(of = encoder)", "MCT0142", "ctc - ctc(of = encoder)", "`-` does neither"),
        ("-1 * ctc", "MCT0152", "-1", "weight of a term"),
        ('ctc + 2 * ctcc(of = "encoder.layers.0")', "MCT0150", "ctcc", "there is no"),
        ('ctc + 2 * ctc(of = "encoder.layers.0", weight = 1)', "MCT0151", "weight", "no setting `weight`"),
        ('ctc + 2 * ctc(of = "encoder.layers.9")', "MCT0153", '"encoder.layers.9"', "is no part"),
    ],
)
def test_a_sum_at_fault_is_told_at_the_term(check: Check, told: str, code: str, place: str, words: str) -> None:
    (found,) = check(model(LAYERED, told))
    assert found.span is not None
    assert (found.code, found.span.text) == (code, place)
    assert words in found.message


def test_an_auxiliary_objective_stands_beside_another(check: Check) -> None:
    text = model(LAYERED, "ctc").replace("objective = ctc", 'auxiliary = ctc(of = "encoder.layers.0", weight = 1)')
    (found,) = check(text)
    assert (found.code, "this section has none" in found.message) == ("MCT0153", True)


def test_a_component_can_not_have_the_name_of_a_head(check: Check) -> None:
    head = "component auxiliary_ctc(y: f32[B, T, V]) -> (z: f32[B, T, 8]) { return linear(y, 8) }\n"
    named = LAYERED.replace("-> f32", "-> y: f32") + head
    (found,) = check(model(named, 'ctc; auxiliary = ctc(of = "encoder.layers.0", weight = 1)'))
    assert (found.code, "is the name of the head" in found.message) == ("MCT0153", True)


def test_a_setting_is_set_once(check: Check) -> None:
    found = check(model(CLASSES, "ctc; objective = ctc(blank = 1)"))
    assert [(each.code, each.span.text if each.span else "") for each in found] == [("MCT0146", "objective")]


def test_every_shipped_model_of_classes_has_an_objective(root: Path) -> None:
    without = []
    for spec in sorted((root / "spec").glob("*.mct")):
        settings = elaborate_file(spec).train.settings
        if not settings:
            without.append(spec.stem)
            continue
        name, given = settings["objective"]
        assert set(complete(name, given)) == set(OBJECTIVES[name]), spec
    # Samples, embeddings, one probability a frame and tokens of sound are no classes.
    assert without == ["denoiser", "ecapa_tdnn", "mimi", "silero_vad"]


def test_a_reduced_vocabulary_keeps_the_objective(root: Path) -> None:
    small = {"depth": 1, "vocab": 99, "width": 16, "heads": 2}
    assert check_file(root / "spec/whisper_tiny.mct", defines=small) == []


def test_an_encoder_beside_a_fixed_number_of_labels_is_trained_by_ctc(tmp_path: Path) -> None:
    spec = tmp_path / "m.mct"
    spec.write_text(
        "model m {\n dim B: batch\n dim T: time @ 100 Hz\n dim P: label = 5\n dim V: vocabulary = 9\n"
        " component encoder(x: f32[B, T, 4], memory: f32[B, P, 4]) -> f32[B, T, V] {\n"
        "  return linear(attention(x, memory, memory, heads = 1), V)\n }\n"
        " train { objective = ctc(blank = 0) }\n stream { chunk = 80 ms }\n}\n"
    )
    assert elaborate_file(spec).train.settings["objective"]


@pytest.mark.parametrize(
    ("objective", "place"), [("0 * ctc(blank = 0)", "0 * ctc(blank = 0)"), ("1e39 * ctc(blank = 0)", "1e39")]
)
def test_a_sum_trains_something_and_its_weights_are_numbers_of_fp32(check: Check, objective: str, place: str) -> None:
    assert told(check, CLASSES, objective) == [("MCT0152", place)]
