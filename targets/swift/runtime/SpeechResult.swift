/// What is known of an utterance: volatile while it goes on, final when it has ended.
public struct SpeechResult: Sendable, Equatable {
    /// What was said in the utterance so far.
    public let text: String
    /// Its words, with their times from the start of the stream.
    public let words: [TimedWord]
    /// Words that never change again, of a volatile result.
    public let settledWords: Int
    /// The time that the words take; nil where nothing was said.
    public let range: Range<Duration>?
    /// Whether the utterance has ended. A volatile result is replaced by the next one.
    public let isFinal: Bool
    /// The rule that ended the utterance; nil where the audio ended, or it goes on.
    public let endpoint: EndpointRule?
    /// The labels, with the encoded frame at which each was emitted, from the start of the stream or from the last
    /// `endUtterance()`, and its probability there.
    public let hypothesis: Hypothesis
    /// Of a final result further hypotheses, the best first.
    public let alternatives: [Hypothesis]
}

/// A word, when it was said, and how sure that is.
public struct TimedWord: Sendable, Equatable {
    /// The word, without space around it.
    public let text: String
    /// When it begins, from the start of the stream.
    public let start: Duration
    /// When it ends.
    public let end: Duration
    /// The mean probability of its labels, 0 to 1.
    public let confidence: Double

    /// Its time.
    public var range: Range<Duration> { start..<max(start, end) }
}

extension TokenTable {
    /// The words of a hypothesis: from the frame of the first label to the end of the last one's, but not beyond the start of
    /// the next word. The first frame is at `start`; no word begins before it.
    func timed(_ found: Hypothesis, from start: Double, frameSeconds: Double, delay: Double) -> [TimedWord] {
        let words = words(found.ids)
        let starts = words.map { start + max(0, Double(found.frames[$0.first]) * frameSeconds - delay) }
        return words.enumerated().map { place, word in
            var end = start + max(0, Double(found.frames[word.last - 1] + 1) * frameSeconds - delay)
            if place + 1 < words.count, starts[place + 1] >= starts[place] { end = min(end, starts[place + 1]) }
            let confidences = found.confidences[word.first..<word.last]
            return TimedWord(
                text: word.text, start: .seconds(starts[place]), end: .seconds(end),
                confidence: confidences.reduce(0, +) / Double(confidences.count))
        }
    }
}
