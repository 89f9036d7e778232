// Models: each call is answered by mctc's evaluator in a child process.

import Foundation

public struct StandInError: Error, LocalizedError {
    public let errorDescription: String?
    init(_ text: String) { errorDescription = text }
}

public enum MLComputeUnits: Int, Sendable { case cpuOnly, cpuAndGPU, all, cpuAndNeuralEngine }

public final class MLModelConfiguration {
    public var computeUnits = MLComputeUnits.all
    public var functionName: String?
    public init() {}
}

public final class MLPredictionOptions {
    public init() {}
}

public final class MLFeatureValue {
    public let multiArrayValue: MLMultiArray?
    public init(multiArray: MLMultiArray) { multiArrayValue = multiArray }
}

public protocol MLFeatureProvider {
    var featureNames: Set<String> { get }
    func featureValue(for featureName: String) -> MLFeatureValue?
}

public final class MLDictionaryFeatureProvider: MLFeatureProvider {
    private let values: [String: MLFeatureValue]
    public init(dictionary: [String: Any]) throws {
        guard let values = dictionary as? [String: MLFeatureValue] else {
            throw StandInError("values are MLFeatureValue")
        }
        self.values = values
    }
    public var featureNames: Set<String> { Set(values.keys) }
    public func featureValue(for featureName: String) -> MLFeatureValue? { values[featureName] }
}

/// Arrays that live from call to call. Whoever touches them while a prediction runs, or predicts twice at once, is stopped.
public final class MLState {
    let arrays: [String: MLMultiArray]
    let names: [String]
    let busy = Occupied()

    init(_ ports: [Port]) {
        names = ports.map(\.name)
        arrays = Dictionary(
            uniqueKeysWithValues: ports.map {
                ($0.name, MLMultiArray(extents: $0.shape, dataType: $0.type, rowMultiple: 1))
            })
    }

    public func withMultiArray<R>(for stateName: String, _ body: (MLMultiArray) throws -> R) rethrows -> R {
        precondition(!busy.isOccupied, "a state was touched while a prediction ran")
        return try body(arrays[stateName]!)
    }
}

public final class MLModel {
    let path: String
    let name: String?
    let interface: Interface

    private init(path: String, name: String?, interface: Interface) {
        self.path = path
        self.name = name
        self.interface = interface
    }

    /// A "compiled" model here is a folder that names its package.
    public static func compileModel(at modelURL: URL) async throws -> URL {
        guard FileManager.default.fileExists(atPath: modelURL.appendingPathComponent("Manifest.json").path) else {
            throw StandInError("\(modelURL.path) is no package")
        }
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString + ".mlmodelc")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        try modelURL.path.write(to: folder.appendingPathComponent("package"), atomically: true, encoding: .utf8)
        return folder
    }

    public static func load(contentsOf url: URL, configuration: MLModelConfiguration = MLModelConfiguration())
        async throws
        -> MLModel
    {
        let path = try String(contentsOf: url.appendingPathComponent("package"), encoding: .utf8)
        let name = configuration.functionName
        return MLModel(path: path, name: name, interface: try Evaluator.shared.open(path, name))
    }

    public func makeState() -> MLState { MLState(interface.states) }

    public func prediction(from input: any MLFeatureProvider, options: MLPredictionOptions = MLPredictionOptions())
        async throws
        -> any MLFeatureProvider
    {
        guard interface.states.isEmpty else { throw StandInError("the function has states, and the call gave none") }
        return try await predict(input, nil)
    }

    public func prediction(
        from input: any MLFeatureProvider, using state: MLState, options: MLPredictionOptions = MLPredictionOptions()
    ) async throws -> any MLFeatureProvider {
        guard state.names == interface.states.map(\.name) else { throw StandInError("the state is another function's") }
        return try await predict(input, state)
    }

    private func predict(_ input: any MLFeatureProvider, _ state: MLState?) async throws -> any MLFeatureProvider {
        Occupied.process.enter("two predictions at once")
        state?.busy.enter("a state is used by two predictions at once")
        defer {
            state?.busy.leave()
            Occupied.process.leave()
        }
        await Task.yield()  // whoever does not wait for this call now begins another one
        let given = try interface.inputs.map { port in
            guard let array = input.featureValue(for: port.name)?.multiArrayValue else {
                throw StandInError("input \(port.name) is missing")
            }
            guard array.shape.map(\.intValue) == port.shape, array.dataType == port.type else {
                throw StandInError("input \(port.name) is \(array.shape) \(array.dataType)")
            }
            return array
        }
        let names = Set(interface.inputs.map(\.name))
        guard input.featureNames == names else { throw StandInError("inputs are \(input.featureNames), not \(names)") }
        let held = interface.states.map { state!.arrays[$0.name]! }
        let outputs = interface.outputs.map { MLMultiArray.padded($0.shape, $0.type) }
        try Evaluator.shared.call(path, name, given + held, outputs + held)
        let values = zip(interface.outputs, outputs).map { ($0.name, MLFeatureValue(multiArray: $1)) }
        return try MLDictionaryFeatureProvider(dictionary: Dictionary(uniqueKeysWithValues: values))
    }
}

/// What is in use by at most one call.
final class Occupied: @unchecked Sendable {
    static let process = Occupied()
    private let lock = NSLock()
    private var occupied = false

    var isOccupied: Bool { lock.withLock { occupied } }
    func enter(_ complaint: String) {
        let before = lock.withLock {
            defer { occupied = true }
            return occupied
        }
        if before { fatalError(complaint) }
    }
    func leave() { lock.withLock { occupied = false } }
}
