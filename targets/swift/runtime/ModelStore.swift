@preconcurrency import CoreML
import Foundation

/// How far the first load has come.
public enum LoadProgress: Sendable, Equatable {
    /// Compiling a package for Core ML: once for each version of the model.
    case compiling(package: String)
    /// Loading a function, which Core ML specializes for the device the first time.
    case loading(function: String, number: Int, of: Int)
    /// A call that is thrown away, so that the first one of a stream is as fast as the others.
    case warming(function: String)
    case ready
}

/// The compiled models of a package: once compiled, at one place for ever, since the system's cache of what was specialized for
/// the device goes by the path.
struct ModelStore {
    /// The folder of `model.json` and the packages.
    let folder: URL
    let description: ModelDescription
    /// Where compiled models are kept.
    let cache: URL

    static func usualCache() throws -> URL {
        try FileManager.default
            .url(for: .applicationSupportDirectory, in: .userDomainMask, appropriateFor: nil, create: true)
            .appendingPathComponent("CompiledModels", isDirectory: true)
    }

    /// The compiled form of a package: the one that is shipped, or the one that was made before, or made now.
    func compiled(_ package: String, progress: (LoadProgress) -> Void) async throws -> URL {
        let files = FileManager.default
        let name = (package as NSString).deletingPathExtension + ".mlmodelc"
        let shipped = folder.appendingPathComponent(name)
        if files.fileExists(atPath: shipped.path) { return shipped }
        let home = cache.appendingPathComponent(description.digest, isDirectory: true)
        let kept = home.appendingPathComponent(name)
        if files.fileExists(atPath: kept.path) { return kept }
        progress(.compiling(package: package))
        let source = folder.appendingPathComponent(package)
        guard files.fileExists(atPath: source.path) else {
            throw SpeechError.damagedModel("\(package) is missing")
        }
        let made = try await MLModel.compileModel(at: source)
        try files.createDirectory(at: home, withIntermediateDirectories: true)
        do {
            try files.moveItem(at: made, to: kept)
        } catch  where files.fileExists(atPath: kept.path) {
            try? files.removeItem(at: made)  // another load was faster
        }
        return kept
    }

    /// A function for the units that are wanted, or the next ones that Core ML can load it for.
    @CoreMLGate
    func load(_ name: String, units: ComputeUnits?, from compiled: URL) async throws -> CoreMLFunction {
        guard let function = description.functions[name] else {
            throw SpeechError.damagedModel("there is no function \(name)")
        }
        var wanted: ComputeUnits? = units ?? function.predicted
        var failure = ""
        while let tried = wanted {
            let configuration = MLModelConfiguration()
            configuration.computeUnits = tried.coreML
            if let functionName = function.name { configuration.functionName = functionName }
            do {
                let model = try await MLModel.load(contentsOf: compiled, configuration: configuration)
                return try CoreMLFunction(name: name, description: function, model: model)
            } catch {
                failure = error.localizedDescription
                wanted = tried.next
            }
        }
        throw SpeechError.coreML(function: name, reason: failure)
    }
}
