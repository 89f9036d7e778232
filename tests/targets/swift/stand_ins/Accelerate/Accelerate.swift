// Apple's Accelerate for Linux, as far as emitted packages use it: each function by its documented meaning, in plain loops.

import Foundation

public typealias vDSP_Length = UInt
public typealias vDSP_Stride = Int
public typealias FFTRadix = Int32
public typealias FFTDirection = Int32
public let kFFTRadix2 = 0
public let FFT_FORWARD = 1

public struct DSPDoubleComplex {
    public var real: Double
    public var imag: Double
}

public struct DSPDoubleSplitComplex {
    public var realp: UnsafeMutablePointer<Double>
    public var imagp: UnsafeMutablePointer<Double>

    public init(realp: UnsafeMutablePointer<Double>, imagp: UnsafeMutablePointer<Double>) {
        self.realp = realp
        self.imagp = imagp
    }
}

public final class FFTSetupTables {
    let log2: Int
    let cosines: [Double]
    let sines: [Double]

    init(log2: Int) {
        self.log2 = log2
        let points = 1 << log2
        cosines = (0..<points).map { cos(2 * Double.pi * Double($0) / Double(points)) }
        sines = (0..<points).map { sin(2 * Double.pi * Double($0) / Double(points)) }
    }
}

public typealias FFTSetupD = OpaquePointer

public func vDSP_create_fftsetupD(_ log2n: vDSP_Length, _ radix: FFTRadix) -> FFTSetupD? {
    precondition(radix == FFTRadix(kFFTRadix2))
    return OpaquePointer(Unmanaged.passRetained(FFTSetupTables(log2: Int(log2n))).toOpaque())
}

public func vDSP_destroy_fftsetupD(_ setup: FFTSetupD?) {
    if let setup { Unmanaged<FFTSetupTables>.fromOpaque(UnsafeRawPointer(setup)).release() }
}

/// Even samples into `realp`, odd ones into `imagp`: `IC` counts doubles and is 2 for packed complex numbers.
public func vDSP_ctozD(
    _ C: UnsafePointer<DSPDoubleComplex>, _ IC: vDSP_Stride, _ Z: UnsafePointer<DSPDoubleSplitComplex>,
    _ IZ: vDSP_Stride,
    _ N: vDSP_Length
) {
    for index in 0..<Int(N) {
        Z.pointee.realp[index * IZ] = C[index * IC / 2].real
        Z.pointee.imagp[index * IZ] = C[index * IC / 2].imag
    }
}

/// The real transform of packed samples, in place: all twice the mathematical values; the last frequency, which is real, lies in
/// `imagp[0]`.
public func vDSP_fft_zripD(
    _ setup: FFTSetupD, _ C: UnsafePointer<DSPDoubleSplitComplex>, _ stride: vDSP_Stride, _ log2n: vDSP_Length,
    _ direction: FFTDirection
) {
    precondition(stride == 1 && direction == FFTDirection(FFT_FORWARD))
    let tables = Unmanaged<FFTSetupTables>.fromOpaque(UnsafeRawPointer(setup)).takeUnretainedValue()
    let half = 1 << (Int(log2n) - 1)
    let step = 1 << (tables.log2 - Int(log2n))
    let real = C.pointee.realp
    let imaginary = C.pointee.imagp
    complexTransform(real, imaginary, half, tables, step * 2)
    // X[k] = E[k] + exp(-2 pi i k / N) O[k], from Z[k] = E[k] + i O[k]
    let first = (real[0], imaginary[0])
    tables.cosines.withUnsafeBufferPointer { cosines in
        tables.sines.withUnsafeBufferPointer { sines in
            for low in 1...half / 2 {
                let high = half - low
                let (a, b, c, d) = (real[low], imaginary[low], real[high], imaginary[high])
                let even = ((a + c) / 2, (b - d) / 2)
                let odd = ((b + d) / 2, (c - a) / 2)
                func combined(_ k: Int, _ e: (Double, Double), _ o: (Double, Double)) -> (Double, Double) {
                    let (x, y) = (cosines[k * step], -sines[k * step])
                    return (2 * (e.0 + x * o.0 - y * o.1), 2 * (e.1 + x * o.1 + y * o.0))
                }
                let one = combined(low, even, odd)
                let other = combined(high, (even.0, -even.1), (odd.0, -odd.1))
                (real[low], imaginary[low]) = one
                (real[high], imaginary[high]) = other
            }
        }
    }
    real[0] = 2 * (first.0 + first.1)
    imaginary[0] = 2 * (first.0 - first.1)
}

