import Foundation

/// Log-probabilities of a transducer for label histories, with as few calls of its functions as will do.
///
/// A history's vector is computed once, and joined once with all frames that are left of a block. A blank keeps the history,
/// so it costs no call.
final class Joined {
    let engine: any TransducerEngine
    private let rules: SearchRules
    private var encoded = Frames(width: 0)
    private var block = -1

    init(_ engine: any TransducerEngine, _ rules: SearchRules) {
        self.engine = engine
        self.rules = rules
    }

    /// The next block of at most `engine.frames` frames.
    func hear(_ encoded: Frames) {
        self.encoded = encoded
        block += 1
    }

    /// Log-probabilities of the labels, and behind them of the durations where there are any, at a frame of the block: a row
    /// for each history.
    func scores(_ histories: [History], at frame: Int) async throws -> Scores {
        let width = rules.vocabulary.size + rules.durations.count
        var result = Scores(width: width, count: histories.count)
        for (row, history) in histories.enumerated() {
            if history.block != block { try await join(history, from: frame) }
            let scores = history.scores!.row(frame - history.first)
            result.values.replaceSubrange(row * width..<(row + 1) * width, with: scores)
        }
        return result
    }

    private func join(_ history: History, from frame: Int) async throws {
        if history.vector == nil {
            let before = history.label == History.root ? try await engine.start() : history.state
            let label = history.label == History.root ? rules.blank : history.label
            let (vector, state) = try await engine.predict(label, after: before)
            history.vector = vector
            history.state = state
        }
        let logits = try await engine.join(encoded[frame..<encoded.count], with: history.vector!)
        guard logits.count == encoded.count - frame else {
            throw SpeechError.noHypothesis("the joiner returned logits for \(logits.count) frames")
        }
        history.block = block
        history.first = frame
        history.scores = try logProbabilities(logits)
    }

    private func logProbabilities(_ logits: Frames) throws -> Scores {
        let labels = rules.vocabulary.size
        let tokens = try rules.logProbabilities(logits)
        guard !rules.durations.isEmpty else { return tokens }
        let width = labels + rules.durations.count
        guard logits.width >= width else {
            throw SpeechError.noHypothesis("\(logits.width) logits are not those of \(labels) labels and durations")
        }
        var scores = Scores(width: width, count: logits.count)
        for row in 0..<logits.count {
            for label in 0..<labels { scores[row, label] = tokens[row, label] }
            var durations = logits.row(row).dropFirst(labels).prefix(rules.durations.count).map(Double.init)
            try durations.withUnsafeMutableBufferPointer { try normalise($0.baseAddress!, $0.count) }
            for (place, score) in durations.enumerated() { scores[row, labels + place] = score }
        }
        return scores
    }
}
