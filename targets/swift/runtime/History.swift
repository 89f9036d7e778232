/// Label sequences as a tree: each is the one before it and one label more, so hypotheses share what they have in common.
///
/// Whatever is computed for a label sequence is kept at its place in the tree and computed once. A sequence owns those that go
/// on from it, so whoever holds the first one holds the tree.
final class History {
    /// The label of a sequence without labels.
    static let root = -1

    private(set) weak var parent: History?
    let label: Int
    let length: Int
    var after: [Int: History] = [:]
    /// The predictor's; while the vector is nil, the state is that of the sequence before.
    var state: PredictorState
    var vector: [Float]?
    /// Log-probabilities of each frame from `first` on of the block of frames `block`.
    var scores: Scores?
    var block = -1
    var first = 0
    /// States of the scorers, and what they add for each label that may follow; while `adds` is nil, the states are those of
    /// the sequence before.
    var fusion: [Int]
    var adds: [Double]?
    /// What the scorers have added for the labels of the sequence.
    let fused: Double

    init(parent: History? = nil, label: Int = root, state: PredictorState = [], fusion: [Int] = [], fused: Double = 0) {
        self.parent = parent
        self.label = label
        length = parent.map { $0.length + 1 } ?? 0
        self.state = state
        self.fusion = fusion
        self.fused = fused
    }

    /// The sequence with one label more: the same object for the same label.
    func extended(_ label: Int) -> History {
        if let found = after[label] { return found }
        let fused = self.fused + (adds?[label] ?? 0)
        let longer = History(parent: self, label: label, state: state, fusion: fusion, fused: fused)
        after[label] = longer
        return longer
    }

    /// The labels behind a sequence that this one begins with.
    func labels(behind base: History) -> [Int] {
        var labels: [Int] = []
        var at = self
        while at !== base {
            labels.append(at.label)
            at = at.parent!
        }
        return labels.reversed()
    }

    /// Lets go of what is before: the sequence is from now on the first of its tree.
    func cut() {
        parent = nil
    }

    /// The longest sequence that all begin with.
    static func shared(_ histories: [History]) -> History {
        var left = histories
        while true {
            var seen = Set<ObjectIdentifier>()
            left = left.filter { seen.insert(ObjectIdentifier($0)).inserted }
            guard left.count > 1 else { return left[0] }
            let longest = left.map(\.length).max()!
            left = left.map { $0.length == longest ? $0.parent ?? $0 : $0 }
        }
    }

    /// Cuts the tree down to what is behind `base` on the way to the sequences that live on.
    static func forget(before base: History, from old: History, living: [History]) {
        var at = base
        while at !== old {
            let above = at.parent!
            at.cut()
            above.after = [:]
            at = above
        }
        var kept: [ObjectIdentifier: History] = [ObjectIdentifier(base): base]
        for history in living {
            var at = history
            while kept[ObjectIdentifier(at)] == nil {
                kept[ObjectIdentifier(at)] = at
                at = at.parent!
            }
        }
        for each in kept.values {
            each.after = each.after.filter { kept[ObjectIdentifier($0.value)] != nil }
        }
    }
}

/// Where a label was emitted, and its probability there.
struct Emitted {
    var frame: Int
    let confidence: Double
}

/// A hypothesis of a beam: the logarithm of its probability without what is fused, and where on its best alignment each label
/// behind those that are final was emitted.
struct Entry {
    let history: History
    let score: Double
    var trace: [Emitted] = []

    /// The score with what is fused.
    var total: Double { score + history.fused }
}

extension [Entry] {
    /// The one with the highest total; of equal ones the first.
    var best: Entry {
        var best = self[0]
        for entry in dropFirst() where entry.total > best.total { best = entry }
        return best
    }
}
