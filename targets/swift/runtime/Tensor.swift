/// A dense array, the last axis innermost.
package struct Tensor: Sendable, Equatable {
    package let shape: [Int]
    package var values: [Float]

    package init(shape: [Int], values: [Float]) {
        precondition(values.count == shape.reduce(1, *), "\(values.count) values for shape \(shape)")
        self.shape = shape
        self.values = values
    }

    package init(zeros shape: [Int]) {
        self.init(shape: shape, values: [Float](repeating: 0, count: shape.reduce(1, *)))
    }
}

/// Frames one after another, each of `width` numbers.
package struct Frames: Sendable, Equatable {
    package let width: Int
    package var values: [Float]

    package init(width: Int, values: [Float] = []) {
        self.width = width
        self.values = values
    }

    package init(width: Int, count: Int, filledWith value: Float) {
        self.init(width: width, values: [Float](repeating: value, count: width * count))
    }

    package var count: Int { width == 0 ? 0 : values.count / width }

    package subscript(range: Range<Int>) -> Frames {
        Frames(width: width, values: Array(values[range.lowerBound * width..<range.upperBound * width]))
    }

    package func row(_ index: Int) -> ArraySlice<Float> { values[index * width..<(index + 1) * width] }

    package mutating func append(_ other: Frames) { values += other.values }

    /// The same, followed by frames of `value` until there are `count`.
    package func filled(to count: Int, with value: Float) -> Frames {
        var filled = self
        filled.values += [Float](repeating: value, count: max(0, count - self.count) * width)
        return filled
    }
}

extension PortDescription {
    /// Frames in the layout of the port.
    package func tensor(of frames: Frames) -> Tensor {
        var tensor = Tensor(zeros: shape)
        let (frameStride, channelStride) = strides
        for frame in 0..<frames.count {
            for channel in 0..<frames.width {
                tensor.values[frame * frameStride + channel * channelStride] =
                    frames.values[frame * frames.width + channel]
            }
        }
        return tensor
    }

    /// The frames of an array in the layout of the port.
    package func frames(of tensor: Tensor) -> Frames {
        let (frameStride, channelStride) = strides
        let count = frameAxis.map { shape[$0] } ?? 1
        var values = [Float](repeating: 0, count: count * width)
        for frame in 0..<count {
            for channel in 0..<width {
                values[frame * width + channel] = tensor.values[frame * frameStride + channel * channelStride]
            }
        }
        return Frames(width: width, values: values)
    }

    private var strides: (frame: Int, channel: Int) {
        func stride(_ axis: Int?) -> Int { axis.map { shape[($0 + 1)...].reduce(1, *) } ?? 0 }
        return (stride(frameAxis), stride(channelAxis))
    }
}
