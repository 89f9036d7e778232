import Synchronization

/// How often Core ML was called for a stream, and for how long.
package final class CallClock: Sendable {
    private let counted = Mutex<(calls: Int, seconds: Double)>((0, 0))

    package init() {}

    package var calls: Int { counted.withLock { $0.calls } }
    package var seconds: Double { counted.withLock { $0.seconds } }

    func add(_ duration: Duration) {
        counted.withLock {
            $0.calls += 1
            $0.seconds += duration.seconds
        }
    }
}

extension Duration {
    var seconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}
