import Foundation

/// An input that is told labels: by their numbers, or by rows of a table that the app looks up.
package final class LabelInput {
    let port: PortDescription
    private let rows: RowTable?

    init(_ port: PortDescription, folder: URL) throws {
        self.port = port
        rows = try port.rows.map { try RowTable(folder.appendingPathComponent($0), shape: port.rowShape ?? []) }
    }

    /// The input for labels that follow one another.
    func tensor(of labels: [Int]) throws -> Tensor {
        guard let rows else { return Tensor(shape: port.shape, values: labels.map(Float.init)) }
        return port.tensor(of: Frames(width: port.width, values: try labels.flatMap(rows.row)))
    }

    /// The row of a label; zeros where there is no table.
    func row(_ label: Int) throws -> [Float] {
        try rows?.row(label) ?? [Float](repeating: 0, count: port.width)
    }
}

/// Rows of half-precision numbers in a file of numpy's, of which no more is read than the rows that are asked for.
package final class RowTable {
    private let data: Data
    private let start: Int
    private let count: Int
    private let width: Int

    package init(_ url: URL, shape: [Int]) throws {
        guard shape.count == 2, let data = try? Data(contentsOf: url, options: .alwaysMapped), data.count >= 10 else {
            throw SpeechError.damagedModel("\(url.lastPathComponent) can't be read")
        }
        start = 10 + Int(data[8]) + Int(data[9]) << 8
        guard data.prefix(6) == Data([0x93]) + Data("NUMPY".utf8), data.count >= start + 2 * shape[0] * shape[1] else {
            throw SpeechError.damagedModel("\(url.lastPathComponent) is no table of rows")
        }
        self.data = data
        (count, width) = (shape[0], shape[1])
    }

    package func row(_ index: Int) throws -> [Float] {
        guard (0..<count).contains(index) else {
            throw SpeechError.damagedModel("label \(index) has no row among \(count)")
        }
        return data.withUnsafeBytes { HalfPrecision.singles($0.baseAddress! + start + 2 * index * width, count: width) }
    }
}
