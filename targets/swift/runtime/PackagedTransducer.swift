import Foundation

/// Predictor and joiner of a package: one hypothesis a call.
package final class PackagedTransducer: TransducerEngine {
    private let predictor: CoreMLFunction
    private let joiner: CoreMLFunction
    private let state: CoreMLState
    private let clock: CallClock
    private let label: LabelInput
    private let encoded: PortDescription
    private let predicted: PortDescription
    private let vector: PortDescription
    private let logits: PortDescription
    /// The result of the joiner that scores durations, where that is one of its own.
    private let durations: PortDescription?
    private let labels: Int

    package let frames: Int

    package init(model: SpeechModel, clock: CallClock) async throws {
        let description = model.description
        predictor = try model.function(description.predictor)
        joiner = try model.function(description.joiner)
        self.clock = clock
        let inputs = joiner.description.inputs
        guard let label = predictor.description.inputs.first, let vector = predictor.description.outputs.first,
            let logits = joiner.description.outputs.first, let encoded = inputs.first(where: { $0.frames != nil }),
            let predicted = inputs.first(where: { $0.spec != encoded.spec })
        else { throw SpeechError.damagedModel("predictor and joiner do not fit each other") }
        self.label = try LabelInput(label, folder: model.folder)
        self.encoded = encoded
        self.predicted = predicted
        self.vector = vector
        self.logits = logits
        labels = description.vocabulary - description.durations.count
        let others = joiner.description.outputs.filter { $0.overTime && $0.spec != logits.spec }
        durations = description.durations.isEmpty ? nil : others.first
        frames = encoded.frames ?? 1
        state = await predictor.makeState()
    }

    package func start() async throws -> PredictorState {
        await predictor.makeState().saved()
    }

    package func predict(_ label: Int, after state: PredictorState) async throws
        -> (vector: [Float], state: PredictorState)
    {
        await self.state.restore(state)
        let inputs = [self.label.port.spec: try self.label.tensor(of: [label])]
        let outputs = try await predictor.call(inputs, state: self.state, clock: clock)
        return (outputs[vector.spec]!.values, await self.state.saved())
    }

    package func join(_ encoded: Frames, with vector: [Float]) async throws -> Frames {
        var logits = Frames(width: durations.map { labels + $0.width } ?? self.logits.width)
        for part in encoded.blocks(of: frames) {
            let inputs = [
                self.encoded.spec: self.encoded.tensor(of: part),
                predicted.spec: Tensor(shape: predicted.shape, values: vector),
            ]
            let results = try await joiner.call(inputs, clock: clock)
            logits.append(scored(results)[0..<part.count])
        }
        return logits
    }

    /// Logits of labels and, where those of durations are apart, of durations behind them.
    private func scored(_ results: [String: Tensor]) -> Frames {
        let joined = logits.frames(of: results[logits.spec]!)
        guard let durations else { return joined }
        let apart = durations.frames(of: results[durations.spec]!)
        let rows = (0..<joined.count).flatMap { joined.row($0).prefix(labels) + apart.row($0) }
        return Frames(width: labels + apart.width, values: rows)
    }
}
