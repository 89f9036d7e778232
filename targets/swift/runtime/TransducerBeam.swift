import Foundation

/// Modified beam search of a transducer: at each frame a hypothesis emits one label or the blank, and goes on.
///
/// Where two alignments of a beam lead to the same labels, their probabilities are added.
final class TransducerBeam: Search {
    private let rules: SearchRules
    private let joined: Joined
    private let fusion: Fusion
    private(set) var frames = 0
    private var utterance: Utterance
    private var entries: [Entry]

    init(_ engine: any TransducerEngine, _ rules: SearchRules, _ fusion: Fusion) {
        self.rules = rules
        self.fusion = fusion
        joined = Joined(engine, rules)
        let root = fusion.root()
        utterance = Utterance(root: root, begun: 0)
        entries = [Entry(history: root, score: 0)]
    }

    func accept(_ encoded: Frames) async throws -> Partial {
        for block in encoded.blocks(of: joined.engine.frames) {
            joined.hear(block)
            for frame in 0..<block.count {
                entries = try await after(frame)
                guard !entries.isEmpty else { throw SpeechError.noHypothesis("none goes on at frame \(frames)") }
                frames += 1
            }
        }
        entries = utterance.settle(entries)
        return utterance.partial(entries, frames: frames)
    }

    func finish() -> [Hypothesis] {
        let ends = fusion.ends(entries.map(\.history))
        let found = utterance.best(entries, ends: ends, count: rules.settings.alternatives)
        let root = fusion.root()
        utterance = Utterance(root: root, begun: frames)
        entries = [Entry(history: root, score: 0)]
        return found
    }

    /// The best entries after one more frame of the block.
    private func after(_ frame: Int) async throws -> [Entry] {
        let blank = rules.blank
        let histories = entries.map(\.history)
        let told = try await joined.scores(histories, at: frame)
        var scores = told
        for row in entries.indices {
            for label in 0..<scores.width { scores[row, label] += entries[row].score }
        }
        var traces = entries.map(\.trace)
        for (row, history) in histories.enumerated() {
            guard let before = histories.firstIndex(where: { $0 === history.parent }) else { continue }
            let other = scores[before, history.label]  // the same labels, the last one emitted now
            if other > scores[row, blank] {
                traces[row] =
                    entries[before].trace + [Emitted(frame: frames, confidence: exp(told[before, history.label]))]
            }
            scores[row, blank] = added(scores[row, blank], other)
            scores[before, history.label] = -.infinity
        }
        let totals = fusion.totals(histories, scores)
        let best = totals.values.max() ?? -.infinity
        return highest(totals, count: rules.settings.beam, least: best - rules.settings.window).map { row, label in
            guard label != blank else {
                return Entry(history: histories[row], score: scores[row, blank], trace: traces[row])
            }
            let emitted = Emitted(frame: frames, confidence: exp(told[row, label]))
            return Entry(
                history: histories[row].extended(label), score: scores[row, label],
                trace: entries[row].trace + [emitted])
        }
    }
}
