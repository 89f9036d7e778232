import Foundation

/// Greedy transducer search (Graves 2012). Its hypothesis grows and never changes, so all of it is final.
///
/// Frame by frame: join the frame with the predictor's vector; while the best label isn't the blank and fewer than
/// `maxSymbols` were emitted at this frame, emit it and step the predictor with it. The vector changes only when a label is
/// emitted, so one call of the joiner looks at all frames that are left of a block.
final class TransducerGreedy: Search {
    private let engine: any TransducerEngine
    private let rules: SearchRules
    private(set) var frames = 0
    private var begun = 0
    private var predicted: (vector: [Float], state: PredictorState)?
    private var found = Hypothesis(ids: [], score: 0, frames: [], confidences: [])

    init(_ engine: any TransducerEngine, _ rules: SearchRules) {
        self.engine = engine
        self.rules = rules
    }

    func accept(_ encoded: Frames) async throws -> Partial {
        if predicted == nil {
            predicted = try await engine.predict(rules.blank, after: engine.start())
        }
        let blank = rules.blank
        var at = 0
        var symbols = 0
        while at < encoded.count {
            let looked = encoded[at..<min(at + engine.frames, encoded.count)]
            let scores = try rules.logProbabilities(await engine.join(looked, with: predicted!.vector))
            var skipped = 0
            while skipped < looked.count, scores.best(skipped) == blank {
                found.score += scores[skipped, blank]
                skipped += 1
            }
            at += skipped
            if skipped > 0 { symbols = 0 }
            guard skipped < looked.count else { continue }
            let label = scores.best(skipped)
            try await emit(label, scores[skipped, label], frame: frames + at)
            symbols += 1
            if symbols == rules.settings.maxSymbols {
                at += 1
                symbols = 0
            }
        }
        frames += encoded.count
        return Partial(best: found, final: found.ids.count, frames: frames, begun: begun)
    }

    func finish() -> [Hypothesis] {
        defer {
            begun = frames
            predicted = nil
            found = Hypothesis(ids: [], score: 0, frames: [], confidences: [])
        }
        return [found]
    }

    private func emit(_ label: Int, _ score: Double, frame: Int) async throws {
        found.ids.append(label)
        found.frames.append(frame)
        found.confidences.append(exp(score))
        found.score += score
        predicted = try await engine.predict(label, after: predicted!.state)
    }
}
