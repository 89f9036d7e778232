import Foundation

/// A model, loaded once; recognizers of it share its weights and have a state each.
public final class SpeechModel: Sendable {
    package let description: ModelDescription
    package let functions: [String: CoreMLFunction]
    package let folder: URL

    /// The name in the spec.
    public var name: String { description.model }
    /// Samples a second that the model takes.
    public var sampleRate: Int { description.features?.sampleRate ?? 16_000 }
    /// Whether trained weights were bound when the model was built.
    public var isTrained: Bool { description.trained }

    /// Loads the model of this package, in the background.
    ///
    /// - Parameters:
    ///   - folder: of `model.json` and the Core ML packages; the one in this package's bundle if left out.
    ///   - units: where functions may run; where the build predicts each to run if left out.
    ///   - cache: where compiled models are kept; Application Support if left out. It must not move from launch to launch.
    ///   - progress: how far the load has come; the first one of a version takes seconds.
    public static func load(
        folder: URL? = nil, units: ComputeUnits? = nil, cache: URL? = nil,
        progress: @escaping @Sendable (LoadProgress) -> Void = { _ in }
    ) async throws -> SpeechModel {
        guard let folder = folder ?? Bundle.module.url(forResource: "Model", withExtension: nil) else {
            throw SpeechError.damagedModel("the bundle holds no folder Model")
        }
        let description = try read(folder.appendingPathComponent("model.json"))
        let store = ModelStore(folder: folder, description: description, cache: try cache ?? ModelStore.usualCache())
        var functions: [String: CoreMLFunction] = [:]
        // The encoder first: it takes the longest. One after another, since loads at once need their memory at once.
        let names = description.functions.keys.sorted {
            ($0 != description.encoder ? 1 : 0, $0) < ($1 != description.encoder ? 1 : 0, $1)
        }
        for (number, name) in names.enumerated() {
            let compiled = try await store.compiled(description.functions[name]!.package, progress: progress)
            progress(.loading(function: name, number: number + 1, of: names.count))
            functions[name] = try await store.load(name, units: units, from: compiled)
        }
        let model = SpeechModel(description: description, functions: functions, folder: folder)
        try await model.warm(progress: progress)
        progress(.ready)
        return model
    }

    package init(description: ModelDescription, functions: [String: CoreMLFunction], folder: URL) {
        self.description = description
        self.folder = folder
        self.functions = functions
    }

    /// A stream of speech with a state of its own: as many at a time as are wanted.
    public func recognizer(_ options: RecognizerOptions = RecognizerOptions()) async throws -> SpeechRecognizer {
        let clock = CallClock()
        switch description.kind {
        case .transducer, .ctc:
            let session = try await StreamSession(model: self, options: options, clock: clock)
            return SpeechRecognizer(model: self, session: session, clock: clock)
        case .decoder:
            let session = try await DecoderSession(model: self, options: options, clock: clock)
            return SpeechRecognizer(model: self, session: session, clock: clock)
        case .features:
            throw SpeechError.unsupportedSearch("\(name) makes features of sound, and no text: call encode(_:)")
        }
    }

    /// What the encoder makes of samples at the model's rate: rows of numbers, one for each encoded frame.
    public func encode(_ samples: [Float]) async throws -> [[Float]] {
        guard let features = description.features else { throw SpeechError.damagedModel("it takes no frames of sound") }
        let encoder = try await StreamEncoder(
            function: function(description.encoder), description: description, clock: CallClock())
        let frontEnd = features.frontEnd()
        var frames = frontEnd.push(samples)
        frames.append(frontEnd.flush())
        let room = features.samples(encoder.chunk)
        guard description.streams || samples.count <= room else {
            let rate = Double(features.sampleRate)
            throw SpeechError.tooLong(seconds: Double(samples.count) / rate, room: Double(room) / rate)
        }
        let fill = description.streams ? 0 : features.silence
        let exist = description.streams ? Double(frames.count) : features.existingFrames(samples.count)
        var rows: [[Float]] = []
        for start in stride(from: 0, to: frames.count, by: encoder.chunk) {
            let part = frames[start..<min(start + encoder.chunk, frames.count)]
            let encoded = try await encoder.push(
                part.filled(to: encoder.chunk, with: fill), exist: min(Double(part.count), exist - Double(start)))
            rows += (0..<encoded.count).map { Array(encoded.row($0)) }
        }
        let rest = try await encoder.finish()
        return rows + (0..<rest.count).map { Array(rest.row($0)) }
    }

    package func function(_ name: String?) throws -> CoreMLFunction {
        guard let name, let function = functions[name] else {
            throw SpeechError.damagedModel("it lacks a function that its kind has")
        }
        return function
    }

    private static func read(_ url: URL) throws -> ModelDescription {
        do {
            return try JSONDecoder().decode(ModelDescription.self, from: Data(contentsOf: url))
        } catch {
            throw SpeechError.damagedModel("\(url.lastPathComponent): \(error)")
        }
    }

    private func warm(progress: (LoadProgress) -> Void) async throws {
        for (name, function) in functions.sorted(by: { $0.key < $1.key }) {
            progress(.warming(function: name))
            let zeros = function.description.inputs.map { ($0.spec, Tensor(zeros: $0.shape)) }
            _ = try await function.call(Dictionary(uniqueKeysWithValues: zeros), state: await function.makeState())
        }
    }
}
