import Accelerate

/// What makes frames of samples that arrive in pieces of any length.
package protocol FrontEnd: AnyObject {
    /// Frames that these samples complete; of a front end that needs the whole recording, none.
    func push(_ samples: [Float]) -> Frames
    /// The frames that are left at the end of the sound; the next sample is again the first.
    func flush() -> Frames
    func reset()
}

extension FeatureDescription {
    package func frontEnd() -> any FrontEnd {
        switch kind {
        case .samples: streams ? SampleFrames(bins: bins) : RecordingSamples(bins: bins)
        case .logMel: streams ? StreamingMel(self) : RecordingMel(self)
        }
    }

    /// Samples of so many frames.
    package func samples(_ frames: Int) -> Int {
        kind == .samples ? frames * bins : Int((Double(frames) * Double(sampleRate) / frameRate).rounded(.down))
    }

    /// Frames that are made of so many samples, without those of zeros.
    package func analysed(_ samples: Int) -> Int {
        switch framing {
        case .causal: partial ? (samples + hop - 1) / hop : samples / hop
        case .snipped: samples < window ? 0 : 1 + (samples - window) / hop
        case .middle: (samples + hop / 2) / hop
        }
    }

    /// How many frames a recording of so many samples has; of samples as they are, the last one perhaps in part.
    package func existingFrames(_ samples: Int) -> Double {
        if kind == .samples { return Double(samples) / Double(bins) }
        let frames = analysed(samples > 0 ? max(samples, shortest) : 0)
        return Double(frames + (zeros > 0 ? frames / every * zeros : 0))
    }

    /// The place in a sound of so many samples that a place before or behind it mirrors; the outermost samples stand twice.
    fileprivate func mirrored(_ count: Int) -> (Int) -> Int {
        { place in
            let folded = ((place % (2 * count)) + 2 * count) % (2 * count)
            return min(folded, 2 * count - 1 - folded)
        }
    }

    /// Each sample less a part of the one before it, where that is not for each window by itself; `last` is the one before the
    /// first.
    fileprivate func emphasised(_ samples: [Float], after last: inout Double) -> [Double] {
        var doubles = [Double](repeating: 0, count: samples.count)
        vDSP_vspdp(samples, 1, &doubles, 1, vDSP_Length(samples.count))
        if gain != 1 { for index in doubles.indices { doubles[index] *= gain } }
        guard preemphasis > 0, !byWindow else { return doubles }
        for index in doubles.indices {
            let sample = doubles[index]
            doubles[index] = sample - preemphasis * last
            last = sample
        }
        return doubles
    }
}

/// Log-mel frames of a stream.
package final class StreamingMel: FrontEnd {
    private let settings: FeatureDescription
    private let mel: LogMel
    private var pending: [Double] = []
    private var last = 0.0
    /// Samples at the start that the sound is still to be mirrored by, and samples heard.
    private var mirror = 0
    private var heard = 0

    package init(_ settings: FeatureDescription) {
        self.settings = settings
        mel = LogMel(settings)
        reset()
    }

    package func reset() {
        pending = [Double](repeating: 0, count: settings.window - settings.hop)
        if settings.framing != .causal { pending = [] }
        mirror = settings.framing == .middle ? (settings.window - settings.hop) / 2 : 0
        heard = 0
        last = 0
    }

    package func push(_ samples: [Float]) -> Frames {
        var next = settings.emphasised(samples, after: &last)
        heard += samples.count
        if mirror > 0 {
            pending += next
            next = []
            if pending.count >= mirror {
                pending = pending[..<mirror].reversed() + pending
                mirror = 0
            }
        }
        return complete(next)
    }

    package func flush() -> Frames {
        defer { reset() }
        guard settings.framing == .causal else { return lastFrames() }
        let left = pending.count - (settings.window - settings.hop)
        let silence = max(0, settings.analysed(left) * settings.hop - left)
        return complete([Double](repeating: 0, count: silence))
    }

    /// Those whose windows reach beyond the end of the sound, which is mirrored there.
    private func lastFrames() -> Frames {
        guard settings.framing == .middle, !pending.isEmpty else { return Frames(width: settings.bins) }
        let (hop, overlap) = (settings.hop, settings.window - settings.hop)
        let before = mirror
        mirror = 0
        let every = settings.analysed(heard)
        let done = before > 0 ? 0 : (heard - pending.count + overlap / 2) / hop
        guard every > done else { return Frames(width: settings.bins) }
        let behind = max(0, (every - done) * hop + overlap - pending.count - before)
        let place = settings.mirrored(pending.count)
        pending = (-before..<pending.count + behind).map { pending[place($0)] }
        let made = complete([])
        return made[0..<min(made.count, every - done)]
    }

    private func complete(_ samples: [Double]) -> Frames {
        pending += samples
        let count = mirror > 0 ? 0 : (pending.count - (settings.window - settings.hop)) / settings.hop
        guard count > 0 else { return Frames(width: settings.bins) }
        let energies = mel.logEnergies(of: pending, count: count)
        pending.removeFirst(count * settings.hop)
        return Frames(width: settings.bins, values: mel.normalised(energies))
    }
}

