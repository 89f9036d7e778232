import Foundation

/// One stream through front end, encoder and search.
package final class StreamSession: RecognizerSession {
    private let model: SpeechModel
    private let options: RecognizerOptions
    private let features: FeatureDescription
    private let frontEnd: any FrontEnd
    private let encoder: StreamEncoder
    private let engine: (any TransducerEngine)?
    private var search: any Search
    private let endpointer: Endpointer?
    private let frameSeconds: Double
    private var held: Frames
    private var samples = 0
    package private(set) var statistics = RecognizerStatistics()

    package init(model: SpeechModel, options: RecognizerOptions, clock: CallClock) async throws {
        let description = model.description
        guard let features = description.features, description.kind == .transducer || description.kind == .ctc else {
            throw SpeechError.unsupportedSearch("\(description.model) is no model of frames of speech and labels")
        }
        self.model = model
        self.options = options
        self.features = features
        frontEnd = features.frontEnd()
        encoder = try await StreamEncoder(
            function: model.function(description.encoder), description: description, clock: clock)
        engine =
            description.kind == .ctc
            ? nil
            : try await PackagedTransducer(
                predictor: model.function(description.predictor), joiner: model.function(description.joiner),
                folder: model.folder, clock: clock)
        search = try description.search(options.search, engine: engine)
        let output = try model.function(description.encoder).description.output(description.encoded!)!
        frameSeconds = Double(encoder.chunk) / Double(output.frames ?? 1) / features.frameRate
        endpointer =
            options.endpoints.isEmpty
            ? nil
            : Endpointer(
                frameSeconds: frameSeconds, rules: options.endpoints, quiet: description.tokens?.whiteSpace ?? [])
        held = Frames(width: features.bins)
    }

    /// The results of the next samples, each as soon as it is known.
    package func push(_ samples: [Float], _ tell: (SpeechResult) -> Void) async throws {
        let started = ContinuousClock.now
        self.samples += samples.count
        held.append(frontEnd.push(samples))
        statistics.features += (ContinuousClock.now - started).seconds
        guard model.description.streams else { return try refuseLonger() }
        while held.count >= encoder.chunk {
            let chunk = held[0..<encoder.chunk]
            held = held[encoder.chunk..<held.count]
            try await hear(chunk, exist: Double(encoder.chunk), tell)
        }
    }

    /// The results of the end of the audio, with all that was held back. The next samples are those of another stream.
    package func finish(_ tell: (SpeechResult) -> Void) async throws {
        let started = ContinuousClock.now
        held.append(frontEnd.flush())
        statistics.features += (ContinuousClock.now - started).seconds
        let once = !model.description.streams
        if once { try refuseLonger() }
        let exist = once ? features.existingFrames(samples) : Double(held.count)
        for start in stride(from: 0, to: held.count, by: encoder.chunk) {
            let part = held[start..<min(start + encoder.chunk, held.count)]
            let chunk = part.filled(to: encoder.chunk, with: once ? features.silence : 0)
            try await hear(chunk, exist: min(Double(part.count), exist - Double(start)), tell)
        }
        let rest = try await encoder.finish()
        if rest.count > 0 { try await searched(rest, tell) }
        try ended(by: nil, tell)
        try await reset()
    }

    /// Forgets everything heard.
    package func reset() async throws {
        frontEnd.reset()
        held = Frames(width: features.bins)
        samples = 0
        await encoder.reset()
        search = try model.description.search(options.search, engine: engine)
    }

    private func refuseLonger() throws {
        let room = features.samples(encoder.chunk)
        guard samples <= room else {
            let rate = Double(features.sampleRate)
            throw SpeechError.tooLong(seconds: Double(samples) / rate, room: Double(room) / rate)
        }
    }

    private func hear(_ chunk: Frames, exist: Double, _ tell: (SpeechResult) -> Void) async throws {
        let started = ContinuousClock.now
        let encoded = try await encoder.push(chunk, exist: exist)
        statistics.encoder += (ContinuousClock.now - started).seconds
        statistics.audio += exist / features.frameRate
        try await searched(encoded, tell)
    }

    private func searched(_ encoded: Frames, _ tell: (SpeechResult) -> Void) async throws {
        let started = ContinuousClock.now
        let partial = try await search.accept(encoded)
        statistics.search += (ContinuousClock.now - started).seconds
        statistics.frames = partial.frames
        if options.volatileResults { tell(result(partial.best, final: partial.final)) }
        if let rule = endpointer?.reached(partial) { try ended(by: rule, tell) }
    }

    private func ended(by rule: EndpointRule?, _ tell: (SpeechResult) -> Void) throws {
        let found = try search.finish()
        guard let best = found.first, !best.ids.isEmpty else { return }
        tell(result(best, final: nil, rule: rule, alternatives: Array(found.dropFirst())))
    }

    private func result(
        _ found: Hypothesis, final: Int?, rule: EndpointRule? = nil, alternatives: [Hypothesis] = []
    ) -> SpeechResult {
        let tokens = model.description.tokens
        let words = tokens?.timed(found, frameSeconds: frameSeconds, delay: options.delay.seconds) ?? []
        // The last word may still grow.
        let settled = final.map { final in
            tokens?.words(found.ids).count { $0.last <= final && $0.last < found.ids.count } ?? 0
        }
        return SpeechResult(
            text: tokens?.text(found.ids) ?? found.ids.map(String.init).joined(separator: " "), words: words,
            settledWords: settled ?? words.count,
            range: words.first.map { $0.start..<max($0.start, words[words.count - 1].end) }, isFinal: final == nil,
            endpoint: rule, hypothesis: found, alternatives: alternatives)
    }
}

extension ModelDescription {
    func search(_ settings: SearchSettings, engine: (any TransducerEngine)?) throws -> any Search {
        try makeSearch(
            engine: engine, labels: vocabulary, blank: blank, settings: settings, scorers: scorers(settings))
    }

    /// Hotwords and language models as scorers over the labels.
    private func scorers(_ settings: SearchSettings) throws -> [any Scorer] {
        guard !settings.hotwords.isEmpty || !settings.languageModels.isEmpty else { return [] }
        guard let tokens else { throw SpeechError.nameless("hotwords and language models need tokens") }
        var scorers: [any Scorer] = settings.languageModels.map { NGramScorer($0, names: ngramNames(tokens)) }
        if !settings.hotwords.isEmpty {
            let space = (0..<vocabulary).first { tokens.bytes($0) == [32] }
            let phrases = try settings.hotwords.map { (ids: try tokens.spell($0.text), boost: $0.boost) }
            scorers.append(try HotwordScorer(phrases, size: vocabulary, around: space))
        }
        return scorers
    }

    private func ngramNames(_ tokens: TokenTable) -> [String?] {
        (0..<vocabulary).map { id in
            id == blank
                ? nil
                : String(decoding: tokens.bytes(id), as: UTF8.self).replacingOccurrences(of: " ", with: "\u{2581}")
        }
    }
}
