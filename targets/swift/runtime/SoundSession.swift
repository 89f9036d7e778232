/// The work of one stream. It belongs to the one task that does it.
package protocol SoundSession<Result>: AnyObject {
    associatedtype Result: Sendable
    /// The results of the next samples, each as soon as it is known.
    func push(_ samples: [Float], _ tell: (Result) -> Void) async throws
    /// The results of the end of an utterance, with all that was held back. The next samples begin another one, and times go on.
    func finish(_ tell: (Result) -> Void) async throws
    /// Forgets everything heard.
    func reset() async throws
    var statistics: StreamStatistics { get }
}
