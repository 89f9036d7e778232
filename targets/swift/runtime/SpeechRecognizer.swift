/// One stream of speech: audio in, text out.
///
/// ```swift
/// let recognizer = try await SpeechModel.load().recognizer()
/// Task { for try await result in recognizer.results { caption = result.text } }
/// try recognizer.append(samples)
/// try await recognizer.finish()
/// ```
///
/// Its results are volatile while an utterance goes on, and a final one for each.
public typealias SpeechRecognizer = SoundStream<SpeechResult>

/// One stream of sound through a model that makes features and no text, such as how likely each piece of it is speech. A model
/// that makes one vector of an utterance has it ready behind `finish()`.
public typealias FeatureStream = SoundStream<FeatureRow>

/// One stream of sound through a model that makes sound of it, such as speech without the noise.
public typealias SoundFilter = SoundStream<SoundPiece>

/// Numbers of a piece of sound.
public struct FeatureRow: Sendable, Equatable {
    /// A number for each of the model's channels.
    public let values: [Float]
    /// The time of the piece, from the start of the stream.
    public let range: Range<Duration>
}

/// Sound that a model made.
public struct SoundPiece: Sendable, Equatable {
    /// At `model.soundRate`, mono, full scale 1.
    public let samples: [Float]
    /// The time of the piece, from the start of the stream: that of the sound that it was made of.
    public let range: Range<Duration>
}
