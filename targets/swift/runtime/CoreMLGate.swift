/// All work with Core ML's objects of this package happens on one actor, and one call at a time.
///
/// Calls with one `MLState` must not overlap, and two models at once have corrupted memory of Core ML's CPU path. An actor
/// alone does not prevent either, since it takes up other work while a prediction is awaited; the gate does.
@globalActor
package actor CoreMLGate {
    package static let shared = CoreMLGate()

    @CoreMLGate private static var occupied = false
    @CoreMLGate private static var waiting: [CheckedContinuation<Void, Never>] = []

    /// Waits, in the order of calls, until no other prediction goes on.
    @CoreMLGate
    static func enter() async {
        guard occupied else {
            occupied = true
            return
        }
        await withCheckedContinuation { waiting.append($0) }
    }

    @CoreMLGate
    static func leave() {
        if waiting.isEmpty {
            occupied = false
        } else {
            waiting.removeFirst().resume()
        }
    }
}
