// Two emitted packages in one program: a file of its own, since names of both are the same.

import Foundation
import __BESIDE__
import __MODULE__

extension Proof {
    /// Features by one package while another one hears; prints whether each finds what it finds alone, and the features.
    static func beside(_ folder: String, _ other: String, cache: String, _ place: String) async throws {
        let cache = URL(fileURLWithPath: cache)
        let speech = try await __MODULE__.SpeechModel.load(folder: URL(fileURLWithPath: folder), cache: cache)
        let features = try await __BESIDE__.SpeechModel.load(folder: URL(fileURLWithPath: other), cache: cache)
        let sound = try floats(place)
        let rows = try await features.encode(sound)
        let alone = try await heard(sound, try await speech.recognizer())
        async let again = heard(sound, try await speech.recognizer())
        var equal = true
        for _ in 0..<3 {
            let found = try await features.encode(sound)
            equal = equal && found == rows
        }
        equal = try await again == alone && equal
        let written = try JSONEncoder().encode(rows)
        print("{\"equal\": \(equal), \"rows\": \(String(decoding: written, as: UTF8.self))}")
    }
}
