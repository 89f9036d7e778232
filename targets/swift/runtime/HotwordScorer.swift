/// Hotwords, found in all hypotheses at once (Aho and Corasick 1975). A state is a place of the tree of phrases.
///
/// Every place has a failure link: to the longest other place whose labels are the last labels of it. A label that goes on in a
/// phrase adds the phrase's boost; where a phrase breaks off, the link gives back what it had added.
package final class HotwordScorer: Scorer {
    private static let root = 0
    private static let kept = 4096  // places whose rows are kept
    private let size: Int
    private let around: Int?
    private var next: [[Int: Int]] = [[:]]
    /// Children of each place in the order in which phrases brought them.
    private var order: [[Int]] = [[]]
    private var boost = [0.0]
    /// What the labels of a place have added that no whole phrase holds yet.
    private var open = [0.0]
    /// What phrases gain that end at a place.
    private var whole = [0.0]
    private var fail: [Int] = []
    private var rows: [Int: [Double]] = [:]

    /// `phrases`: labels and what each of them adds. `around`: the label between words, where one stands for that alone: a
    /// phrase then counts as whole words.
    package init(_ phrases: [(ids: [Int], boost: Double)], size: Int, around: Int?) throws {
        self.size = size
        self.around = around
        for phrase in phrases { try add(phrase.ids, phrase.boost) }
        fail = [Int](repeating: HotwordScorer.root, count: next.count)
        link()
    }

    package func start() -> Int { around.flatMap { next[HotwordScorer.root][$0] } ?? HotwordScorer.root }

    package func advance(_ label: Int, from state: Int) -> Int { follow(state, label) }

    package func scores(_ state: Int) -> [Double] {
        if let row = rows[state] { return row }
        var row = [Double](repeating: 0, count: size)
        var chain = [state]
        while chain[chain.count - 1] != HotwordScorer.root { chain.append(fail[chain[chain.count - 1]]) }
        for place in chain.reversed() {
            for label in order[place] {
                let child = next[place][label]!
                row[label] = open[child] + whole[child]
            }
        }
        for label in row.indices { row[label] -= open[state] }
        if rows.count >= HotwordScorer.kept { rows = [:] }
        rows[state] = row
        return row
    }

    package func end(_ state: Int) -> Double {
        (around.map { whole[follow(state, $0)] } ?? 0) - open[state]
    }

    private func add(_ ids: [Int], _ phraseBoost: Double) throws {
        let edge = around.map { [($0, 0.0)] } ?? []
        let labels = edge + ids.map { ($0, phraseBoost) } + edge
        guard !ids.isEmpty, labels.allSatisfy({ (0..<size).contains($0.0) }) else {
            throw SpeechError.unsupportedSearch("a hotword has labels from 0 to \(size - 1), at least one, not \(ids)")
        }
        var place = HotwordScorer.root
        for (label, labelBoost) in labels {
            if next[place][label] == nil {
                next[place][label] = next.count
                order[place].append(label)
                next.append([:])
                order.append([])
                boost.append(labelBoost)
                open.append(0)
                whole.append(0)
            }
            place = next[place][label]!
            boost[place] = max(boost[place], labelBoost)
        }
        whole[place] = phraseBoost * Double(ids.count)
    }

    /// Fills in failure links and what depends on them, the places of fewer labels first.
    private func link() {
        let ends = Set(whole.indices.filter { whole[$0] != 0 })
        var waiting = [HotwordScorer.root]
        var at = 0
        while at < waiting.count {
            let place = waiting[at]
            at += 1
            for label in order[place] {
                let child = next[place][label]!
                fail[child] = place == HotwordScorer.root ? HotwordScorer.root : follow(fail[place], label)
                open[child] = ends.contains(child) ? 0 : open[place] + boost[child]
                whole[child] += whole[fail[child]]
                waiting.append(child)
            }
        }
    }

    private func follow(_ from: Int, _ label: Int) -> Int {
        var place = from
        while next[place][label] == nil, place != HotwordScorer.root { place = fail[place] }
        return next[place][label] ?? HotwordScorer.root
    }
}
