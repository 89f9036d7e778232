import Accelerate
import Foundation

/// Log-probabilities of the labels of logits. Padding behind the labels takes no part.
package struct Vocabulary: Sendable {
    package let size: Int

    package init(size: Int) { self.size = size }

    /// Natural logarithms of the labels' probabilities [rows, size] of rows of logits; `penalty` is taken off the blank's logit.
    package func logProbabilities(_ logits: Frames, blank: Int, penalty: Double) throws -> Scores {
        guard logits.width >= size else {
            throw SpeechError.noHypothesis("\(logits.width) logits, and \(size) labels")
        }
        var scores = Scores(width: size, count: logits.count)
        for row in 0..<logits.count {
            try logits.values.withUnsafeBufferPointer { source in
                try scores.values.withUnsafeMutableBufferPointer { target in
                    let place = target.baseAddress! + row * size
                    vDSP_vspdp(source.baseAddress! + row * logits.width, 1, place, 1, vDSP_Length(size))
                    if penalty != 0 { place[blank] -= penalty }
                    try normalise(place, size)
                }
            }
        }
        return scores
    }
}

/// Rows of double-precision numbers.
package struct Scores: Sendable {
    package let width: Int
    package var values: [Double]

    init(width: Int, count: Int) {
        self.width = width
        values = [Double](repeating: 0, count: width * count)
    }

    var count: Int { width == 0 ? 0 : values.count / width }

    subscript(row: Int, column: Int) -> Double {
        get { values[row * width + column] }
        set { values[row * width + column] = newValue }
    }

    func row(_ index: Int) -> ArraySlice<Double> { values[index * width..<(index + 1) * width] }

    /// The column of a row's highest number; of equal ones the first.
    func best(_ row: Int) -> Int {
        var best = 0
        for column in 1..<max(1, width) where self[row, column] > self[row, best] { best = column }
        return best
    }
}

/// x - log(sum of exp x) in place, computed without overflow.
func normalise(_ scores: UnsafeMutablePointer<Double>, _ size: Int) throws {
    let count = vDSP_Length(size)
    var highest = 0.0
    vDSP_maxvD(scores, 1, &highest, count)
    guard highest.isFinite else { throw SpeechError.noHypothesis("the highest logit is \(highest)") }
    var below = -highest
    vDSP_vsaddD(scores, 1, &below, scores, 1, count)
    try withUnsafeTemporaryAllocation(of: Double.self, capacity: size) { exponentials in
        var number = Int32(size)
        vvexp(exponentials.baseAddress!, scores, &number)
        var sum = 0.0
        vDSP_sveD(exponentials.baseAddress!, 1, &sum, count)
        guard sum.isFinite else { throw SpeechError.noHypothesis("a logit is no number") }
        below = -log(sum)
    }
    vDSP_vsaddD(scores, 1, &below, scores, 1, count)
}
