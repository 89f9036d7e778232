import Foundation

/// What a model's labels stand for: the bytes of each, a space among them where a word begins.
package struct TokenTable: Codable, Sendable {
    package let pieces: [Piece]
    /// Names of labels that are no text, such as an unknown piece.
    package let special: [Int: String]
    /// What spells a text; nil where the longest pieces do.
    package let spelling: Speller?

    /// A piece, or bytes that are no text of their own.
    package struct Piece: Codable, Sendable {
        package let bytes: [UInt8]

        package init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let text = try? container.decode(String.self) {
                bytes = Array(text.utf8)
            } else {
                bytes = try container.decode([UInt8].self)
            }
        }

        package func encode(to encoder: any Encoder) throws {
            var container = encoder.singleValueContainer()
            try container.encode(bytes)
        }
    }

    /// A word and its tokens, `ids[first..<last]`.
    package struct Word: Sendable {
        package let text: String
        package let first: Int
        package let last: Int
    }

    package func bytes(_ id: Int) -> [UInt8] { pieces.indices.contains(id) ? pieces[id].bytes : [] }

    /// Labels that are white space alone: no sound.
    package var whiteSpace: Set<Int> {
        Set(pieces.indices.filter { !pieces[$0].bytes.isEmpty && pieces[$0].bytes.allSatisfy(isSpace) })
    }

    /// What a sequence of labels says, without spaces at its ends.
    package func text(_ ids: some Sequence<Int>) -> String {
        String(decoding: ids.flatMap(bytes), as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// The words of a sequence of labels, split at white space.
    package func words(_ ids: [Int]) -> [Word] {
        var found: [Word] = []
        var held: [UInt8] = []
        var first = 0
        var last = 0
        func close() {
            if !held.isEmpty { found.append(Word(text: printable(held), first: first, last: last)) }
            held = []
        }
        for (at, id) in ids.enumerated() {
            for byte in bytes(id) {
                if isSpace(byte) {
                    close()
                } else {
                    if held.isEmpty { first = at }
                    held.append(byte)
                    last = at + 1
                }
            }
        }
        close()
        return found
    }

    /// The label that is a space and nothing else, where no other one begins with a space.
    package var betweenWords: Int? {
        let spaces = pieces.indices.filter { pieces[$0].bytes.first == 32 }
        return spaces.count == 1 && pieces[spaces[0]].bytes.count == 1 ? spaces[0] : nil
    }

    /// The labels of a text: those of the library that the tokens come from, or the longest pieces from the left.
    package func spell(_ text: String) throws(SpeechError) -> [Int] {
        guard let spelling else { return try longest(text) }
        guard let ids = spelling.spell(text, pieces: pieces) else { throw .notSpellable(text) }
        return ids
    }

    private func longest(_ text: String) throws(SpeechError) -> [Int] {
        let utf8 = Array(text.utf8)
        var ids: [[UInt8]: Int] = [:]
        for (id, piece) in pieces.enumerated().reversed() where !piece.bytes.isEmpty { ids[piece.bytes] = id }
        let longest = pieces.map(\.bytes.count).max() ?? 0
        var found: [Int] = []
        var at = 0
        while at < utf8.count {
            let ends = stride(from: min(at + longest, utf8.count), to: at, by: -1)
            guard let end = ends.first(where: { ids[Array(utf8[at..<$0])] != nil }) else {
                throw SpeechError.notSpellable(text)
            }
            found.append(ids[Array(utf8[at..<end])]!)
            at = end
        }
        return found
    }

    private func printable(_ bytes: [UInt8]) -> String {
        // Characters that would move a line, or its text.
        let moving: [ClosedRange<UInt32>] = [
            0x00...0x1F, 0x7F...0x9F, 0x2028...0x2029, 0x202A...0x202E, 0x2066...0x2069,
        ]
        var text = String.UnicodeScalarView()
        var before = false
        for scalar in String(decoding: bytes, as: UTF8.self).unicodeScalars {
            let moves = moving.contains { $0.contains(scalar.value) }
            if !moves { text.append(scalar) } else if !before { text.append(" ") }
            before = moves
        }
        return String(text)
    }
}

private func isSpace(_ byte: UInt8) -> Bool { byte == 32 || (9...13).contains(byte) }
