import Foundation

/// What the package knows of its model: the contents of `model.json`, which `mctc build` wrote.
package struct ModelDescription: Codable, Sendable {
    package enum Kind: String, Codable, Sendable {
        case transducer, ctc, decoder, features, embedding, sound
    }

    package let model: String
    package let version: String
    /// Tells this build from others: compiled models are kept under it.
    package let digest: String
    package let kind: Kind
    /// Whether trained weights were bound. What an untrained model hears means nothing.
    package let trained: Bool
    /// Whether calls take chunks of a stream; else a call takes a whole utterance.
    package let streams: Bool
    /// What calls of a stream may last, the usual one first.
    package let chunks: [ChunkDescription]
    /// The function that takes frames of sound.
    package private(set) var encoder: String?
    /// The result of the encoder that is searched, or handed on.
    package let encoded: String?
    package private(set) var predictor: String?
    package private(set) var joiner: String?
    package let decoder: DecoderDescription?
    /// Samples a second of the sound that a model makes of sound.
    package let soundRate: Int?
    package let features: FeatureDescription?
    package private(set) var functions: [String: FunctionDescription]
    /// Labels that are searched for, and behind them durations.
    package let vocabulary: Int
    /// Of a token-and-duration transducer, how many frames each of its durations goes on.
    package let durations: [Int]
    package let blank: Int
    package let tokens: TokenTable?
}

/// How long a call of a stream lasts.
package struct ChunkDescription: Codable, Sendable {
    package let seconds: Double
    /// Functions by the names of those that they take the place of.
    package let functions: [String: String]
}

extension ModelDescription {
    /// The model with the functions of one of its chunks alone; the usual ones if left out.
    func called(every chunk: Duration?) throws(SpeechError) -> ModelDescription {
        let usual = chunks.first
        let wanted = chunk.map { wanted in chunks.first { abs($0.seconds - wanted.seconds) < 1e-6 } } ?? usual
        guard let taken = wanted?.functions ?? (chunk == nil ? [:] : nil) else {
            let known = chunks.map { "\($0.seconds) s" }.joined(separator: ", ")
            throw .unsupportedChunk("\(chunk!)", known: known)
        }
        let others = Set(chunks.flatMap(\.functions.values)).subtracting(taken.values)
        var called = self
        func name(_ usual: String?) -> String? { usual.map { taken[$0] ?? $0 } }
        (called.encoder, called.predictor, called.joiner) = (name(encoder), name(predictor), name(joiner))
        called.functions = functions.filter { !others.contains($0.key) && taken[$0.key] == nil }
        return called
    }
}

/// A function of a Core ML package.
package struct FunctionDescription: Codable, Sendable {
    /// The package's name in the folder of the model.
    package let package: String
    /// The function's name in it; nil where the package has no other.
    package let name: String?
    /// Where the build predicts it to run, and the share of its operations on the Neural Engine.
    package let predicted: ComputeUnits
    package let engineShare: Double
    package let inputs: [PortDescription]
    package let outputs: [PortDescription]
    package let states: [PortDescription]
    /// Whether states are inputs, and outputs that are called `name` + `_out`.
    package let passesStates: Bool

    package func input(_ spec: String) -> PortDescription? { inputs.first { $0.spec == spec } }
    package func output(_ spec: String) -> PortDescription? { outputs.first { $0.spec == spec } }
}

/// An input, output or state of a function.
package struct PortDescription: Codable, Sendable {
    package enum Element: String, Codable, Sendable { case fp16, fp32, int32 }

    /// The name in the package.
    package let name: String
    /// The name in the spec.
    package let spec: String
    package let shape: [Int]
    package let type: Element
    /// Frames, or labels, of a call; nil for a port that has none.
    package let frames: Int?
    /// The axis that frames follow one another along, and the one that a frame's numbers lie along.
    package let frameAxis: Int?
    package let channelAxis: Int?
    /// Whether it has an axis of time.
    package let overTime: Bool
    /// Frames at the start of a stream that are before the utterance.
    package let delay: Int
    /// What an input of a decoder is given, besides labels.
    package let given: String?
    /// The file of rows that are looked up by id.
    package let rows: String?

    package var count: Int { shape.reduce(1, *) }
    package var width: Int { channelAxis.map { shape[$0] } ?? 1 }
}

/// An attention decoder: its functions, and the labels around a text.
package struct DecoderDescription: Codable, Sendable {
    /// Functions of the decoder, that of most labels a call first.
    package let functions: [String]
    /// Functions over time between encoder and decoder, in the order of calls.
    package let between: [String]
    /// Whether frames stand among the labels.
    package let among: Bool
    package let longest: Int?
    package let before: [Int]
    package let begin: [Int]
    package let end: Int?
    package let ends: [Int]
    package let never: [Int]
    package let notFirst: [Int]
    package let heading: Int?
}

/// How samples become frames: the settings of `mctc.audio.MelConfig`, with its window and filters as numbers.
package struct FeatureDescription: Codable, Sendable {
    package enum Kind: String, Codable, Sendable { case logMel, samples }
    package enum Logarithm: String, Codable, Sendable { case log10, ln }
    package enum Normalisation: String, Codable, Sendable { case scaled, none, recording }
    /// A frame ends with its hop, begins with it as far as sound fills windows, or has its middle there, with the sound mirrored
    /// at both ends.
    package enum Framing: String, Codable, Sendable { case causal, snipped, middle }

    package let kind: Kind
    package let input: String
    /// The input that is told which frames exist.
    package let exists: String?
    package let sampleRate: Int
    package let bins: Int
    /// Frames a second, those of zeros among them.
    package let frameRate: Double
    package let window: Int
    package let hop: Int
    package let fft: Int
    package let floor: Double
    package let added: Bool
    package let log: Logarithm
    package let normalise: Normalisation
    package let preemphasis: Double
    package let centred: Bool
    package let mirrored: Bool
    package let partial: Bool
    package let decades: Double?
    package let shortest: Int
    package let every: Int
    package let zeros: Int
    /// What samples are multiplied by.
    package let gain: Double
    /// Whether the mean of each window is taken off, and preemphasis is that of the window.
    package let byWindow: Bool
    package let framing: Framing
    /// The value of every bin of a silent frame.
    package let silence: Float
    /// Weights of the samples of a window.
    package let windowWeights: [Double]
    /// Of each mel filter its first frequency, and its weights from there on.
    package let filterStarts: [Int]
    package let filterWeights: [[Double]]

    /// Whether a frame is known as soon as its sound is.
    package var streams: Bool {
        !centred && decades == nil && normalise != .recording && shortest == 0 && zeros == 0
    }
}
