@preconcurrency import CoreML
import Foundation

/// Where Core ML would run the functions of a model, beside what the build predicted: for looking at while developing.
///
/// Loading a plan has aborted the process for some models, so an app that ships does not ask.
public struct PlacementReport: Sendable, Equatable {
    /// A function of the model.
    public struct Function: Sendable, Equatable {
        /// The name in the spec.
        public let name: String
        /// How many operations are placed; constants are placed nowhere.
        public let operations: Int
        /// The share of the operations, 0 to 1, that the build predicts to run on the Neural Engine.
        public let predicted: Double
        /// The share in Core ML's plan.
        public let planned: Double
    }

    /// The functions, by name.
    public let functions: [Function]
}

extension SpeechModel {
    /// Asks Core ML for its plans.
    public func placement(units: ComputeUnits? = nil) async throws -> PlacementReport {
        var found: [PlacementReport.Function] = []
        for (name, function) in description.functions.sorted(by: { $0.key < $1.key }) {
            let configuration = MLModelConfiguration()
            configuration.computeUnits = (units ?? function.predicted).coreML
            let compiled = try await store.compiled(function.package) { _ in }
            let plan = try await MLComputePlan.load(contentsOf: compiled, configuration: configuration)
            guard case .program(let program) = plan.modelStructure,
                let operations = program.functions[function.name ?? "main"]?.block.operations
            else { throw SpeechError.coreML(function: name, reason: "its plan has no such function") }
            // Constants are placed nowhere.
            let usages = operations.compactMap { plan.deviceUsage(for: $0)?.preferred }
            let engine = usages.count { if case .neuralEngine = $0 { true } else { false } }
            found.append(
                .init(
                    name: name, operations: usages.count, predicted: function.engineShare,
                    planned: usages.isEmpty ? 0 : Double(engine) / Double(usages.count)))
        }
        return PlacementReport(functions: found)
    }
}
