// The engine with its input, the audio session and the permission, on a device that a test speaks into. What the system would
// end a process for ends it here: a tap of another format than the hardware's, and two taps on one bus.

import Foundation

/// The device: what it is set to, and what has been asked of it.
public enum StandInDevice {
    nonisolated(unsafe) public static var sampleRate = 48_000.0
    nonisolated(unsafe) public static var isAllowed = true
    /// Whether another app has the microphone.
    nonisolated(unsafe) public static var isTaken = false
    nonisolated(unsafe) public static var isActive = false
    nonisolated(unsafe) static var engines: [AVAudioEngine] = []

    static var format: AVAudioFormat {
        AVAudioFormat(commonFormat: .pcmFormatFloat32, sampleRate: sampleRate, channels: 2, interleaved: false)!
    }

    public static var isHeard: Bool { engines.contains { $0.isRunning && $0.inputNode.tap != nil } }

    /// Gives sound to the taps of engines that run, a buffer for every 4,096 frames.
    public static func speak(_ count: Int, _ sample: (Int) -> Float) {
        for start in stride(from: 0, to: count, by: 4_096) {
            let buffer = AVAudioPCMBuffer(pcmFormat: format, frameCapacity: AVAudioFrameCount(min(4_096, count - start)))!
            buffer.frameLength = buffer.frameCapacity
            for place in 0..<Int(buffer.frameLength) {
                for channel in 0..<2 { buffer.floatChannelData![channel][place] = sample(start + place) }
            }
            for engine in engines where engine.isRunning { engine.inputNode.tap?(buffer, AVAudioTime()) }
        }
    }

    /// A call comes in, or ends.
    public static func interrupt(_ type: AVAudioSession.InterruptionType, resuming: Bool = false) {
        if type == .began {
            isActive = false
            engines.forEach { $0.stop() }
        }
        let options: AVAudioSession.InterruptionOptions = resuming ? [.shouldResume] : []
        NotificationCenter.default.post(
            name: AVAudioSession.interruptionNotification, object: AVAudioSession.sharedInstance(),
            userInfo: [
                AVAudioSessionInterruptionTypeKey: type.rawValue, AVAudioSessionInterruptionOptionKey: options.rawValue,
            ])
    }

    /// Another microphone is plugged in: engines stop, and tell so.
    public static func plugIn(sampleRate: Double) {
        self.sampleRate = sampleRate
        for engine in engines where engine.isRunning {
            engine.stop()
            NotificationCenter.default.post(name: .AVAudioEngineConfigurationChange, object: engine)
        }
    }

    /// The system's media services end and begin again: nothing of before works.
    public static func restartServices() {
        isActive = false
        for engine in engines {
            engine.stop()
            engine.isDead = true
        }
        NotificationCenter.default.post(
            name: AVAudioSession.mediaServicesWereResetNotification, object: AVAudioSession.sharedInstance())
    }
}

public final class AVAudioTime {}
public typealias AVAudioNodeTapBlock = (AVAudioPCMBuffer, AVAudioTime) -> Void

public final class AVAudioInputNode {
    var tap: AVAudioNodeTapBlock?

    public func outputFormat(forBus bus: AVAudioNodeBus) -> AVAudioFormat { StandInDevice.format }

    public func installTap(
        onBus bus: AVAudioNodeBus, bufferSize: AVAudioFrameCount, format: AVAudioFormat?,
        block: @escaping AVAudioNodeTapBlock
    ) {
        precondition(format == StandInDevice.format, "a tap keeps the format of the hardware")
        precondition(tap == nil, "a bus has one tap")
        tap = block
    }

    public func removeTap(onBus bus: AVAudioNodeBus) { tap = nil }
}

public final class AVAudioEngine {
    public let inputNode = AVAudioInputNode()
    public private(set) var isRunning = false
    var isDead = false

    public init() { StandInDevice.engines.append(self) }

    public func prepare() {}

    public func start() throws {
        guard StandInDevice.isActive, !StandInDevice.isTaken, !isDead else {
            throw NSError(domain: "com.apple.coreaudio.avfaudio", code: 561_017_449)
        }
        isRunning = true
    }

    public func stop() { isRunning = false }
}

public final class AVAudioApplication: @unchecked Sendable {
    public enum recordPermission: Int { case undetermined, denied, granted }

    public static let shared = AVAudioApplication()
    public var recordPermission: recordPermission { StandInDevice.isAllowed ? .granted : .denied }
    public class func requestRecordPermission() async -> Bool { StandInDevice.isAllowed }
}

public final class AVAudioSession: @unchecked Sendable {
    public struct Category: Equatable, Sendable {
        public static let record = Category()
        public static let playAndRecord = Category()
    }
    public struct Mode: Equatable, Sendable { public static let measurement = Mode() }
    public struct CategoryOptions: OptionSet, Sendable {
        public let rawValue: UInt
        public init(rawValue: UInt) { self.rawValue = rawValue }
    }
    public struct SetActiveOptions: OptionSet, Sendable {
        public let rawValue: UInt
        public init(rawValue: UInt) { self.rawValue = rawValue }
        public static let notifyOthersOnDeactivation = SetActiveOptions(rawValue: 1)
    }
    public enum InterruptionType: UInt, Sendable { case ended, began }
    public struct InterruptionOptions: OptionSet, Sendable {
        public let rawValue: UInt
        public init(rawValue: UInt) { self.rawValue = rawValue }
        public static let shouldResume = InterruptionOptions(rawValue: 1)
    }

    private static let only = AVAudioSession()
    public class func sharedInstance() -> AVAudioSession { only }
    public static let interruptionNotification = Notification.Name("AVAudioSessionInterruptionNotification")
    public static let mediaServicesWereResetNotification =
        Notification.Name("AVAudioSessionMediaServicesWereResetNotification")

    public func setCategory(_ category: Category, mode: Mode, options: CategoryOptions = []) throws {}

    public func setActive(_ active: Bool, options: SetActiveOptions = []) throws {
        guard !(active && StandInDevice.isTaken) else {
            throw NSError(domain: NSOSStatusErrorDomain, code: 561_017_449)
        }
        StandInDevice.isActive = active
    }
}

public let AVAudioSessionInterruptionTypeKey = "AVAudioSessionInterruptionTypeKey"
public let AVAudioSessionInterruptionOptionKey = "AVAudioSessionInterruptionOptionKey"
public let NSOSStatusErrorDomain = "NSOSStatusErrorDomain"

extension NSNotification.Name {
    public static let AVAudioEngineConfigurationChange = NSNotification.Name("AVAudioEngineConfigurationChange")
}
