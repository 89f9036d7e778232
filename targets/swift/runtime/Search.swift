/// Encoded frames in, label sequences out. One search decodes one stream, utterance after utterance.
package protocol Search: AnyObject {
    /// Frames of the stream that were searched.
    var frames: Int { get }
    /// What is known after the next encoded frames, any number of them. Other pieces of a stream change no result.
    func accept(_ encoded: Frames) async throws -> Partial
    /// The hypotheses of the utterance that ends here, the best first. The next frames begin another one.
    func finish() throws -> [Hypothesis]
}

/// What a search needs to go on behind a label sequence.
package typealias PredictorState = [[Float]]

/// Predictor and joiner of a transducer. Calls hold no state of their own, so hypotheses share what they have in common.
package protocol TransducerEngine: AnyObject {
    /// Encoded frames that one call of the joiner looks at.
    var frames: Int { get }
    /// The state before the first label.
    func start() async throws -> PredictorState
    /// The predictor's vector after one more label, and its state then.
    func predict(_ label: Int, after state: PredictorState) async throws -> (vector: [Float], state: PredictorState)
    /// Logits of each encoded frame with a vector.
    func join(_ encoded: Frames, with vector: [Float]) async throws -> Frames
}

/// The search that fits an engine; without one, over the frames of an encoder with CTC.
package func makeSearch(
    engine: (any TransducerEngine)?, labels: Int, blank: Int, settings: SearchSettings, scorers: [any Scorer]
) throws -> any Search {
    try settings.check()
    let durations = settings.durations
    let labels = labels - durations.count
    let rules = SearchRules(
        settings: settings, blank: blank, durations: durations, vocabulary: Vocabulary(size: labels))
    let fusion = Fusion(scorers: scorers, size: labels, blank: blank)
    guard let engine else {
        return settings.method == .greedy ? CtcGreedy(rules) : CtcBeam(rules, fusion)
    }
    switch settings.method {
    case .greedy: return durations.isEmpty ? TransducerGreedy(engine, rules) : DurationGreedy(engine, rules)
    case .timeSynchronous: return TimeSynchronousBeam(engine, rules, fusion)
    case .beam:
        guard durations.isEmpty else {
            throw SpeechError.unsupportedSearch(
                "with durations a hypothesis goes on by itself: take the time-synchronous beam")
        }
        return TransducerBeam(engine, rules, fusion)
    }
}

/// What searches are told of the model and by the caller.
struct SearchRules: Sendable {
    let settings: SearchSettings
    let blank: Int
    let durations: [Int]
    let vocabulary: Vocabulary

    func logProbabilities(_ logits: Frames) throws -> Scores {
        try vocabulary.logProbabilities(logits, blank: blank, penalty: settings.blankPenalty)
    }
}

extension Frames {
    /// At most `size` frames at a time.
    func blocks(of size: Int) -> [Frames] {
        stride(from: 0, to: count, by: size).map { self[$0..<Swift.min($0 + size, count)] }
    }
}
