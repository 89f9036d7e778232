"""Valid inputs that reach what the library and the examples of rules do not: every op of a kind, in few lines."""

from __future__ import annotations

HEAD = """model m(width = 8) {
    dim B: batch
    dim T: time @ 100 Hz
    dim U: label
    dim V: vocabulary = 2 * width
"""
BODY = "    component c(x: f32[B, T, width], token: i32[B, U] < V) -> f32[B, T, width] {\n"
LINES = (
    "return linear(x, width) as head",
    "y = conv1d(x, width, kernel = 3, dilation = 2, look_ahead = 1); return x + y * 0.5",
    "return gru(lstm(x, width), width) as cell",
    "a, b = split(linear(x, 2 * width), 2); return a * sigmoid(b)",
    "repeat i < 3 as layers { x = x + relu(linear(x, width)) }\n return layer_norm(x)",
    "return attention(x, x, x, heads = 2, left = 4, right = 1)",
    "if width % 2 == 0 and not false { y = x ** 2 } else if width > 9 { y = x } else { y = -x }\n return y",
    'n = [1, 2, width][2] if width >= 8 else 4; assert n != 3, "{n} of {width}"; return linear(x, n)',
    'return op.slice(op.pad(x, axis = "channel", before = 1), axis = "channel", begin = 1)',
    'return op.concat(op.slice(x, axis = "channel", end = 4), op.slice(x, axis = -1, begin = 4))',
    'return x + op.reduce_mean(x, axis = "time")',
    "param scale: f32[width] = normal(std = 1 / sqrt(width)); return op.mul(x, scale)",
    "e = embedding(token, V, width); return x + embedding(token, V, width) if false else x",
    'return log_softmax(op.reshape(x, axes = [["batch", B], ["time", T], ["channel", width]]))',
    "return depthwise_conv1d(batch_norm(rms_norm(silu(gelu(tanh(softplus(x)))))), kernel = 4)",
)
SECTIONS = """    stream { chunk = 320 ms }
    quantize { c.**.{linear, head}: int4(per_channel); c.**: palette(bits = 4, group = 16); **: none }
"""
BLOCKS = """# A comment.
import "lib/mamba.mct"

block half(x: f32[..., C], n = 2) -> (low: f32[..., C/n], f32[..., C - C/n]) {  # behind
    return op.slice(x, axis = "channel", end = C // n), op.slice(x, axis = "channel", begin = C // n)

}
"""
TRAINED = """    component c(x: f32[B, T, width]) -> f32[B, T, V] {
        return linear(x, V) as head
    }
    train { objective = ctc(blank = 0, zero_infinity = true) }
"""
SPECS = (
    *(
        BLOCKS * (number % 3 == 0) + HEAD + BODY + f"        {line}\n    }}\n" + SECTIONS * ("linear(" in line) + "}\n"
        for number, line in enumerate(LINES)
    ),
    HEAD + TRAINED + SECTIONS + "}\n",
)

TYPE = "f32[batch B, time T, channel 8]"
RESULTS = {"gru": "%y, %h", "lstm": "%y, %h, %e", "split": "%y, %h", "selective_scan": "%y, %h"}
APPLIED = (
    "relu(%x)", "scale(%x, factor = 2.0, offset = -1)", "slice(%x, axis = time, begin = 0, stride = 2)",
    "pad(%x, axis = time, before = 2, value = 1e9)", "clip(%x, low = -1, high = inf)",
    "transpose(%x, order = [0, 2, 1])",
    "reshape(%x, axes = [batch B, time T, plain 2, channel 4])", "concat(%x, %x, axis = channel)",
    "reduce_sum(%x, axis = channel)",
    "split_channels(%x, groups = 2)", "merge_channels(%p)", "cast(%x, dtype = f16)", "softmax(%x, axis = -1)",
    "linear(%x, %w)", "linear(%x, %w, none)", "conv1d(%x, %k, stride = 2, dilation = 1, groups = 2, pad = [1, 0])",
    "conv2d(%p, %q, stride = [1, 2], pad = [0, 1], pad_feature = [1, 1])", "attention(%x, %x, %x, heads = 2, left = 3)",
    "gru(%x, %g, %g)", "lstm(%x, %l, %l)", "embedding(%t, %w)", "matmul(%x, %w, transpose_right = true)",
    "batch_norm(%x, %b, %b)", "selective_scan(%x, %x, %a, %x, %x)", "reverse(%x, axis = time)", "add(%x, %b)",
    "split(%x, sizes = [3, 5], axis = 2)",
)  # fmt: skip
CONSTANTS = """    %w = constant splat 0.5: f32[8, 8]
    %b = constant [1, 2, 3, 4, 5, 6, 7, 8.5]: f32[8]
    %k = constant splat 1 as float16: f32[8, 4, 2]
    %q = constant splat 1: f32[4, 1, 3, 2]
    %g = constant splat nan: f32[24, 8]
    %l = constant splat 0.25: f32[32, 8]
    %a = constant splat -1: f32[8, 8]
    %c = constant bytes "AAAA" as int8: f32[3]
    %d = constant packed "eJxjYGBgAAAABAAB": i32[1]
"""
IR = tuple(
    f"function @f(%x: {TYPE}, %p: f32[batch B, feature 8, time T, channel 1], %t: i32[batch B, label U] < 8) {{\n"
    f"{CONSTANTS}    {RESULTS.get(applied.split('(')[0], '%y')} = {applied}\n    return y = %y\n}}\n"
    for number, applied in enumerate(APPLIED)
)

