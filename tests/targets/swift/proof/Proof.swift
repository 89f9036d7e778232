// What the tests ask of a runtime without a model: frames of samples, searches over toy transducers, and what both cost.

import AVFoundation
import Foundation
import __MODULE__

@main
struct Proof {
    static func main() async throws {
        let arguments = CommandLine.arguments
        switch arguments[1] {
        case "frames": try frames(arguments[2], arguments[3], seed: UInt64(arguments[4])!, into: arguments[5])
        case "search": try await search(arguments[2])
        case "spell": try spell(arguments[2], arguments[3])
        case "cost": try await cost(arguments[2], arguments[3], arguments[4])
        case "together": try await together(arguments[2], cache: arguments[3], arguments[4], arguments[5])
        case "crowd": try await crowd(arguments[2], cache: arguments[3], arguments[4])
        case "stream": try await stream(arguments[2], cache: arguments[3], arguments[4], times: Int(arguments[5])!)
        case "beside": try await beside(arguments[2], arguments[3], cache: arguments[4], arguments[5])
        case "placement": try await placement(arguments[2], cache: arguments[3])
        case "buffers": try buffers()
        case "microphone": try await Listening.tell(arguments[2], cache: arguments[3])
        case "utterances": try await utterances(arguments[2], cache: arguments[3], arguments[4], arguments[5])
        case "compiled": try await compiled(arguments[2], cache: arguments[3])
        default: fatalError("unknown: \(arguments[1])")
        }
    }

    /// Frames of samples that arrive in pieces of 1 to 5,119.
    static func frames(_ model: String, _ samples: String, seed: UInt64, into place: String) throws {
        let features = try description(model).features!
        let sound = try floats(samples)
        let frontEnd = features.frontEnd()
        var random = Pieces(state: seed)
        var found = Frames(width: features.bins)
        var at = 0
        while at < sound.count {
            let end = min(sound.count, at + 1 + Int(random.next() % 5_119))
            found.append(frontEnd.push(Array(sound[at..<end])))
            at = end
        }
        found.append(frontEnd.flush())
        try found.values.withUnsafeBytes { Data($0) }.write(to: URL(fileURLWithPath: place))
    }

    /// The hypotheses of each case of a file, a line of JSON each.
    static func search(_ place: String) async throws {
        for one in try JSONDecoder().decode([Case].self, from: Data(contentsOf: URL(fileURLWithPath: place))) {
            let engine = one.labels.map { ToyTransducer(labels: $0, block: one.block) }
            let search = try makeSearch(
                engine: engine, labels: one.vocabulary, blank: 0, settings: one.settings, scorers: one.scorers())
            let frames = Frames(width: one.encoded[0].count, values: one.encoded.flatMap { $0 })
            var finals: [Int] = []
            var at = 0
            for piece in one.pieces {
                finals.append(try await search.accept(frames[at..<at + piece]).final)
                at += piece
            }
            let found = try search.finish().map {
                Found(ids: $0.ids, frames: $0.frames, confidences: $0.confidences, score: $0.score)
            }
            print(String(decoding: try JSONEncoder().encode(Answer(finals: finals, found: found)), as: UTF8.self))
        }
    }

    /// Seconds of processor time for the frames of samples, and for a search over the logits of a case.
    static func cost(_ model: String, _ samples: String, _ place: String) async throws {
        let features = try description(model).features!
        let sound = try floats(samples)
        let frontEnd = features.frontEnd()
        let started = clock()
        var count = 0
        for at in stride(from: 0, to: sound.count, by: 1_600) {
            count += frontEnd.push(Array(sound[at..<min(at + 1_600, sound.count)])).count
        }
        let featured = clock()
        print("features \(Double(featured - started) / Double(CLOCKS_PER_SEC)) \(count)")
        for one in try JSONDecoder().decode([Case].self, from: Data(contentsOf: URL(fileURLWithPath: place))) {
            let frames = Frames(width: one.encoded[0].count, values: one.encoded.flatMap { $0 })
            let began = clock()
            let engine = one.labels.map { ToyTransducer(labels: $0, block: one.block) }
            let search = try makeSearch(
                engine: engine, labels: one.vocabulary, blank: 0, settings: one.settings, scorers: one.scorers())
            for at in stride(from: 0, to: frames.count, by: one.block) {
                _ = try await search.accept(frames[at..<min(at + one.block, frames.count)])
            }
            let labels = try search.finish()[0].ids.count
            print("\(one.method) \(Double(clock() - began) / Double(CLOCKS_PER_SEC)) \(frames.count) \(labels)")
        }
    }

