#if canImport(AVFoundation)
    import AVFoundation
    import Foundation

    extension SoundStream {
        /// Takes a buffer of any format and rate. Buffers of one stream come from one source, one after another.
        public nonisolated func append(_ buffer: AVAudioPCMBuffer) throws {
            try append(converter.convert(buffer))
        }
    }

    /// Converts buffers to a model's samples: one converter for the stream, so that there are no seams between buffers.
    package final class BufferConverter: @unchecked Sendable {
        private let lock = NSLock()
        private let target: AVAudioFormat
        private var converter: AVAudioConverter?

        package init(rate: Int) {
            target = AVAudioFormat(
                commonFormat: .pcmFormatFloat32, sampleRate: Double(rate), channels: 1, interleaved: false)!
        }

        package func convert(_ buffer: AVAudioPCMBuffer) throws -> [Float] {
            lock.lock()
            defer { lock.unlock() }
            if converter?.inputFormat != buffer.format {
                converter = AVAudioConverter(from: buffer.format, to: target)
                converter?.primeMethod = .none
            }
            guard let converter else {
                throw SpeechError.unsupportedAudio("nothing converts \(buffer.format) to \(target)")
            }
            // Room for what the converter may have held back of buffers before.
            let room = Double(buffer.frameLength) * target.sampleRate / buffer.format.sampleRate + 4_096
            guard let converted = AVAudioPCMBuffer(pcmFormat: target, frameCapacity: AVAudioFrameCount(room)) else {
                throw SpeechError.unsupportedAudio("no buffer of \(room) frames")
            }
            let source = Source(buffer)
            var failure: NSError?
            let status = converter.convert(to: converted, error: &failure) { _, status in source.next(status) }
            guard status != .error, let samples = converted.floatChannelData else {
                throw SpeechError.unsupportedAudio(failure?.localizedDescription ?? "the converter failed")
            }
            return Array(UnsafeBufferPointer(start: samples[0], count: Int(converted.frameLength)))
        }

        /// Each buffer goes in once: one that is given again repeats its sound.
        private final class Source: @unchecked Sendable {
            private var buffer: AVAudioPCMBuffer?

            init(_ buffer: AVAudioPCMBuffer) { self.buffer = buffer }

            func next(_ status: UnsafeMutablePointer<AVAudioConverterInputStatus>) -> AVAudioBuffer? {
                status.pointee = buffer == nil ? .noDataNow : .haveData
                defer { buffer = nil }
                return buffer
            }
        }
    }

    /// The microphone, heard by a recognizer or a stream of features. An app asks for the permission before
    /// (`NSMicrophoneUsageDescription`).
    public final class Microphone<Result: Sendable>: @unchecked Sendable {
        private let stream: SoundStream<Result>
        private let engine = AVAudioEngine()
        private let lock = NSLock()
        private var observer: (any NSObjectProtocol)?

        public init(_ stream: SoundStream<Result>) { self.stream = stream }

        /// Starts to listen; after a change of the route it goes on with the new one.
        public func start() throws {
            lock.lock()
            defer { lock.unlock() }
            #if os(iOS)
                try AVAudioSession.sharedInstance().setCategory(.record, mode: .measurement)
                try AVAudioSession.sharedInstance().setActive(true)
            #endif
            try tap()
            observer = NotificationCenter.default.addObserver(
                forName: .AVAudioEngineConfigurationChange, object: engine, queue: nil
            ) { [weak self] _ in
                self?.restart()
            }
        }

        /// Stops, and returns when everything that was said is in the results.
        public func stop() async throws {
            lock.withLock {
                observer.map(NotificationCenter.default.removeObserver)
                observer = nil
                engine.inputNode.removeTap(onBus: 0)
                engine.stop()
            }
            try await stream.finish()
        }

        private func restart() {
            lock.lock()
            defer { lock.unlock() }
            guard observer != nil else { return }
            engine.inputNode.removeTap(onBus: 0)
            try? tap()
        }

        /// The tap keeps the rate of the hardware; the stream converts.
        private func tap() throws {
            let format = engine.inputNode.outputFormat(forBus: 0)
            guard format.sampleRate > 0 else { throw SpeechError.unsupportedAudio("there is no microphone") }
            engine.inputNode.installTap(onBus: 0, bufferSize: 4_096, format: format) { [stream] buffer, _ in
                try? stream.append(buffer)
            }
            engine.prepare()
            try engine.start()
        }
    }
#endif