FOLDED = (
    "fp16[2, 3] = fill(shape=[2, 3], value=0.5)",
    "int32[4] = range_1d(start=0, end=8, step=2)",
    "fp16[4, 6] = tile(x=fp16[2, 3](0.5), reps=[2, 2])",
    "fp16[3, 4] = one_hot(indices=[0, 2, 1], one_hot_vector_size=4, axis=-1, on_value=1.0, off_value=0.0)",
    "fp16[4, 7] = pad(x=fp16[2, 3](0.5), pad=[1, 1, 2, 2], mode='constant', constant_val=0.0)",
    "fp16[2, 5] = pad(x=fp16[2, 3](0.5), pad=[1, 1], mode='reflect')",
    "fp16[3, 2] = reshape(x=fp16[2, 3], shape=[3, -1])",
    "fp16[4, 2] = slice_by_index(x=fp16[4, 6], begin=[0, 1], end=[4, 5], stride=[1, 2], begin_mask=[True, False])",
    "fp16[2, 5] = slice_by_size(x=fp16[4, 6], begin=[0, 1], size=[2, -1])",
    "fp16[2, 6] = gather(x=fp16[4, 6], indices=[0, 3], axis=0)",
    "fp16[2] = gather_nd(x=fp16[4, 6], indices=[[0, 3], [1, 1]])",
    "fp16[2, 2] = gather_along_axis(x=fp16[4, 2], indices=[[0, 3], [1, 1]], axis=0)",
    "fp16[4, 2] = scatter(data=fp16[4, 2], indices=[0, 3], updates=fp16[2, 2], axis=0, mode='add')",
    "fp16[4, 2] = scatter_nd(data=fp16[4, 2], indices=[[0], [3]], updates=fp16[2, 2], mode='update')",
    "fp16[4, 2, 3] = transpose(x=fp16[2, 3, 4], perm=[2, 0, 1])",
    "fp16[1, 2, 3, 1] = expand_dims(x=fp16[2, 3], axes=[0, -1])",
    "fp16[3, 1] = squeeze(x=fp16[1, 3, 1], axes=[0])",
    "fp16[2, 4] = concat(values=[fp16[2, 3], fp16[2, 1]], axis=1)",
    "fp16[2, 2, 3] = stack(values=[fp16[2, 3], fp16[2, 3]], axis=1)",
    "fp16[2, 2] = split(x=fp16[2, 4], num_splits=2, axis=1)",
    "fp16[1, 4, 4] = conv(x=fp16[1, 2, 8], weight=fp16[4, 1, 3], groups=2, pad_type='custom', pad=[1, 1], strides=[2])",
    "fp16[1, 4, 17] = conv_transpose(x=fp16[1, 2, 8], weight=fp16[2, 4, 3], strides=[2], pad_type='valid')",
    "fp16[2, 2] = matmul(x=fp16[2, 3], y=fp16[2, 3], transpose_y=True)",
    "fp16[2, 4] = linear(x=fp16[2, 3], weight=fp16[4, 3], bias=fp16[4])",
    "fp16[2, 3, 5] = einsum(values=[fp16[2, 3, 4], fp16[2, 4, 5]], equation='bij,bjk->bik')",
    "fp16[2, 3] = softmax(x=fp16[2, 3], axis=-1)",
    "fp16[2, 3] = cumsum(x=fp16[2, 3], axis=1, exclusive=True, reverse=False)",
    "fp16[2, 3] = topk(x=fp16[2, 8], k=3, axis=1, ascending=True)",
    "fp16[1, 3] = reduce_mean(x=fp16[2, 3], axes=[0], keep_dims=True)",
    "fp16[2, 3] = layer_norm(x=fp16[2, 3], axes=[-1], epsilon=0.001)",
    "fp16[1, 2, 3] = batch_norm(x=fp16[1, 2, 3], mean=fp16[2], variance=fp16[2])",
    "fp16[1, 2, 4] = avg_pool(x=fp16[1, 2, 8], kernel_sizes=[3], strides=[2], pad_type='same')",
    "fp16[1, 2, 3, 7] = max_pool(x=fp16[1, 2, 8, 8], kernel_sizes=[3, 2], strides=[2, 1], pad_type='valid')",
    "fp16[1, 2, 8, 8] = upsample_nearest_neighbor(x=fp16[1, 2, 4, 4], scale_factor_height=2, scale_factor_width=2)",
    "fp16[1, 2, 8, 6] = upsample_bilinear(x=fp16[1, 2, 4, 4], scale_factor_height=2.0, scale_factor_width=1.5)",
    "fp16[1, 2, 3, 7] = resize_bilinear(x=fp16[1, 2, 4, 4], target_size_height=3, target_size_width=7)",
    "fp16[1, 2, 2, 3] = crop(x=fp16[1, 2, 4, 4], crop_height=[1, 1], crop_width=[0, 1])",
    "fp16[1, 1, 4, 4] = depth_to_space(x=fp16[1, 4, 2, 2], block_size=2)",
    "fp16[4, 2, 2, 2] = space_to_batch(x=fp16[1, 2, 4, 4], block_shape=[2, 2], paddings=[[0, 0], [0, 0]])",
    "fp16[1, 1, 4, 4] = pixel_shuffle(x=fp16[1, 4, 2, 2], upscale_factor=2)",
    "fp16[1, 3, 3, 2] = sliding_windows(x=fp16[1, 8, 2], axis=1, size=3, stride=2)",
    "fp16[4, 4] = band_part(x=fp16[4, 4], lower=1, upper=-1)",
    "int32[2] = cast(x=fp16[2](3.5), dtype='int32')",
    "fp16[2] = pow(x=fp16[2](3.5), y=fp16(2.0))",
    "int32[2] = floor_div(x=[7, 8], y=[2, 3])",
    "int32[2] = mod(x=[7, 8], y=[2, 3])",
    "int32[2] = shape(x=fp16[2, 3])",
    "int32[2, 1] = non_zero(x=[0, 1, 2])",
    "int32[4] = argsort(x=fp16[4], axis=0, ascending=False)",
    "fp16[2, 3] = reverse(x=fp16[2, 3], axes=[1])",
    "fp16[2, 3] = reverse_sequence(x=fp16[2, 3], lengths=[1, 3], seq_axis=1, batch_axis=0)",
    "int8[4] = quantize(input=fp16[4](0.5), scale=fp16(0.1), output_dtype='int8')",
    "fp16[4, 2] = constexpr_affine_dequantize(quantized_data=uint8[4, 2], zero_point=uint8(3), scale=fp16[4], axis=0)",
    "fp16[4, 4] = constexpr_blockwise_shift_scale(data=int4[4, 4](3), scale=fp16[4, 2](0.1), offset=int4[4, 2](1))",
    "fp16[4, 2] = constexpr_lut_to_dense(indices=uint2[4, 2](1), lut=fp16[1, 1, 4, 1](0.1))",
    "fp16[3] = constexpr_sparse_to_dense(nonzero_data=fp16[3](0.1), mask=uint1[3](1))",
)
MODELS = tuple(f"x: fp16[1, 8]\ny: {call}\nz: fp16[1, 8] = relu(x=x)\nreturn y, z\n" for call in FOLDED)
"""In the notation of mctc/linter/coreml/notation.py: ops over constants, which the evaluator computes compiling."""
