"""Labels out of encoded frames: searches over the steps of a transducer, the frames of CTC, the labels of a decoder.

`search` is what all searches over frames are called by, and how one is made; `engine` is what they ask of whatever
executes a model; `settings` what they are told; `hypothesis` what they find. `label_beam` searches with an attention
decoder. `ngram` and `word_ngram` (from `arpa`), `neural` and `hotwords` are scorers, which `fusion` brings into a
search. `timed` says when words were said, `endpoint` when an utterance is over. numpy is the only dependency.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mctc.decode.frames import DecodeError
    from mctc.decode.hypothesis import Hypothesis, Partial
    from mctc.decode.search import Search, ctc_search, transducer_search
    from mctc.decode.settings import Settings
    from mctc.decode.vocabulary import Vocabulary
else:
    from mctc.lazy_names import lazy

    __getattr__ = lazy(
        __name__,
        {
            "DecodeError": "frames",
            "Hypothesis": "hypothesis",
            "Partial": "hypothesis",
            "Search": "search",
            "Settings": "settings",
            "Vocabulary": "vocabulary",
            "ctc_search": "search",
            "transducer_search": "search",
        },
    )

__all__ = [
    "DecodeError",
    "Hypothesis",
    "Partial",
    "Search",
    "Settings",
    "Vocabulary",
    "ctc_search",
    "transducer_search",
]
