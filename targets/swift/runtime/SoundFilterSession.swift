/// One stream through a model whose frames are samples.
package final class SoundFilterSession: SoundSession {
    private let sound: EncodedStream
    private var count = 0

    package init(model: SpeechModel, clock: CallClock) async throws {
        sound = try await EncodedStream(model: model, clock: clock)
    }

    package var statistics: StreamStatistics { sound.statistics }

    package func push(_ samples: [Float], _ tell: (SoundPiece) -> Void) async throws {
        try await sound.push(samples) { told($0, tell) }
    }

    package func finish(_ tell: (SoundPiece) -> Void) async throws {
        try await sound.finish { told($0, tell) }
        count = 0
    }

    package func reset() async {
        await sound.reset()
        count = 0
    }

    private func told(_ made: Frames, _ tell: (SoundPiece) -> Void) {
        guard made.count > 0 else { return }
        let start = sound.before + Double(count) * sound.frameSeconds
        count += made.count
        let end = sound.before + Double(count) * sound.frameSeconds
        tell(SoundPiece(samples: made.values, range: .seconds(start)..<(.seconds(end))))
        sound.searched(count, for: 0)
    }
}
