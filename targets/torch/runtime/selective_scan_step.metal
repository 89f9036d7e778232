// What the kernels of the selective scan share: their sizes and strides by name, the length of a step, the gate. Comes
// before the text of selective_scan.metal and of selective_scan_over_lanes.metal.

#include <metal_stdlib>
using namespace metal;

// sizes[]
#define CHANNELS_OF_GROUP sizes[0]
#define LENGTH sizes[1]
#define GROUPS sizes[2]
#define CHUNK_STEPS sizes[3]   // a multiple of INTERVAL
#define CHUNKS sizes[4]
#define CHECKPOINTS sizes[5]   // stored states of a channel, ceil(LENGTH / INTERVAL)
#define PARTIALS sizes[6]      // threadgroups that share the channels of a group in the backward pass
#define BATCH sizes[7]

// strides[]: of the batch, and of the channel or of the group and the state; time has stride 1.
#define X_BATCH strides[0]
#define X_CHANNEL strides[1]
#define DELTA_BATCH strides[2]
#define DELTA_CHANNEL strides[3]
#define Z_BATCH strides[4]
#define Z_CHANNEL strides[5]
#define B_BATCH strides[6]
#define B_GROUP strides[7]
#define B_STATE strides[8]
#define C_BATCH strides[9]
#define C_GROUP strides[10]
#define C_STATE strides[11]
#define DY_BATCH strides[12]
#define DY_CHANNEL strides[13]

constant float LOG2_E = 1.44269504088896f;
constant float LN_2 = 0.69314718055995f;

inline float sigmoid(float value) {
    float e = fast::exp2(-LOG2_E * abs(value));
    return fast::divide(value < 0.0f ? e : 1.0f, 1.0f + e);
}

// log(1 + exp(value)) as max(value, 0) + log1p(e) with e = exp(-|value|), and log1p(e) = 2 artanh(e / (2 + e)) by its
// series, whose argument is at most 1/3; from 20 on the sum is `value`, as torch.nn.functional.softplus has it.
inline float softplus(float value) {
    float e = fast::exp2(-LOG2_E * abs(value));
    float u = fast::divide(e, 2.0f + e);
    float v = u * u;
    float series = fma(v, fma(v, fma(v, fma(v, fma(v, 0.0909091f, 0.1111111f), 0.1428571f), 0.2f), 0.3333333f), 1.0f);
    return fma(2.0f * u, series, max(value, 0.0f));
}

inline float step_length(float delta, float bias) {
#if SOFTPLUS
    return softplus(delta + bias);
#else
    return delta + bias;
#endif
}

