import Accelerate
import Foundation

/// Log-mel frames as `mctc.audio` defines them, computed in double precision and rounded once.
///
/// In single precision six values in ten would differ from those that the model was trained on.
package final class LogMel {
    private let settings: FeatureDescription
    private let spectrum: Spectrum
    private let scratch: UnsafeMutablePointer<Double>
    private let power: UnsafeMutablePointer<Double>

    package init(_ settings: FeatureDescription) {
        self.settings = settings
        spectrum = Spectrum(points: settings.fft)
        scratch = .allocate(capacity: settings.fft)
        scratch.initialize(repeating: 0, count: settings.fft)
        power = .allocate(capacity: settings.fft / 2 + 1)
    }

    deinit {
        scratch.deallocate()
        power.deallocate()
    }

    /// A window less its mean, and each sample less a part of the one before it; the first one stands before itself.
    private func emphasise(_ window: UnsafePointer<Double>) {
        let count = settings.window
        let mean = (0..<count).reduce(0) { $0 + window[$1] } / Double(count)
        var last = window[0] - mean
        for index in 0..<count {
            let sample = window[index] - mean
            scratch[index] = sample - settings.preemphasis * last
            last = sample
        }
    }

    /// Logarithms of the energies of one window of samples in each bin. Every frame is computed in the same scratch memory,
    /// so its numbers do not depend on which frames come with it.
    private func logEnergies(of window: UnsafePointer<Double>, into energies: UnsafeMutablePointer<Double>) {
        if settings.byWindow {
            emphasise(window)
            vDSP_vmulD(scratch, 1, settings.windowWeights, 1, scratch, 1, vDSP_Length(settings.window))
        } else {
            vDSP_vmulD(window, 1, settings.windowWeights, 1, scratch, 1, vDSP_Length(settings.window))
        }
        spectrum.power(of: scratch, into: power)
        let floor = settings.floor
        for bin in 0..<settings.bins {
            let start = settings.filterStarts[bin]
            // Tap by tap: a dot product of vDSP is free to sum in another order.
            let energy = settings.filterWeights[bin].withUnsafeBufferPointer { weights in
                var energy = 0.0
                for tap in 0..<weights.count { energy += power[start + tap] * weights[tap] }
                return energy
            }
            energies[bin] = settings.added ? energy + floor : max(energy, floor)
        }
        var count = Int32(settings.bins)
        switch settings.log {
        case .log10: vvlog10(energies, energies, &count)
        case .ln: vvlog(energies, energies, &count)
        }
    }

    /// Log energies [count, bins] of windows that begin every hop of `samples`.
    package func logEnergies(of samples: [Double], count: Int) -> [Double] {
        var energies = [Double](repeating: 0, count: count * settings.bins)
        samples.withUnsafeBufferPointer { samples in
            energies.withUnsafeMutableBufferPointer { energies in
                for frame in 0..<count {
                    logEnergies(
                        of: samples.baseAddress! + frame * settings.hop,
                        into: energies.baseAddress! + frame * settings.bins)
                }
            }
        }
        return energies
    }

    /// Logarithms as the model takes them.
    package func normalised(_ energies: [Double]) -> [Float] {
        var result = [Float](repeating: 0, count: energies.count)
        switch settings.normalise {
        case .scaled:
            // (y + 4) / 4: a quarter of a number is exact, so this rounds in the same place.
            var scaled = energies
            var quarter = 0.25
            var one = 1.0
            vDSP_vsmsaD(energies, 1, &quarter, &one, &scaled, 1, vDSP_Length(energies.count))
            vDSP_vdpsp(scaled, 1, &result, 1, vDSP_Length(energies.count))
        case .none:
            vDSP_vdpsp(energies, 1, &result, 1, vDSP_Length(energies.count))
        case .recording:
            vDSP_vdpsp(overRecording(energies), 1, &result, 1, vDSP_Length(energies.count))
        }
        return result
    }

    /// Each bin with mean 0 and deviation 1 over the recording, as NVIDIA's NeMo toolkit makes features.
    private func overRecording(_ energies: [Double]) -> [Double] {
        let leastDeviation = 1e-5
        let bins = settings.bins
        let count = energies.count / bins
        var result = energies
        for bin in 0..<bins {
            let places = stride(from: bin, to: energies.count, by: bins)
            let mean = places.reduce(0) { $0 + energies[$1] } / Double(count)
            for place in places { result[place] -= mean }
            let squares = places.reduce(0) { $0 + result[$1] * result[$1] }
            let deviation = (squares / Double(max(1, count - 1))).squareRoot()
            for place in places { result[place] /= deviation + leastDeviation }
        }
        return result
    }
}
