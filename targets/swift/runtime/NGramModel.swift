import Foundation

/// N-grams of a file in the ARPA format: a language model that a beam search adds to its scores.
///
/// They are over the tokens' pieces, with U+2581 for a space, where the file has more than half of these, else over words. A second model with a negative weight takes off what a low-order
/// model of the training text says (LODR, Zheng et al. 2022).
public struct NGramModel: Sendable {
    let order: Int
    /// Natural logarithms: of each n-gram its probability and its back-off weight.
    let entries: [[String]: Entry]
    let unigrams: [String]
    let weight: Double

    struct Entry: Sendable {
        let probability: Double
        let backoff: Double
    }

    /// Reads an ARPA file; `weight` is what its logarithms are multiplied by.
    public init(contentsOf url: URL, weight: Double) throws {
        try self.init(arpa: String(contentsOf: url, encoding: .utf8), weight: weight)
    }

    /// The n-grams of the text of an ARPA file.
    public init(arpa text: String, weight: Double) throws {
        let least = -99.0
        let naturalOfTen = log(10.0)
        var entries: [[String]: Entry] = [:]
        var unigrams: [String] = []
        var order = 0
        for line in text.split(whereSeparator: \.isNewline).map({ $0.trimmingCharacters(in: .whitespaces) }) {
            if line.hasPrefix("\\") {
                if line.hasSuffix("-grams:") { order = Int(line.dropFirst().prefix { $0 != "-" }) ?? 0 }
                continue
            }
            guard order > 0, !line.isEmpty else { continue }
            let parts = line.split(whereSeparator: \.isWhitespace).map(String.init)
            let backoff = parts.count == order + 2 ? Double(parts[order + 1]) : 0
            guard (order + 1...order + 2).contains(parts.count), let probability = Double(parts[0]), let backoff else {
                throw SpeechError.unsupportedSearch("`\(line)` is no line of \(order)-grams in an ARPA file")
            }
            let symbols = Array(parts[1...order])
            entries[symbols] = Entry(
                probability: naturalOfTen * max(probability, least), backoff: naturalOfTen * backoff)
            if order == 1 { unigrams.append(symbols[0]) }
        }
        guard !unigrams.isEmpty else { throw SpeechError.unsupportedSearch("the text holds no n-grams") }
        self.order = order
        self.entries = entries
        self.unigrams = unigrams
        self.weight = weight
    }
}

/// An n-gram model as a scorer, back-off exact (Katz 1987). A state is a context: as many of the last symbols as the model can
/// make use of.
package final class NGramScorer: Scorer {
    private static let kept = 4096  // contexts whose rows are kept
    private let model: NGramModel
    private let columns: [String: Int]
    /// The symbol of each label; nil for one that the model shall say nothing of.
    private let names: [String?]
    private var followed: [[String]: [String: Double]] = [[]: [:]]
    private var contexts: [[String]] = []
    private var numbers: [[String]: Int] = [:]
    private var rows: [[String]: [Double]] = [:]

    package init(_ model: NGramModel, names: [String?]) {
        self.model = model
        columns = Dictionary(uniqueKeysWithValues: model.unigrams.enumerated().map { ($1, $0) })
        let leastLikely = model.unigrams.min { model.entries[[$0]]!.probability < model.entries[[$1]]!.probability }!
        let unknown = columns["<unk>"] == nil ? leastLikely : "<unk>"
        self.names = names.map { [columns] name in name.map { columns[$0] == nil ? unknown : $0 } }
        for (symbols, entry) in model.entries {
            followed[Array(symbols.dropLast()), default: [:]][symbols[symbols.count - 1]] = entry.probability
            for end in stride(from: symbols.count - 2, to: 0, by: -1) {
                followed[Array(symbols[..<end]), default: [:]].merge([:]) { one, _ in one }
            }
            if entry.backoff != 0 { followed[symbols, default: [:]].merge([:]) { one, _ in one } }
        }
    }

    package func start() -> Int { number(columns["<s>"] == nil ? [] : shortened(["<s>"])) }

    package func advance(_ label: Int, from state: Int) -> Int {
        guard let name = names[label] else { return state }
        return number(shortened(contexts[state] + [name]))
    }

    package func scores(_ state: Int) -> [Double] {
        let row = row(contexts[state])
        return names.map { $0.map { model.weight * row[columns[$0]!] } ?? 0 }
    }

    /// The same of one label.
    func score(_ label: Int, _ state: Int) -> Double {
        names[label].map { model.weight * row(contexts[state])[columns[$0]!] } ?? 0
    }

    package func end(_ state: Int) -> Double {
        columns["</s>"].map { model.weight * row(contexts[state])[$0] } ?? 0
    }

    private func number(_ context: [String]) -> Int {
        if let number = numbers[context] { return number }
        numbers[context] = contexts.count
        contexts.append(context)
        return contexts.count - 1
    }

    /// The longest end of a context that has anything of its own.
    private func shortened(_ context: [String]) -> [String] {
        var context = Array(context.suffix(model.order - 1))
        while !context.isEmpty, followed[context] == nil { context.removeFirst() }
        return context
    }

    /// Log-probabilities of the symbols behind a context: those of its own n-grams; of others the back-off weight and what the
    /// shorter context says.
    private func row(_ context: [String]) -> [Double] {
        if let row = rows[context] { return row }
        var found = [Double](repeating: -.infinity, count: columns.count)
        if !context.isEmpty {
            let backoff = model.entries[context]?.backoff ?? 0
            found = row(shortened(Array(context.dropFirst()))).map { $0 + backoff }
        }
        for (name, probability) in followed[context]! { found[columns[name]!] = probability }
        if rows.count >= NGramScorer.kept { rows = [:] }
        rows[context] = found
        return found
    }
}
