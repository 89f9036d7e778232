import Foundation
import __MODULE__

/// `__PRODUCT__ [options] FILE.wav...`: recordings become text.
@main
struct Transcribe {
    var files: [String] = []
    var options = RecognizerOptions(endpoints: EndpointRule.recorded, volatileResults: false)
    var chunk: Duration?
    var units: ComputeUnits?
    var folder: URL?
    var cache: URL?
    var tellsAll = false
    var block = 1_600

    static let usage = """
        usage: __PRODUCT__ [options] FILE.wav...
          --search greedy|beam|time-synchronous   --beam N   --window X   --blank-penalty X
          --durations N,N...: of a token-and-duration transducer
          --hotword TEXT (repeatable)   --boost X   --ngram FILE.arpa=WEIGHT (repeatable)
          --units neuralEngine|gpu|cpu|all   --chunk SECONDS   --cache FOLDER   --model FOLDER   --block SAMPLES
          --table INPUT=FILE.npy (repeatable): rows for a decoder's input
          --json   tokens, words and costs, a line for each file
        """

    static func main() async {
        do {
            try await Transcribe(CommandLine.arguments.dropFirst()).run()
        } catch {
            let told = (error as? any LocalizedError)?.errorDescription ?? "\(error)"
            FileHandle.standardError.write(Data("__PRODUCT__: \(told)\n".utf8))
            exit(1)
        }
    }

    private struct Usage: Error, CustomStringConvertible {
        let description = Transcribe.usage
    }

    private init(_ arguments: ArraySlice<String>) throws {
        var rest = arguments
        var boost = 1.0
        func value() throws -> String {
            guard let value = rest.popFirst() else { throw Usage() }
            return value
        }
        func number() throws -> Double {
            guard let number = Double(try value()) else { throw Usage() }
            return number
        }
        func whole() throws -> Int {
            guard let number = Int(try value()) else { throw Usage() }
            return number
        }
        while let argument = rest.popFirst() {
            switch argument {
            case "--search":
                guard let method = SearchSettings.Method(rawValue: try value()) else { throw Usage() }
                options.search.method = method
            case "--beam": options.search.beam = try whole()
            case "--durations":
                options.search.durations = try value().split(separator: ",").map {
                    guard let frames = Int($0) else { throw Usage() }
                    return frames
                }
            case "--window": options.search.window = try number()
            case "--blank-penalty": options.search.blankPenalty = try number()
            case "--hotword": options.search.hotwords.append(Hotword(try value()))
            case "--boost": boost = try number()
            case "--ngram":
                let parts = try value().split(separator: "=")
                guard parts.count == 2, let weight = Double(parts[1]) else { throw Usage() }
                options.search.languageModels.append(
                    try NGramModel(contentsOf: URL(fileURLWithPath: String(parts[0])), weight: weight))
            case "--table":
                let parts = try value().split(separator: "=", maxSplits: 1).map(String.init)
                guard parts.count == 2 else { throw Usage() }
                options.tables[parts[0]] = URL(fileURLWithPath: parts[1])
            case "--units":
                guard let named = ComputeUnits(rawValue: try value()) else { throw Usage() }
                units = named
            case "--chunk":
                let seconds = try number()
                guard (0...60).contains(seconds) else { throw Usage() }
                chunk = .seconds(seconds)
            case "--cache": cache = URL(fileURLWithPath: try value(), isDirectory: true)
            case "--model": folder = URL(fileURLWithPath: try value(), isDirectory: true)
            case "--block": block = max(1, try whole())
            case "--json": tellsAll = true
            default:
                guard !argument.hasPrefix("--") else { throw Usage() }
                files.append(argument)
            }
        }
        guard !files.isEmpty else { throw Usage() }
        for place in options.search.hotwords.indices { options.search.hotwords[place].boost = boost }
    }

    private func run() async throws {
        let model = try await SpeechModel.load(folder: folder, chunk: chunk, units: units, cache: cache)
        for file in files {
            let wave = try WaveFile(contentsOf: URL(fileURLWithPath: file))
            guard wave.rate == model.sampleRate else {
                throw SpeechError.unsupportedAudio("\(file) has \(wave.rate) samples a second, not \(model.sampleRate)")
            }
            let recognizer = try await model.recognizer(options)
            for start in stride(from: 0, to: wave.samples.count, by: block) {
                try recognizer.append(Array(wave.samples[start..<min(start + block, wave.samples.count)]))
            }
            try await recognizer.finish()
            var results: [SpeechResult] = []
            for try await result in recognizer.results { results.append(result) }
            try tell(file, results, recognizer.statistics)
        }
    }

    private struct Record: Encodable {
        struct Token: Encodable {
            let token: Int
            /// Nil for a text that is written when all was heard.
            let frame: Int?
            let confidence: Double
        }
        struct Word: Encodable {
            let word: String
            let start: Double
            let end: Double
            let confidence: Double
        }
        let audio: String
        let text: String
        let tokens: [Token]
        let words: [Word]
        let scores: [Double]
        let frames: Int
        let seconds: [String: Double]
    }

    private func tell(_ file: String, _ results: [SpeechResult], _ statistics: StreamStatistics) throws {
        let text = results.map(\.text).joined(separator: " ")
        guard tellsAll else { return print(files.count > 1 ? "\(file)\t\(text)" : text) }
        let tokens = results.flatMap { result in
            let found = result.hypothesis
            return found.ids.indices.map {
                Record.Token(
                    token: found.ids[$0], frame: found.frames.isEmpty ? nil : found.frames[$0],
                    confidence: found.confidences[$0])
            }
        }
        let words = results.flatMap(\.words).map {
            Record.Word(
                word: $0.text, start: $0.start / .seconds(1), end: $0.end / .seconds(1), confidence: $0.confidence)
        }
        let seconds = [
            "audio": statistics.audio, "features": statistics.features, "encoder": statistics.encoder,
            "search": statistics.search, "predictions": statistics.predictions, "own": statistics.own,
        ]
        let record = Record(
            audio: file, text: text, tokens: tokens, words: words, scores: results.map(\.hypothesis.score),
            frames: statistics.frames, seconds: seconds)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        print(String(decoding: try encoder.encode(record), as: UTF8.self))
    }
}
