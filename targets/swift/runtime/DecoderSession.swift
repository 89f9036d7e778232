import Foundation

/// One utterance through front end, encoder and an attention decoder: its text is searched greedily when all was heard.
package final class DecoderSession: SoundSession {
    private let usualLength = 200  // most labels, where the decoder's cache says no other number
    private let model: SpeechModel
    private let features: FeatureDescription
    private let frontEnd: any FrontEnd
    private let encoder: StreamEncoder
    private let decoder: LabelDecoder
    private let vocabulary: Vocabulary
    private let clock: CallClock
    private let volatile: Bool
    private var frames: Frames
    private var samples = 0
    /// Seconds of the utterances before this one.
    private var before = 0.0
    private var heard: Double { Double(samples) / Double(features.sampleRate) }
    package private(set) var statistics = StreamStatistics()

    package init(model: SpeechModel, options: RecognizerOptions, clock: CallClock) async throws {
        let description = model.description
        guard let features = description.features, let decoder = description.decoder else {
            throw SpeechError.damagedModel("it lacks a decoder or its frames of sound")
        }
        guard options.search.method == .greedy else {
            throw SpeechError.unsupportedSearch("an attention decoder is searched greedily here")
        }
        guard !decoder.begin.isEmpty, decoder.end != nil else {
            throw SpeechError.unsupportedSearch("the model does not say what its texts begin and end with")
        }
        self.model = model
        self.features = features
        self.clock = clock
        volatile = options.volatileResults
        frontEnd = features.frontEnd()
        encoder = try await StreamEncoder(
            function: model.function(description.encoder), description: description, clock: clock)
        self.decoder = try await LabelDecoder(
            model: model, description: decoder, tables: options.tables, clock: clock)
        vocabulary = Vocabulary(size: description.vocabulary)
        frames = Frames(width: features.bins)
    }

    package func push(_ samples: [Float], _ tell: (SpeechResult) -> Void) throws {
        let started = ContinuousClock.now
        self.samples += samples.count
        frames.append(frontEnd.push(samples))
        statistics.features += (ContinuousClock.now - started).seconds
        let room = features.samples(encoder.chunk)
        guard decoder.description.among || self.samples <= room else {
            throw SpeechError.tooLong(seconds: heard, room: Double(room) / Double(features.sampleRate))
        }
    }

    package func finish(_ tell: (SpeechResult) -> Void) async throws {
        let started = ContinuousClock.now
        let whole = heardFrames()
        statistics.features += (ContinuousClock.now - started).seconds
        statistics.audio += heard
        let encoding = ContinuousClock.now
        let (memory, among) = try await hear(whole)
        statistics.encoder += (ContinuousClock.now - encoding).seconds
        let searching = ContinuousClock.now
        let found = try await search(memory, among) { if volatile { tell(result($0, isFinal: false)) } }
        statistics.search += (ContinuousClock.now - searching).seconds
        if !found.ids.isEmpty { tell(result(found, isFinal: true)) }
        let ended = before + heard
        await reset()
        before = ended  // a reset has forgotten it
    }

    package func reset() async {
        before = 0
        frontEnd.reset()
        frames = Frames(width: features.bins)
        samples = 0
        await encoder.reset()
        await decoder.reset()
    }

    /// The frames of the recording: where it is one utterance, with silence behind it.
    private func heardFrames() -> Frames {
        guard !decoder.description.among else {
            frames.append(frontEnd.flush())
            return frames
        }
        if features.exists == nil {
            let silence = max(0, features.samples(encoder.chunk) - samples)
            frames.append(frontEnd.push([Float](repeating: 0, count: silence)))
        }
        frames.append(frontEnd.flush())
        return frames.filled(to: encoder.chunk, with: features.silence)[0..<encoder.chunk]
    }

    /// What the decoder's inputs over time are given, and the frames that stand among its labels.
    private func hear(_ whole: Frames) async throws -> ([String: Tensor], [LabelDecoder.Item]) {
        guard decoder.description.among else {
            var memory = try await encoder.whole(whole, exist: features.existingFrames(samples))
            let first = memory[model.functions[model.description.encoder!]!.description.outputs[0].spec]!
            for name in decoder.description.between {
                let function = try model.function(name)
                let given = function.description.inputs.map { ($0.spec, memory[$0.spec] ?? first) }
                let made = try await function.call(Dictionary(uniqueKeysWithValues: given), clock: clock)
                memory.merge(made) { $1 }
            }
            let heard = decoder.heardInputs.map { ($0.spec, memory[$0.spec] ?? first) }
            return (Dictionary(uniqueKeysWithValues: heard), [])
        }
        let fill = model.description.streams ? 0 : features.silence
        var encoded = Frames(width: 0)
        for start in stride(from: 0, to: whole.count, by: encoder.chunk) {
            let part = whole[start..<min(start + encoder.chunk, whole.count)]
            let made = try await encoder.push(part.filled(to: encoder.chunk, with: fill), exist: Double(part.count))
            encoded = Frames(width: made.width, values: encoded.values + made.values)
        }
        encoded = Frames(width: max(encoded.width, 1), values: encoded.values + (try await encoder.finish()).values)
        return ([:], (0..<encoded.count).map { .frame(Array(encoded.row($0))) })
    }

    /// The best label each time, until the end; `tell` is told of every label but the last.
    private func search(
        _ heard: [String: Tensor], _ among: [LabelDecoder.Item], _ tell: (Hypothesis) -> Void
    ) async throws -> Hypothesis {
        let told = decoder.description
        let prompt = told.before.map(LabelDecoder.Item.label) + among + told.begin.map(LabelDecoder.Item.label)
        var found = Hypothesis(ids: [], score: 0, frames: [], confidences: [])
        let longest = max(1, decoder.room(behind: prompt.count) ?? usualLength)
        var items = prompt
        while true {
            let logits = try await decoder.take(items, heard: heard)
            var scores = try vocabulary.logProbabilities(logits, blank: 0, penalty: 0)
            for label in told.never { scores[0, label] = -.infinity }
            if found.ids.isEmpty { for label in told.notFirst { scores[0, label] = -.infinity } }
            let label = scores.best(0)
            found.score += scores[0, label]
            if label == told.end || told.ends.contains(label) { return spoken(found) }
            found.ids.append(label)
            found.confidences.append(exp(scores[0, label]))
            if found.ids.count == longest { return spoken(found) }
            if told.heading == nil || told.heading.map(found.ids.contains) == true { tell(spoken(found)) }
            items = [.label(label)]
        }
    }

    /// Without what the text says of itself.
    private func spoken(_ found: Hypothesis) -> Hypothesis {
        guard let heading = decoder.description.heading, let place = found.ids.firstIndex(of: heading) else {
            return found
        }
        var spoken = found
        spoken.ids.removeFirst(place + 1)
        spoken.confidences.removeFirst(place + 1)
        return spoken
    }

    /// A text has no times of its words; its range is that of the utterance.
    private func result(_ found: Hypothesis, isFinal: Bool) -> SpeechResult {
        let text = model.description.tokens?.text(found.ids) ?? found.ids.map(String.init).joined(separator: " ")
        return SpeechResult(
            text: text, words: [], settledWords: 0, range: .seconds(before)..<(.seconds(before + heard)),
            isFinal: isFinal, endpoint: nil, hypothesis: found, alternatives: [])
    }
}
