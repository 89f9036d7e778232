/// One stream through front end and encoder, whose frames are what is asked for; of a model that makes one vector of an
/// utterance, that.
package final class FeatureSession: SoundSession {
    private let sound: EncodedStream
    private let isWhole: Bool
    private var count = 0

    package init(model: SpeechModel, clock: CallClock) async throws {
        sound = try await EncodedStream(model: model, clock: clock)
        isWhole = model.description.kind == .embedding
    }

    package var statistics: StreamStatistics { sound.statistics }

    package func push(_ samples: [Float], _ tell: (FeatureRow) -> Void) async throws {
        try await sound.push(samples) { told($0, tell) }
    }

    package func finish(_ tell: (FeatureRow) -> Void) async throws {
        try await sound.finish { told($0, tell) }
        count = 0
    }

    package func reset() async {
        await sound.reset()
        count = 0
    }

    private func told(_ encoded: Frames, _ tell: (FeatureRow) -> Void) {
        for place in 0..<encoded.count {
            let start = sound.before + (isWhole ? 0 : Double(count) * sound.frameSeconds)
            let end = start + (isWhole ? sound.seconds : sound.frameSeconds)
            tell(FeatureRow(values: Array(encoded.row(place)), range: .seconds(start)..<(.seconds(end))))
            count += 1
        }
        sound.searched(count, for: 0)
    }
}
