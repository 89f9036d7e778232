import Dispatch
import Foundation

/// All work with Core ML's objects of this package happens on one actor, and one call at a time in the whole process.
///
/// Calls with one `MLState` must not overlap, and two models at once have corrupted memory of Core ML's CPU path. An actor
/// alone does not prevent either, since it takes up other work while a prediction is awaited; the gate does.
@globalActor
package actor CoreMLGate {
    package static let shared = CoreMLGate()

    /// Where calls wait: a serial queue, each item of which lasts as long as a call.
    private static let calls = queueOfTheProcess()
    private static let returned = DispatchSemaphore(value: 0)

    /// Waits, in the order of calls, until no other prediction goes on: of this package or of another one.
    @CoreMLGate
    static func enter() async {
        await withCheckedContinuation { entered in
            calls.async {
                entered.resume()
                returned.wait()
            }
        }
    }

    @CoreMLGate
    static func leave() { returned.signal() }

    /// Emitted packages of one app share no code, so they find the first one's queue by a variable of the environment:
    /// `setenv` keeps the value that is there.
    private static func queueOfTheProcess() -> DispatchQueue {
        let name = "MCTC_CORE_ML_QUEUE_\(ProcessInfo.processInfo.processIdentifier)"
        let own = Unmanaged.passRetained(DispatchQueue(label: name, qos: .userInitiated))
        setenv(name, String(UInt(bitPattern: own.toOpaque())), 0)
        guard let address = getenv(name).flatMap({ UInt(String(cString: $0)) }),
            let place = UnsafeRawPointer(bitPattern: address)
        else { return own.takeUnretainedValue() }
        if place != UnsafeRawPointer(own.toOpaque()) { own.release() }
        return Unmanaged<DispatchQueue>.fromOpaque(place).takeUnretainedValue()
    }
}
