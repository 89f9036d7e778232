/// A sequence of labels that a search has found.
public struct Hypothesis: Sendable, Equatable {
    /// Its labels.
    public var ids: [Int]
    /// Natural logarithm of its probability as the search defines it, with what was fused into it.
    public var score: Double
    /// For each label the encoded frame at which it was emitted, counted from the start of the stream or from the
    /// last `endUtterance()`; none of a text that is written when all was heard.
    public var frames: [Int]
    /// For each label its probability at that frame, 0 to 1.
    public var confidences: [Double]
}

/// What a search knows of the utterance so far: the first `final` labels of `best` never change.
package struct Partial: Sendable {
    package let best: Hypothesis
    package let final: Int
    /// Encoded frames of the stream that were searched, and the one at which the utterance began.
    package let frames: Int
    package let begun: Int
}
