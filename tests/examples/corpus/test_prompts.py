"""A person's prompts: which are taken, and how they are divided."""

from __future__ import annotations

import gzip
from pathlib import Path

from corpus.prompts import LIST, Prompt, divided, said
from corpus.words import words

TEXT = """; prompts
hello: Hello: you.
beep: [a tone]
digits/7: 7
menu: Press 1 now, or 42 later.
one: Press 1 now.
star: Press *.
mark: At [@]
spelled: The PBX.
no-sound: No.
"""


def test_prompts_are_those_that_are_all_words_and_digits(tmp_path: Path) -> None:
    sounds = tmp_path / "usr/share/asterisk/sounds/en_US_x"
    (sounds / "digits").mkdir(parents=True)
    for name in ("hello", "beep", "digits/7", "menu", "one", "star", "mark", "spelled", "no-text"):
        (sounds / f"{name}.g722").touch()
    (tmp_path / LIST).parent.mkdir(parents=True)
    (tmp_path / LIST).write_bytes(gzip.compress(TEXT.encode()))
    found = {each.name: each.text for each in said(tmp_path, "g722")}
    assert found == {"hello": "Hello: you.", "digits/7": "seven", "one": "Press one now."}


def test_no_sentence_is_in_both_parts() -> None:
    texts = [f"Say {word}. {other}." for word in "abcdefgh" for other in ("Please", "Then go", f"Try {word}")]
    prompts = [Prompt(f"{at:02}", Path(f"{at}"), text) for at, text in enumerate(texts)]
    prompts += [Prompt(f"alone-{at}", Path(f"{at}"), f"Alone {at * 'so '}") for at in range(30)]
    train, unheard = divided(prompts, seed=1)
    assert sorted(each.name for each in (*train, *unheard)) == sorted(each.name for each in prompts)
    assert 0.15 * len(prompts) <= len(unheard) <= 0.2 * len(prompts)
    parts = [{words(part) for each in some for part in each.text.split(". ")} for some in (train, unheard)]
    assert not parts[0] & parts[1]


def test_another_seed_divides_differently() -> None:
    prompts = [Prompt(f"{at}", Path(f"{at}"), f"text {at * 'so '}") for at in range(40)]
    assert divided(prompts, 1)[1] == divided(prompts, 1)[1] != divided(prompts, 2)[1]
