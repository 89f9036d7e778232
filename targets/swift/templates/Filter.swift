import Foundation
import __MODULE__

/// `__PRODUCT__ [options] FILE.wav MADE.wav`: the sound that the model makes of a recording.
@main
struct Filter {
    static let usage = """
        usage: __PRODUCT__ [options] FILE.wav MADE.wav
          --units neuralEngine|gpu|cpu|all   --chunk SECONDS   --cache FOLDER   --model FOLDER   --block SAMPLES
        """

    static func main() async {
        do {
            try await Filter(CommandLine.arguments.dropFirst()).run()
        } catch {
            let told = (error as? any LocalizedError)?.errorDescription ?? "\(error)"
            FileHandle.standardError.write(Data("__PRODUCT__: \(told)\n".utf8))
            exit(1)
        }
    }

    private struct Usage: Error, CustomStringConvertible {
        let description = Filter.usage
    }

    private var files: [String] = []
    private var units: ComputeUnits?
    private var chunk: Duration?
    private var folder: URL?
    private var cache: URL?
    private var block = 1_600

    private init(_ arguments: ArraySlice<String>) throws {
        var rest = arguments
        func value() throws -> String {
            guard let value = rest.popFirst() else { throw Usage() }
            return value
        }
        while let argument = rest.popFirst() {
            switch argument {
            case "--units":
                guard let named = ComputeUnits(rawValue: try value()) else { throw Usage() }
                units = named
            case "--chunk":
                guard let seconds = Double(try value()), (0...60).contains(seconds) else { throw Usage() }
                chunk = .seconds(seconds)
            case "--cache": cache = URL(fileURLWithPath: try value(), isDirectory: true)
            case "--model": folder = URL(fileURLWithPath: try value(), isDirectory: true)
            case "--block":
                guard let count = Int(try value()), count > 0 else { throw Usage() }
                block = count
            default:
                guard !argument.hasPrefix("--") else { throw Usage() }
                files.append(argument)
            }
        }
        guard files.count == 2 else { throw Usage() }
    }

    private func run() async throws {
        let model = try await SpeechModel.load(folder: folder, chunk: chunk, units: units, cache: cache)
        let wave = try WaveFile(contentsOf: URL(fileURLWithPath: files[0]))
        guard wave.rate == model.sampleRate else {
            throw SpeechError.unsupportedAudio("\(files[0]) has \(wave.rate) samples a second, not \(model.sampleRate)")
        }
        let filter = try await model.soundFilter()
        for start in stride(from: 0, to: wave.samples.count, by: block) {
            try filter.append(Array(wave.samples[start..<min(start + block, wave.samples.count)]))
        }
        try await filter.finish()
        var made: [Float] = []
        for try await piece in filter.results { made += piece.samples }
        try WaveFile(rate: model.soundRate ?? wave.rate, samples: made).write(to: URL(fileURLWithPath: files[1]))
    }
}
