import Foundation

/// A model, loaded once; recognizers of it share its weights and have a state each.
public final class SpeechModel: Sendable {
    package let description: ModelDescription
    package let functions: [String: CoreMLFunction]
    /// The folder of `model.json`.
    package var folder: URL { store.folder }
    let store: ModelStore

    /// The name in the spec.
    public var name: String { description.model }
    /// Samples a second that the model takes.
    public var sampleRate: Int { description.features?.sampleRate ?? 16_000 }
    /// Samples a second of the sound that the model makes; nil of a model that makes none.
    public var soundRate: Int? { description.soundRate }
    /// Whether trained weights were bound when the model was built.
    public var isTrained: Bool { description.trained }

    /// How much sound a call of a stream may take, as `load` is told; none of a model that takes whole utterances.
    public var chunks: [Duration] { description.chunks.map { .seconds($0.seconds) } }

    /// Loads the model of this package, in the background. It throws a `SpeechError`, or `CancellationError` where its task was
    /// cancelled.
    ///
    /// - Parameters:
    ///   - folder: of `model.json` and the Core ML packages; the one in this package's bundle if left out.
    ///   - chunk: how much sound a call takes, of a model that has several (`model.chunks`); the usual one if left out.
    ///   - units: where functions may run; where the build predicts each to run if left out. Where Core ML can't run a function
    ///     there, the next ones are tried.
    ///   - cache: where compiled models are kept; Application Support if left out. It must not move from launch to launch.
    ///   - progress: how far the load has come; the first one of a version takes seconds.
    public static func load(
        folder: URL? = nil, chunk: Duration? = nil, units: ComputeUnits? = nil, cache: URL? = nil,
        progress: @escaping @Sendable (LoadProgress) -> Void = { _ in }
    ) async throws -> SpeechModel {
        let store = try store(folder, chunk, cache)
        var functions: [String: CoreMLFunction] = [:]
        try await each(of: store, units, progress) { functions[$0.name] = $0 }
        progress(.ready)
        return SpeechModel(description: store.description, functions: functions, store: store)
    }

    /// Compiles the model and lets Core ML specialize it for the device, and keeps no function in memory: for an app that does so
    /// before the model is wanted, as behind a download or in the first launch. The `load` that follows is fast.
    public static func prewarm(
        folder: URL? = nil, chunk: Duration? = nil, units: ComputeUnits? = nil, cache: URL? = nil,
        progress: @escaping @Sendable (LoadProgress) -> Void = { _ in }
    ) async throws {
        try await each(of: try store(folder, chunk, cache), units, progress) { _ in }
        progress(.ready)
    }

    /// Removes what was compiled of other builds of this model, such as the one before an update of the app: how many.
    @discardableResult
    public func removeOtherBuilds() throws(SpeechError) -> Int { try store.removeOthers() }

    private static func store(_ folder: URL?, _ chunk: Duration?, _ cache: URL?) throws(SpeechError) -> ModelStore {
        guard let folder = folder ?? Bundle.module.url(forResource: "Model", withExtension: nil) else {
            throw .damagedModel("the bundle holds no folder Model")
        }
        let description = try read(folder.appendingPathComponent("model.json")).called(every: chunk)
        return ModelStore(folder: folder, description: description, cache: try place(of: cache))
    }

    private static func place(of cache: URL?) throws(SpeechError) -> URL {
        if let cache { return cache }
        return try ModelStore.usualCache()
    }

    /// The functions, one after another, since loads at once need their memory at once; the encoder first: it takes the longest.
    private static func each(
        of store: ModelStore, _ units: ComputeUnits?, _ progress: @escaping @Sendable (LoadProgress) -> Void,
        _ take: (CoreMLFunction) -> Void
    ) async throws {
        let description = store.description
        let names = description.functions.keys.sorted {
            ($0 != description.encoder ? 1 : 0, $0) < ($1 != description.encoder ? 1 : 0, $1)
        }
        for (number, name) in names.enumerated() {
            try Task.checkCancellation()
            let compiled = try await store.compiled(description.functions[name]!.package, progress: progress)
            progress(.loading(function: name, number: number + 1, of: names.count))
            take(try await store.load(name, units: units, from: compiled) { progress(.warming(function: name)) })
        }
    }

    private init(description: ModelDescription, functions: [String: CoreMLFunction], store: ModelStore) {
        self.description = description
        self.functions = functions
        self.store = store
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
        case .features, .embedding, .sound: throw makes(nothing: "text")
        }
    }

    /// A stream of sound that the model makes of sound, with a state of its own: as many at a time as are wanted.
    public func soundFilter() async throws -> SoundFilter {
        guard description.kind == .sound else { throw makes(nothing: "sound") }
        let clock = CallClock()
        return SoundFilter(
            model: self, session: try await SoundFilterSession(model: self, clock: clock), clock: clock)
    }

    /// The sound that the model makes of samples at its rate, such as speech without the noise: samples at `soundRate`.
    public func filtered(_ samples: [Float]) async throws -> [Float] {
        let filter = try await soundFilter()
        try filter.append(samples)
        try await filter.finish()
        var made: [Float] = []
        for try await piece in filter.results { made += piece.samples }
        return made
    }

    /// The vector that the model makes of an utterance, such as who speaks: as long as those of others, which it is compared
    /// with.
    public func embedding(of samples: [Float]) async throws -> [Float] {
        guard description.kind == .embedding else { throw makes(nothing: "vector of an utterance") }
        guard let row = try await encode(samples).first else { throw SpeechError.notSound("there are none") }
        return row
    }

    /// A stream of what the encoder makes of sound, with a state of its own: as many at a time as are wanted.
    public func featureStream() async throws -> FeatureStream {
        let clock = CallClock()
        return FeatureStream(model: self, session: try await FeatureSession(model: self, clock: clock), clock: clock)
    }

    /// What the encoder makes of samples at the model's rate: rows of numbers, one for each encoded frame.
    public func encode(_ samples: [Float]) async throws -> [[Float]] {
        let stream = try await featureStream()
        try stream.append(samples)
        try await stream.finish()
        var rows: [[Float]] = []
        for try await row in stream.results { rows.append(row.values) }
        return rows
    }

    private func makes(nothing wanted: String) -> SpeechError {
        let call =
            switch description.kind {
            case .transducer, .ctc, .decoder: "recognizer() hears text"
            case .features: "featureStream() and encode(_:) make features"
            case .embedding: "embedding(of:) makes a vector of an utterance"
            case .sound: "soundFilter() and filtered(_:) make sound"
            }
        return SpeechError.otherModel("\(name) makes no \(wanted): its \(call)")
    }

    package func function(_ name: String?) throws -> CoreMLFunction {
        guard let name, let function = functions[name] else {
            throw SpeechError.damagedModel("it lacks a function that its kind has")
        }
        return function
    }

    private static func read(_ url: URL) throws(SpeechError) -> ModelDescription {
        do {
            return try JSONDecoder().decode(ModelDescription.self, from: Data(contentsOf: url))
        } catch {
            throw .damagedModel("\(url.lastPathComponent): \(error)")
        }
    }
}
