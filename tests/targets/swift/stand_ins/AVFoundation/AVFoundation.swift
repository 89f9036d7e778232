// Apple's AVFoundation for Linux, as far as emitted packages use it: formats, buffers, and a converter that averages channels
// and takes the nearest sample, which holds back one sample of each buffer as Apple's holds back some until the sound ends.

import Foundation

public typealias AVAudioFrameCount = UInt32
public typealias AVAudioNodeBus = Int
public typealias AVAudioPacketCount = UInt32

public enum AVAudioCommonFormat: UInt { case otherFormat, pcmFormatFloat32 }

public final class AVAudioFormat: Equatable {
    public let sampleRate: Double
    public let channelCount: UInt32

    public init?(commonFormat: AVAudioCommonFormat, sampleRate: Double, channels: UInt32, interleaved: Bool) {
        guard sampleRate > 0, channels > 0, !interleaved else { return nil }
        self.sampleRate = sampleRate
        channelCount = channels
    }

    public static func == (one: AVAudioFormat, other: AVAudioFormat) -> Bool {
        (one.sampleRate, one.channelCount) == (other.sampleRate, other.channelCount)
    }
}

public class AVAudioBuffer {
    public let format: AVAudioFormat
    init(format: AVAudioFormat) { self.format = format }
}

public final class AVAudioPCMBuffer: AVAudioBuffer {
    public let frameCapacity: AVAudioFrameCount
    public var frameLength: AVAudioFrameCount = 0
    private let channels: UnsafeMutablePointer<UnsafeMutablePointer<Float>>

    public init?(pcmFormat: AVAudioFormat, frameCapacity: AVAudioFrameCount) {
        self.frameCapacity = frameCapacity
        channels = .allocate(capacity: Int(pcmFormat.channelCount))
        for channel in 0..<Int(pcmFormat.channelCount) {
            channels[channel] = .allocate(capacity: Int(frameCapacity))
            channels[channel].initialize(repeating: 0, count: Int(frameCapacity))
        }
        super.init(format: pcmFormat)
    }

    deinit {
        for channel in 0..<Int(format.channelCount) { channels[channel].deallocate() }
        channels.deallocate()
    }

    public var floatChannelData: UnsafePointer<UnsafeMutablePointer<Float>>? { UnsafePointer(channels) }
}

public enum AVAudioConverterInputStatus: Int { case haveData, noDataNow, endOfStream }
public enum AVAudioConverterOutputStatus: Int { case haveData, inputRanDry, endOfStream, error }
public enum AVAudioConverterPrimeMethod: Int { case pre, normal, none }
public typealias AVAudioConverterInputBlock = (AVAudioPacketCount, UnsafeMutablePointer<AVAudioConverterInputStatus>) ->
    AVAudioBuffer?

public final class AVAudioConverter {
    public let inputFormat: AVAudioFormat
    public let outputFormat: AVAudioFormat
    public var primeMethod = AVAudioConverterPrimeMethod.normal
    public var downmix = false
    private var held: [Float] = []
    private var place = 0  // of the next sample in `held`, times the output's rate: whole numbers add without rounding

    public init?(from: AVAudioFormat, to: AVAudioFormat) {
        inputFormat = from
        outputFormat = to
    }

    public func convert(
        to output: AVAudioPCMBuffer, error: UnsafeMutablePointer<NSError?>?,
        withInputFrom block: AVAudioConverterInputBlock
    ) -> AVAudioConverterOutputStatus {
        var status = AVAudioConverterInputStatus.haveData
        while let buffer = block(1, &status) as? AVAudioPCMBuffer {
            let channels = downmix ? Int(buffer.format.channelCount) : 1
            held += (0..<Int(buffer.frameLength)).map { frame in
                (0..<channels).reduce(Float(0)) { $0 + buffer.floatChannelData![$1][frame] } / Float(channels)
            }
        }
        let (step, rate) = (Int(inputFormat.sampleRate), Int(outputFormat.sampleRate))
        var count = 0
        let kept = status == .endOfStream ? 0 : 1
        while place / rate + kept < held.count, count < Int(output.frameCapacity) {
            output.floatChannelData![0][count] = held[place / rate]
            place += step
            count += 1
        }
        let used = min(place / rate, held.count)
        held.removeFirst(used)
        place -= used * rate
        output.frameLength = AVAudioFrameCount(count)
        return count == 0 ? .inputRanDry : .haveData
    }
}
