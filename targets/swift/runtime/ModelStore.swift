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

    /// Application Support, in a folder of the app: that of a Mac's programs without a sandbox is one for all of them.
    static func usualCache() throws(SpeechError) -> URL {
        do {
            return
                try FileManager.default
                .url(for: .applicationSupportDirectory, in: .userDomainMask, appropriateFor: nil, create: true)
                .appendingPathComponent(Bundle.main.bundleIdentifier ?? ProcessInfo.processInfo.processName)
                .appendingPathComponent("CompiledModels", isDirectory: true)
        } catch {
            throw .storage(error.localizedDescription)
        }
    }

    private var home: URL {
        cache.appendingPathComponent(description.model, isDirectory: true)
            .appendingPathComponent(description.digest, isDirectory: true)
    }

    /// Removes what was compiled of other builds of this model: how many.
    func removeOthers() throws(SpeechError) -> Int {
        let files = FileManager.default
        do {
            let others = try files.contentsOfDirectory(
                at: home.deletingLastPathComponent(), includingPropertiesForKeys: nil
            ).filter { $0.lastPathComponent != description.digest }
            for other in others { try files.removeItem(at: other) }
            return others.count
        } catch CocoaError.fileReadNoSuchFile {
            return 0
        } catch {
            throw .storage(error.localizedDescription)
        }
    }

    /// The compiled form of a package: the one that is shipped, or the one that was made before, or made now.
    func compiled(_ package: String, progress: (LoadProgress) -> Void) async throws(SpeechError) -> URL {
        let files = FileManager.default
        let name = (package as NSString).deletingPathExtension + ".mlmodelc"
        let shipped = folder.appendingPathComponent(name)
        if files.fileExists(atPath: shipped.path) { return shipped }
        let kept = home.appendingPathComponent(name)
        if files.fileExists(atPath: kept.path) { return kept }
        progress(.compiling(package: package))
        let source = folder.appendingPathComponent(package)
        guard files.fileExists(atPath: source.path) else {
            throw .damagedModel("\(package) is missing")
        }
        let made = try await compile(source)
        defer { try? files.removeItem(at: made) }  // where it was not moved
        do {
            try files.createDirectory(at: home, withIntermediateDirectories: true)
            try files.moveItem(at: made, to: kept)
        } catch {
            // Another load was faster.
            guard files.fileExists(atPath: kept.path) else { throw .storage(error.localizedDescription) }
        }
        leaveOutOfBackups()
        return kept
    }

    private func compile(_ source: URL) async throws(SpeechError) -> URL {
        do {
            return try await MLModel.compileModel(at: source)
        } catch {
            throw .coreML(function: source.lastPathComponent, reason: error.localizedDescription)
        }
    }

    /// What can be made anew has no place in a backup.
    private func leaveOutOfBackups() {
        #if canImport(Darwin)
            var (place, values) = (cache, URLResourceValues())
            values.isExcludedFromBackup = true
            try? place.setResourceValues(values)
        #endif
    }

    /// A function for the units that are wanted, or the next ones that Core ML can load and call it for. The call is thrown away.
    @CoreMLGate
    func load(
        _ name: String, units: ComputeUnits?, from compiled: URL, warming: @Sendable () -> Void
    ) async throws(SpeechError) -> CoreMLFunction {
        guard let function = description.functions[name] else {
            throw .damagedModel("there is no function \(name)")
        }
        var wanted: ComputeUnits? = units ?? function.predicted
        var failure = ""
        while let tried = wanted {
            let configuration = MLModelConfiguration()
            configuration.computeUnits = tried.coreML
            if let functionName = function.name { configuration.functionName = functionName }
            do {
                let model = try await MLModel.load(contentsOf: compiled, configuration: configuration)
                let loaded = try CoreMLFunction(name: name, description: function, model: model)
                warming()
                try await loaded.warm()
                return loaded
            } catch {
                failure = error.localizedDescription
                wanted = tried.next
            }
        }
        throw .coreML(function: name, reason: failure)
    }
}
