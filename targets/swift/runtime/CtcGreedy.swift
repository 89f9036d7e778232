import Foundation

/// Greedy CTC search (Graves et al. 2006): of each frame its best label, of equal ones in a row the first, without blanks.
final class CtcGreedy: Search {
    private let rules: SearchRules
    private(set) var frames = 0
    private var begun = 0
    private var last: Int
    private var found = Hypothesis(ids: [], score: 0, frames: [], confidences: [])

    init(_ rules: SearchRules) {
        self.rules = rules
        last = rules.blank
    }

    func accept(_ encoded: Frames) throws -> Partial {
        let scores = try rules.logProbabilities(encoded)
        for row in 0..<scores.count {
            let label = scores.best(row)
            let score = scores[row, label]
            if label != last, label != rules.blank {
                found.ids.append(label)
                found.frames.append(frames + row)
                found.confidences.append(exp(score))
            }
            found.score += score
            last = label
        }
        frames += encoded.count
        return Partial(best: found, final: found.ids.count, frames: frames, begun: begun)
    }

    func finish() -> [Hypothesis] {
        defer {
            begun = frames
            last = rules.blank
            found = Hypothesis(ids: [], score: 0, frames: [], confidences: [])
        }
        return [found]
    }
}
