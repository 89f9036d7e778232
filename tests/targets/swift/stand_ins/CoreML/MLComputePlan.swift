// Plans: every operation of a function is placed where the configuration asks for.

import Foundation

public final class MLCPUComputeDevice {}
public final class MLGPUComputeDevice {}
public final class MLNeuralEngineComputeDevice {}

public enum MLComputeDevice {
    case cpu(MLCPUComputeDevice)
    case gpu(MLGPUComputeDevice)
    case neuralEngine(MLNeuralEngineComputeDevice)
}

public final class MLModelStructure {
    public final class Program {
        public struct Operation {
            public let operatorName: String
        }
        public struct Block {
            public let operations: [Operation]
        }
        public struct Function {
            public let block: Block
        }
        public let functions: [String: Function]
        init(functions: [String: Function]) { self.functions = functions }
    }
}

public final class MLComputePlan {
    public struct DeviceUsage {
        public let preferred: MLComputeDevice
    }

    public enum ModelStructure {
        case program(MLModelStructure.Program)
    }

    private let units: MLComputeUnits
    public let modelStructure: ModelStructure

    private init(units: MLComputeUnits, structure: ModelStructure) {
        self.units = units
        modelStructure = structure
    }

    public static func load(contentsOf url: URL, configuration: MLModelConfiguration) async throws -> MLComputePlan {
        let path = try String(contentsOf: url.appendingPathComponent("package"), encoding: .utf8)
        let counts = try Evaluator.shared.operations(path)
        let functions = counts.mapValues { count in
            MLModelStructure.Program.Function(
                block: .init(operations: (0..<count).map { .init(operatorName: "op\($0)") }))
        }
        return MLComputePlan(units: configuration.computeUnits, structure: .program(.init(functions: functions)))
    }

    public func deviceUsage(for operation: MLModelStructure.Program.Operation) -> DeviceUsage? {
        switch units {
        case .cpuOnly: DeviceUsage(preferred: .cpu(MLCPUComputeDevice()))
        case .cpuAndGPU: DeviceUsage(preferred: .gpu(MLGPUComputeDevice()))
        case .all, .cpuAndNeuralEngine: DeviceUsage(preferred: .neuralEngine(MLNeuralEngineComputeDevice()))
        }
    }
}
