// The child process: requests and answers are a length, a line of JSON and the bytes of arrays.

import Foundation

struct Port: Decodable {
    let name: String
    let shape: [Int]
    let element: String

    var type: MLMultiArrayDataType { element == "fp16" ? .float16 : element == "int32" ? .int32 : .float32 }
}

struct Interface: Decodable {
    let inputs: [Port]
    let outputs: [Port]
    let states: [Port]
}

/// `MCTC_CORE_ML`: the command that evaluates packages, its words apart by tabs.
final class Evaluator: @unchecked Sendable {
    static let shared = Evaluator()
    private let lock = NSLock()
    private let process = Process()
    private let requests = Pipe()
    private let answers = Pipe()

    private init() {
        let command = ProcessInfo.processInfo.environment["MCTC_CORE_ML"]?.split(separator: "\t").map(String.init) ?? []
        guard let program = command.first else { fatalError("MCTC_CORE_ML names no evaluator") }
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = Array(command.dropFirst())
        process.environment = ProcessInfo.processInfo.environment.filter { $0.key != "LD_LIBRARY_PATH" }
        process.standardInput = requests
        process.standardOutput = answers
        do { try process.run() } catch { fatalError("\(program) can't be run: \(error)") }
    }

    func open(_ path: String, _ name: String?) throws -> Interface {
        let data = try ask(["open": path, "function": name ?? NSNull()], Data())
        return try JSONDecoder().decode(Interface.self, from: data)
    }

    /// How many operations the functions of a package have, constants not counted.
    func operations(_ path: String) throws -> [String: Int] {
        try JSONDecoder().decode([String: Int].self, from: ask(["operations": path, "function": NSNull()], Data()))
    }

    /// Fills `results` with the outputs and the new states of a call.
    func call(_ path: String, _ name: String?, _ given: [MLMultiArray], _ results: [MLMultiArray]) throws {
        let body = given.reduce(into: Data()) { $0.append($1.dense) }
        var data = try ask(["call": path, "function": name ?? NSNull()], body)
        for array in results {
            let size = array.shape.reduce(1) { $0 * $1.intValue } * array.dataType.size
            array.dense = Data(data.prefix(size))
            data = data.dropFirst(size)
        }
    }

    private func ask(_ request: [String: Any], _ body: Data) throws -> Data {
        try lock.withLock {
            var line = try JSONSerialization.data(withJSONObject: request.merging(["bytes": body.count]) { $1 })
            line.append(10)
            requests.fileHandleForWriting.write(line + body)
            let header = read(5)
            let size = header.dropFirst().reduce(0) { $0 << 8 | Int($1) }
            let answer = read(size)
            guard header[header.startIndex] == 0 else { throw StandInError(String(decoding: answer, as: UTF8.self)) }
            return answer
        }
    }

    private func read(_ count: Int) -> Data {
        var data = Data()
        while data.count < count {
            let more = answers.fileHandleForReading.readData(ofLength: count - data.count)
            guard !more.isEmpty else { fatalError("the evaluator has ended") }
            data.append(more)
        }
        return data
    }
}
