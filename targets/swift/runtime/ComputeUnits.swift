@preconcurrency import CoreML

/// Where Core ML may run a function.
public enum ComputeUnits: String, Codable, Sendable, CaseIterable {
    case neuralEngine, gpu, cpu, all

    var coreML: MLComputeUnits {
        switch self {
        case .neuralEngine: .cpuAndNeuralEngine
        case .gpu: .cpuAndGPU
        case .cpu: .cpuOnly
        case .all: .all
        }
    }

    /// What is tried where Core ML can't load a function for these units.
    var next: ComputeUnits? {
        switch self {
        case .neuralEngine, .all: .gpu
        case .gpu: .cpu
        case .cpu: nil
        }
    }
}
