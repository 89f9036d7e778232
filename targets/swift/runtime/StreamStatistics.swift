import Foundation

/// What the work for a stream has cost so far.
public struct StreamStatistics: Sendable, Equatable {
    /// Seconds of audio that were heard.
    public internal(set) var audio = 0.0
    /// Encoded frames that were made.
    public internal(set) var frames = 0
    /// Seconds of work that made frames of samples.
    public internal(set) var features = 0.0
    /// Seconds of encoder, those in Core ML among them.
    public internal(set) var encoder = 0.0
    /// Seconds of search with predictor and joiner, those in Core ML among them.
    public internal(set) var search = 0.0
    /// Calls of Core ML.
    public internal(set) var calls = 0
    /// Seconds in these calls.
    public internal(set) var predictions = 0.0
    /// Seconds from the audio that completed the last chunk until its results were there, with the time that it waited.
    public internal(set) var latency = 0.0
    /// The longest of these.
    public internal(set) var longestLatency = 0.0
    /// The most bytes of memory that the process has held so far.
    public internal(set) var peakMemory = 0

    /// Seconds of work for a second of audio.
    public var realTimeFactor: Double { audio > 0 ? (features + encoder + search) / audio : 0 }
    /// The share of this package's own code.
    public var own: Double { features + encoder + search - predictions }

    func with(_ clock: CallClock) -> StreamStatistics {
        var told = self
        (told.calls, told.predictions) = (clock.calls, clock.seconds)
        return told
    }

    /// These, with the latency of what Core ML was called for since `before`, and with the memory now.
    func following(_ before: StreamStatistics, latency: Double) -> StreamStatistics {
        var told = self
        told.latency = calls > before.calls ? latency : before.latency
        told.longestLatency = max(before.longestLatency, told.latency)
        told.peakMemory = Self.peakMemoryOfTheProcess()
        return told
    }

    private static func peakMemoryOfTheProcess() -> Int {
        let itself: Int32 = 0  // RUSAGE_SELF, which is of another type on Linux
        var usage = rusage()
        getrusage(itself, &usage)
        #if canImport(Darwin)
            return usage.ru_maxrss
        #else
            return usage.ru_maxrss * 1_024
        #endif
    }
}
