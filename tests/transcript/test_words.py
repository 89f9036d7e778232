"""Labels become words with times, and words become the forms that transcripts are written in."""

from __future__ import annotations

from mctc.decode.hypothesis import Hypothesis
from mctc.decode.timed import TimedWord
from mctc.tokens.letters import of_symbols
from mctc.transcript.cues import cues
from mctc.transcript.formats import as_ctm, as_srt, as_vtt
from mctc.transcript.words import printable, settled, words_of

LETTERS = of_symbols(" abcdefghijklmnopqrstuvwxyz<&\x1b")


def heard(text: str, frames: list[int]) -> Hypothesis:
    ids = LETTERS.encode(text)
    return Hypothesis(tuple(ids), 0.0, tuple(frames), tuple(0.9 - 0.1 * at for at in range(len(ids))))


def test_a_word_lasts_from_its_first_label_to_its_last() -> None:
    words = words_of(LETTERS, heard("on it", [2, 5, 6, 9, 9]), 0.04)
    assert [word.text for word in words] == ["on", "it"]
    assert [(round(word.start, 3), round(word.end, 3)) for word in words] == [(0.08, 0.24), (0.36, 0.4)]
    assert [round(word.confidence, 3) for word in words] == [0.85, 0.55]


def test_words_of_one_frame_do_not_overlap() -> None:
    words = words_of(LETTERS, heard("a b c", [3, 3, 3, 3, 4]), 1.0)
    assert [(word.start, word.end) for word in words] == [(3, 3), (3, 4), (4, 5)]


def test_nothing_heard_is_no_words() -> None:
    assert words_of(LETTERS, heard("", []), 0.04) == ()
    assert words_of(LETTERS, heard("  ", [1, 2]), 0.04) == ()


def test_the_last_word_may_still_grow_and_tentative_labels_settle_nothing() -> None:
    words = LETTERS.words(LETTERS.encode("on the de"))
    assert settled(words, 9, 9) == 2
    assert settled(words, 4, 9) == 1
    assert settled(words, 0, 9) == 0
    words = LETTERS.words(LETTERS.encode("on "))
    assert settled(words, 3, 3) == 1


def test_a_text_controls_no_terminal() -> None:
    assert printable("a\x1b[2Jb\r\nc\N{RIGHT-TO-LEFT OVERRIDE}d") == "a [2Jb c d"
    assert words_of(LETTERS, heard("a\x1b", [0, 1]), 1.0)[0].text == "a "


WORDS = [TimedWord("one", 0.5, 0.9, 0.75), TimedWord("<two>", 0.96, 1.25, 1.0), TimedWord("three", 3661.0, 3661.5, 0.5)]


def test_subtitles_in_subrip() -> None:
    assert as_srt(WORDS, "talk.wav") == (
        "1\n00:00:00,500 --> 00:00:01,250\none <two>\n\n2\n01:01:01,000 --> 01:01:01,500\nthree\n"
    )
    assert as_srt([], "talk.wav") == ""


def test_subtitles_in_webvtt() -> None:
    assert as_vtt(WORDS[:2], "talk.wav") == "WEBVTT\n\n00:00:00.500 --> 00:00:01.250\none &lt;two&gt;\n"
    assert as_vtt([], "talk.wav") == "WEBVTT\n"


def test_words_in_ctm() -> None:
    assert as_ctm(WORDS[:2], "a/my talk.wav") == (
        "my_talk 1 0.500 0.400 one 0.7500\nmy_talk 1 0.960 0.290 <two> 1.0000\n"
    )


def test_a_cue_has_two_lines_and_six_seconds_at_most() -> None:
    words = [TimedWord("subtitles", 0.5 * at, 0.5 * at + 0.4, 1.0) for at in range(40)]
    found = list(cues(words))
    assert sum(len(cue.text.split()) for cue in found) == 40
    assert max(len(cue.lines) for cue in found) == 2
    assert max(len(line) for cue in found for line in cue.lines) <= 42
    assert max(cue.end - cue.start for cue in found) <= 6