/// Log-mel frames that need the whole recording: centred ones, or such that are normalised over it.
package final class RecordingMel: FrontEnd {
    private let settings: FeatureDescription
    private let mel: LogMel
    private var heard: [Float] = []

    package init(_ settings: FeatureDescription) {
        self.settings = settings
        mel = LogMel(settings)
    }

    package func reset() { heard = [] }

    package func push(_ samples: [Float]) -> Frames {
        heard += samples
        return Frames(width: settings.bins)
    }

    package func flush() -> Frames {
        defer { reset() }
        guard !heard.isEmpty else { return Frames(width: settings.bins) }
        let silence = [Float](repeating: 0, count: max(0, settings.shortest - heard.count))
        let count = settings.analysed(heard.count + silence.count)
        guard count > 0 else { return Frames(width: settings.bins) }
        var last = 0.0
        let samples = settings.emphasised(heard + silence, after: &last)
        var energies = mel.logEnergies(of: surrounded(samples, frames: count), count: count)
        if let decades = settings.decades {
            let least = energies.max()! - decades * (settings.log == .log10 ? 1 : 2.302585092994046)
            for index in energies.indices { energies[index] = max(energies[index], least) }
        }
        return withZeros(Frames(width: settings.bins, values: mel.normalised(energies)))
    }

    /// Samples with what the first and the last window need around them.
    private func surrounded(_ samples: [Double], frames: Int) -> [Double] {
        if settings.framing == .snipped { return samples }
        if settings.framing == .middle {
            let before = (settings.window - settings.hop) / 2
            let count = frames * settings.hop + settings.window - settings.hop
            let place = settings.mirrored(samples.count)
            return (-before..<max(count - before, samples.count)).map { samples[place($0)] }
        }
        let whole = samples + [Double](repeating: 0, count: max(0, frames * settings.hop - samples.count))
        guard settings.centred else {
            return [Double](repeating: 0, count: settings.window - settings.hop) + whole
        }
        let half = settings.window / 2
        let place: (Int) -> Double = { [mirrored = settings.mirrored] index in
            guard !whole.indices.contains(index) else { return whole[index] }
            guard mirrored, whole.count > 1 else { return mirrored ? whole[0] : 0 }
            let period = 2 * (whole.count - 1)
            let folded = ((index % period) + period) % period
            return whole[min(folded, period - folded)]
        }
        return (-half..<0).map(place) + whole + (whole.count..<whole.count + half).map(place)
    }

    private func withZeros(_ frames: Frames) -> Frames {
        guard settings.zeros > 0 else { return frames }
        let zeros = Frames(width: frames.width, count: settings.zeros, filledWith: 0)
        var filled = Frames(width: frames.width)
        for start in stride(from: 0, to: frames.count, by: settings.every) {
            let end = min(start + settings.every, frames.count)
            filled.append(frames[start..<end])
            if end - start == settings.every { filled.append(zeros) }
        }
        return filled
    }
}

/// Frames of samples with a mean of 0 and a deviation of 1 over the recording.
package final class RecordingSamples: FrontEnd {
    private let frames: SampleFrames
    private let bins: Int
    private var heard: [Double] = []

    package init(bins: Int) {
        self.bins = bins
        frames = SampleFrames(bins: bins)
    }

    package func reset() { heard = [] }

    package func push(_ samples: [Float]) -> Frames {
        heard += samples.map(Double.init)
        return Frames(width: bins)
    }

    package func flush() -> Frames {
        defer { reset() }
        guard !heard.isEmpty else { return Frames(width: bins) }
        let leastVariance = 1e-7  // as the transformers library has it
        let mean = heard.reduce(0, +) / Double(heard.count)
        let variance = heard.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(heard.count)
        let deviation = (variance + leastVariance).squareRoot()
        var made = frames.push(heard.map { Float(($0 - mean) / deviation) })
        made.append(frames.flush())
        return made
    }
}

/// Frames of samples as they are.
package final class SampleFrames: FrontEnd {
    private let bins: Int
    private var pending: [Float] = []

    package init(bins: Int) { self.bins = bins }

    package func reset() { pending = [] }

    package func push(_ samples: [Float]) -> Frames {
        pending += samples
        let whole = pending.count / bins * bins
        defer { pending.removeFirst(whole) }
        return Frames(width: bins, values: Array(pending[..<whole]))
    }

    package func flush() -> Frames {
        defer { reset() }
        let missing = (bins - pending.count % bins) % bins
        return push([Float](repeating: 0, count: missing))
    }
}
