import Accelerate
@preconcurrency import CoreML

/// Arrays of Core ML as dense single-precision numbers and back. Rows may be padded: the Neural Engine's are, to 64 bytes.
enum HalfPrecision {
    /// Copies dense numbers into an array.
    static func write(_ values: [Float], into array: MLMultiArray) {
        let shape = array.shape.map(\.intValue)
        array.withUnsafeMutableBytes { bytes, strides in
            values.withUnsafeBufferPointer { source in
                switch array.dataType {
                case .float16:
                    rows(shape, strides) { first, place, count, height, stride in
                        convertToHalf(
                            source.baseAddress! + first, bytes.baseAddress! + 2 * place, count, height, stride)
                    }
                case .int32:
                    scatter(shape, strides) { from, to in
                        bytes.storeBytes(of: Int32(source[from]), toByteOffset: 4 * to, as: Int32.self)
                    }
                default:
                    scatter(shape, strides) { from, to in
                        bytes.storeBytes(of: source[from], toByteOffset: 4 * to, as: Float.self)
                    }
                }
            }
        }
    }

    /// The numbers of an array, dense.
    static func read(_ array: MLMultiArray) -> [Float] {
        let shape = array.shape.map(\.intValue)
        var values = [Float](repeating: 0, count: shape.reduce(1, *))
        array.withUnsafeMutableBytes { bytes, strides in
            values.withUnsafeMutableBufferPointer { target in
                switch array.dataType {
                case .float16:
                    rows(shape, strides) { first, place, count, height, stride in
                        convertToSingle(
                            bytes.baseAddress! + 2 * place, target.baseAddress! + first, count, height, stride)
                    }
                case .int32:
                    scatter(shape, strides) { to, from in
                        target[to] = Float(bytes.loadUnaligned(fromByteOffset: 4 * from, as: Int32.self))
                    }
                default:
                    scatter(shape, strides) { to, from in
                        target[to] = bytes.loadUnaligned(fromByteOffset: 4 * from, as: Float.self)
                    }
                }
            }
        }
        return values
    }

    /// Half-precision numbers that lie one after another, at any address.
    static func singles(_ source: UnsafeRawPointer, count: Int) -> [Float] {
        var halves = [UInt16](repeating: 0, count: count)
        halves.withUnsafeMutableBytes { $0.copyMemory(from: UnsafeRawBufferPointer(start: source, count: 2 * count)) }
        return [Float](unsafeUninitializedCapacity: count) { target, filled in
            halves.withUnsafeMutableBytes { convertToSingle($0.baseAddress!, target.baseAddress!, count, 1, count) }
            filled = count
        }
    }

    /// Blocks of rows that one conversion takes: where a block begins in the dense array and in the strided one, how many
    /// numbers a row has, how many rows there are, and how far apart they lie.
    private static func rows(_ shape: [Int], _ strides: [Int], _ body: (Int, Int, Int, Int, Int) -> Void) {
        guard let width = shape.last, !shape.contains(0) else { return }
        guard width == 1 || strides.last == 1 else {
            return scatter(shape, strides) { dense, strided in body(dense, strided, 1, 1, 1) }
        }
        let outer = zip(shape, strides).dropLast().filter { $0.0 > 1 }
        let height = outer.last?.0 ?? 1
        let stride = outer.last?.1 ?? width
        let blocks = outer.dropLast()
        scatter(blocks.map(\.0), blocks.map(\.1)) { block, place in
            body(block * height * width, place, width, height, stride)
        }
    }

    /// Every entry's place in the dense array and in the strided one.
    private static func scatter(_ shape: [Int], _ strides: [Int], _ body: (Int, Int) -> Void) {
        var index = [Int](repeating: 0, count: shape.count)
        var place = 0
        for dense in 0..<shape.reduce(1, *) {
            body(dense, place)
            for axis in shape.indices.reversed() {
                index[axis] += 1
                place += strides[axis]
                if index[axis] < shape[axis] { break }
                place -= shape[axis] * strides[axis]
                index[axis] = 0
            }
        }
    }

    private static func convertToHalf(
        _ source: UnsafePointer<Float>, _ target: UnsafeMutableRawPointer, _ width: Int, _ height: Int, _ stride: Int
    ) {
        var from = buffer(UnsafeMutableRawPointer(mutating: source), width, height, 4 * width)
        var to = buffer(target, width, height, 2 * stride)
        vImageConvert_PlanarFtoPlanar16F(&from, &to, vImage_Flags(kvImageNoFlags))
    }

    private static func convertToSingle(
        _ source: UnsafeMutableRawPointer, _ target: UnsafeMutablePointer<Float>, _ width: Int, _ height: Int,
        _ stride: Int
    ) {
        var from = buffer(source, width, height, 2 * stride)
        var to = buffer(target, width, height, 4 * width)
        vImageConvert_Planar16FtoPlanarF(&from, &to, vImage_Flags(kvImageNoFlags))
    }

    private static func buffer(_ data: UnsafeMutableRawPointer, _ width: Int, _ height: Int, _ rowBytes: Int)
        -> vImage_Buffer
    {
        vImage_Buffer(data: data, height: vImagePixelCount(height), width: vImagePixelCount(width), rowBytes: rowBytes)
    }
}
