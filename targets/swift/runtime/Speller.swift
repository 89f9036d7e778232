import Foundation

/// Spells a text with the tokens of a SentencePiece model, as that library does.
package struct Speller: Codable, Sendable {
    package enum Kind: String, Codable, Sendable {
        /// The pieces whose probabilities have the largest product (Kudo 2018).
        case unigram
        /// Pairs of pieces become one, the best pair first (Sennrich et al. 2016).
        case pairs
    }

    let kind: Kind
    /// Of each label its score; nil for one that spells nothing.
    let scores: [Float?]
    /// The labels of all bytes, for characters that are in no piece.
    let bytes: [Int]?
    /// Whether a text begins with a space, whether spaces are left out that say nothing, and whether characters are composed
    /// (NFKC) and their case is folded.
    let begins: Bool
    let trims: Bool
    let composes: Bool
    let folds: Bool

    /// The labels of a text; nil where they can't spell it.
    func spell(_ text: String, pieces: [TokenTable.Piece]) -> [Int]? {
        let characters = normalised(text).map { Array(String($0).utf8) }
        var labels: [[UInt8]: Int] = [:]
        for (label, piece) in pieces.enumerated().reversed() where label < scores.count && scores[label] != nil {
            labels[piece.bytes] = label
        }
        let parts =
            switch kind {
            case .unigram: likeliest(characters, labels)
            case .pairs: merged(characters, labels)
            }
        var found: [Int] = []
        for part in parts {
            if let label = labels[part] {
                found.append(label)
            } else if let bytes, bytes.count == 256 {
                found += part.map { bytes[Int($0)] }
            } else {
                return nil
            }
        }
        return found
    }

    private func normalised(_ text: String) -> String.UnicodeScalarView {
        var text = composes ? text.precomposedStringWithCompatibilityMapping : text
        if folds { text = text.lowercased() }
        if trims { text = text.split(separator: " ").joined(separator: " ") }
        return (begins && !text.isEmpty ? " " + text : text).unicodeScalars
    }

    /// The way through a text of the largest sum of scores. A character that is in no piece costs more than any other.
    private func likeliest(_ characters: [[UInt8]], _ labels: [[UInt8]: Int]) -> [[UInt8]] {
        let penalty: Float = 10
        let unknown = (scores.compactMap { $0 }.min() ?? 0) - penalty
        let longest = labels.keys.map(\.count).max() ?? 0
        var best = [(score: Float, from: Int)?](repeating: nil, count: characters.count + 1)
        best[0] = (0, 0)
        for start in characters.indices {
            let before = best[start]!.score
            var part: [UInt8] = []
            var isKnown = false
            for end in start..<characters.count {
                part += characters[end]
                guard part.count <= longest || end == start else { break }
                if let label = labels[part] {
                    isKnown = isKnown || end == start
                    offer(before + scores[label]!, end + 1)
                }
            }
            if !isKnown { offer(before + unknown, start + 1) }

            func offer(_ score: Float, _ end: Int) {
                if best[end].map({ score > $0.score }) ?? true { best[end] = (score, start) }
            }
        }
        var parts: [[UInt8]] = []
        var end = characters.count
        while end > 0 {
            let start = best[end]!.from
            parts.append(characters[start..<end].flatMap { $0 })
            end = start
        }
        return parts.reversed()
    }

    private func merged(_ characters: [[UInt8]], _ labels: [[UInt8]: Int]) -> [[UInt8]] {
        var parts = characters
        while true {
            var best: (score: Float, place: Int)?
            for place in parts.indices.dropLast() {
                guard let label = labels[parts[place] + parts[place + 1]] else { continue }
                if best.map({ scores[label]! > $0.score }) ?? true { best = (scores[label]!, place) }
            }
            guard let best else { return parts }
            parts[best.place] += parts.remove(at: best.place + 1)
        }
    }
}
