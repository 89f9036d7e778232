"""`mctc run` prints what was said, in the form that is asked for, and says where there is nothing to read."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mctc.cli.live_text import SettledText, TerminalText
from tests.said import RATE, SAID

from .conftest import Command


@pytest.fixture
def place(said: Path) -> Path:
    """Builds and recordings: see tests/said.py."""
    return said


def test_text_is_one_line(place: Path, command: Command) -> None:
    done = command("run", place / "trained", place / "talks/one.wav")
    assert (done.code, done.out, done.err) == (0, f"{SAID}\n", "")


def test_a_beam_takes_hotwords_and_n_grams(place: Path, command: Command, tmp_path: Path) -> None:
    words, model = tmp_path / "words.txt", tmp_path / "letters.arpa"
    words.write_text("# names\n\na a\t2.5\na\n")
    plain = command("run", place / "trained", place / "talks/one.wav", "--search", "beam").out
    model.write_text("\\data\\\nngram 1=2\n\n\\1-grams:\n-0.3\t\u2581\n-0.3\ta\n\n\\end\\\n", encoding="utf-8")
    asked = ("run", place / "trained", place / "talks/one.wav", "--hotwords", words, "--ngram", f"{model}=0.1")
    assert command(*asked, "--search", "beam").out.split().count("a") > plain.split().count("a")
    refused = command(*asked)
    assert refused.code == 2
    assert "greedy search has one" in refused.err
    assert "is no weight" in command(*asked, "--search", "beam", "--ngram", "x=y").err
    nameless = command("run", place / "nameless", *asked[2:], "--search", "beam")
    assert "no tokens to spell hotwords" in nameless.err
    words.write_text("a\nab\n")
    assert "words.txt:2: no token spells 'b'" in command(*asked, "--search", "beam").err


def test_an_utterance_ends_with_a_silence(place: Path, command: Command) -> None:
    done = command("run", place / "trained", place / "pause.wav")
    assert done.out == f"{SAID}\n{SAID}\n"
    record = json.loads(command("run", place / "trained", place / "pause.wav", "--json").out)
    assert record["text"] == f"{SAID} {SAID}"
    starts = [word["start_s"] for word in record["words"]]
    assert starts == pytest.approx([0.3, 1.2, 2.1, 5.0, 5.9, 6.8], abs=0.05)
    assert len(record["tokens"]) == 2 * len(SAID.split()) * 2


def test_costs_are_told_where_they_are_asked_for(place: Path, command: Command) -> None:
    done = command("run", place / "trained", place / "talks/one.wav", "--stats")
    assert done.out == f"{SAID}\n"
    assert "real-time factor" in done.err
    assert "first word after" in done.err


def test_json_has_words_with_times(place: Path, command: Command) -> None:
    record = json.loads(command("run", place / "trained", place / "talks/one.wav", "--format", "json").out)
    assert record["text"] == SAID
    assert [word["word"] for word in record["words"]] == SAID.split()
    for number, word in enumerate(record["words"]):
        assert word["start_s"] == pytest.approx(0.9 * number + 0.3, abs=0.05)
        assert 0 < word["confidence"] <= 1
    assert "chunks" not in record
    assert record["first_label_late_ms"] >= 0


@pytest.mark.parametrize(
    ("form", "begins"), [("srt", "1\n00:00:00,"), ("vtt", "WEBVTT\n\n00:00:00."), ("ctm", "one 1 0.")]
)
def test_subtitles_and_times(form: str, begins: str, place: Path, command: Command) -> None:
    assert command("run", place / "trained", place / "talks/one.wav", "--format", form).out.startswith(begins)


def test_several_recordings_and_folders_are_told_apart(place: Path, command: Command) -> None:
    names = [str(place / "talks" / name) for name in ("one.wav", "two.flac")]
    expected = "".join(f"{name}\t{SAID}\n" for name in names)
    assert command("run", place / "trained", *names).out == expected
    assert command("run", place / "trained", place / "talks").out == expected
    lines = command("run", place / "trained", place / "talks", "--json").out.splitlines()
    assert [json.loads(line)["audio"] for line in lines] == names


def test_what_is_wrong_with_one_hides_no_other(place: Path, command: Command) -> None:
    done = command("run", place / "trained", place / "broken.wav", place / "talks/one.wav")
    assert done.code == 1
    assert done.out == f"{place / 'talks/one.wav'}\t{SAID}\n"
    assert "broken.wav: this is not a sound file" in done.err


def test_a_recording_that_is_cut_short_is_heard_with_a_warning(place: Path, tmp_path: Path, command: Command) -> None:
    data = (place / "talks/one.wav").read_bytes()
    (tmp_path / "half.wav").write_bytes(data[: len(data) // 2])
    done = command("run", place / "trained", tmp_path / "half.wav")
    assert done.code == 0
    assert SAID.startswith(done.out.strip())
    assert "half.wav: it is cut short: its header announces" in done.err
    assert command("-q", "run", place / "trained", tmp_path / "half.wav").err == ""


def test_no_sound_in_a_folder_is_left_out_in_silence(place: Path, tmp_path: Path, command: Command) -> None:
    (tmp_path / "one.wav").write_bytes((place / "talks/one.wav").read_bytes())
    (tmp_path / "memo.m4a").write_bytes(b"\0\0\0\x1cftypM4A " + bytes(64))
    (tmp_path / "notes.txt").write_text("not sound")
    done = command("run", place / "trained", tmp_path)
    assert (done.code, done.out) == (1, f"{tmp_path / 'one.wav'}\t{SAID}\n")
    assert "memo.m4a: this is MPEG-4" in done.err
    assert "ffmpeg -i" in done.err


def test_a_folder_without_sound_is_an_error(place: Path, command: Command) -> None:
    done = command("run", place / "trained", place / "untrained")
    assert done.code == 2
    assert "untrained holds no sound files" in done.err


def test_transcripts_are_written_into_files(place: Path, tmp_path: Path, command: Command) -> None:
    run = ("run", place / "trained", "--format", "srt", "--output")
    assert command(*run, tmp_path / "a.srt", place / "talks/one.wav").out == ""
    assert (tmp_path / "a.srt").read_text().startswith("1\n")
    command(*run, tmp_path / "all", place / "talks")
    assert sorted(path.name for path in (tmp_path / "all").iterdir()) == ["one.srt", "two.srt"]


def test_transcripts_of_several_recordings_do_not_end_up_in_one_place(
    place: Path, tmp_path: Path, command: Command
) -> None:
    done = command("run", place / "trained", place / "talks", "--format", "srt")
    assert done.code == 2
    assert "srt of several recordings is a file each" in done.err
    twice = (place / "talks/one.wav", tmp_path / "one.wav")
    done = command("run", place / "trained", *twice, "--output", tmp_path / "all")
    assert done.code == 2
    assert "would be written into one file" in done.err
    assert not (tmp_path / "all").exists()


def test_raw_samples_on_standard_input_are_heard_as_they_come(place: Path, command: Command) -> None:
    sound = (place / "talk.pcm").read_bytes()
    assert command("run", place / "trained", "-", "--pcm", "s16", stdin=sound).out == f"{SAID}\n"
    stereo = np.repeat(np.frombuffer(sound, "<i2"), 2).tobytes()
    assert command("run", place / "trained", "-", "--pcm", "s16", "--channels", "2", stdin=stereo).out == f"{SAID}\n"


def test_an_untrained_build_says_so_and_prints_nothing_as_a_result(place: Path, command: Command) -> None:
    for form in ("text", "srt", "ctm"):
        done = command("run", place / "untrained", place / "talks/one.wav", "--format", form)
        assert (done.code, done.out) == (0, "")
        assert "is untrained: its weights were drawn from seed 0" in " ".join(done.err.split())
    record = json.loads(command("run", place / "untrained", place / "talks/one.wav", "--json").out)
    assert (record["text"], record["words"], record["untrained_seed"]) == (None, [], 0)


def test_a_build_without_tokens_prints_numbers_and_says_so(place: Path, command: Command) -> None:
    done = command("run", place / "nameless", place / "talks/one.wav")
    assert done.out == "2 1 2 1 2 1\n"
    assert "these are numbers of classes: mctc build --tokens FILE" in done.err
    done = command("run", place / "nameless", place / "talks/one.wav", "--format", "srt")
    assert done.code == 2
    assert "has no tokens, so there are no words" in done.err


def test_a_microphone_is_heard_until_an_interrupt(
    place: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in of the library gives the recording, then silence, and the process is interrupted."""
    import os
    import signal

    sound = np.frombuffer((place / "talk.pcm").read_bytes(), "<i2").astype(np.float32)[:, None] / 2**15

    class InputStream:
        def __init__(self, *, samplerate: int, channels: int, dtype: str, blocksize: int, callback: Any) -> None:
            assert (samplerate, channels, dtype) == (RATE, 1, "float32")
            for at in range(0, len(sound), blocksize):
                callback(sound[at : at + blocksize], blocksize, None, None)
            self.silence = lambda: callback(np.zeros((blocksize, 1), np.float32), blocksize, None, None)

        def __enter__(self) -> None:
            self.silence()

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setitem(sys.modules, "sounddevice", SimpleNamespace(InputStream=InputStream))
    heard: list[int] = []

    def stop_behind(blocks: Iterator[Any]) -> Iterator[Any]:
        for block in blocks:
            heard.append(len(block))
            if sum(heard) >= len(sound):
                os.kill(os.getpid(), signal.SIGINT)
            yield block

    from mctc.audio import microphone as library

    real = library.microphone
    monkeypatch.setattr(library, "microphone", lambda rate: stop_behind(real(rate)))
    before = signal.getsignal(signal.SIGINT)
    done = command("run", place / "trained", "--mic")
    assert (done.code, done.out) == (0, f"{SAID}\n")
    assert signal.getsignal(signal.SIGINT) is before


