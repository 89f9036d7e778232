@preconcurrency import CoreML

/// Where Core ML may run a function.
public enum ComputeUnits: String, Codable, Sendable, CaseIterable {
    /// The Neural Engine, and the CPU for what it can't run. An app in the background may use both.
    case neuralEngine
    /// The GPU and the CPU. iOS lets no app in the background use the GPU: calls fail there.
    case gpu
    /// The CPU alone.
    case cpu
    /// Where Core ML likes.
    case all

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
