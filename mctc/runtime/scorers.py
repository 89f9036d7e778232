"""Scorers from files: hotwords and n-grams, spelled in the tokens of a build."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mctc.diagnostics.errors import MctcError
from mctc.records import dataclass
from mctc.tokens import Tokens, TokensError

if TYPE_CHECKING:  # scorers are imported when one is asked for
    from mctc.decode.fusion import Scorer
    from mctc.decode.hotwords import Hotwords
    from mctc.decode.ngram import NGramScorer
    from mctc.decode.word_ngram import WordNGramScorer

SPACE = b" "


@dataclass(frozen=True)
class Fused:
    """Files of what is fused into a search; n-grams with their weights."""

    hotwords: Path | None = None
    boost: float = 1.0
    ngrams: tuple[tuple[Path, float], ...] = ()

    def __bool__(self) -> bool:
        return self.hotwords is not None or bool(self.ngrams)

    def scorers(self, tokens: Tokens, size: int) -> list[Scorer]:
        """size: labels of the model. Raises HotwordsError and ArpaError."""
        found: list[Scorer] = [] if self.hotwords is None else [hotwords_of(self.hotwords, tokens, size, self.boost)]
        return [*found, *(ngram_of(path, tokens, size, weight) for path, weight in self.ngrams)]


class HotwordsError(MctcError):
    """A file of hotwords that can't be read, or a phrase that can't be spelled; names the file and the line."""


def hotwords_of(path: Path, tokens: Tokens, size: int, boost: float) -> Hotwords:
    """Hotwords of a text file: a phrase a line, behind a tab what each of its labels adds if that is not `boost`.

    size: labels of the model. Empty lines, and those that begin with #, are left out. Raises HotwordsError.
    """
    from mctc.decode.hotwords import Hotwords, Phrase

    phrases = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise HotwordsError(f"{path} can't be read: {error}") from error
    for number, line in enumerate(lines, 1):
        text, _, own = line.partition("\t")
        if not text.strip() or text.startswith("#"):
            continue
        try:
            phrases.append(Phrase(tuple(tokens.encode(text.strip())), float(own) if own.strip() else boost))
        except (TokensError, ValueError) as error:
            raise HotwordsError(f"{path}:{number}: {error}", hint="phrase, or phrase <tab> boost") from error
    return Hotwords(phrases, size, around=_between_words(tokens))


def ngram_of(path: Path, tokens: Tokens, size: int, weight: float) -> NGramScorer | WordNGramScorer:
    """N-grams of an ARPA file: over the tokens' pieces, with U+2581 for a space, if it has more than half of them, else
    over words. Raises ArpaError."""
    from mctc.decode.arpa import read_arpa
    from mctc.decode.ngram import NGramScorer, symbols_of
    from mctc.decode.word_ngram import WordNGramScorer

    silent = {tokens.blank, *range(tokens.size, size)}
    pieces = [tokens.special.get(at, tokens.piece(at).decode("utf-8", "replace")) for at in range(size)]
    names = symbols_of(None if at in silent else piece for at, piece in enumerate(pieces))
    model = read_arpa(path)
    spoken = [name for name in names if name is not None]
    if 2 * sum((name,) in model.entries for name in spoken) > len(spoken):
        return NGramScorer(model, names, weight)
    return WordNGramScorer(model, [tokens.piece(at) for at in range(size)], weight)


def _between_words(tokens: Tokens) -> int | None:
    """The token that is a space and nothing else, where no other one begins with a space."""
    spaces = [at for at, piece in enumerate(tokens.pieces) if piece.startswith(SPACE)]
    return spaces[0] if len(spaces) == 1 and tokens.pieces[spaces[0]] == SPACE else None
