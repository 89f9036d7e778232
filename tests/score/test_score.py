"""`mctc score` counts the errors of a build, in one process or in many, and says where there is nothing to count."""

from __future__ import annotations

import json
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mctc.score.hear import System
from mctc.score.utterance import Utterance
from mctc.score.work import Failure, Task, _done_apart

from .conftest import COUNTS, RATE, TEXTS, Command, Place

pytest.importorskip("jiwer")

SIMPLE = ("--normaliser", "simple")
EDITS = ("said", "substitutions", "deletions", "insertions")


def edits(counts: dict[str, Any]) -> dict[str, int]:
    return {name: counts[name] for name in EDITS}


def counted(content: dict[str, Any]) -> list[Any]:
    """All that doesn't depend on a machine's speed."""
    systems = [{k: v for k, v in s.items() if k not in TIMED} for s in content["systems"]]
    utterances = [{k: v for k, v in u.items() if k not in TIMED} for u in content["utterances"]]
    return [systems, utterances, content["paired"], content["mctc score"]]


TIMED = ("work_s", "late_s", "real_time_factor", "first_word_late_s")


def test_errors_are_counted_and_told(place: Place, command: Command, tmp_path: Path) -> None:
    done = command("score", place.build, place.manifest, *SIMPLE, "--output", tmp_path / "r.json")
    assert (done.code, done.err) == (0, "")
    assert "4 utterances, 0.2 min; 1 without a wrong word" in done.out
    assert "words wrong       25.00 % (95 %: " in done.out
    assert "3 of 12: 1 substitution, 1 deletion, 1 insertion" in done.out
    assert "real-time factor" in done.out
    content = json.loads((tmp_path / "r.json").read_text())
    (system,) = content["systems"]
    assert edits(system["words"]) == COUNTS
    assert system["words"]["low"] <= system["words"]["rate"] == 0.25 <= system["words"]["high"]
    assert system["characters"]["said"] == sum(len(text.replace(",", "")) for text in TEXTS.values())
    assert system["audio_s"] == pytest.approx(4 * 2.7)
    assert [(each["id"], each["heard"]) for each in content["utterances"]] == [(name, "a a a") for name in TEXTS]


def test_delays_of_words_and_of_the_first_one(place: Place, command: Command) -> None:
    (system,) = json.loads(command("score", place.build, place.manifest, *SIMPLE, "--format", "json").out)["systems"]
    assert system["first_word_late_s"]["count"] == 4
    # 3 words with known ends in each, and the letter is said where the noise begins, 300 ms before its end.
    assert system["word_delay_s"]["count"] == 12
    assert system["word_delay_s"]["median"] == pytest.approx(-0.3, abs=0.05)


def test_shards_add_up_to_the_whole(place: Place, command: Command, tmp_path: Path) -> None:
    asked = ("score", place.build, place.deaf, "--paired", place.manifest, *SIMPLE, "--format", "json")
    whole = json.loads(command(*asked).out)
    parts = [tmp_path / f"{number}.json" for number in (3, 1, 2)]
    for part in parts:
        assert command(*asked, "--shard", f"{part.stem}/3", "--output", part).code == 0
    added = json.loads(command("score", "--merge", *parts, "--format", "json").out)
    assert counted(added) == counted(whole)
    empty = command(*asked, "--shard", "5/5", "--output", tmp_path / "empty.json")
    assert (empty.code, json.loads(empty.out)["utterances"]) == (0, [])
    missing = command("score", "--merge", *parts[:2])
    assert (missing.code, "these are missing: 2" in missing.err) == (1, True)
    twice = command("score", "--merge", *parts, parts[0])
    assert (twice.code, "are both shard 3 of 3" in twice.err) == (1, True)
    other = tmp_path / "other.json"
    command("score", place.build, place.manifest, *SIMPLE, "--output", other)
    assert "is not of the same run" in command("score", "--merge", parts[0], other).err
    assert "is no result of mctc score" in command("score", "--merge", place.manifest).err


