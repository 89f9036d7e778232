"""Manifests of every kind say the same; what is wrong with one is named with its place."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mctc.diagnostics.errors import MctcError
from mctc.score.manifests.read import read_data
from mctc.score.utterance import SaidWord, Utterance

from .conftest import RATE, TEXTS, Place

LENGTH_S = 2.7  # of each recording


def cut(name: str, text: str, **other: Any) -> dict[str, Any]:
    """A cut of lhotse."""
    recording = {"id": name, "sources": [{"type": "file", "channels": [0], "source": f"audio/{name}.wav"}],
                 "sampling_rate": RATE, "num_samples": round(LENGTH_S * RATE), "duration": LENGTH_S}  # fmt: skip
    said = {"id": name, "recording_id": name, "start": 0, "duration": LENGTH_S, "text": text}
    return {"id": name, "start": 0, "duration": LENGTH_S, "channel": 0, "supervisions": [said],
            "recording": recording, "type": "MonoCut", **other}  # fmt: skip


def lines(*objects: object) -> str:
    return "".join(json.dumps(each) + "\n" for each in objects)


@pytest.fixture
def folder(place: Place, tmp_path: Path) -> Path:
    """An empty folder with the recordings in audio/."""
    (tmp_path / "audio").symlink_to(place.folder / "audio")
    return tmp_path


def written(kind: str, folder: Path) -> Path:
    """A manifest of a kind."""
    if kind == "nemo":
        entries = [{"id": n, "audio_filepath": f"audio/{n}.wav", "text": t} for n, t in TEXTS.items()]
        (folder / "m.json").write_text(lines(*entries))
        return folder / "m.json"
    if kind == "lhotse":
        path = folder / "cuts.jsonl.gz"
        path.write_bytes(gzip.compress(lines(*(cut(n, t) for n, t in TEXTS.items())).encode()))
        return path
    if kind == "list":
        text = "sentence\tpath\n" + "".join(f"{t}\taudio/{n}.wav\n" for n, t in TEXTS.items())
        (folder / "m.tsv").write_text(text)
        return folder / "m.tsv"
    if kind == "folder":
        return folder / "audio"
    (folder / "wav.scp").write_text("".join(f"{n} audio/{n}.wav\n" for n in TEXTS))
    (folder / "text").write_text("".join(f"{n} {t}\n" for n, t in TEXTS.items()))
    return folder


@pytest.mark.parametrize("kind", ["nemo", "lhotse", "kaldi", "list", "folder"])
def test_every_kind_says_which_text_is_in_which_recording(kind: str, folder: Path) -> None:
    found = read_data([written(kind, folder)])
    assert {each.audio.stem: each.text for each in found} == TEXTS
    assert all(each.audio.is_file() for each in found)


def test_pieces_of_a_recording(folder: Path) -> None:
    (folder / "wav.scp").write_text("r audio/one.wav\n")
    (folder / "segments").write_text("r-1 r 0.5 1.5\nr-2 r 1.5 -1\n")
    (folder / "text").write_text("r-1 a\nr-2 a\n")
    (folder / "m.jsonl").write_text(
        lines({"audio_filepath": "audio/one.wav", "text": "a", "offset": 0.5, "duration": 1.0})
    )
    (folder / "c.jsonl").write_text(lines(cut("one", "a", start=0.5, duration=1.0)))
    pieces = [(each.start, each.duration) for each in read_data([folder, folder / "m.jsonl", folder / "c.jsonl"])]
    assert pieces == [(0.5, 1.0), (1.5, None), (0.5, 1.0), (0.5, 1.0)]


def test_ends_of_words(folder: Path) -> None:
    aligned = {"id": "s", "start": 0, "text": "a b", "alignment": {"word": [["a", 0.1, 0.2], ["b", 0.5, 0.25, 0.9]]}}
    (folder / "c.jsonl").write_text(lines(cut("one", "", supervisions=[aligned])))
    (only,) = read_data([folder / "c.jsonl"])
    assert only.words == (SaidWord("a", pytest.approx(0.3)), SaidWord("b", pytest.approx(0.75)))
    (folder / "w.ctm").write_text(";; by hand\none 1 0.6 0.3 a\none 1 1.5 0.3 a 0.8\none 1 2.4 0.2 a\n")
    (folder / "m.jsonl").write_text(
        lines({"audio_filepath": "audio/one.wav", "text": "a", "offset": 1.0, "duration": 1.0})
    )
    (piece,) = read_data([folder / "m.jsonl"], folder / "w.ctm")
    assert piece.words == (SaidWord("a", pytest.approx(0.8)),)


GOOD = {"audio_filepath": "audio/one.wav", "text": "a"}

Write = Callable[[Path], object]


def nemo(*objects: object) -> Write:
    return lambda folder: (folder / "m.jsonl").write_text(lines(*objects))


def file(name: str, text: str | bytes) -> Write:
    data = text if isinstance(text, bytes) else text.encode()
    return lambda folder: (folder / name).write_bytes(data)


def kaldi(scp: str, text: str, segments: str = "") -> Write:
    def write(folder: Path) -> None:
        for name, content in (("wav.scp", scp), ("text", text), ("segments", segments)):
            if content:
                (folder / name).write_text(content)

    return write


def cut_in_two(folder: Path) -> None:
    """A folder with a recording of which half has come."""
    data = (folder / "audio/one.wav").read_bytes()
    (folder / "cut").mkdir()
    (folder / "cut/cut.wav").write_bytes(data[: len(data) // 2])
    (folder / "cut/cut.txt").write_text("a")


@pytest.mark.parametrize(
    ("write", "name", "told"),
    [
        (nemo(GOOD, {"audio_filepath": "no.wav", "text": "a"}), "m.jsonl", r"m\.jsonl:2: .*no\.wav: there is no such"),
        (nemo(GOOD, {**GOOD, "id": "x", "text": " "}), "m.jsonl", r"m\.jsonl:2: the text of x is empty"),
        (nemo(GOOD, GOOD), "m.jsonl", r"m\.jsonl:2: the id audio/one\.wav is there twice, first at .*m\.jsonl:1"),
        (nemo({**GOOD, "sample_rate": 8000}), "m.jsonl", r"m\.jsonl:1: .*has 16000 Hz, the manifest says 8000"),
        (nemo({**GOOD, "offset": 9}), "m.jsonl", r"m\.jsonl:1: .*has 2\.70 s, the utterance is 9 to 9 s"),
        (nemo({**GOOD, "offset": 2, "duration": 1}), "m.jsonl", r"m\.jsonl:1: .* 2 to 3 s"),
        (nemo({**GOOD, "duration": -1}), "m.jsonl", r"m\.jsonl:1: `duration` is -1, not seconds"),
        (nemo({**GOOD, "duration": 0}), "m.jsonl", r"m\.jsonl:1: the duration of audio/one\.wav is 0 s"),
        (nemo({**GOOD, "offset": "1"}), "m.jsonl", r"`offset` is \"1\", not seconds"),
        (nemo({"audio_filepath": "audio/one.wav"}), "m.jsonl", r"m\.jsonl:1: `text` is missing"),
        (nemo({**GOOD, "text": 5}), "m.jsonl", r"m\.jsonl:1: `text` is 5, not text"),
        (nemo(GOOD, [1]), "m.jsonl", r"m\.jsonl:2: `a line` is \[1\], not an object"),
        (nemo({"wav": "a"}), "m.jsonl", r"m\.jsonl:1: its objects have neither `audio_filepath` nor `recording`"),
        (file("m.jsonl", json.dumps(GOOD) + "\n{oops\n"), "m.jsonl", r"m\.jsonl:2: this line is no JSON"),
        (file("m.jsonl", b"\xff\xfe\n"), "m.jsonl", r"m\.jsonl:\d: this is no UTF-8"),
        (file("m.jsonl", ""), "m.jsonl", r"m\.jsonl: it holds no utterances"),
        (file("m.jsonl.gz", b"no gzip"), "m.jsonl.gz", r"m\.jsonl\.gz: it can't be read"),
        (file("m.xyz", "x"), "m.xyz", r"m\.xyz: this is no manifest of a known kind"),
        (file("m.tsv", "audio/one.wav a\n"), "m.tsv", r"m\.tsv:1: this is no recording, a tab, and a text"),
        (nemo(), "gone.jsonl", r"gone\.jsonl: there is no such file or folder"),
        (lambda folder: (folder / "empty").mkdir(), "empty", r"empty: there are no sound files in it"),
        (cut_in_two, "cut", r"cut\.txt: .*cut\.wav: it is cut short: its header announces .* bytes of sound"),
        (file("b.wav", b"no sound"), ".", r"b\.wav: there is no b\.txt beside it"),
        (kaldi("one sox a.wav |\n", "one a\n"), ".", r"wav\.scp:1: a command makes this recording"),
        (kaldi("one audio/one.wav\n", "two a\n"), ".", r"wav\.scp:1: one has no line in text"),
        (kaldi("one audio/one.wav\n", "one a\ntwo a\n"), ".", r"text:2: two is of the recording two"),
        (kaldi("one audio/one.wav\n", "one a\none b\n"), ".", r"text:2: one is there twice, first at .*text:1"),
        (kaldi("one audio/one.wav\n", "one\n"), ".", r"text:1: the text of one is empty"),
        (kaldi("one audio/one.wav\n", "u a\n", "u one 1 0.5\n"), ".", r"segments:1: 1 to 0\.5 s is no piece"),
        (kaldi("one audio/one.wav\n", "u a\n", "u one x\n"), ".", r"segments:1: this is no UTTERANCE"),
        (nemo(cut("one", "a", type="MixedCut")), "m.jsonl", r"m\.jsonl:1: a MixedCut is mixed"),
        (nemo(cut("one", "a", recording={"sources": []})), "m.jsonl", r"m\.jsonl:1: the recording comes from none"),
        (nemo(cut("one", "a", recording=3)), "m.jsonl", r"m\.jsonl:1: `recording` is 3, not an object"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_place(write: Write, name: str, told: str, folder: Path) -> None:
    write(folder)
    if name == ".":
        (folder / "audio").unlink() if not (folder / "wav.scp").exists() else None
    with pytest.raises(MctcError, match=told):
        read_data([folder / name])


def test_all_that_is_wrong_is_told_at_once(folder: Path) -> None:
    nemo({**GOOD, "text": ""}, {**GOOD, "audio_filepath": "no.wav"})(folder)
    with pytest.raises(MctcError) as raised:
        read_data([folder / "m.jsonl"])
    assert [line.split(": ")[0].rpartition(":")[2] for line in str(raised.value).splitlines()] == ["1", "2"]


def test_a_path_counts_from_the_manifest_s_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nemo(GOOD)(folder)
    monkeypatch.chdir("/")
    (only,) = read_data([folder / "m.jsonl"])
    assert isinstance(only, Utterance)
    assert only.audio == folder / "audio/one.wav"