    /// Two recordings heard at once, and one behind a reset, each as if it were alone; prints what differs.
    static func together(_ folder: String, cache: String, _ one: String, _ other: String) async throws {
        let model = try await SpeechModel.load(folder: URL(fileURLWithPath: folder), cache: URL(fileURLWithPath: cache))
        let sounds = try [floats(one), floats(other)]
        let options = RecognizerOptions(search: SearchSettings(method: .timeSynchronous), endpoints: [])
        var alone: [[SpeechResult]] = []
        for sound in sounds { alone.append(try await heard(sound, try await model.recognizer(options))) }
        async let first = heard(sounds[0], try await model.recognizer(options))
        async let second = heard(sounds[1], try await model.recognizer(options))
        let pair = try await [first, second]
        for place in 0..<2 where pair[place] != alone[place] { print("recording \(place) differs beside the other") }
        let recognizer = try await model.recognizer(options)
        try recognizer.append(sounds[1])
        try recognizer.reset()
        let behind = try await heard(sounds[0], recognizer).filter(\.isFinal)
        if behind != alone[0].filter(\.isFinal) { print("recording 0 differs behind a reset") }
        print("labels \(alone.map { $0.last?.hypothesis.ids.count ?? 0 })")
    }

    /// The labels of each line of a file, by a table of tokens; nothing for a line that they can't spell.
    static func spell(_ table: String, _ texts: String) throws {
        let tokens = try JSONDecoder().decode(TokenTable.self, from: Data(contentsOf: URL(fileURLWithPath: table)))
        for line in try String(contentsOfFile: texts, encoding: .utf8).split(separator: "\n") {
            let ids = (try? tokens.spell(String(line))) ?? []
            print(ids.map(String.init).joined(separator: " "))
        }
    }

    /// Two recordings as utterances of one stream, each as if it were alone but for its times; prints what differs.
    static func utterances(_ folder: String, cache: String, _ one: String, _ other: String) async throws {
        let model = try await SpeechModel.load(folder: URL(fileURLWithPath: folder), cache: URL(fileURLWithPath: cache))
        let sounds = try [floats(one), floats(other)]
        let options = RecognizerOptions(endpoints: [], volatileResults: false)
        let recognizer = try await model.recognizer(options)
        try recognizer.append(sounds[0])
        try recognizer.endUtterance()
        let found = try await heard(sounds[1], recognizer)
        var before = Duration.zero
        for (place, sound) in sounds.enumerated() {
            let alone = try await heard(sound, try await model.recognizer(options))[0]
            if found[place].hypothesis != alone.hypothesis { print("utterance \(place) differs from the recording") }
            for (word, expected) in zip(found[place].words, alone.words) {
                let error = word.start - before - expected.start
                if abs(error / .seconds(1)) > 1e-9 { print("a word of utterance \(place) is \(error) late") }
            }
            before += .seconds(Double(sound.count) / Double(model.sampleRate))
        }
        print("finals \(found.count) labels \(found.map(\.hypothesis.ids.count))")
    }

    /// What is compiled before it is loaded, kept for this build, and removed of others; prints the folder after each.
    static func compiled(_ folder: String, cache: String) async throws {
        let (folder, place) = (URL(fileURLWithPath: folder), URL(fileURLWithPath: cache, isDirectory: true))
        func kept() throws -> String {
            let found = FileManager.default.enumerator(at: place, includingPropertiesForKeys: nil)!
                .compactMap { ($0 as? URL)?.path }.filter { $0.hasSuffix(".mlmodelc") }.sorted()
            return found.map { $0.split(separator: "/").suffix(3).joined(separator: "/") }.joined(separator: " ")
        }
        try await SpeechModel.prewarm(folder: folder, cache: place)
        print(try kept())
        let told = Told()
        let model = try await SpeechModel.load(folder: folder, cache: place) { told.append("\($0)") }
        print(told.all.contains { $0.contains("compiling") } ? "compiled again" : "loaded")
        let old = place.appendingPathComponent("\(model.name)/old/of-before.mlmodelc", isDirectory: true)
        try FileManager.default.createDirectory(at: old, withIntermediateDirectories: true)
        print(try model.removeOtherBuilds(), try kept())
    }

