// Apple's Core ML for Linux, as far as emitted packages use it: arrays. What Core ML returns is padded as the Neural Engine's
// outputs are, so whoever reads rows as dense reads wrong numbers.

import Foundation

public enum MLMultiArrayDataType: Int {
    case double = 65600
    case float32 = 65568
    case float16 = 65552
    case int32 = 131104

    var size: Int {
        switch self {
        case .double: 8
        case .float32, .int32: 4
        case .float16: 2
        }
    }
}

public final class MLMultiArray {
    public let shape: [NSNumber]
    public let strides: [NSNumber]
    public let dataType: MLMultiArrayDataType
    let storage: UnsafeMutableRawBufferPointer

    /// Dense, of zeros.
    public convenience init(shape: [NSNumber], dataType: MLMultiArrayDataType) throws {
        self.init(extents: shape.map(\.intValue), dataType: dataType, rowMultiple: 1)
    }

    /// Rows padded to 64 bytes; what is between them is no number.
    static func padded(_ extents: [Int], _ dataType: MLMultiArrayDataType) -> MLMultiArray {
        let array = MLMultiArray(extents: extents, dataType: dataType, rowMultiple: 64 / dataType.size)
        array.storage.initializeMemory(as: UInt8.self, repeating: 0x7E)
        return array
    }

    init(extents: [Int], dataType: MLMultiArrayDataType, rowMultiple: Int) {
        var strides = [Int](repeating: 1, count: extents.count)
        for axis in stride(from: extents.count - 2, through: 0, by: -1) {
            var below = extents[axis + 1] * strides[axis + 1]
            if axis == extents.count - 2 { below = (below + rowMultiple - 1) / rowMultiple * rowMultiple }
            strides[axis] = below
        }
        let count = extents.isEmpty ? 1 : max(strides[0] * extents[0], rowMultiple)
        shape = extents.map { NSNumber(value: $0) }
        self.strides = strides.map { NSNumber(value: $0) }
        self.dataType = dataType
        storage = .allocate(byteCount: count * dataType.size, alignment: 64)
        storage.initializeMemory(as: UInt8.self, repeating: 0)
    }

    deinit { storage.deallocate() }

    public func withUnsafeMutableBytes<R>(_ body: (UnsafeMutableRawBufferPointer, [Int]) throws -> R) rethrows -> R {
        try body(storage, strides.map(\.intValue))
    }

    /// The entries in order, without padding, as they go over a pipe.
    var dense: Data {
        get {
            var data = Data()
            forEachRow { place, width in data.append(Data(storage[place..<place + width])) }
            return data
        }
        set {
            var read = newValue.startIndex
            forEachRow { place, width in
                newValue.copyBytes(
                    to: UnsafeMutableRawBufferPointer(rebasing: storage[place..<place + width]),
                    from: read..<read + width)
                read += width
            }
        }
    }

    private func forEachRow(_ body: (Int, Int) -> Void) {
        let extents = shape.map(\.intValue)
        let steps = strides.map(\.intValue)
        let width = (extents.last ?? 1) * dataType.size
        var index = [Int](repeating: 0, count: max(0, extents.count - 1))
        for _ in 0..<extents.dropLast().reduce(1, *) {
            body(zip(index, steps).reduce(0) { $0 + $1.0 * $1.1 } * dataType.size, width)
            for axis in index.indices.reversed() {
                index[axis] += 1
                if index[axis] < extents[axis] { break }
                index[axis] = 0
            }
        }
    }
}
