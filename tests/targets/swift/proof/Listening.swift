// A microphone on a device that a call, another route, a pause and a reset of the system's services happen to.

import AVFoundation
import Foundation
import __MODULE__

struct Listening {
    let model: SpeechModel
    let microphone: Microphone
    let stream: FeatureStream
    /// What the stream must hear: the same buffers through a converter of its own.
    private let converter = BufferConverter(rate: 16_000)
    private var utterances: [[Float]] = [[]]
    private var spoken = 0

    init(_ model: SpeechModel) async throws {
        self.model = model
        stream = try await model.featureStream()
        microphone = Microphone(stream)
    }

    /// Prints what the microphone does wrong, and behind that how many rows were heard.
    static func tell(_ folder: String, cache: String) async throws {
        let model = try await SpeechModel.load(folder: URL(fileURLWithPath: folder), cache: URL(fileURLWithPath: cache))
        var listening = try await Listening(model)
        try await listening.happen()
        try await listening.compare()
    }

    private mutating func happen() async throws {
        var events = microphone.events.makeAsyncIterator()
        func expect(_ event: MicrophoneEvent, _ what: String) async {
            let found = await events.next()
            if found != event { print("\(what): \(String(describing: found)), not \(event)") }
        }
        StandInDevice.isAllowed = false
        refused(by: .microphoneDenied)
        StandInDevice.isAllowed = true
        StandInDevice.isTaken = true
        refused(by: nil)
        StandInDevice.isTaken = false
        try microphone.start()
        await expect(.listening(sampleRate: 48_000), "a start")
        try speak(frames: 30_001)

        StandInDevice.interrupt(.began)
        await expect(.interrupted, "a call")
        endUtterance()
        StandInDevice.speak(10_000) { _ in 0.9 }  // the other end of the call
        StandInDevice.interrupt(.ended, resuming: true)
        await expect(.listening(sampleRate: 48_000), "the end of a call")
        try speak(frames: 20_002)

        StandInDevice.plugIn(sampleRate: 44_100)
        await expect(.listening(sampleRate: 44_100), "another route")
        try speak(frames: 20_003)

        StandInDevice.restartServices()
        await expect(.listening(sampleRate: 44_100), "a reset of services")
        try speak(frames: 10_004)

        microphone.pause()
        endUtterance()
        StandInDevice.speak(10_000) { _ in 0.9 }
        StandInDevice.interrupt(.ended, resuming: true)  // a paused microphone stays so
        try microphone.start()
        await expect(.listening(sampleRate: 44_100), "a start behind a pause")
        try speak(frames: 10_005)

        StandInDevice.interrupt(.began)
        await expect(.interrupted, "another call")
        endUtterance()
        StandInDevice.interrupt(.ended)
        StandInDevice.speak(10_000) { _ in 0.9 }  // nobody has given the microphone back
        try microphone.start()
        await expect(.listening(sampleRate: 44_100), "a start behind a call")
        try speak(frames: 10_006)
        try await microphone.stop()
        endUtterance()
        if StandInDevice.isHeard || StandInDevice.isActive { print("a stopped microphone listens") }
        if await events.next() != nil { print("events go on behind the end") }
    }

    /// `error`: nil where any but a denial will do.
    private func refused(by error: SpeechError?) {
        do {
            try microphone.start()
            print("a microphone listens that can't")
        } catch let found {
            let fits = error.map { $0 == found } ?? (found != .microphoneDenied)
            if !fits || StandInDevice.isHeard { print("a microphone that can't listen: \(found)") }
        }
    }

    private mutating func speak(frames count: Int) throws {
        let start = spoken
        func sample(_ place: Int) -> Float { 0.3 * sin(0.03 * Float(start + place)) }
        StandInDevice.speak(count, sample)
        let format = AVAudioFormat(
            commonFormat: .pcmFormatFloat32, sampleRate: StandInDevice.sampleRate, channels: 2, interleaved: false)!
        let buffer = AVAudioPCMBuffer(pcmFormat: format, frameCapacity: AVAudioFrameCount(count))!
        buffer.frameLength = buffer.frameCapacity
        for place in 0..<count {
            for channel in 0..<2 { buffer.floatChannelData![channel][place] = sample(place) }
        }
        utterances[utterances.count - 1] += try converter.convert(buffer)
        spoken += count
    }

    private mutating func endUtterance() {
        utterances[utterances.count - 1] += converter.drain()
        utterances.append([])
    }

    private func compare() async throws {
        var found: [FeatureRow] = []
        for try await row in stream.results { found.append(row) }
        var (place, before) = (0, 0.0)
        for (number, samples) in utterances.dropLast().enumerated() {
            for (row, values) in try await model.encode(samples).enumerated() {
                guard place < found.count else { return print("utterance \(number) ends behind \(row) rows") }
                if found[place].values != values { print("row \(row) of utterance \(number) differs") }
                let start = found[place].range.lowerBound / .seconds(1) - before
                if row == 0, abs(start) > 1e-6 { print("utterance \(number) begins \(start) s late") }
                place += 1
            }
            before += Double(samples.count) / Double(model.sampleRate)
        }
        print("rows \(place) utterances \(utterances.count - 1) more \(found.count - place)")
    }
}
