import Foundation
import __MODULE__

/// `__PRODUCT__ [options] FILE.wav...`: recordings become rows of numbers, a line each behind their time; one row a recording of a
/// model that makes one vector of an utterance.
@main
struct Encode {
    static let usage = """
        usage: __PRODUCT__ [options] FILE.wav...
          --units neuralEngine|gpu|cpu|all   --cache FOLDER   --model FOLDER   --block SAMPLES
        """

    static func main() async {
        do {
            try await Encode(CommandLine.arguments.dropFirst()).run()
        } catch {
            let told = (error as? any LocalizedError)?.errorDescription ?? "\(error)"
            FileHandle.standardError.write(Data("__PRODUCT__: \(told)\n".utf8))
            exit(1)
        }
    }

    private struct Usage: Error, CustomStringConvertible {
        let description = Encode.usage
    }

    private var files: [String] = []
    private var units: ComputeUnits?
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
        guard !files.isEmpty else { throw Usage() }
    }

    private func run() async throws {
        let model = try await SpeechModel.load(folder: folder, units: units, cache: cache)
        for file in files {
            let wave = try WaveFile(contentsOf: URL(fileURLWithPath: file))
            guard wave.rate == model.sampleRate else {
                throw SpeechError.unsupportedAudio("\(file) has \(wave.rate) samples a second, not \(model.sampleRate)")
            }
            let stream = try await model.featureStream()
            for start in stride(from: 0, to: wave.samples.count, by: block) {
                try stream.append(Array(wave.samples[start..<min(start + block, wave.samples.count)]))
            }
            try await stream.finish()
            if files.count > 1 { print(file) }
            for try await row in stream.results {
                let numbers = row.values.map { String($0) }.joined(separator: " ")
                print("\(row.range.lowerBound / .seconds(1))\t\(numbers)")
            }
        }
    }
}
