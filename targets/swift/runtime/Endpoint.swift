/// When an utterance is over: when all of this is so.
public struct EndpointRule: Sendable, Equatable {
    /// What a result says has ended the utterance.
    public var name: String
    /// Seconds of silence at the end, at least.
    public var silence: Double
    /// Seconds since the utterance began, at least.
    public var length: Double
    /// Whether anything has been said in it; nil where that does not matter.
    public var spoken: Bool?

    public init(name: String, silence: Double = 0, length: Double = 0, spoken: Bool? = nil) {
        self.name = name
        self.silence = silence
        self.length = length
        self.spoken = spoken
    }

    /// The three that sherpa comes with.
    public static let usual = [
        EndpointRule(name: "silence before any word", silence: 2.4, spoken: false),
        EndpointRule(name: "silence after words", silence: 1.2, spoken: true),
        EndpointRule(name: "longest utterance", length: 20),
    ]

    /// For recordings: an utterance ends at silence alone, however long it is.
    public static let recorded = usual.filter { $0.silence > 0 }
}

/// The rules of a stream. Silence is what was heard since the last label that is a sound.
package struct Endpointer: Sendable {
    /// Seconds of an encoded frame.
    let frameSeconds: Double
    let rules: [EndpointRule]
    /// Labels that are no sound, such as a space.
    let quiet: Set<Int>

    /// The first rule that says that the utterance is over; nil while it goes on.
    func reached(_ partial: Partial) -> EndpointRule? {
        let spoken = partial.best.ids.lastIndex { !quiet.contains($0) }
        let length = Double(partial.frames - partial.begun) * frameSeconds
        let silence =
            spoken.map { Double(partial.frames - partial.best.frames[$0] - 1) * frameSeconds } ?? length
        return rules.first { rule in
            (rule.spoken ?? (spoken != nil)) == (spoken != nil) && silence >= rule.silence && length >= rule.length
        }
    }
}
