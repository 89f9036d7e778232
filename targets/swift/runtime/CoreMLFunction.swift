@preconcurrency import CoreML
import Foundation

/// A function of a package that is called with arrays by their names in the spec.
@CoreMLGate
package final class CoreMLFunction {
    package nonisolated let name: String
    package nonisolated let description: FunctionDescription
    private let model: MLModel
    private let inputs: [String: MLMultiArray]

    init(name: String, description: FunctionDescription, model: MLModel) throws {
        self.name = name
        self.description = description
        self.model = model
        var inputs: [String: MLMultiArray] = [:]
        for port in description.inputs + (description.passesStates ? description.states : []) {
            let type: MLMultiArrayDataType =
                switch port.type {
                case .fp16: .float16
                case .fp32: .float32
                case .int32: .int32
                }
            inputs[port.name] = try MLMultiArray(shape: port.shape.map { NSNumber(value: $0) }, dataType: type)
        }
        self.inputs = inputs
    }

    /// A state of zeros. Functions of a model whose states are alike can go on with one another's.
    package func makeState() -> CoreMLState {
        CoreMLState(
            of: description, held: description.states.isEmpty || description.passesStates ? nil : model.makeState())
    }

    /// A call of zeros, which is thrown away: the first one takes longer than others, and tells whether the units can do it.
    func warm() async throws {
        let zeros = description.inputs.map { ($0.spec, Tensor(zeros: $0.shape)) }
        _ = try await call(Dictionary(uniqueKeysWithValues: zeros), state: makeState())
    }

    /// One call: outputs by their names in the spec. `state` is what the last call left, and changed.
    package func call(_ given: [String: Tensor], state: CoreMLState? = nil, clock: CallClock? = nil) async throws
        -> [String: Tensor]
    {
        await CoreMLGate.enter()
        defer { CoreMLGate.leave() }
        for port in description.inputs {
            guard let tensor = given[port.spec], tensor.values.count == port.count else {
                throw SpeechError.coreML(function: name, reason: "input \(port.spec) is missing or of another size")
            }
            HalfPrecision.write(tensor.values, into: inputs[port.name]!)
        }
        if description.passesStates {
            for port in description.states {
                HalfPrecision.write(state!.passed[port.name]!, into: inputs[port.name]!)
            }
        }
        do {
            let provider = try MLDictionaryFeatureProvider(
                dictionary: inputs.mapValues { MLFeatureValue(multiArray: $0) })
            let started = ContinuousClock.now
            let results =
                if let held = state?.held {
                    try await model.prediction(from: provider, using: held, options: MLPredictionOptions())
                } else {
                    try await model.prediction(from: provider, options: MLPredictionOptions())
                }
            clock?.add(ContinuousClock.now - started)
            if description.passesStates {
                for port in description.states {
                    state!.passed[port.name] = try read(results, port, called: port.name + "_out")
                }
            }
            var outputs: [String: Tensor] = [:]
            for port in description.outputs {
                outputs[port.spec] = Tensor(shape: port.shape, values: try read(results, port, called: port.name))
            }
            return outputs
        } catch let error as SpeechError {
            throw error
        } catch {
            throw SpeechError.coreML(function: name, reason: error.localizedDescription)
        }
    }

    private func read(_ results: any MLFeatureProvider, _ port: PortDescription, called: String) throws -> [Float] {
        guard let array = results.featureValue(for: called)?.multiArrayValue else {
            throw SpeechError.unexpectedOutput(function: name, output: called, reason: "nothing")
        }
        guard array.shape.map(\.intValue) == port.shape else {
            throw SpeechError.unexpectedOutput(function: name, output: called, reason: "\(array.shape)")
        }
        return HalfPrecision.read(array)
    }
}

/// What a function remembers from call to call: one for each stream.
@CoreMLGate
package final class CoreMLState {
    fileprivate let held: MLState?
    fileprivate var passed: [String: [Float]] = [:]
    private let ports: [PortDescription]

    init(of description: FunctionDescription, held: MLState?) {
        self.held = held
        ports = description.states
        if description.passesStates {
            for port in ports { passed[port.name] = [Float](repeating: 0, count: port.count) }
        }
    }

    /// All that the next call would find, for `restore`.
    package func saved() -> [[Float]] {
        ports.map { port in
            held?.withMultiArray(for: port.name) { HalfPrecision.read($0) } ?? passed[port.name]!
        }
    }

    /// The next call finds what `saved` was given.
    package func restore(_ saved: [[Float]]) {
        for (port, values) in zip(ports, saved) {
            if let held {
                held.withMultiArray(for: port.name) { HalfPrecision.write(values, into: $0) }
            } else {
                passed[port.name] = values
            }
        }
    }
}
