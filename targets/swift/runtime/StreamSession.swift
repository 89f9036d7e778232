import Foundation

/// One stream through front end, encoder and search.
package final class StreamSession: SoundSession {
    private let model: SpeechModel
    private let options: RecognizerOptions
    private let sound: EncodedStream
    private let engine: (any TransducerEngine)?
    private var search: any Search
    private let endpointer: Endpointer?
    /// Seconds that the stream had lasted when the first of the frames came that are searched.
    private var start = 0.0

    package init(model: SpeechModel, options: RecognizerOptions, clock: CallClock) async throws {
        let description = model.description
        guard description.kind == .transducer || description.kind == .ctc else {
            throw SpeechError.unsupportedSearch("\(description.model) is no model of frames of speech and labels")
        }
        self.model = model
        self.options = options
        sound = try await EncodedStream(model: model, clock: clock)
        engine = description.kind == .ctc ? nil : try await PackagedTransducer(model: model, clock: clock)
        search = try description.search(options.search, engine: engine)
        endpointer =
            options.endpoints.isEmpty
            ? nil
            : Endpointer(
                frameSeconds: sound.frameSeconds, rules: options.endpoints,
                quiet: description.tokens?.whiteSpace ?? [])
    }

    package var statistics: StreamStatistics { sound.statistics }

    package func push(_ samples: [Float], _ tell: (SpeechResult) -> Void) async throws {
        try await sound.push(samples) { try await searched($0, tell) }
    }

    package func finish(_ tell: (SpeechResult) -> Void) async throws {
        try await sound.finish { try await searched($0, tell) }
        try ended(by: nil, tell)
        try listen(from: sound.before)
    }

    package func reset() async throws {
        await sound.reset()
        try listen(from: 0)
    }

    private func listen(from start: Double) throws {
        self.start = start
        search = try model.description.search(options.search, engine: engine)
    }

    private func searched(_ encoded: Frames, _ tell: (SpeechResult) -> Void) async throws {
        let started = ContinuousClock.now
        let partial = try await search.accept(encoded)
        sound.searched(partial.frames, for: (ContinuousClock.now - started).seconds)
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
        let words =
            tokens?.timed(found, from: start, frameSeconds: sound.frameSeconds, delay: options.delay.seconds) ?? []
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
        var settings = settings
        if !durations.isEmpty { settings.durations = durations }
        return try makeSearch(
            engine: engine, labels: vocabulary, blank: blank, settings: settings, scorers: scorers(settings))
    }

    /// Hotwords and language models as scorers over the labels.
    private func scorers(_ settings: SearchSettings) throws -> [any Scorer] {
        guard !settings.hotwords.isEmpty || !settings.languageModels.isEmpty else { return [] }
        guard let tokens else { throw SpeechError.nameless("hotwords and language models need tokens") }
        var scorers = settings.languageModels.map { scorer($0, tokens) }
        if !settings.hotwords.isEmpty {
            let phrases = try settings.hotwords.map { (ids: try tokens.spell($0.text), boost: $0.boost) }
            scorers.append(
                try HotwordScorer(phrases, size: vocabulary - durations.count, around: tokens.betweenWords))
        }
        return scorers
    }

    /// N-grams over pieces where the model has more than half of them, else over words.
    private func scorer(_ model: NGramModel, _ tokens: TokenTable) -> any Scorer {
        let labels = 0..<(vocabulary - durations.count)
        let names = labels.map { label -> String? in
            guard label != blank, tokens.pieces.indices.contains(label) else { return nil }
            return
                (tokens.special[label] ?? String(decoding: tokens.bytes(label), as: UTF8.self))
                .replacingOccurrences(of: " ", with: "\u{2581}")
        }
        let spoken = names.compactMap { $0 }
        if 2 * spoken.count(where: { model.entries[[$0]] != nil }) > spoken.count {
            return NGramScorer(model, names: names)
        }
        return WordNGramScorer(model, pieces: labels.map(tokens.bytes))
    }
}
