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

    package let frames: Int

    package init(predictor: CoreMLFunction, joiner: CoreMLFunction, folder: URL, clock: CallClock) async throws {
        self.predictor = predictor
        self.joiner = joiner
        self.clock = clock
        let inputs = joiner.description.inputs
        guard let label = predictor.description.inputs.first, let vector = predictor.description.outputs.first,
            let logits = joiner.description.outputs.first, let encoded = inputs.first(where: { $0.frames != nil }),
            let predicted = inputs.first(where: { $0.spec != encoded.spec })
        else { throw SpeechError.damagedModel("predictor and joiner do not fit each other") }
        self.label = try LabelInput(label, folder: folder)
        self.encoded = encoded
        self.predicted = predicted
        self.vector = vector
        self.logits = logits
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
        var logits = Frames(width: self.logits.width)
        for part in encoded.blocks(of: frames) {
            let inputs = [
                self.encoded.spec: self.encoded.tensor(of: part),
                predicted.spec: Tensor(shape: predicted.shape, values: vector),
            ]
            let joined = self.logits.frames(of: try await joiner.call(inputs, clock: clock)[self.logits.spec]!)
            logits.append(joined[0..<part.count])
        }
        return logits
    }
}
