import Foundation
import Testing
import __MODULE__

/// The runtime on the machine that the tests run on.
@Suite(.serialized)
struct RuntimeTests {
    private struct Check: Decodable {
        let samples: [Float]
        /// Frames of the samples as the model was trained on them, in half precision.
        let frames: [Float]
    }

    /// The folder of this package, for a test program that runs elsewhere than it was built.
    private static let package = ProcessInfo.processInfo.environment["PACKAGE_FOLDER"].map {
        URL(fileURLWithPath: $0, isDirectory: true)
    }

    private static func check() throws -> Check {
        let beside = package?.appendingPathComponent("Tests/__MODULE__Tests/check.json")
        let place = try #require(beside ?? Bundle.module.url(forResource: "check", withExtension: "json"))
        return try JSONDecoder().decode(Check.self, from: Data(contentsOf: place))
    }

    private static let model = Task {
        try await SpeechModel.load(
            folder: package?.appendingPathComponent("Sources/__MODULE__/Model"),
            cache: FileManager.default.temporaryDirectory.appendingPathComponent("__PRODUCT__"))
    }

    private func noise(_ count: Int) -> [Float] {
        var state: UInt32 = 1
        return (0..<count).map { _ in
            state = state &* 1_664_525 &+ 1_013_904_223
            return Float(Int32(bitPattern: state)) / Float(Int32.max) * 0.1
        }
    }

    private func results(of pieces: [[Float]]) async throws -> [SpeechResult] {
        let recognizer = try await RuntimeTests.model.value.recognizer()
        for piece in pieces { try recognizer.append(piece) }
        try await recognizer.finish()
        var results: [SpeechResult] = []
        for try await result in recognizer.results { results.append(result) }
        return results
    }

    @Test(arguments: [1, 37, 160, 1_000, 100_000])
    func framesAreThoseOfTraining(piece: Int) async throws {
        let check = try RuntimeTests.check()
        let features = try #require(try await RuntimeTests.model.value.description.features)
        let frontEnd = features.frontEnd()
        var frames = Frames(width: features.bins)
        for start in stride(from: 0, to: check.samples.count, by: piece) {
            frames.append(frontEnd.push(Array(check.samples[start..<min(start + piece, check.samples.count)])))
        }
        frames.append(frontEnd.flush())
        #expect(frames.count * frames.width == check.frames.count)
        // Half precision has 11 bits: half a unit in the last place is 1/2048 of a number.
        let worst = zip(frames.values, check.frames).map { abs($0 - $1) / max(abs($1), 6.1e-5) }.max() ?? 0
        #expect(worst <= 1.0 / 2_048)
    }

    @Test func piecesChangeNoResult() async throws {
        let sound = noise(20_000)
        let whole = try await results(of: [sound]).filter(\.isFinal)
        let pieces = stride(from: 0, to: sound.count, by: 777).map { Array(sound[$0..<min($0 + 777, sound.count)]) }
        #expect(try await results(of: pieces).filter(\.isFinal) == whole)
    }

    @Test func twoRecognizersDoNotDisturbEachOther() async throws {
        let sound = noise(16_000)
        let alone = try await results(of: [sound])
        async let one = results(of: [sound])
        async let other = results(of: [sound])
        #expect(try await one == alone)
        #expect(try await other == alone)
    }

    @Test func noSoundIsRefused() async throws {
        let recognizer = try await RuntimeTests.model.value.recognizer()
        #expect(throws: SpeechError.self) { try recognizer.append([0, .nan]) }
        #expect(throws: SpeechError.self) { try recognizer.append([.infinity]) }
        #expect(throws: SpeechError.self) { try recognizer.append([1e9]) }
        try await recognizer.finish()
        #expect(throws: SpeechError.finished) { try recognizer.append([0]) }
    }

    @Test func resetForgetsWhatWasHeard() async throws {
        let model = try await RuntimeTests.model.value
        let sound = noise(8_000)
        let alone = try await results(of: [sound]).filter(\.isFinal)
        let recognizer = try await model.recognizer()
        try recognizer.append(noise(5_000).map { -$0 })
        try recognizer.reset()
        try recognizer.append(sound)
        try await recognizer.finish()
        var results: [SpeechResult] = []
        for try await result in recognizer.results where result.isFinal { results.append(result) }
        #expect(results == alone)
    }

    @Test func aCancelledRecognizerEnds() async throws {
        let recognizer = try await RuntimeTests.model.value.recognizer()
        try recognizer.append(noise(16_000))
        recognizer.cancel()
        await #expect(throws: CancellationError.self) {
            for try await _ in recognizer.results {}
        }
    }
}
