import Foundation

/// An attention decoder label by label, after an utterance was encoded.
package final class LabelDecoder {
    /// What stands at a place before the text: a label, or a frame of the encoder's.
    package enum Item {
        case label(Int)
        case frame([Float])
    }

    package let description: DecoderDescription
    private let functions: [CoreMLFunction]
    private let inputs: [[LabelInput]]
    private let clock: CallClock
    private var state: CoreMLState
    private var count = 0

    package init(model: SpeechModel, description: DecoderDescription, tables: [String: URL], clock: CallClock)
        async throws
    {
        self.description = description
        self.clock = clock
        functions = try description.functions.map(model.function)
        inputs = try functions.map { function in
            try function.description.inputs.map { try LabelInput($0, folder: model.folder, tables: tables) }
        }
        guard let last = functions.last else { throw SpeechError.damagedModel("its decoder has no function") }
        state = await last.makeState()
    }

    /// Forgets the labels so far.
    package func reset() async {
        state = await functions[functions.count - 1].makeState()
        count = 0
    }

    /// The inputs over time of the decoder.
    package var heardInputs: [PortDescription] {
        functions[functions.count - 1].description.inputs.filter(\.overTime)
    }

    /// For how many labels the decoder's cache has room behind so many; nil where it is endless.
    package func room(behind items: Int) -> Int? { description.longest.map { $0 - items } }

    /// Logits of what follows these items: several a call where a function takes so many.
    package func take(_ items: [Item], heard: [String: Tensor]) async throws -> Frames {
        if let longest = description.longest, count + items.count > longest {
            throw SpeechError.noHypothesis("the decoder goes on for \(longest) labels, and no more")
        }
        var rest = items[...]
        var logits = Frames(width: 0)
        while !rest.isEmpty {
            let place = functions.indices.first { labels(of: functions[$0]) <= rest.count } ?? functions.count - 1
            let function = functions[place]
            let taken = Array(rest.prefix(labels(of: function)))
            rest = rest.dropFirst(taken.count)
            var given: [String: Tensor] = [:]
            for input in inputs[place] { given[input.port.spec] = try tensor(input, taken, heard) }
            let output = function.description.outputs[0]
            logits = output.frames(of: try await function.call(given, state: state, clock: clock)[output.spec]!)
            count += taken.count
        }
        return logits[logits.count - 1..<logits.count]
    }

    private func labels(of function: CoreMLFunction) -> Int { function.description.outputs[0].frames ?? 1 }

    private func tensor(_ input: LabelInput, _ items: [Item], _ heard: [String: Tensor]) throws -> Tensor {
        let port = input.port
        if let tensor = heard[port.spec] { return tensor }
        if port.spec == "valid" { return Tensor(shape: port.shape, values: items.map { _ in 1 }) }
        switch port.given {
        case "is_token":
            return Tensor(shape: port.shape, values: items.map { if case .label = $0 { 1 } else { 0 } })
        case "frame", "row":
            let frames = try items.flatMap { item in
                switch item {
                case .frame(let frame): frame
                case .label(let label):
                    port.given == "row" ? try input.row(label) : [Float](repeating: 0, count: port.width)
                }
            }
            return port.tensor(of: Frames(width: port.width, values: frames))
        default:
            // At a frame the label means nothing.
            let labels = items.map { if case .label(let label) = $0 { label } else { 0 } }
            return try input.tensor(of: port.spec == "position" ? items.indices.map { count + $0 } : labels)
        }
    }
}
