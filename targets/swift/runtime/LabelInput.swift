import Foundation

/// An input that is told labels: by their numbers, or by rows of a table that the app looks up.
package final class LabelInput {
    let port: PortDescription
    private let rows: RowTable?

    /// `tables`: files of rows for inputs that take rows the model does not bring, by the input's name.
    init(_ port: PortDescription, folder: URL, tables: [String: URL] = [:]) throws {
        self.port = port
        let url = port.rows.map { folder.appendingPathComponent($0) } ?? tables[port.spec]
        rows = try url.map { try RowTable($0) }
        guard rows != nil || !port.takesTable else {
            throw SpeechError.unsupportedSearch(
                "\(port.spec) takes rows of \(port.width) numbers: name a file in `tables`")
        }
        guard rows == nil || rows!.width == port.width else {
            throw SpeechError.unsupportedSearch(
                "the table for \(port.spec) has rows of another width than \(port.width)")
        }
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

extension PortDescription {
    /// Whether it takes rows that the model does not bring.
    package var takesTable: Bool { rows == nil && width != 1 && !overTime && given != "frame" }
}

/// Rows of half- or single-precision numbers in a file of numpy's, of which no more is read than the rows that are asked for.
package final class RowTable {
    private let data: Data
    private let start: Int
    private let halves: Bool
    package let count: Int
    package let width: Int

    package init(_ url: URL) throws {
        guard let data = try? Data(contentsOf: url, options: .alwaysMapped), data.count >= 10,
            data.prefix(6) == Data([0x93]) + Data("NUMPY".utf8)
        else { throw SpeechError.damagedModel("\(url.lastPathComponent) is no table of rows") }
        start = 10 + Int(data[8]) + Int(data[9]) << 8
        let header = String(decoding: data[10..<min(start, data.count)], as: UTF8.self)
        let shape = header.drop { $0 != "(" }.prefix { $0 != ")" }.split { !$0.isNumber }.compactMap { Int($0) }
        halves = header.contains("<f2")
        guard halves || header.contains("<f4"), header.contains("False"), shape.count == 2,
            data.count >= start + (halves ? 2 : 4) * shape[0] * shape[1]
        else { throw SpeechError.damagedModel("\(url.lastPathComponent) is no table of rows") }
        self.data = data
        (count, width) = (shape[0], shape[1])
    }

    package func row(_ index: Int) throws -> [Float] {
        guard (0..<count).contains(index) else {
            throw SpeechError.damagedModel("label \(index) has no row among \(count)")
        }
        return data.withUnsafeBytes { bytes in
            guard !halves else {
                return HalfPrecision.singles(bytes.baseAddress! + start + 2 * index * width, count: width)
            }
            return (0..<width).map {
                bytes.loadUnaligned(fromByteOffset: start + 4 * (index * width + $0), as: Float.self)
            }
        }
    }
}
