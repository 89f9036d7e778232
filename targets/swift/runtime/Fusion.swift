/// What knows nothing of the sound and adds to a score: language models, hotwords. A state is a number of its own; what a
/// label adds depends on the labels before it alone.
package protocol Scorer: AnyObject {
    /// The state before the first label.
    func start() -> Int
    func advance(_ label: Int, from state: Int) -> Int
    /// What each label would add, any finite number or -inf.
    func scores(_ state: Int) -> [Double]
    /// What the end of the utterance would add.
    func end(_ state: Int) -> Double
}

/// Scorers over the histories of a search with labels 0 ..< size. A blank adds nothing.
final class Fusion {
    private let scorers: [any Scorer]
    private let size: Int
    private let blank: Int?

    init(scorers: [any Scorer], size: Int, blank: Int?) {
        self.scorers = scorers
        self.size = size
        self.blank = blank
    }

    func root() -> History { History(fusion: scorers.map { $0.start() }) }

    /// Scores of each label behind each history, with what is fused.
    func totals(_ histories: [History], _ scores: Scores) -> Scores {
        guard !scorers.isEmpty else { return scores }
        var totals = scores
        for (row, history) in histories.enumerated() {
            let adds = adds(history)
            for label in 0..<size { totals[row, label] += adds[label] + history.fused }
        }
        return totals
    }

    /// What the end adds behind each history.
    func ends(_ histories: [History]) -> [Double] {
        histories.map { history in
            guard !scorers.isEmpty else { return 0 }
            _ = adds(history)
            return zip(scorers, history.fusion).reduce(0) { $0 + $1.0.end($1.1) }
        }
    }

    private func adds(_ history: History) -> [Double] {
        if let adds = history.adds { return adds }
        var adds = [Double](repeating: 0, count: size)
        for (number, scorer) in scorers.enumerated() {
            if history.label != History.root {
                history.fusion[number] = scorer.advance(history.label, from: history.fusion[number])
            }
            for (label, score) in scorer.scores(history.fusion[number]).prefix(size).enumerated() {
                adds[label] += score
            }
        }
        if let blank { adds[blank] = 0 }
        history.adds = adds
        return adds
    }
}
