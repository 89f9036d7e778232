import Synchronization

/// One stream of speech: audio in, results out, with a state of its own.
///
/// ```swift
/// let recognizer = try await SpeechModel.load().recognizer()
/// Task { for try await result in recognizer.results { caption = result.text } }
/// try recognizer.append(samples)
/// try await recognizer.finish()
/// ```
///
/// Audio is worked on by one task in the order in which it came. `append` waits for nothing, so it can be called from an audio
/// callback.
public actor SpeechRecognizer {
    /// What is heard: volatile results while an utterance goes on, and a final one for each. It ends behind `finish()`.
    public nonisolated let results: AsyncThrowingStream<SpeechResult, any Error>
    public nonisolated let model: SpeechModel

    private nonisolated let commands: AsyncStream<Command>.Continuation
    private nonisolated let shared: Shared
    private nonisolated let clock: CallClock
    private let worker: Task<Void, any Error>
    #if canImport(AVFoundation)
        nonisolated let converter: BufferConverter
    #endif

    private enum Command: Sendable {
        case audio([Float])
        case reset
        case finish
    }

    /// What the worker and its callers look at.
    private final class Shared: Sendable {
        let finished = Mutex(false)
        let waiting = Mutex(0)
        let statistics = Mutex(RecognizerStatistics())
    }

    /// The worker owns the session; nobody else holds it.
    init(model: SpeechModel, session: sending any RecognizerSession, clock: CallClock) {
        self.model = model
        self.clock = clock
        #if canImport(AVFoundation)
            converter = BufferConverter(rate: model.sampleRate)
        #endif
        let shared = Shared()
        self.shared = shared
        let (results, told) = AsyncThrowingStream<SpeechResult, any Error>.makeStream()
        let (queue, commands) = AsyncStream<Command>.makeStream()
        self.results = results
        self.commands = commands
        let worker = Task {
            do {
                for await command in queue {
                    try Task.checkCancellation()
                    switch command {
                    case .audio(let samples):
                        try await session.push(samples) { told.yield($0) }
                        shared.waiting.withLock { $0 -= samples.count }
                    case .reset: try await session.reset()
                    case .finish: try await session.finish { told.yield($0) }
                    }
                    let statistics = session.statistics
                    shared.statistics.withLock { $0 = statistics }
                }
                try Task.checkCancellation()
                told.finish()
            } catch {
                shared.finished.withLock { $0 = true }
                told.finish(throwing: error)
                throw error
            }
        }
        self.worker = worker
        told.onTermination = { reason in
            if case .cancelled = reason {
                worker.cancel()
                commands.finish()
            }
        }
    }

    deinit {
        commands.finish()
    }

    /// Takes samples at the model's rate, mono, full scale 1: any number of them.
    public nonisolated func append(_ samples: [Float]) throws {
        let loudest: Float = 1e6  // the squares of more don't fit the front end's numbers
        guard samples.allSatisfy({ abs($0) <= loudest }) else {
            throw SpeechError.notSound("they are not finite, or beyond all loudness")
        }
        try shared.finished.withLock { finished in
            guard !finished else { throw SpeechError.finished }
            shared.waiting.withLock { $0 += samples.count }
            commands.yield(.audio(samples))
        }
    }

    /// Seconds of audio that wait to be worked on.
    public nonisolated var backlog: Double {
        Double(shared.waiting.withLock { $0 }) / Double(model.sampleRate)
    }

    /// Takes the end of the audio: returns when all of it was heard and the last result is there.
    public func finish() async throws {
        let first = shared.finished.withLock { finished in
            defer { finished = true }
            return !finished
        }
        if first {
            commands.yield(.finish)
            commands.finish()
        }
        try await worker.value
    }

    /// Forgets what was heard: the next sample is the first of another stream. It costs a state of zeros.
    public nonisolated func reset() throws {
        try shared.finished.withLock { finished in
            guard !finished else { throw SpeechError.finished }
            commands.yield(.reset)
        }
    }

    /// Gives up: what was not heard yet stays unheard.
    public nonisolated func cancel() {
        shared.finished.withLock { $0 = true }
        worker.cancel()
        commands.finish()
    }

    /// What the work has cost so far.
    public nonisolated var statistics: RecognizerStatistics {
        var statistics = shared.statistics.withLock { $0 }
        statistics.calls = clock.calls
        statistics.predictions = clock.seconds
        return statistics
    }
}

/// Seconds of work for a stream.
public struct RecognizerStatistics: Sendable, Equatable {
    /// Seconds of audio that were heard.
    public internal(set) var audio = 0.0
    /// Encoded frames that were searched.
    public internal(set) var frames = 0
    /// Making frames of samples.
    public internal(set) var features = 0.0
    /// Encoder, and search with predictor and joiner: Core ML's share is in both.
    public internal(set) var encoder = 0.0
    public internal(set) var search = 0.0
    /// Core ML: calls, and the seconds in them.
    public internal(set) var calls = 0
    public internal(set) var predictions = 0.0

    /// Seconds of work for a second of audio.
    public var realTimeFactor: Double { audio > 0 ? (features + encoder + search) / audio : 0 }
    /// The share of this package's own code.
    public var own: Double { features + encoder + search - predictions }
}