    /// Streams at once by every search, beside others that are given up; prints what differs from each alone.
    static func crowd(_ folder: String, cache: String, _ place: String) async throws {
        let model = try await SpeechModel.load(folder: URL(fileURLWithPath: folder), cache: URL(fileURLWithPath: cache))
        let sound = try floats(place)
        let options = SearchSettings.Method.allCases.map {
            RecognizerOptions(search: SearchSettings(method: $0), endpoints: [])
        }
        var alone: [[SpeechResult]] = []
        for each in options { alone.append(try await heard(sound, try await model.recognizer(each))) }
        let differ = try await withThrowingTaskGroup(of: (Int, [SpeechResult])?.self) { group in
            for (place, each) in (options + options).enumerated() {
                group.addTask { (place % options.count, try await heard(sound, try await model.recognizer(each))) }
                group.addTask {
                    let recognizer = try await model.recognizer(each)
                    try recognizer.append(sound)
                    try await Task.sleep(for: .milliseconds(30 * place))
                    recognizer.cancel()
                    return nil
                }
            }
            var differ = 0
            for try await case (let place, let results)? in group where results != alone[place] { differ += 1 }
            return differ
        }
        print("differ \(differ) labels \(alone.map { $0.last?.hypothesis.ids.count ?? 0 })")
    }

    /// A stream that hears a sound again and again; prints each final result, and after each time the memory held.
    static func stream(_ folder: String, cache: String, _ place: String, times: Int) async throws {
        let model = try await SpeechModel.load(folder: URL(fileURLWithPath: folder), cache: URL(fileURLWithPath: cache))
        let sound = try floats(place)
        let recognizer = try await model.recognizer(RecognizerOptions(endpoints: EndpointRule.recorded))
        let listener = Task {
            for try await result in recognizer.results where result.isFinal {
                let found = result.hypothesis
                let words = result.words.map { Final.Word(word: $0.text, start: $0.start / .seconds(1)) }
                print(
                    String(
                        decoding: try JSONEncoder().encode(
                            Final(ids: found.ids, frames: found.frames, confidences: found.confidences, words: words)),
                        as: UTF8.self))
            }
        }
        for _ in 0..<times {
            for at in stride(from: 0, to: sound.count, by: 1_600) {
                try recognizer.append(Array(sound[at..<min(at + 1_600, sound.count)]))
            }
            while recognizer.backlog > 2 { try await Task.sleep(for: .milliseconds(1)) }
            let pages = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8).split(separator: " ")[1]
            print("{\"memory\": \(Int(pages)! * 4_096)}")
        }
        try await recognizer.finish()
        try await listener.value
        let told = recognizer.statistics
        print("{\"calls\": \(told.calls), \"own\": \(told.own), \"audio\": \(told.audio), \"frames\": \(told.frames)}")
    }

    struct Final: Encodable {
        struct Word: Encodable {
            let word: String
            let start: Double
        }
        let ids: [Int]
        let frames: [Int]
        let confidences: [Double]
        let words: [Word]
    }

    /// Where Core ML would run each function, and where the build predicts it to.
    static func placement(_ folder: String, cache: String) async throws {
        let cache = URL(fileURLWithPath: cache)
        let model = try await SpeechModel.load(folder: URL(fileURLWithPath: folder), cache: cache)
        for units in [nil, ComputeUnits.cpu] {
            for each in try await model.placement(units: units).functions {
                print(each.name, each.operations, each.predicted, each.planned)
            }
        }
    }

    static func heard(_ sound: [Float], _ recognizer: SpeechRecognizer) async throws -> [SpeechResult] {
        for at in stride(from: 0, to: sound.count, by: 1_600) {
            try recognizer.append(Array(sound[at..<min(at + 1_600, sound.count)]))
        }
        try await recognizer.finish()
        var results: [SpeechResult] = []
        for try await result in recognizer.results { results.append(result) }
        return results
    }

    /// Whether sound of 44.1 kHz and two channels, converted buffer by buffer, is that which is converted as a whole.
    static func buffers() throws {
        let format = AVAudioFormat(commonFormat: .pcmFormatFloat32, sampleRate: 44_100, channels: 2, interleaved: false)!
        func buffer(_ range: Range<Int>) -> AVAudioPCMBuffer {
            let buffer = AVAudioPCMBuffer(pcmFormat: format, frameCapacity: AVAudioFrameCount(range.count))!
            buffer.frameLength = buffer.frameCapacity
            for (place, sample) in range.enumerated() {
                for channel in 0..<2 { buffer.floatChannelData![channel][place] = sin(Float(sample) * 0.05) }
            }
            return buffer
        }
        let one = BufferConverter(rate: 16_000)
        let whole = try one.convert(buffer(0..<44_100)) + one.drain()
        let converter = BufferConverter(rate: 16_000)
        var random = Pieces(state: 1)
        var pieces: [Float] = []
        var at = 0
        while at < 44_100 {
            let end = min(44_100, at + 1 + Int(random.next() % 2_000))
            pieces += try converter.convert(buffer(at..<end))
            at = end
        }
        pieces += converter.drain()
        print(pieces == whole && whole.count == 16_000 ? "equal" : "\(pieces.count) samples, not \(whole.count)")
    }

    static func description(_ place: String) throws -> ModelDescription {
        try JSONDecoder().decode(ModelDescription.self, from: Data(contentsOf: URL(fileURLWithPath: place)))
    }

    static func floats(_ place: String) throws -> [Float] {
        // Foundation on Linux never gives the buffer back that it takes to read an empty file.
        let size = try FileManager.default.attributesOfItem(atPath: place)[.size] as? Int
        guard size != 0 else { return [] }
        return try Data(contentsOf: URL(fileURLWithPath: place)).withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
    }
}

