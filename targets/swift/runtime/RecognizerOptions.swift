import Foundation

/// How a recognizer listens.
public struct RecognizerOptions: Sendable {
    /// How labels are searched for.
    public var search: SearchSettings
    /// When an utterance is over; none for audio that is one.
    public var endpoints: [EndpointRule]
    /// How much later than it is said a word is heard, in the mean: taken off its times.
    public var delay: Duration
    /// Whether results come while an utterance goes on.
    public var volatileResults: Bool
    /// Files of rows, numpy's `.npy`, for inputs of a decoder that take rows the model does not bring, by the input's name:
    /// the row of a label or, for an input called `position`, of its place.
    public var tables: [String: URL]

    public init(
        search: SearchSettings = SearchSettings(), endpoints: [EndpointRule] = EndpointRule.usual,
        delay: Duration = .zero, volatileResults: Bool = true, tables: [String: URL] = [:]
    ) {
        self.search = search
        self.endpoints = endpoints
        self.delay = delay
        self.volatileResults = volatileResults
        self.tables = tables
    }
}
