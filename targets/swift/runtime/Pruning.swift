import Foundation

/// The `count` highest of rows of numbers, the highest first, of equal ones the first; none that is -inf or below `least`.
func highest(_ totals: Scores, count: Int, least: Double) -> [(row: Int, column: Int)] {
    var found: [(total: Double, place: Int)] = []
    let least = max(least, -Double.greatestFiniteMagnitude)
    totals.values.withUnsafeBufferPointer { totals in
        for place in 0..<totals.count where totals[place] >= least {
            let total = totals[place]
            if found.count == count, total <= found[count - 1].total { continue }
            let at = found.firstIndex { $0.total < total } ?? found.count
            found.insert((total, place), at: at)
            if found.count > count { found.removeLast() }
        }
    }
    return found.map { ($0.place / totals.width, $0.place % totals.width) }
}

/// log(exp one + exp other), computed without overflow.
func added(_ one: Double, _ other: Double) -> Double {
    let (high, low) = one >= other ? (one, other) : (other, one)
    return low == -.infinity ? high : high + log1p(exp(low - high))
}

/// Hypotheses by their label sequences, in the order in which the sequences were first met.
struct Waiting {
    private(set) var entries: [Entry] = []
    private var places: [ObjectIdentifier: Int] = [:]

    init(_ entries: [Entry] = []) {
        for entry in entries { merge(entry) }
    }

    /// Adds an entry; where the sequence is there already, the probabilities are added and the better trace stays.
    mutating func merge(_ entry: Entry) {
        let key = ObjectIdentifier(entry.history)
        guard let place = places[key] else {
            places[key] = entries.count
            entries.append(entry)
            return
        }
        let other = entries[place]
        let trace = entry.score > other.score ? entry.trace : other.trace
        entries[place] = Entry(history: entry.history, score: added(entry.score, other.score), trace: trace)
    }

    /// The `beam` best, none of them more than `window` behind the best.
    func within(_ settings: SearchSettings) -> [Entry] {
        let ranked = entries.enumerated()
            .sorted { ($0.element.total, $1.offset) > ($1.element.total, $0.offset) }
            .prefix(settings.beam).map(\.element)
        guard let best = ranked.first else { return [] }
        return ranked.filter { $0.total >= best.total - settings.window }
    }
}
