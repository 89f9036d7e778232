import Foundation

/// Greedy search of a token-and-duration transducer (Xu et al. 2023, algorithm 2): at a frame the best token and, apart from
/// it, the best duration are taken; the search goes on by so many frames.
final class DurationGreedy: Search {
    private let rules: SearchRules
    private let joined: Joined
    private(set) var frames = 0
    private var begun = 0
    /// The frame that is looked at next.
    private var next = 0
    private var history = History()
    private var symbols = 0
    private var found = Hypothesis(ids: [], score: 0, frames: [], confidences: [])

    init(_ engine: any TransducerEngine, _ rules: SearchRules) {
        self.rules = rules
        joined = Joined(engine, rules)
    }

    func accept(_ encoded: Frames) async throws -> Partial {
        for block in encoded.blocks(of: joined.engine.frames) {
            joined.hear(block)
            let end = frames + block.count
            while next < end {
                look(try await joined.scores([history], at: next - frames))
            }
            frames = end
        }
        return Partial(best: found, final: found.ids.count, frames: frames, begun: begun)
    }

    func finish() -> [Hypothesis] {
        defer {
            begun = frames
            next = frames
            history = History()
            symbols = 0
            found = Hypothesis(ids: [], score: 0, frames: [], confidences: [])
        }
        return [found]
    }

    /// Takes a token and a duration at the next frame.
    private func look(_ scores: Scores) {
        let row = scores.row(0)
        let labels = rules.vocabulary.size
        let token = best(row[..<labels])
        let span = best(row[labels...]) - labels
        var goesOn = rules.durations[span]
        found.score += row[token] + row[labels + span]
        if token == rules.blank {
            goesOn = max(1, goesOn)
        } else {
            found.ids.append(token)
            found.frames.append(next)
            found.confidences.append(exp(row[token]))
            let longer = history.extended(token)
            history.after = [:]
            longer.cut()
            history = longer
            symbols += 1
            if symbols == rules.settings.maxSymbols { goesOn = max(1, goesOn) }
        }
        if goesOn > 0 {
            next += goesOn
            symbols = 0
        }
    }

    private func best(_ row: ArraySlice<Double>) -> Int {
        var best = row.startIndex
        for column in row.indices where row[column] > row[best] { best = column }
        return best
    }
}
