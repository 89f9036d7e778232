"""Sentences and phrases by forms with slots, for which nothing has to be fetched."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from corpus.words import number

SLOTS = {
    "who": "the captain|my older brother|our teacher|the young doctor|a farmer|the old woman|every student|"
    "the driver|her uncle|the judge|a stranger|the baker|nobody in the village|the whole family",
    "did": "found|carried|forgot|bought|remembered|lost|painted|repaired|watched|described|sold|opened|hid|followed",
    "what": "the green boat|a heavy box|the last letter|his new coat|an empty bottle|the broken window|their map|"
    "a small garden|the silver coin|the kitchen table|a basket of apples|the long story|that horse|the north gate",
    "where": "in the market|near the river|behind the church|on the hill|at the station|under the bridge|"
    "beside the road|in the library|at home|across the valley|in front of the house|by the sea",
    "when": "yesterday morning|before the war|last winter|after supper|on a cold night|during the storm|at noon|"
    "every evening|when the rain had stopped|long ago|in the middle of summer|as soon as he arrived",
    "why": "because the weather was bad|to please the children|without saying a word|for no good reason|"
    "although it was late|and then went to sleep|so that everyone could see it|while the others were talking",
}
FORMS = (
    "{who} {did} {what} {where}",
    "{when} {who} {did} {what}",
    "{who} {did} {what} {when} {why}",
    "{where} {who} {did} {what} {why}",
    "{when} {who} and {who} {did} {what} {where}",
)
PHONE_SLOTS = {
    "digit": "zero|one|two|three|four|five|six|seven|eight|nine",
    "day": "monday|tuesday|wednesday|thursday|friday|saturday|sunday|today|tomorrow|yesterday",
    "month": "january|february|march|april|may|june|july|august|september|october|november|december",
    "nth": "first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|eleventh|twelfth|thirteenth|fourteenth|"
    "fifteenth|sixteenth|seventeenth|eighteenth|nineteenth|twentieth|thirtieth|fortieth|fiftieth|hundredth",
    "key": "pound|star|the pound key|the star key",
    "thing": "message|mailbox|extension|password|folder|call|conference|number|recording|name|account|line|agent|menu",
    "things": "messages|calls|callers|options|numbers|extensions|minutes|seconds|hours|dollars|entries|people",
    "act": "hear|delete|save|record|change|repeat|transfer|cancel|enter|leave|join|mute|lock|forward|reach|skip",
    "state": "new|old|urgent|saved|busy|invalid|incorrect|unavailable|active|empty|full|locked|removed|private",
    "spelled": "alpha|bravo|charlie|delta|echo|foxtrot|golf|hotel|india|juliet|kilo|lima|mike|november|oscar|papa|"
    "quebec|romeo|sierra|tango|uniform|victor|whiskey|yankee|zulu",
    "letter": "b|c|d|e|f|g|h|i|j|k|l|m|n|o|p|q|r|s|t|u|v|w|x|y|z",  # a is said in two ways
    "sign": "dot|dash|slash|backslash|comma|colon|semicolon|percent|ampersand|quote|underscore|tilde|caret|plus|equals|"
    "left bracket|right bracket|left brace|right brace|question mark|dollar sign|less than|greater than|backtick|pipe",
    "device": "keypad|touchtone phone|voicemail|login|conference bridge|switchboard|directory|operator|recipient",
    "polite": "please|thank you|sorry|hello|goodbye|welcome|one moment",
}
PHONE_FORMS = (
    "press {digit} to {act} the {thing}",
    "to {act} your {thing}, press {digit}",
    "for {things}, dial {digit}, otherwise press {key}",
    "your {thing} is {state}",
    "the {thing} has been {state}",
    "{polite}, the {thing} you called is {state}",
    "you have {count} {state} {things}",
    "there are {count} {things}",
    "{act} the {thing}, then {act} your {thing}",
    "{digit} {digit} {digit}",
    "{digit} {digit} {digit} {digit} {digit} {digit}",
    "{spelled} {spelled} {spelled}",
    "{letter} {letter} {letter}",
    "{letter} as in {spelled}, {letter} as in {spelled}",
    "{sign} {letter} {digit} {sign}",
    "use your {device}, or the {digit} key for {letter}",
    "the {device} is {state}",
    "{day}, {month} the {nth}",
    "{month} {nth}, at {count} o'clock",
    "{nth} {thing}",
    "{state} {things}",
    "{count} dollars",
    "{count} hundred and {count}",
    "{polite}",
    "{spelled}",
    "{letter}",
    "{sign}",
    "{nth}",
    "{count}",
)
MOST_COUNTED = 100


def filled(form: str, rng: np.random.Generator, slots: dict[str, str] = SLOTS) -> str:
    """A form with a word in each slot."""
    for slot, words in slots.items():
        while f"{{{slot}}}" in form:
            form = form.replace(f"{{{slot}}}", _one(words.split("|"), rng), 1)
    return form


def _one(known: Sequence[str], rng: np.random.Generator) -> str:
    return known[int(rng.integers(len(known)))]


def sentences(count: int, seed: int) -> list[str]:
    """Different sentences by a grammar."""
    rng, found = np.random.default_rng(seed), dict[str, None]()
    while len(found) < count:
        found[filled(_one(FORMS, rng), rng)] = None
    return list(found)


def phone_phrase(rng: np.random.Generator) -> str:
    """What a telephone says: digits, dates, menus."""
    phrase = filled(_one(PHONE_FORMS, rng), rng, PHONE_SLOTS)
    while "{count}" in phrase:
        phrase = phrase.replace("{count}", number(int(rng.integers(MOST_COUNTED))), 1)
    return phrase + "."
