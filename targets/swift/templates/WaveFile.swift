import Foundation

/// A WAV file of 16-bit whole numbers or 32-bit floats, its channels averaged.
struct WaveFile {
    let rate: Int
    /// Full scale is 1.
    let samples: [Float]

    struct Damaged: Error, CustomStringConvertible {
        let description: String
    }

    init(rate: Int, samples: [Float]) {
        self.rate = rate
        self.samples = samples
    }

    /// Writes the samples as 32-bit floats.
    func write(to url: URL) throws {
        func bytes(_ number: Int, _ count: Int) -> [UInt8] { (0..<count).map { UInt8(number >> (8 * $0) & 0xFF) } }
        let size = 4 * samples.count
        var file = Data("RIFF".utf8) + bytes(36 + size, 4) + Data("WAVEfmt ".utf8) + bytes(16, 4)
        file += bytes(3, 2) + bytes(1, 2) + bytes(rate, 4) + bytes(4 * rate, 4) + bytes(4, 2) + bytes(32, 2)
        file += Data("data".utf8) + bytes(size, 4) + samples.withUnsafeBytes { Data($0) }
        try file.write(to: url)
    }

    init(contentsOf url: URL) throws {
        let data = try Data(contentsOf: url)
        func number(_ place: Int, _ count: Int) -> Int {
            (0..<count).reduce(0) { $0 | Int(data[place + $1]) << (8 * $1) }
        }
        func tag(_ place: Int) -> String { String(decoding: data[place..<place + 4], as: UTF8.self) }
        guard data.count >= 12, tag(0) == "RIFF", tag(8) == "WAVE" else {
            throw Damaged(description: "\(url.path) is no WAV file")
        }
        var format: (code: Int, channels: Int, rate: Int, bits: Int)?
        var place = 12
        while place + 8 <= data.count {
            let size = number(place + 4, 4)
            let body = place + 8
            if tag(place) == "fmt ", body + 16 <= data.count {
                let code = number(body, 2)
                // An extensible header tells the code behind 24 bytes.
                let extended = code == 0xFFFE && size >= 26 && body + 26 <= data.count
                format = (
                    extended ? number(body + 24, 2) : code, number(body + 2, 2), number(body + 4, 4),
                    number(body + 14, 2)
                )
            } else if tag(place) == "data", let format {
                guard format.channels > 0,
                    (format.code, format.bits) == (1, 16) || (format.code, format.bits) == (3, 32)
                else { throw Damaged(description: "\(url.path) holds neither 16-bit samples nor floats") }
                let width = format.bits / 8
                let count = min(size, data.count - body) / (width * format.channels)
                rate = format.rate
                samples = data.withUnsafeBytes { bytes in
                    (0..<count).map { frame in
                        let sum = (0..<format.channels).reduce(Float(0)) { sum, channel in
                            let at = body + (frame * format.channels + channel) * width
                            return sum
                                + (width == 2
                                    ? Float(bytes.loadUnaligned(fromByteOffset: at, as: Int16.self)) / 32768
                                    : bytes.loadUnaligned(fromByteOffset: at, as: Float.self))
                        }
                        return sum / Float(format.channels)
                    }
                }
                return
            }
            place = body + size + size % 2
        }
        throw Damaged(description: "\(url.path) holds no samples")
    }
}