/// splitmix64
struct Pieces {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

struct Case: Decodable {
    let method: String
    let beam: Int
    let window: Double
    let alternatives: Int
    let blankPenalty: Double
    let maxSymbols: Int
    let durations: [Int]
    let vocabulary: Int
    let block: Int
    let encoded: [[Float]]
    /// Rows that a label adds to the logits behind it; nil for CTC.
    let labels: [[Float]]?
    let pieces: [Int]
    let phrases: [Phrase]
    let around: Int?
    let arpa: String?
    let names: [String?]
    /// What labels spell, for n-grams over words.
    let spelled: [[UInt8]]?

    struct Phrase: Decodable {
        let ids: [Int]
        let boost: Double
    }

    var settings: SearchSettings {
        SearchSettings(
            method: SearchSettings.Method(rawValue: method)!, beam: beam, window: window, alternatives: alternatives,
            blankPenalty: blankPenalty, maxSymbols: maxSymbols, durations: durations)
    }

    func scorers() throws -> [any Scorer] {
        var scorers: [any Scorer] = []
        if let arpa {
            let model = try NGramModel(arpa: arpa, weight: 0.5)
            scorers.append(
                spelled.map { WordNGramScorer(model, pieces: $0) } ?? NGramScorer(model, names: names))
        }
        if !phrases.isEmpty {
            scorers.append(
                try HotwordScorer(phrases.map { ($0.ids, $0.boost) }, size: vocabulary - durations.count, around: around))
        }
        return scorers
    }
}

struct Found: Encodable {
    let ids: [Int]
    let frames: [Int]
    let confidences: [Double]
    let score: Double
}

struct Answer: Encodable {
    let finals: [Int]
    let found: [Found]
}

/// A transducer whose logits are those of the frame and the rows of the last label and, by half, of the one before.
final class ToyTransducer: TransducerEngine {
    let labels: [[Float]]
    let frames: Int

    init(labels: [[Float]], block: Int) {
        self.labels = labels
        frames = block
    }

    func start() -> PredictorState { [[0]] }

    func predict(_ label: Int, after state: PredictorState) -> (vector: [Float], state: PredictorState) {
        let before = labels[Int(state[0][0])]
        return (zip(labels[label], before).map { $0 + 0.5 * $1 }, [[Float(label)]])
    }

    func join(_ encoded: Frames, with vector: [Float]) -> Frames {
        var logits = encoded
        for frame in 0..<encoded.count {
            for column in 0..<encoded.width { logits.values[frame * encoded.width + column] += vector[column] }
        }
        return logits
    }
}

/// Texts that come from other threads.
final class Told: @unchecked Sendable {
    private let lock = NSLock()
    private var texts: [String] = []

    func append(_ text: String) { lock.withLock { texts.append(text) } }
    var all: [String] { lock.withLock { texts } }
}
