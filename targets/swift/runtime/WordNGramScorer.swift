/// N-grams over words as a scorer of labels that spell them: a word adds its log-probability where it ends, with the label that
/// begins the next one or with the end of the utterance. A word that the model does not know is its `<unk>`, or its least likely
/// word.
package final class WordNGramScorer: Scorer {
    /// The context of n-grams, and the bytes of the word that is being spelled.
    private struct State: Hashable {
        let context: Int
        let spelled: [UInt8]
    }

    private static let space = UInt8(ascii: " ")
    private let pieces: [[UInt8]]
    private let words: NGramScorer
    private let numbers: [String: Int]
    /// Labels with which a word ends.
    private let ending: [Int]
    private var states: [State] = []
    private var places: [State: Int] = [:]

    /// `pieces`: the bytes of each label, a space among them where a word begins.
    package init(_ model: NGramModel, pieces: [[UInt8]]) {
        self.pieces = pieces
        words = NGramScorer(model, names: model.unigrams + [""])  // the last stands for a word that is not known
        numbers = Dictionary(model.unigrams.enumerated().map { ($1, $0) }) { first, _ in first }
        ending = pieces.indices.filter { pieces[$0].contains(WordNGramScorer.space) }
    }

    package func start() -> Int { number(State(context: words.start(), spelled: [])) }

    package func advance(_ label: Int, from state: Int) -> Int { number(spelled(states[state], pieces[label]).state) }

    package func scores(_ state: Int) -> [Double] {
        var row = [Double](repeating: 0, count: pieces.count)
        let before = spelled(states[state], [WordNGramScorer.space]).added
        for label in ending {
            let whole = pieces[label].lastIndex(of: WordNGramScorer.space) == 0
            row[label] = whole ? before : spelled(states[state], pieces[label]).added
        }
        return row
    }

    package func end(_ state: Int) -> Double {
        let (added, last) = spelled(states[state], [WordNGramScorer.space])
        return added + words.end(last.context)
    }

    /// What a piece adds behind a state, and the state then.
    private func spelled(_ state: State, _ piece: [UInt8]) -> (added: Double, state: State) {
        var parts = (state.spelled + piece).split(separator: WordNGramScorer.space, omittingEmptySubsequences: false)
        let rest = parts.removeLast()
        var context = state.context
        var added = 0.0
        for word in parts where !word.isEmpty {
            let label = numbers[String(decoding: word, as: UTF8.self)] ?? numbers.count
            added += words.score(label, context)
            context = words.advance(label, from: context)
        }
        return (added, State(context: context, spelled: Array(rest)))
    }

    private func number(_ state: State) -> Int {
        if let place = places[state] { return place }
        places[state] = states.count
        states.append(state)
        return states.count - 1
    }
}
