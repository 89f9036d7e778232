import Foundation

/// Time-synchronous beam search of a transducer (Saon et al. 2020), with or without durations.
///
/// At each frame every hypothesis may emit up to `maxSymbols` labels before it goes on. Hypotheses that went on to the same
/// frame with the same labels are one. In a token-and-duration transducer (Xu et al. 2023) a label may go on by each of the
/// durations, a blank by each but 0, and a hypothesis may wait for a frame that was not heard yet.
final class TimeSynchronousBeam: Search {
    private let rules: SearchRules
    private let joined: Joined
    private let fusion: Fusion
    private(set) var frames = 0
    private var utterance: Utterance
    /// The hypotheses that wait for a frame, by the frame.
    private var waiting: [Int: Waiting]

    init(_ engine: any TransducerEngine, _ rules: SearchRules, _ fusion: Fusion) {
        self.rules = rules
        self.fusion = fusion
        joined = Joined(engine, rules)
        let root = fusion.root()
        utterance = Utterance(root: root, begun: 0)
        waiting = [0: Waiting([Entry(history: root, score: 0)])]
    }

    func accept(_ encoded: Frames) async throws -> Partial {
        for block in encoded.blocks(of: joined.engine.frames) {
            joined.hear(block)
            for frame in 0..<block.count {
                try await goOn(from: frame)
                guard waiting.values.contains(where: { !$0.entries.isEmpty }) else {
                    throw SpeechError.noHypothesis("none goes on at frame \(frames)")
                }
                frames += 1
            }
        }
        settle()
        return utterance.partial(entries, frames: frames)
    }

    func finish() -> [Hypothesis] {
        let together = Waiting(entries).entries
        let ends = fusion.ends(together.map(\.history))
        let found = utterance.best(together, ends: ends, count: rules.settings.alternatives)
        let root = fusion.root()
        utterance = Utterance(root: root, begun: frames)
        waiting = [frames: Waiting([Entry(history: root, score: 0)])]
        return found
    }

    private var entries: [Entry] { waiting.keys.sorted().flatMap { waiting[$0]!.entries } }

    private func settle() {
        let places = waiting.keys.sorted().flatMap { frame in waiting[frame]!.entries.map { _ in frame } }
        let settled = utterance.settle(entries)
        waiting = [:]
        for (frame, entry) in zip(places, settled) { waiting[frame, default: Waiting()].merge(entry) }
    }

    /// Takes the hypotheses that wait for a frame of the block on to later ones.
    private func goOn(from frame: Int) async throws {
        var still = waiting.removeValue(forKey: frames)?.within(rules.settings) ?? []
        for emitted in 0...rules.settings.maxSymbols where !still.isEmpty {
            still = try await expand(still, frame, last: emitted == rules.settings.maxSymbols)
        }
        if let ahead = waiting[frames + 1] { waiting[frames + 1] = Waiting(ahead.within(rules.settings)) }
    }

    /// Every entry goes on with a blank or, unless it is the last time at this frame, a label; those that are still at the
    /// frame.
    private func expand(_ entries: [Entry], _ frame: Int, last: Bool) async throws -> [Entry] {
        let blank = rules.blank
        let labels = rules.vocabulary.size
        let histories = entries.map(\.history)
        let told = try await joined.scores(histories, at: frame)
        for (duration, column) in steps(ofBlank: true) {
            for (row, entry) in entries.enumerated() {
                let score = entry.score + told[row, blank] + (column.map { told[row, $0] } ?? 0)
                if score > -.infinity {
                    wait(duration, Entry(history: entry.history, score: score, trace: entry.trace))
                }
            }
        }
        guard !last else { return [] }
        var still: [Entry] = []
        for (duration, column) in steps(ofBlank: false) {
            var scores = Scores(width: labels, count: entries.count)
            for (row, entry) in entries.enumerated() {
                let before = entry.score + (column.map { told[row, $0] } ?? 0)
                for label in 0..<labels { scores[row, label] = told[row, label] + before }
                scores[row, blank] = -.infinity
            }
            let totals = fusion.totals(histories, scores)
            let best = totals.values.max() ?? -.infinity
            for (row, label) in highest(totals, count: rules.settings.beam, least: least(best)) {
                let emitted = Emitted(frame: frames, confidence: exp(told[row, label]))
                let entry = Entry(
                    history: histories[row].extended(label), score: scores[row, label],
                    trace: entries[row].trace + [emitted])
                if duration > 0 { wait(duration, entry) } else { still.append(entry) }
            }
        }
        return still
    }

    /// How many frames a token may go on, and the column of the log-probability of that.
    private func steps(ofBlank: Bool) -> [(duration: Int, column: Int?)] {
        guard !rules.durations.isEmpty else { return [(ofBlank ? 1 : 0, nil)] }
        return rules.durations.enumerated()
            .filter { $0.element > 0 || !ofBlank }
            .map { ($0.element, rules.vocabulary.size + $0.offset) }
    }

    private func wait(_ duration: Int, _ entry: Entry) {
        waiting[frames + duration, default: Waiting()].merge(entry)
    }

    /// The total below which nothing can get into the next frame's beam, where `best` will be extended.
    private func least(_ best: Double) -> Double {
        let totals = (waiting[frames + 1]?.entries ?? []).map(\.total).sorted(by: >)
        let beam = rules.settings.beam
        let worst = totals.count >= beam ? totals[beam - 1] : -.infinity
        return max(worst, max(best, totals.first ?? best) - rules.settings.window)
    }
}
