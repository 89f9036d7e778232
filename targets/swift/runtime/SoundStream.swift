import Synchronization

/// One stream of sound: audio in, results out, with a state of its own.
///
/// Audio is worked on by one task in the order in which it came. `append` waits for nothing, so it can be called from an audio
/// callback. Results end with an error where the work does: a `SpeechError`, or `CancellationError` behind `cancel()`.
public actor SoundStream<Result: Sendable> {
    /// What is heard, in order. It ends behind `finish()`.
    public nonisolated let results: AsyncThrowingStream<Result, any Error>
    /// The model that listens.
    public nonisolated let model: SpeechModel

    private nonisolated let commands: AsyncStream<Command>.Continuation
    private nonisolated let shared: Shared
    private let worker: Task<Void, any Error>
    #if canImport(AVFoundation)
        nonisolated let converter: BufferConverter
    #endif

    private enum Command: Sendable {
        case audio([Float], came: ContinuousClock.Instant)
        case reset
        /// The end of an utterance; behind it another one may come.
        case end
    }

    /// What the worker and its callers look at.
    private final class Shared: Sendable {
        let finished = Mutex(false)
        let waiting = Mutex(0)
        let statistics = Mutex(StreamStatistics())

        func heard(_ count: Int, came: ContinuousClock.Instant, _ told: StreamStatistics) {
            waiting.withLock { $0 -= count }
            statistics.withLock { $0 = told.following($0, latency: (ContinuousClock.now - came).seconds) }
        }
    }

    /// The worker owns the session; nobody else holds it.
    init(model: SpeechModel, session: sending any SoundSession<Result>, clock: CallClock) {
        self.model = model
        #if canImport(AVFoundation)
            converter = BufferConverter(rate: model.sampleRate)
        #endif
        let shared = Shared()
        self.shared = shared
        let (results, told) = AsyncThrowingStream<Result, any Error>.makeStream()
        let (queue, commands) = AsyncStream<Command>.makeStream()
        self.results = results
        self.commands = commands
        let worker = Task {
            do {
                for await command in queue {
                    try Task.checkCancellation()
                    switch command {
                    case .audio(let samples, let came):
                        try await session.push(samples) { told.yield($0) }
                        shared.heard(samples.count, came: came, session.statistics.with(clock))
                    case .reset: try await session.reset()
                    case .end:
                        let came = ContinuousClock.now
                        try await session.finish { told.yield($0) }
                        shared.heard(0, came: came, session.statistics.with(clock))
                    }
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
    public nonisolated func append(_ samples: [Float]) throws(SpeechError) {
        let loudest: Float = 1e6  // the squares of more don't fit the front end's numbers
        guard samples.allSatisfy({ abs($0) <= loudest }) else {
            throw SpeechError.notSound("they are not finite, or beyond all loudness")
        }
        try whileOpen { take(samples) }
    }

    /// Takes the end of an utterance, as when a person lets go of a button: its final result comes with all that was held back.
    /// The next sample begins another utterance, and times go on.
    public nonisolated func endUtterance() throws(SpeechError) {
        try whileOpen {
            takeHeldBack()
            commands.yield(.end)
        }
    }

    /// Seconds of audio that wait to be worked on.
    public nonisolated var backlog: Double {
        Double(shared.waiting.withLock { $0 }) / Double(model.sampleRate)
    }

    /// Takes the end of the audio: returns when all of it was heard and the last result is there.
    public func finish() async throws {
        shared.finished.withLock { finished in
            guard !finished else { return }
            finished = true
            takeHeldBack()
            commands.yield(.end)
            commands.finish()
        }
        try await worker.value
    }

    /// Forgets what was heard: the next sample is the first of another stream. It costs a state of zeros.
    public nonisolated func reset() throws(SpeechError) {
        try whileOpen {
            #if canImport(AVFoundation)
                converter.reset()
            #endif
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
    public nonisolated var statistics: StreamStatistics {
        shared.statistics.withLock { $0 }
    }

    /// What comes between two of these calls comes whole.
    private nonisolated func whileOpen(_ body: () -> Void) throws(SpeechError) {
        let open = shared.finished.withLock { finished in
            if !finished { body() }
            return !finished
        }
        guard open else { throw SpeechError.finished }
    }

    private nonisolated func take(_ samples: [Float]) {
        shared.waiting.withLock { $0 += samples.count }
        commands.yield(.audio(samples, came: .now))
    }

    /// What the converter of buffers has kept for samples that would follow.
    private nonisolated func takeHeldBack() {
        #if canImport(AVFoundation)
            let rest = converter.drain()
            if !rest.isEmpty { take(rest) }
        #endif
    }
}
