/// How labels are searched for.
public struct SearchSettings: Sendable {
    /// What is kept of the hypotheses.
    public enum Method: String, Sendable, CaseIterable {
        /// One hypothesis: the best label each time.
        case greedy
        /// A beam; of a transducer with at most one label a frame. For word pieces.
        case beam
        /// A transducer's beam with up to `maxSymbols` labels a frame. For letters.
        case timeSynchronous = "time-synchronous"
    }

    /// What is kept of the hypotheses.
    public var method: Method
    /// Hypotheses that a beam keeps.
    public var beam: Int
    /// How far a hypothesis may be behind the best: a difference of natural logarithms.
    public var window: Double
    /// Hypotheses that a final result has at most.
    public var alternatives: Int
    /// What is taken off the blank's logit: more than 0 gives more labels.
    public var blankPenalty: Double
    /// Labels that a transducer may emit at one frame.
    public var maxSymbols: Int
    /// Of a token-and-duration transducer whose spec does not say them, how many frames each of the last entries of its
    /// vocabulary goes on.
    public var durations: [Int]
    /// Phrases that are more likely than the model knows; they take a beam.
    public var hotwords: [Hotword]
    /// N-gram models over labels; they take a beam.
    public var languageModels: [NGramModel]

    public init(
        method: Method = .greedy, beam: Int = 4, window: Double = 3, alternatives: Int = 1, blankPenalty: Double = 0,
        maxSymbols: Int = 5, durations: [Int] = [], hotwords: [Hotword] = [], languageModels: [NGramModel] = []
    ) {
        self.method = method
        self.beam = beam
        self.window = window
        self.alternatives = alternatives
        self.blankPenalty = blankPenalty
        self.maxSymbols = maxSymbols
        self.durations = durations
        self.hotwords = hotwords
        self.languageModels = languageModels
    }

    func check() throws {
        for (name, value, least) in [
            ("beam", beam, 1), ("alternatives", alternatives, 1), ("maxSymbols", maxSymbols, 1),
        ]
        where value < least {
            throw SpeechError.unsupportedSearch("\(name) must be at least \(least), not \(value)")
        }
        guard durations.isEmpty || durations.allSatisfy({ $0 >= 0 }) && durations.contains(where: { $0 > 0 }) else {
            throw SpeechError.unsupportedSearch(
                "durations are numbers of frames, one of them at least 1, not \(durations)")
        }
        if method == .greedy, !hotwords.isEmpty || !languageModels.isEmpty {
            throw SpeechError.unsupportedSearch(
                "a greedy search follows one hypothesis, so nothing can be fused into it: take a beam")
        }
    }
}

/// A phrase that is more likely than the model knows.
public struct Hotword: Sendable, Equatable {
    /// The phrase.
    public var text: String
    /// What each of its labels adds to the score of a hypothesis that says it: a natural logarithm.
    public var boost: Double

    public init(_ text: String, boost: Double = 1) {
        self.text = text
        self.boost = boost
    }
}
