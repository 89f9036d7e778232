#if canImport(AVFoundation)
    import AVFoundation
    import Foundation

    /// What happens to a microphone.
    public enum MicrophoneEvent: Sendable, Equatable {
        /// It listens, at so many samples a second: from the start, and again behind an interruption or a change of the route.
        case listening(sampleRate: Double)
        /// A call, an alarm or another app has it. The utterance has ended; it listens again when the system gives it back, and
        /// where the system does not, `start()` tries.
        case interrupted
        /// It can't listen. `start()` tries again.
        case failed(SpeechError)
    }

    /// Who sets up the app's audio session, which iOS asks for.
    public enum MicrophoneSession: Sendable, Equatable {
        /// The microphone, for an app that listens and plays nothing meanwhile.
        case record
        /// The microphone, for an app that plays sound too.
        case playAndRecord
        /// The app: it sets the category and activates the session, also behind an interruption.
        case app
    }

    /// The microphone, heard by a recognizer or another stream of sound.
    ///
    /// It goes on behind interruptions, with another route and another rate, and when the system's media services were reset.
    public final class Microphone: @unchecked Sendable {
        /// What happens to it, for one listener.
        public let events: AsyncStream<MicrophoneEvent>

        private let told: AsyncStream<MicrophoneEvent>.Continuation
        private let session: MicrophoneSession
        private let hear: @Sendable (AVAudioPCMBuffer) throws(SpeechError) -> Void
        private let endUtterance: @Sendable () -> Void
        private let finish: @Sendable () async throws -> Void
        /// All of the following belongs to it: the system's notifications come on threads of their own.
        private let queue = DispatchQueue(label: "Microphone")
        private var engine = AVAudioEngine()
        private var isWanted = false
        private var observers: [any NSObjectProtocol] = []

        public init<Result>(_ stream: SoundStream<Result>, session: MicrophoneSession = .record) {
            self.session = session
            hear = { (buffer) throws(SpeechError) in try stream.append(buffer) }
            endUtterance = { try? stream.endUtterance() }
            finish = { try await stream.finish() }
            (events, told) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(16))
        }

        deinit {
            observers.forEach(NotificationCenter.default.removeObserver)
            told.finish()
        }

        /// Asks for the permission, once in the life of an app: whether it is given. The app's Info.plist says why
        /// (`NSMicrophoneUsageDescription`).
        public static func requestPermission() async -> Bool {
            await AVAudioApplication.requestRecordPermission()
        }

        /// Starts to listen, or tries again.
        public func start() throws(SpeechError) {
            let failure = queue.sync { () -> SpeechError? in
                isWanted = true
                observe()
                return listen()
            }
            if let failure { throw failure }
        }

        /// Stops to listen until `start()`; what was said until now is an utterance.
        public func pause() {
            queue.sync {
                isWanted = false
                silence()
                endUtterance()
            }
        }

        /// Stops for good, and returns when everything that was said is in the results.
        public func stop() async throws {
            queue.sync {
                isWanted = false
                observers.forEach(NotificationCenter.default.removeObserver)
                observers = []
                silence()
                deactivate()
                told.finish()
            }
            try await finish()
        }

        /// The tap keeps the rate of the hardware; the stream converts.
        private func listen() -> SpeechError? {
            silence()
            if AVAudioApplication.shared.recordPermission == .denied { return .microphoneDenied }
            do {
                try activate()
                let format = engine.inputNode.outputFormat(forBus: 0)
                guard format.sampleRate > 0, format.channelCount > 0 else { return .microphone("there is none") }
                engine.inputNode.installTap(onBus: 0, bufferSize: 4_096, format: format) {
                    [weak self, hear] buffer, _ in
                    do throws(SpeechError) {
                        try hear(buffer)
                    } catch {
                        self?.gaveUp(error)
                    }
                }
                engine.prepare()
                try engine.start()
                told.yield(.listening(sampleRate: format.sampleRate))
                return nil
            } catch {
                silence()
                return .microphone(error.localizedDescription)
            }
        }

        private func silence() {
            engine.inputNode.removeTap(onBus: 0)
            engine.stop()
        }

        private func listenAgain() {
            guard isWanted else { return }
            if let failure = listen() { told.yield(.failed(failure)) }
        }

        /// The stream takes no more buffers: it has finished, or can't convert them.
        private func gaveUp(_ error: SpeechError) {
            queue.async { [self] in
                guard isWanted else { return }
                isWanted = false
                silence()
                if error != .finished { told.yield(.failed(error)) }
            }
        }

        private func observe() {
            guard observers.isEmpty else { return }
            react(to: .AVAudioEngineConfigurationChange) { notification in
                let changed = (notification.object as? AVAudioEngine).map(ObjectIdentifier.init)
                return { if changed == ObjectIdentifier($0.engine) { $0.listenAgain() } }
            }
            #if !os(macOS)
                react(to: AVAudioSession.interruptionNotification) { notification in
                    let type = notification.userInfo?[AVAudioSessionInterruptionTypeKey] as? UInt
                    let options = notification.userInfo?[AVAudioSessionInterruptionOptionKey] as? UInt ?? 0
                    let goesOn = AVAudioSession.InterruptionOptions(rawValue: options).contains(.shouldResume)
                    switch type.flatMap(AVAudioSession.InterruptionType.init) {
                    case .began: return { $0.interrupted() }
                    case .ended where goesOn: return { $0.listenAgain() }
                    default: return nil
                    }
                }
                react(to: AVAudioSession.mediaServicesWereResetNotification) { _ in
                    {
                        $0.engine = AVAudioEngine()
                        $0.listenAgain()
                    }
                }
            #endif
        }

        /// Does what a notification asks for, in the queue and not in the thread that the notification came on, which may hold
        /// locks of the engine.
        private func react(
            to name: Notification.Name,
            _ reaction: @escaping @Sendable (Notification) -> (@Sendable (Microphone) -> Void)?
        ) {
            let observer = NotificationCenter.default.addObserver(forName: name, object: nil, queue: nil) {
                [weak self] notification in
                guard let self, let reaction = reaction(notification) else { return }
                queue.async { reaction(self) }
            }
            observers.append(observer)
        }

        private func interrupted() {
            guard isWanted else { return }
            silence()
            endUtterance()
            told.yield(.interrupted)
        }

        private func activate() throws {
            #if !os(macOS)
                guard session != .app else { return }
                let shared = AVAudioSession.sharedInstance()
                try shared.setCategory(session == .record ? .record : .playAndRecord, mode: .measurement)
                try shared.setActive(true)
            #endif
        }

        private func deactivate() {
            #if !os(macOS)
                guard session != .app else { return }
                // Sound of other apps goes on that the microphone has stopped.
                try? AVAudioSession.sharedInstance().setActive(false, options: .notifyOthersOnDeactivation)
            #endif
        }
    }
#endif
