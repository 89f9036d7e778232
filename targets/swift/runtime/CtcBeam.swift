import Foundation

/// Prefix beam search of CTC (Hannun et al. 2014): the score of a label sequence sums over its alignments.
///
/// The probabilities of alignments that end in a blank and of those that end in the last label are kept apart, since only
/// behind a blank is the same label a new one.
final class CtcBeam: Search {
    private let rules: SearchRules
    private let fusion: Fusion
    private(set) var frames = 0
    private var utterance: Utterance
    private var entries: [Entry]
    /// Log-probability of each entry's alignments by what they end in.
    private var ends: [(blank: Double, label: Double)] = [(0, -.infinity)]

    init(_ rules: SearchRules, _ fusion: Fusion) {
        self.rules = rules
        self.fusion = fusion
        let root = fusion.root()
        utterance = Utterance(root: root, begun: 0)
        entries = [Entry(history: root, score: 0)]
    }

    func accept(_ encoded: Frames) throws -> Partial {
        let scores = try rules.logProbabilities(encoded)
        for row in 0..<scores.count {
            try goOn(scores.row(row))
            frames += 1
        }
        entries = utterance.settle(entries)
        return utterance.partial(entries, frames: frames)
    }

    func finish() -> [Hypothesis] {
        let found = utterance.best(
            entries, ends: fusion.ends(entries.map(\.history)), count: rules.settings.alternatives)
        let root = fusion.root()
        utterance = Utterance(root: root, begun: frames)
        entries = [Entry(history: root, score: 0)]
        ends = [(0, -.infinity)]
        return found
    }

    /// One more frame of log-probabilities.
    private func goOn(_ scores: ArraySlice<Double>) throws {
        let blank = rules.blank
        let start = scores.startIndex
        let histories = entries.map(\.history)
        var longer = Scores(width: scores.count, count: entries.count)
        var inBlank = [Double](repeating: 0, count: entries.count)
        var inLabel = [Double](repeating: -.infinity, count: entries.count)
        for (row, entry) in entries.enumerated() {
            for label in 0..<scores.count { longer[row, label] = entry.score + scores[start + label] }
            let last = entry.history.label
            if last != History.root {
                longer[row, last] = ends[row].blank + scores[start + last]
                inLabel[row] = ends[row].label + scores[start + last]
            }
            longer[row, blank] = -.infinity
            inBlank[row] = entry.score + scores[start + blank]
        }
        var traces = entries.map(\.trace)
        for (row, history) in histories.enumerated() {
            guard let before = histories.firstIndex(where: { $0 === history.parent }) else { continue }
            let other = longer[before, history.label]
            if other > added(inBlank[row], inLabel[row]) {
                traces[row] = entries[before].trace + [emitted(scores, history.label)]
            }
            inLabel[row] = added(inLabel[row], other)
            longer[before, history.label] = -.infinity
        }
        for row in entries.indices { longer[row, blank] = added(inBlank[row], inLabel[row]) }
        let totals = fusion.totals(histories, longer)
        let best = totals.values.max() ?? -.infinity
        var found: [Entry] = []
        var after: [(blank: Double, label: Double)] = []
        for (row, label) in highest(totals, count: rules.settings.beam, least: best - rules.settings.window) {
            if label == blank {
                found.append(Entry(history: histories[row], score: longer[row, blank], trace: traces[row]))
                after.append((inBlank[row], inLabel[row]))
            } else {
                found.append(
                    Entry(
                        history: histories[row].extended(label), score: longer[row, label],
                        trace: entries[row].trace + [emitted(scores, label)]))
                after.append((-.infinity, longer[row, label]))
            }
        }
        guard !found.isEmpty else { throw SpeechError.noHypothesis("none goes on at frame \(frames)") }
        entries = found
        ends = after
    }

    private func emitted(_ scores: ArraySlice<Double>, _ label: Int) -> Emitted {
        Emitted(frame: frames, confidence: exp(scores[scores.startIndex + label]))
    }
}
