/// The encoder as a stream: chunks of frames in, encoded frames out, each once and in order.
package final class StreamEncoder {
    private let function: CoreMLFunction
    private let input: PortDescription
    private let output: PortDescription
    private let exists: String?
    private let clock: CallClock
    private var state: CoreMLState
    /// Frames that were heard, and encoded frames that were given on or are before the utterance.
    private var heard = 0
    private var given = 0
    private var late: Int

    /// Frames of a chunk.
    package let chunk: Int

    package init(function: CoreMLFunction, description: ModelDescription, clock: CallClock) async throws {
        guard let features = description.features, let input = function.description.input(features.input),
            let output = description.encoded.flatMap(function.description.output), let chunk = input.frames
        else { throw SpeechError.damagedModel("it takes no frames of sound") }
        self.function = function
        self.input = input
        self.output = output
        self.chunk = chunk
        self.clock = clock
        exists = features.exists
        late = output.delay
        state = await function.makeState()
    }

    /// Encoded frames of a chunk; one where the encoder's result has no axis of time.
    package var encodedFrames: Int { output.frames ?? 1 }

    /// Encoded frames of all that was heard.
    private var total: Int { (heard * encodedFrames + chunk - 1) / chunk }

    package func reset() async {
        state = await function.makeState()
        heard = 0
        given = 0
        late = output.delay
    }

    /// Encoded frames after the next chunk, whose first `exist` frames exist: of frames of samples perhaps a part of the last.
    package func push(_ frames: Frames, exist: Double) async throws -> Frames {
        heard += Int(exist.rounded(.up))
        let encoded = try await call(frames, exist)
        let before = min(late, encoded.count)
        late -= before
        let kept = encoded[before..<min(encoded.count, before + max(0, total - given))]
        given += kept.count
        return kept
    }

    /// The frames that look-ahead has held back at the end of the utterance.
    package func finish() async throws -> Frames {
        var rest = Frames(width: output.width)
        while given < total {
            rest.append(try await push(Frames(width: input.width, count: chunk, filledWith: 0), exist: 0))
        }
        return rest
    }

    /// All results of a call over a whole utterance.
    package func whole(_ frames: Frames, exist: Double) async throws -> [String: Tensor] {
        try await outputs(frames, exist)
    }

    private func call(_ frames: Frames, _ exist: Double) async throws -> Frames {
        output.frames(of: try await outputs(frames, exist)[output.spec]!)
    }

    private func outputs(_ frames: Frames, _ exist: Double) async throws -> [String: Tensor] {
        var inputs = [input.spec: input.tensor(of: frames)]
        for port in function.description.inputs where inputs[port.spec] == nil {
            switch port.spec {
            case exists: inputs[port.spec] = port.marks(exist)
            case "valid":
                // An utterance counts in whole strides.
                let marks = port.frames ?? 1
                let whole = (Int(exist.rounded(.up)) * encodedFrames + chunk - 1) / chunk
                let values = (0..<port.count).map { Float($0 * encodedFrames < whole * marks ? 1 : 0) }
                inputs[port.spec] = Tensor(shape: port.shape, values: values)
            default: throw SpeechError.damagedModel("nothing is known of the encoder's input \(port.spec)")
            }
        }
        return try await function.call(inputs, state: state, clock: clock)
    }
}

extension PortDescription {
    /// Ones for what exists of a call, zeros for the rest: a mark for each frame, or for each sample of it.
    func marks(_ exist: Double) -> Tensor {
        let count = frames ?? 1
        let entries = self.count / count
        let existing = Int((exist * Double(entries)).rounded(.up))
        let marks = (0..<self.count).map { Float($0 < existing ? 1 : 0) }
        guard entries > 1 else { return Tensor(shape: shape, values: marks) }
        return tensor(of: Frames(width: entries, values: marks))
    }
}