def test_a_rank_writes_files_of_its_own(
    place: Place, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORLD_SIZE", "2")
    asked = ("score", place.build, place.manifest, *SIMPLE, "--resume", "done.jsonl")
    for rank in "01":
        monkeypatch.setenv("RANK", rank)
        done = command(*asked)
        assert f"RANK: this is shard {int(rank) + 1} of 2" in done.err
    names = ["done.1-of-2.jsonl", "done.2-of-2.jsonl", "score.1-of-2.json", "score.2-of-2.json"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    added = command("score", "--merge", *names[2:])
    assert "3 of 12: 1 substitution" in added.out


def test_what_was_done_is_not_done_again(place: Place, command: Command, tmp_path: Path) -> None:
    path = tmp_path / "done.jsonl"
    asked = ("score", place.build, place.manifest, *SIMPLE, "--resume", path, "--format", "json")
    whole = json.loads(command(*asked).out)
    lines = path.read_text().splitlines(keepends=True)
    known = json.loads(lines[1])
    path.write_text(lines[0] + json.dumps({**known, "heard": "b"}) + "\n" + lines[2][:20])
    done = command(*asked)
    assert "1 of 4 were done before" in done.err
    assert [each["heard"] for each in json.loads(done.out)["utterances"]] == ["b", *["a a a"] * 3]
    assert len(path.read_text().splitlines()) == len(lines)
    assert whole["systems"][0]["words"]["errors"] == 3
    other = command("score", place.deaf, place.manifest, *SIMPLE, "--resume", path)
    assert (other.code, "it differs in systems" in other.err) == (1, True)


def test_two_builds_are_compared_and_what_they_hear_differently_is_listed(
    place: Place, command: Command, tmp_path: Path
) -> None:
    page = tmp_path / "p.html"
    done = command("score", place.build, place.deaf, place.manifest, "--paired", *SIMPLE, "--html", page)
    assert done.code == 0
    assert re.search(r"words wrong       \+75\.00 % \(95 %: [\d.]+ to [\d.]+\); fewer in 0 % of draws", done.out)
    assert "4 of 4 utterances are heard differently" in done.out
    assert re.search(r"  two: 1 and 3 words wrong\n    said a b a\n    1    a a a\n    2    \n", done.out)
    same = command("score", place.build, place.build, place.manifest, "--paired", *SIMPLE)
    assert "+0.00 % (95 %: 0.00 to 0.00); fewer in 50 % of draws" in same.out
    assert "0 of 4 utterances are heard differently" in same.out
    assert page.read_text().count('class="system"') == 8


def test_the_page_needs_nothing_else_and_begins_with_the_worst(place: Place, command: Command, tmp_path: Path) -> None:
    (tmp_path / "l.tsv").write_text(
        f"{place.folder}/audio/one.wav\ta a a\n{place.folder}/audio/two.wav\t<b>&\tx\n", encoding="utf-8"
    )
    assert (
        command("score", place.build, tmp_path / "l.tsv", "--normaliser", "none", "--html", tmp_path / "p.html").code
        == 0
    )
    page = (tmp_path / "p.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert not re.search(r"(src|href)=|url\(|https?:", page)
    assert page.index("two.wav: 3 wrong of 1") < page.index("one.wav: 0 wrong of 3")
    assert "&lt;b&gt;&amp;" in page
    assert "<b>" not in page
    assert 'class="pair substitution"' in page
    assert 'class="pair insertion"' in page


def test_offsets_are_told_apart(place: Place, command: Command) -> None:
    content = json.loads(command("score", place.build, place.manifest, *SIMPLE, "--offsets", "--format", "json").out)
    (system,) = content["systems"]
    assert {at: counts["errors"] for at, counts in system["offsets"].items()} == dict.fromkeys("0123", 3)
    assert (system["spread"], system["utterances"]) == (0, 4)
    starts = [each["audio_s"] for each in content["utterances"][:4]]
    assert starts == pytest.approx([2.7, 2.69, 2.68, 2.67])
    delays = [each["delays"][0] for each in content["utterances"][:4]]
    assert delays == pytest.approx([delays[0]] * 4, abs=0.0101)


def test_the_first_utterances_alone_are_scored(place: Place, command: Command) -> None:
    content = json.loads(command("score", place.build, place.manifest, *SIMPLE, "--limit", "3", "--format", "json").out)
    assert [each["id"] for each in content["utterances"]] == list(TEXTS)[:3]
    assert content["systems"][0]["words"]["said"] == 8


def test_whole_utterances_are_heard_as_their_stream_is(place: Place, command: Command, tmp_path: Path) -> None:
    from mctc.driver import BuildOptions, build

    pytest.importorskip("onnxruntime")
    weights = place.folder / "loud.safetensors"
    built = build(place.folder / "loud.mct", tmp_path / "onnx", BuildOptions(target="onnx", weights=weights)).folder
    from soundfile import write

    write(tmp_path / "short.wav", np.full(RATE // 50, 0.01), RATE)
    (tmp_path / "short.tsv").write_text("short.wav\ta\n")
    asked = ("score", built, place.manifest, tmp_path / "short.tsv", *SIMPLE, "--offsets", "--format", "json")
    whole, stream = (json.loads(command(*asked, *more).out) for more in (["--whole"], []))
    told = [{k: v for k, v in each.items() if k not in TIMED} for each in whole["utterances"]]
    assert told == [{k: v for k, v in each.items() if k not in TIMED} for each in stream["utterances"]]
    assert whole["mctc score"] != stream["mctc score"]
    assert "onnxruntime, whole utterances; greedy" in command(*asked[:-2], "--whole").out
    steps = command("score", place.build, place.manifest, *SIMPLE, "--whole")
    assert (steps.code, "holds no encoder over whole utterances" in steps.err) == (1, True)


def test_what_makes_no_text_is_refused(place: Place, command: Command) -> None:
    done = command("score", place.untrained, place.manifest, *SIMPLE)
    assert (done.code, "is untrained" in done.err) == (1, True)


def test_an_attention_decoder_is_scored(place: Place, root: Path, command: Command, tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    from mctc.driver import BuildOptions, build
    from mctc.initializers import initialise
    from mctc.language import elaborate_file

    sizes = {"width": 8, "depth": 1, "heads": 1, "vocab": 40, "frames": 300, "labels": 8}
    sources = elaborate_file(root / "spec/whisper_tiny.mct", defines=sizes).sources
    tensors = {name: np.asarray(initialise(name, type_, rule, 0)) for name, (type_, rule) in sources.items()}
    save_file({name: np.ascontiguousarray(each) for name, each in tensors.items()}, tmp_path / "w.safetensors")
    names = ["<pad>", "<begin>", "<end>", *map(str, range(37))]
    (tmp_path / "letters.txt").write_text("".join(f"{name}\n" for name in names))
    options = BuildOptions(defines=sizes, weights=tmp_path / "w.safetensors", tokens=tmp_path / "letters.txt")
    built = build(root / "spec/whisper_tiny.mct", tmp_path / "built", options).folder
    asked = ("score", built, place.manifest, "--normaliser", "none", "--format", "json")
    done = command(*asked, "--start", "1", "--end", "-1", "--max-tokens", "4")
    assert done.code == 0, done.err
    content = json.loads(done.out)
    assert all(each["heard"] for each in content["utterances"])
    assert content["systems"][0]["first_word_late_s"] is None
    for told in (["--start", "<begin>", "--end", "<end>"], []):  # by name, and as the spec says
        again = command(*asked, *told, "--max-tokens", "4")
        assert again.code == 0, again.err
        assert json.loads(again.out)["mctc score"]["systems"][0]["decoding"]["start"] == [1]
    anyway = command(*asked, "--whole")
    assert (anyway.code, "takes whole utterances anyway" in anyway.err) == (1, True)
    refused = command(*asked, "--start", "<start>")
    assert (refused.code, "have no <start>" in refused.err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "a build and what to score are needed"),
        (["b"], "a build and what to score are needed"),
        (["b", "d", "--paired"], "two builds and what to score are needed"),
        (["--merge"], "no results are given"),
        (["--merge", "r", "--offsets"], "--offsets says what to score"),
        (["b", "d", "--shard", "3/2"], "--shard 3/2: this is no I/N"),
        (["b", "d", "--hotwords", "h"], "greedy search has one"),
    ],
)
def test_a_command_line_that_can_t_be_is_refused(arguments: list[str], told: str, command: Command) -> None:
    done = command("score", *arguments, *SIMPLE)
    assert (done.code, told in done.err) == (2, True), done.err


def test_bad_data_is_told_with_its_place(place: Place, command: Command, tmp_path: Path) -> None:
    (tmp_path / "m.jsonl").write_text('{"audio_filepath": "gone.wav", "text": "a"}\n')
    done = command("score", place.build, tmp_path / "m.jsonl", *SIMPLE)
    assert (done.code, "m.jsonl:1: " in done.err) == (1, True)
    assert "there is no such file" in done.err


def test_a_process_of_its_own_sends_back_what_fails(place: Place) -> None:
    utterance = Utterance("u", place.folder / "gone.wav", "a", "m.jsonl:1")
    apart = pickle.loads(pickle.dumps(_done_apart(Task(System(place.build), utterance))))
    assert isinstance(apart, Failure)
    assert apart.message.startswith("m.jsonl:1: u: ")
    unread = _done_apart(Task(System(place.folder), utterance))
    assert isinstance(unread, Failure)


@pytest.mark.slow  # starting two processes; what each does is tested above
def test_two_processes_count_as_one_does(place: Place, command: Command, tmp_path: Path) -> None:
    asked = ("score", place.build, place.manifest, *SIMPLE, "--format", "json")
    alone = json.loads(command(*asked).out)
    assert counted(json.loads(command(*asked, "--jobs", "2").out)) == counted(alone)


@pytest.mark.slow  # the trained model; the synthetic ones above take the same way
def test_the_shipped_model_hears_its_recording(command: Command, tmp_path: Path) -> None:
    from mctc.audio import bundled_recording, bundled_text
    from mctc.cli.demo import model
    from mctc.driver import BuildOptions, build

    spec, weights, tokens = model()
    options = BuildOptions(weights=weights, tokens=tokens)
    built = build(spec, tmp_path / "built", options).folder
    (tmp_path / "l.tsv").write_text(f"{bundled_recording()}\t{' '.join(bundled_text().split())}\n")
    done = command("score", built, tmp_path / "l.tsv", *SIMPLE)
    assert "words wrong       2.94 %: 1 of 34" in done.out