def test_a_microphone_without_the_library_is_an_error_that_names_its_extra(
    place: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    done = command("run", place / "trained", "--mic")
    assert done.code == 1
    assert "pip install 'mctc[mic]'" in done.err


def test_a_terminal_shows_settled_words_plain_and_others_dimmed() -> None:
    text = io.StringIO()
    shown = TerminalText(text, 24)
    shown.show(["good", "mor"], 1)
    assert text.getvalue().split("\x1b[K")[-1] == "good \x1b[2mmor\x1b[0m"
    shown.show(["good", "morning", "and", "thank"], 3)
    assert text.getvalue().split("\x1b[K")[-1] == "good morning and \x1b[2mthank\x1b[0m"
    shown.show(["good", "morning", "and", "thank", "you"], 5)
    assert text.getvalue().split("\x1b[K")[-1] == "good morning and thank\nyou"
    shown.close()
    assert text.getvalue().endswith("you\n")


def test_a_line_is_never_wider_than_the_terminal() -> None:
    text = io.StringIO()
    shown = TerminalText(text, 30, color=False)
    words = [f"word{at}" * (1 + at % 4) for at in range(30)]
    for count in range(31):
        shown.show(words[:count], max(0, count - 6))
    shown.show(words, 30)
    lines = [line for line in text.getvalue().replace("\r\x1b[K", "\n").split("\n") if line]
    assert max(map(len, lines)) <= 29
    assert text.getvalue().split("\x1b[K")[-1].endswith(words[-1])


def test_each_utterance_is_shown_in_lines_of_its_own(place: Path) -> None:
    from mctc.audio.load import stream_audio
    from mctc.cli.live_text import LiveTranscript
    from mctc.decode.endpoint import USUAL, Endpointer
    from mctc.decode.settings import Settings
    from mctc.runtime.built import open_built
    from mctc.runtime.searched import recogniser
    from mctc.runtime.speech import listen
    from mctc.runtime.stream import SpeechStream

    built, text = open_built(place / "trained"), io.StringIO()
    assert built.tokens is not None
    stream = SpeechStream(recogniser(built), Settings())
    live = LiveTranscript(SettledText(text), built.tokens)
    blocks = stream_audio(place / "pause.wav", 999, RATE)
    found = listen(stream, blocks, live, Endpointer(stream.frame_s, USUAL, quiet={1}))
    assert text.getvalue() == f"{SAID}\n{SAID}\n"
    assert [len(best.ids) for best in found.best] == [6, 6]


def test_a_pipe_gets_settled_words_alone() -> None:
    text = io.StringIO()
    shown = SettledText(text)
    shown.show(["good", "mor"], 1)
    assert text.getvalue() == "good"
    shown.show(["good", "morning"], 2)
    shown.close()
    assert text.getvalue() == "good morning\n"