private func complexTransform(
    _ real: UnsafeMutablePointer<Double>, _ imaginary: UnsafeMutablePointer<Double>, _ count: Int,
    _ tables: FFTSetupTables,
    _ step: Int
) {
    var reversed = 0
    for index in 0..<count {
        if index < reversed {
            swap(&real[index], &real[reversed])
            swap(&imaginary[index], &imaginary[reversed])
        }
        var bit = count >> 1
        while bit > 0, reversed & bit != 0 {
            reversed ^= bit
            bit >>= 1
        }
        reversed |= bit
    }
    tables.cosines.withUnsafeBufferPointer { cosines in
        tables.sines.withUnsafeBufferPointer { sines in
            var size = 2
            while size <= count {
                let turn = count / size * step
                for start in stride(from: 0, to: count, by: size) {
                    for offset in 0..<size / 2 {
                        let (x, y) = (cosines[offset * turn], -sines[offset * turn])
                        let low = start + offset
                        let high = low + size / 2
                        let (a, b) = (x * real[high] - y * imaginary[high], x * imaginary[high] + y * real[high])
                        (real[high], imaginary[high]) = (real[low] - a, imaginary[low] - b)
                        (real[low], imaginary[low]) = (real[low] + a, imaginary[low] + b)
                    }
                }
                size *= 2
            }
        }
    }
}

public func vDSP_zvmagsD(
    _ A: UnsafePointer<DSPDoubleSplitComplex>, _ IA: vDSP_Stride, _ C: UnsafeMutablePointer<Double>, _ IC: vDSP_Stride,
    _ N: vDSP_Length
) {
    let (real, imaginary) = (A.pointee.realp, A.pointee.imagp)
    for index in 0..<Int(N) {
        C[index * IC] = real[index * IA] * real[index * IA] + imaginary[index * IA] * imaginary[index * IA]
    }
}

public func vDSP_vmulD(
    _ A: UnsafePointer<Double>, _ IA: vDSP_Stride, _ B: UnsafePointer<Double>, _ IB: vDSP_Stride,
    _ C: UnsafeMutablePointer<Double>, _ IC: vDSP_Stride, _ N: vDSP_Length
) {
    for index in 0..<Int(N) { C[index * IC] = A[index * IA] * B[index * IB] }
}

public func vDSP_vsmulD(
    _ A: UnsafePointer<Double>, _ IA: vDSP_Stride, _ B: UnsafePointer<Double>, _ C: UnsafeMutablePointer<Double>,
    _ IC: vDSP_Stride, _ N: vDSP_Length
) {
    for index in 0..<Int(N) { C[index * IC] = A[index * IA] * B.pointee }
}

public func vDSP_vsaddD(
    _ A: UnsafePointer<Double>, _ IA: vDSP_Stride, _ B: UnsafePointer<Double>, _ C: UnsafeMutablePointer<Double>,
    _ IC: vDSP_Stride, _ N: vDSP_Length
) {
    for index in 0..<Int(N) { C[index * IC] = A[index * IA] + B.pointee }
}

public func vDSP_vsmsaD(
    _ A: UnsafePointer<Double>, _ IA: vDSP_Stride, _ B: UnsafePointer<Double>, _ C: UnsafePointer<Double>,
    _ D: UnsafeMutablePointer<Double>, _ ID: vDSP_Stride, _ N: vDSP_Length
) {
    for index in 0..<Int(N) { D[index * ID] = A[index * IA] * B.pointee + C.pointee }
}

public func vDSP_vspdp(
    _ A: UnsafePointer<Float>, _ IA: vDSP_Stride, _ C: UnsafeMutablePointer<Double>, _ IC: vDSP_Stride, _ N: vDSP_Length
) {
    for index in 0..<Int(N) { C[index * IC] = Double(A[index * IA]) }
}

public func vDSP_vdpsp(
    _ A: UnsafePointer<Double>, _ IA: vDSP_Stride, _ C: UnsafeMutablePointer<Float>, _ IC: vDSP_Stride, _ N: vDSP_Length
) {
    for index in 0..<Int(N) { C[index * IC] = Float(A[index * IA]) }
}

