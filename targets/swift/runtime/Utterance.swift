/// The utterance that a beam search is in: labels that no later frame can change, and the hypotheses for the rest.
///
/// Every later hypothesis continues one of now, so what all of now begin with is final.
final class Utterance {
    private var base: History
    let begun: Int
    private var ids: [Int] = []
    private var emitted: [Emitted] = []

    init(root: History, begun: Int) {
        base = root
        self.begun = begun
    }

    /// Makes final what all entries begin with; returns them with what is left of their traces.
    func settle(_ entries: [Entry]) -> [Entry] {
        let shared = History.shared(entries.map(\.history))
        let found = shared.labels(behind: base)
        ids += found
        emitted += inOrder(Array(entries.best.trace.prefix(found.count)))
        History.forget(before: shared, from: base, living: entries.map(\.history))
        base = shared
        return entries.map { entry in
            Entry(history: entry.history, score: entry.score, trace: Array(entry.trace.dropFirst(found.count)))
        }
    }

    func partial(_ entries: [Entry], frames: Int) -> Partial {
        let best = entries.best
        return Partial(best: hypothesis(best, best.total), final: ids.count, frames: frames, begun: begun)
    }

    /// The `count` best hypotheses, with what the scorers add for the end of each.
    func best(_ entries: [Entry], ends: [Double], count: Int) -> [Hypothesis] {
        zip(entries, ends).enumerated()
            .map { (total: $0.element.0.total + $0.element.1, place: $0.offset, entry: $0.element.0) }
            .sorted { ($0.total, $1.place) > ($1.total, $0.place) }
            .prefix(count)
            .map { hypothesis($0.entry, $0.total) }
    }

    private func hypothesis(_ entry: Entry, _ score: Double) -> Hypothesis {
        let all = emitted + inOrder(entry.trace)
        return Hypothesis(
            ids: ids + entry.history.labels(behind: base), score: score, frames: all.map(\.frame),
            confidences: all.map(\.confidence))
    }

    /// A trace that another one's labels were made final before: no frame lies before theirs.
    private func inOrder(_ trace: [Emitted]) -> [Emitted] {
        let least = emitted.last?.frame ?? 0
        return trace.map { Emitted(frame: max($0.frame, least), confidence: $0.confidence) }
    }
}
