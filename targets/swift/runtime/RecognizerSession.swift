/// The work of one recognizer. It belongs to the one task that does it.
package protocol RecognizerSession: AnyObject {
    /// The results of the next samples, each as soon as it is known.
    func push(_ samples: [Float], _ tell: (SpeechResult) -> Void) async throws
    /// The results of the end of the audio, with all that was held back. The next samples are those of another stream.
    func finish(_ tell: (SpeechResult) -> Void) async throws
    /// Forgets everything heard.
    func reset() async throws
    var statistics: RecognizerStatistics { get }
}
