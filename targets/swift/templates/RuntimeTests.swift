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

    /// Rows of zeros for the inputs of a decoder that take rows which an app brings.
    private static var options: RecognizerOptions {
        get async throws {
            var options = RecognizerOptions()
            let description = try await model.value.description
            for name in description.decoder?.functions ?? [] {
                for port in description.functions[name]!.inputs where port.takesTable {
                    options.tables[port.spec] = try zeros(1_000, port.width)
                }
            }
            return options
        }
    }

    /// A file of numpy's with rows of zeros.
    private static func zeros(_ count: Int, _ width: Int) throws -> URL {
        let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (\(count), \(width)), }\n"
        let file = Data([0x93]) + Data("NUMPY".utf8) + Data([1, 0, UInt8(header.utf8.count), 0]) + Data(header.utf8)
        let place = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID().uuidString).npy")
        try (file + Data(count: 4 * count * width)).write(to: place)
        return place
    }

    private static let model = Task {
        try await SpeechModel.load(
            folder: package?.appendingPathComponent("Sources/__MODULE__/Model"),
            cache: FileManager.default.temporaryDirectory.appendingPathComponent("__PRODUCT__"))
    }

    /// At most as much as the model takes at a time.
    private func noise(_ count: Int) async throws -> [Float] {
        let model = try await RuntimeTests.model.value
        let features = try #require(model.description.features)
        let encoder = try model.function(model.description.encoder).description
        let chunk = encoder.input(features.input)?.frames ?? 1
        var state: UInt32 = 1
        return (0..<(model.description.streams ? count : min(count, features.samples(chunk)))).map { _ in
            state = state &* 1_664_525 &+ 1_013_904_223
            return Float(Int32(bitPattern: state)) / Float(Int32.max) * 0.1
        }
    }

    /// What the model makes of sound that comes in pieces, behind what `before` does: its final results, as text.
    private func heard(_ pieces: [[Float]], before: [[Float]] = []) async throws -> [String] {
        let model = try await RuntimeTests.model.value
        switch model.description.kind {
        case .features, .embedding:
            return try await results(of: try await model.featureStream(), pieces, before) { "\($0)" }
        case .sound: return try await results(of: try await model.soundFilter(), pieces, before) { "\($0)" }
        case .transducer, .ctc, .decoder:
            return try await results(of: try await model.recognizer(RuntimeTests.options), pieces, before) {
                $0.isFinal ? "\($0)" : nil
            }
        }
    }

    private func results<Result>(
        of stream: SoundStream<Result>, _ pieces: [[Float]], _ before: [[Float]], told: (Result) -> String?
    ) async throws -> [String] {
        for piece in before { try stream.append(piece) }
        if !before.isEmpty { try stream.reset() }
        for piece in pieces { try stream.append(piece) }
        try await stream.finish()
        var results: [String] = []
        for try await result in stream.results {
            if let text = told(result) { results.append(text) }
        }
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
        let sound = try await noise(20_000)
        let pieces = stride(from: 0, to: sound.count, by: 777).map { Array(sound[$0..<min($0 + 777, sound.count)]) }
        #expect(try await heard(pieces) == heard([sound]))
    }

    @Test func streamsAtOnceDoNotDisturbOneAnother() async throws {
        let sound = try await noise(16_000)
        let alone = try await heard([sound])
        try await withThrowingTaskGroup(of: [String].self) { group in
            for _ in 0..<4 { group.addTask { try await heard([sound]) } }
            for try await results in group { #expect(results == alone) }
        }
    }

    @Test func resetForgetsWhatWasHeard() async throws {
        let sound = try await noise(8_000)
        let alone = try await heard([sound])
        let behind = try await heard([sound], before: [noise(5_000).map { -$0 }])
        #expect(Array(behind.suffix(alone.count)) == alone)
    }

    @Test func utterancesOfAStreamAreHeardAsIfAlone() async throws {
        let model = try await RuntimeTests.model.value
        let sound = try await noise(8_000)
        let alone = try await model.encode(sound)
        let stream = try await model.featureStream()
        for _ in 0..<2 {
            try stream.append(sound)
            try stream.endUtterance()
        }
        try await stream.finish()
        var rows: [FeatureRow] = []
        for try await row in stream.results { rows.append(row) }
        #expect(rows.map(\.values) == alone + alone)
        let start = try #require(rows.dropFirst(alone.count).first).range.lowerBound / .seconds(1)
        #expect(abs(start - Double(sound.count) / Double(model.sampleRate)) < 1e-6)
    }

    @Test func aModelSaysWhichCallsItHas() async throws {
        let model = try await RuntimeTests.model.value
        let kind = model.description.kind
        let sound = try await noise(4_000)
        if kind != .sound { await #expect(throws: SpeechError.self) { try await model.filtered(sound) } }
        if kind != .embedding { await #expect(throws: SpeechError.self) { try await model.embedding(of: sound) } }
        switch kind {
        case .sound: #expect(try await model.filtered(sound).count == sound.count * model.soundRate! / model.sampleRate)
        case .embedding: #expect(try await [model.embedding(of: sound)] == model.encode(sound))
        case .features: await #expect(throws: SpeechError.self) { try await model.recognizer() }
        case .transducer, .ctc, .decoder: #expect(model.soundRate == nil)
        }
    }

    @Test func noSoundIsRefused() async throws {
        let stream = try await RuntimeTests.model.value.featureStream()
        #expect(throws: SpeechError.self) { try stream.append([0, .nan]) }
        #expect(throws: SpeechError.self) { try stream.append([.infinity]) }
        #expect(throws: SpeechError.self) { try stream.append([1e9]) }
        try stream.append([])
        try await stream.finish()
        #expect(throws: SpeechError.finished) { try stream.append([0]) }
        #expect(throws: SpeechError.finished) { try stream.reset() }
    }

    @Test func aCancelledStreamEnds() async throws {
        let stream = try await RuntimeTests.model.value.featureStream()
        try await stream.append(noise(16_000))
        stream.cancel()
        await #expect(throws: CancellationError.self) {
            for try await _ in stream.results {}
        }
        await #expect(throws: CancellationError.self) { try await stream.finish() }
    }

    @Test func aStreamEndsWithTheTaskThatListens() async throws {
        let stream = try await RuntimeTests.model.value.featureStream()
        let listener = Task {
            for try await _ in stream.results {}
        }
        try await stream.append(noise(16_000))
        listener.cancel()
        _ = await listener.result
        await #expect(throws: CancellationError.self) { try await stream.finish() }
        #expect(throws: SpeechError.finished) { try stream.append([0]) }
    }

    @Test func whoWaitsForTheEndMayGiveUpWaiting() async throws {
        let sound = try await noise(8_000)
        let stream = try await RuntimeTests.model.value.featureStream()
        try stream.append(sound)
        let waiting = Task { try await stream.finish() }
        waiting.cancel()
        var rows = 0
        for try await _ in stream.results { rows += 1 }
        #expect(rows > 0)
    }

    @Test func costsAreCounted() async throws {
        let stream = try await RuntimeTests.model.value.featureStream()
        try await stream.append(noise(16_000))
        try await stream.finish()
        let statistics = stream.statistics
        #expect(statistics.calls > 0 && statistics.frames > 0 && statistics.audio > 0 && stream.backlog == 0)
        #expect(0 < statistics.latency && statistics.latency <= statistics.longestLatency)
        #expect(statistics.peakMemory > 1 << 20)
    }
}
