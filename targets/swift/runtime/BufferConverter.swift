#if canImport(AVFoundation)
    import AVFoundation
    import Foundation

    extension SoundStream {
        /// Takes a buffer of any format and rate. Buffers of one stream come from one source, one after another; where the format
        /// changes, as with another microphone, they go on.
        public nonisolated func append(_ buffer: AVAudioPCMBuffer) throws(SpeechError) {
            try append(converter.convert(buffer))
        }
    }

    extension SoundPiece {
        /// The same as a buffer to play, `rate` of which is the model's `soundRate`.
        public func buffer(rate: Int) -> AVAudioPCMBuffer? {
            let format = AVAudioFormat(
                commonFormat: .pcmFormatFloat32, sampleRate: Double(rate), channels: 1, interleaved: false)
            let count = AVAudioFrameCount(samples.count)
            guard let format, let buffer = AVAudioPCMBuffer(pcmFormat: format, frameCapacity: count),
                let place = buffer.floatChannelData?[0]
            else { return nil }
            buffer.frameLength = count
            place.update(from: samples, count: samples.count)
            return buffer
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

        /// The samples of a buffer, but for what the converter keeps for those that follow.
        package func convert(_ buffer: AVAudioPCMBuffer) throws(SpeechError) -> [Float] {
            lock.lock()
            defer { lock.unlock() }
            var before: [Float] = []
            if converter?.inputFormat != buffer.format {
                before = rest()
                converter = AVAudioConverter(from: buffer.format, to: target)
                converter?.primeMethod = .none
                // Else the second channel would be dropped.
                converter?.downmix = buffer.format.channelCount == 2
            }
            guard let converter else {
                throw SpeechError.unsupportedAudio("nothing converts \(buffer.format) to \(target)")
            }
            let ratio = target.sampleRate / buffer.format.sampleRate
            return try before + converted(converter, buffer, room: Double(buffer.frameLength) * ratio)
        }

        /// What is left at the end of the sound. The next buffer begins another one.
        package func drain() -> [Float] {
            lock.lock()
            defer { lock.unlock() }
            return rest()
        }

        /// Forgets what is left.
        package func reset() {
            lock.lock()
            defer { lock.unlock() }
            converter = nil
        }

        private func rest() -> [Float] {
            guard let ended = converter else { return [] }
            converter = nil
            return (try? converted(ended, nil, room: 0)) ?? []
        }

        /// What comes out of a buffer, or of the end of the sound.
        private func converted(
            _ converter: AVAudioConverter, _ buffer: AVAudioPCMBuffer?, room: Double
        ) throws(SpeechError) -> [Float] {
            // Room for what the converter may have held back of buffers before.
            let room = AVAudioFrameCount(room + 4_096)
            guard let made = AVAudioPCMBuffer(pcmFormat: target, frameCapacity: room) else {
                throw SpeechError.unsupportedAudio("no buffer of \(room) frames")
            }
            let source = Source(buffer)
            var failure: NSError?
            let status = converter.convert(to: made, error: &failure) { _, status in source.next(status) }
            guard status != .error, let samples = made.floatChannelData else {
                throw SpeechError.unsupportedAudio(failure?.localizedDescription ?? "the converter failed")
            }
            return Array(UnsafeBufferPointer(start: samples[0], count: Int(made.frameLength)))
        }

        /// Each buffer goes in once: one that is given again repeats its sound. Without one the sound has ended.
        private final class Source: @unchecked Sendable {
            private var buffer: AVAudioPCMBuffer?
            private let without: AVAudioConverterInputStatus

            init(_ buffer: AVAudioPCMBuffer?) {
                self.buffer = buffer
                without = buffer == nil ? .endOfStream : .noDataNow
            }

            func next(_ status: UnsafeMutablePointer<AVAudioConverterInputStatus>) -> AVAudioBuffer? {
                status.pointee = buffer == nil ? without : .haveData
                defer { buffer = nil }
                return buffer
            }
        }
    }
#endif
