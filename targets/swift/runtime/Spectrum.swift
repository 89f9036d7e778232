import Accelerate
import Foundation

/// The power spectrum of real frames, in double precision: by vDSP's FFT for powers of two, else as a product with a table.
package final class Spectrum {
    /// Points of the transform, and how many frequencies it has.
    private let points: Int
    package let frequencies: Int
    private let transform: Transform
    private let real: UnsafeMutablePointer<Double>
    private let imaginary: UnsafeMutablePointer<Double>

    private enum Transform {
        case fft(setup: FFTSetupD, log2: vDSP_Length)
        case table(cosines: [Double], sines: [Double])
    }

    package init(points: Int) {
        self.points = points
        frequencies = points / 2 + 1
        real = .allocate(capacity: frequencies)
        imaginary = .allocate(capacity: frequencies)
        let log2 = vDSP_Length(points.trailingZeroBitCount)
        if points == 1 << log2, log2 > 2, let setup = vDSP_create_fftsetupD(log2, FFTRadix(kFFTRadix2)) {
            transform = .fft(setup: setup, log2: log2)
        } else {
            transform = .table(
                cosines: Spectrum.table(points, frequencies, cos), sines: Spectrum.table(points, frequencies, sin))
        }
    }

    deinit {
        if case .fft(let setup, _) = transform { vDSP_destroy_fftsetupD(setup) }
        real.deallocate()
        imaginary.deallocate()
    }

    /// |X|² of a frame of `points` samples.
    package func power(of frame: UnsafePointer<Double>, into power: UnsafeMutablePointer<Double>) {
        switch transform {
        case .fft(let setup, let log2):
            let half = vDSP_Length(points / 2)
            var split = DSPDoubleSplitComplex(realp: real, imagp: imaginary)
            frame.withMemoryRebound(to: DSPDoubleComplex.self, capacity: points / 2) {
                vDSP_ctozD($0, 2, &split, 1, half)
            }
            vDSP_fft_zripD(setup, &split, 1, log2, FFTDirection(FFT_FORWARD))
            // vDSP packs the last frequency, which is real, beside the first, and doubles all: power is four times too large.
            let last = imaginary[0]
            imaginary[0] = 0
            vDSP_zvmagsD(&split, 1, power, 1, half)
            power[points / 2] = last * last
            var quarter = 0.25
            vDSP_vsmulD(power, 1, &quarter, power, 1, vDSP_Length(frequencies))
        case .table(let cosines, let sines):
            let rows = vDSP_Length(frequencies)
            vDSP_mmulD(cosines, 1, frame, 1, real, 1, rows, 1, vDSP_Length(points))
            vDSP_mmulD(sines, 1, frame, 1, imaginary, 1, rows, 1, vDSP_Length(points))
            for index in 0..<frequencies {
                power[index] = real[index] * real[index] + imaginary[index] * imaginary[index]
            }
        }
    }

    private static func table(_ points: Int, _ frequencies: Int, _ function: (Double) -> Double) -> [Double] {
        var table = [Double](repeating: 0, count: frequencies * points)
        for frequency in 0..<frequencies {
            for sample in 0..<points {
                table[frequency * points + sample] = function(
                    2 * Double.pi * Double(frequency * sample % points) / Double(points))
            }
        }
        return table
    }
}