public func vDSP_maxvD(
    _ A: UnsafePointer<Double>, _ IA: vDSP_Stride, _ C: UnsafeMutablePointer<Double>, _ N: vDSP_Length
) {
    var highest = -Double.infinity
    for index in 0..<Int(N) where A[index * IA] > highest { highest = A[index * IA] }
    C.pointee = highest
}

public func vDSP_sveD(
    _ A: UnsafePointer<Double>, _ IA: vDSP_Stride, _ C: UnsafeMutablePointer<Double>, _ N: vDSP_Length
) {
    var sum = 0.0
    for index in 0..<Int(N) { sum += A[index * IA] }
    C.pointee = sum
}

/// C [M, N] = A [M, P] B [P, N], rows one after another.
public func vDSP_mmulD(
    _ A: UnsafePointer<Double>, _ IA: vDSP_Stride, _ B: UnsafePointer<Double>, _ IB: vDSP_Stride,
    _ C: UnsafeMutablePointer<Double>, _ IC: vDSP_Stride, _ M: vDSP_Length, _ N: vDSP_Length, _ P: vDSP_Length
) {
    for row in 0..<Int(M) {
        for column in 0..<Int(N) {
            var sum = 0.0
            for place in 0..<Int(P) {
                sum += A[(row * Int(P) + place) * IA] * B[(place * Int(N) + column) * IB]
            }
            C[(row * Int(N) + column) * IC] = sum
        }
    }
}

public func vvlog10(_ y: UnsafeMutablePointer<Double>, _ x: UnsafePointer<Double>, _ n: UnsafePointer<Int32>) {
    for index in 0..<Int(n.pointee) { y[index] = log10(x[index]) }
}

public func vvlog(_ y: UnsafeMutablePointer<Double>, _ x: UnsafePointer<Double>, _ n: UnsafePointer<Int32>) {
    for index in 0..<Int(n.pointee) { y[index] = log(x[index]) }
}

public func vvexp(_ y: UnsafeMutablePointer<Double>, _ x: UnsafePointer<Double>, _ n: UnsafePointer<Int32>) {
    for index in 0..<Int(n.pointee) { y[index] = exp(x[index]) }
}

public typealias vImagePixelCount = UInt
public typealias vImage_Flags = UInt32
public typealias vImage_Error = Int
public let kvImageNoFlags = 0
public let kvImageNoError = 0

public struct vImage_Buffer {
    public var data: UnsafeMutableRawPointer!
    public var height: vImagePixelCount
    public var width: vImagePixelCount
    /// Bytes from row to row.
    public var rowBytes: Int

    public init(data: UnsafeMutableRawPointer!, height: vImagePixelCount, width: vImagePixelCount, rowBytes: Int) {
        self.data = data
        self.height = height
        self.width = width
        self.rowBytes = rowBytes
    }
}

@discardableResult
public func vImageConvert_PlanarFtoPlanar16F(
    _ src: UnsafePointer<vImage_Buffer>, _ dest: UnsafePointer<vImage_Buffer>, _ flags: vImage_Flags
) -> vImage_Error {
    for row in 0..<Int(src.pointee.height) {
        let from = (src.pointee.data + row * src.pointee.rowBytes).assumingMemoryBound(to: Float.self)
        let to = (dest.pointee.data + row * dest.pointee.rowBytes).assumingMemoryBound(to: Float16.self)
        for column in 0..<Int(src.pointee.width) { to[column] = Float16(from[column]) }
    }
    return kvImageNoError
}

@discardableResult
public func vImageConvert_Planar16FtoPlanarF(
    _ src: UnsafePointer<vImage_Buffer>, _ dest: UnsafePointer<vImage_Buffer>, _ flags: vImage_Flags
) -> vImage_Error {
    for row in 0..<Int(src.pointee.height) {
        let from = (src.pointee.data + row * src.pointee.rowBytes).assumingMemoryBound(to: Float16.self)
        let to = (dest.pointee.data + row * dest.pointee.rowBytes).assumingMemoryBound(to: Float.self)
        for column in 0..<Int(src.pointee.width) { to[column] = Float(from[column]) }
    }
    return kvImageNoError
}
