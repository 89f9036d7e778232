/// One stream of sound through front end and encoder: samples in, encoded frames out.
package final class EncodedStream {
    package let features: FeatureDescription
    /// Seconds of an encoded frame.
    package let frameSeconds: Double
    /// Seconds of the sound of this utterance, and of those before it.
    package var seconds: Double { Double(samples) / Double(features.sampleRate) }
    package private(set) var before = 0.0
    package private(set) var statistics = StreamStatistics()
    private let streams: Bool
    private let frontEnd: any FrontEnd
    private let encoder: StreamEncoder
    private var held: Frames
    private var samples = 0
    private var framesBefore = 0

    package init(model: SpeechModel, clock: CallClock) async throws {
        let description = model.description
        guard let features = description.features else { throw SpeechError.damagedModel("it takes no frames of sound") }
        self.features = features
        streams = description.streams
        frontEnd = features.frontEnd()
        encoder = try await StreamEncoder(
            function: model.function(description.encoder), description: description, clock: clock)
        frameSeconds = Double(encoder.chunk) / Double(encoder.encodedFrames) / features.frameRate
        held = Frames(width: features.bins)
    }

    /// The encoded frames of the next samples, a chunk at a time.
    package func push(_ samples: [Float], _ take: (Frames) async throws -> Void) async throws {
        self.samples += samples.count
        // So much at a time that what is held stays small, however long the recording is.
        for start in stride(from: 0, to: samples.count, by: features.sampleRate) {
            let end = min(start + features.sampleRate, samples.count)
            hold { $0.push(Array(samples[start..<end])) }
            if !streams { try refuseLonger() }
            while streams, held.count >= encoder.chunk {
                let chunk = held[0..<encoder.chunk]
                held = held[encoder.chunk..<held.count]
                try await take(hear(chunk, exist: Double(encoder.chunk)))
            }
        }
    }

    /// Those of the end of an utterance, with all that was held back. The next samples begin another one.
    package func finish(_ take: (Frames) async throws -> Void) async throws {
        hold { $0.flush() }
        if !streams { try refuseLonger() }
        let exist = streams ? Double(held.count) : features.existingFrames(samples)
        for start in stride(from: 0, to: held.count, by: encoder.chunk) {
            let part = held[start..<min(start + encoder.chunk, held.count)]
            let chunk = part.filled(to: encoder.chunk, with: streams ? 0 : features.silence)
            try await take(hear(chunk, exist: min(Double(part.count), exist - Double(start))))
        }
        let rest = try await encoder.finish()
        if rest.count > 0 { try await take(rest) }
        let heard = before + seconds
        await reset()
        before = heard  // a reset has forgotten it
    }

    /// Forgets everything heard.
    package func reset() async {
        frontEnd.reset()
        held = Frames(width: features.bins)
        samples = 0
        before = 0
        framesBefore = statistics.frames
        await encoder.reset()
    }

    /// Notes what a search of the encoded frames of this utterance has cost so far.
    package func searched(_ count: Int, for seconds: Double) {
        statistics.frames = framesBefore + count
        statistics.search += seconds
    }

    private func hold(_ made: (any FrontEnd) -> Frames) {
        let started = ContinuousClock.now
        held.append(made(frontEnd))
        statistics.features += (ContinuousClock.now - started).seconds
    }

    private func hear(_ chunk: Frames, exist: Double) async throws -> Frames {
        let started = ContinuousClock.now
        let encoded = try await encoder.push(chunk, exist: exist)
        statistics.encoder += (ContinuousClock.now - started).seconds
        statistics.audio += exist / features.frameRate
        return encoded
    }

    private func refuseLonger() throws {
        let room = features.samples(encoder.chunk)
        guard samples <= room else {
            throw SpeechError.tooLong(seconds: seconds, room: Double(room) / Double(features.sampleRate))
        }
    }
}
