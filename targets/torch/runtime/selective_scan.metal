// The selective scan of Mamba (Gu and Dao 2023, arXiv 2312.00752, section 3.2), forward and backward:
//
//     delta' = softplus(delta + bias)                    (or delta + bias)
//     h(t) = exp(delta'(t) A) h(t-1) + delta'(t) x(t) B(t)
//     y(t) = (C(t) . h(t) + D x(t)) * silu(z(t))
//
// Mapping. Time runs inside a thread, everything else across threads. A channel belongs to LANES neighbouring lanes of a
// SIMD group, each of which keeps HELD of its states in registers; a threadgroup has CHANNELS channels of one group of
// B and C and of one batch entry. Time is cut into tiles of STEPS: a tile of x, delta and z is read with time along the
// lanes (the layout is (batch, channel, time)), what does not depend on the state is worked out there once a step, and
// the recurrence then reads it from threadgroup memory. B and C of a tile are shared by all channels. While a tile is
// computed, the next one is on its way into registers. Long sequences with few channels are cut into chunks of time, which
// are independent but for their first states: selective_scan_chunk_ends and selective_scan_join_chunks work these out.
//
// No atomics: sums over channels and batch leave as partial sums, so that results repeat bit for bit.
//
// Defined by the launch (selective_scan_gpu.py):
//   ELEMENT     type of x, delta, B, C, z, y and their gradients: float, half or bfloat
//   STATES      states of a channel             LANES, HELD   LANES * HELD >= STATES; the rest is padding
//   STEPS       steps of a tile, 4, 8, 16 or 32
//   INTERVAL    steps between two stored states (checkpoints), a multiple of STEPS
//   SIMDGROUPS  SIMD groups of a threadgroup
//   HAS_D, HAS_Z, HAS_BIAS, HAS_H, SOFTPLUS    0 or 1
//
// The language used: MSL 3.1 without fp64, atomics, dynamic threadgroup memory or threadgroup pointers in signatures.
// Functions used: fma, min, exp, log, fast::exp2, simd_shuffle_xor, simdgroup_barrier, threadgroup_barrier.

#include <metal_stdlib>
using namespace metal;

#define THREADS (32 * SIMDGROUPS)
#define ROWS (32 / LANES)                 // channels of a SIMD group
#define CHANNELS (ROWS * SIMDGROUPS)      // channels of a threadgroup
#define PADDED (LANES * HELD)             // states with the padding
#define STATE_PITCH (PADDED + 4)          // floats from one step of a tile of B or C to the next: spreads the banks
#define STEP_PITCH (STEPS + 4)            // floats from one channel of a tile to the next
#define SHARE ((ROWS * STEPS + 31) / 32)  // elements of a SIMD group's tile of x that one lane reads
#define STATE_SHARE ((PADDED * STEPS + THREADS - 1) / THREADS)  // elements of a tile of B that one thread reads
#define TILES_OF_INTERVAL (INTERVAL / STEPS)

// sizes[]
#define CHANNELS_OF_GROUP sizes[0]
#define LENGTH sizes[1]
#define GROUPS sizes[2]
#define CHUNK_STEPS sizes[3]   // a multiple of INTERVAL
#define CHUNKS sizes[4]
#define CHECKPOINTS sizes[5]   // stored states of a channel, ceil(LENGTH / INTERVAL)
#define PARTIALS sizes[6]      // threadgroups that share the channels of a group in the backward pass

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
    return 1.0f / (1.0f + exp(-value));
}

// Above 20 the identity, as torch.nn.functional.softplus. MSL has no log1p: below 0.01 its series, to 2e-9 relative.
inline float softplus(float value) {
    float e = exp(min(value, 20.0f));
    float series = e * fma(-e, fma(-e, fma(-e, 0.25f, 0.33333333f), 0.5f), 1.0f);
    float bounded = e < 0.01f ? series : log(1.0f + e);
    return value > 20.0f ? value : bounded;
}

// Sums four values over the LANES lanes of a channel, halving what a lane holds with each exchange. Lane `part` is left
// with the sum of value part % 4, or of part, part + LANES, ... where LANES is below 4, in the first places.
inline void sum_over_states(thread float* values, uint part) {
    uint held = 4;
    for (uint mask = 1; mask < LANES; mask *= 2) {
        if (held > 1) {
            bool odd = (part & mask) != 0;
            held /= 2;
            for (uint i = 0; i < held; i++) {
                float sent = odd ? values[2 * i] : values[2 * i + 1];
                float kept = odd ? values[2 * i + 1] : values[2 * i];
                values[i] = kept + simd_shuffle_xor(sent, mask);
            }
        } else {
            values[0] += simd_shuffle_xor(values[0], mask);
        }
    }
}
#define SUMS_HELD (LANES >= 4 ? 1 : 4 / LANES)  // sums that a lane is left with
#define SUM_STEP(part, i) (((part) & 3) % LANES + (i) * LANES)

// Sums 2 * HELD values over the ROWS channels of a SIMD group, in the same way. A lane of channel `row` is left with
// GRADIENTS_HELD of them, the first of which is value first_gradient(row); channels past GRADIENT_ROWS hold copies.
inline void sum_over_channels(thread float* values, uint row) {
    uint held = 2 * HELD;
    for (uint mask = 1; mask < ROWS; mask *= 2) {
        if (held > 1) {
            bool upper = (row & mask) != 0;
            held /= 2;
            for (uint i = 0; i < held; i++) {
                float sent = upper ? values[i] : values[i + held];
                float kept = upper ? values[i + held] : values[i];
                values[i] = kept + simd_shuffle_xor(sent, mask * LANES);
            }
        } else {
            values[0] += simd_shuffle_xor(values[0], mask * LANES);
        }
    }
}
#define GRADIENT_ROWS (2 * HELD < ROWS ? 2 * HELD : ROWS)
#define GRADIENTS_HELD (2 * HELD / GRADIENT_ROWS)

inline uint first_gradient(uint row) {
    uint first = 0;
    uint half_size = HELD;
    for (uint mask = 1; mask < GRADIENT_ROWS; mask *= 2) {
        first += (row & mask) != 0 ? half_size : 0;
        half_size /= 2;
    }
    return first;
}

// One threadgroup: CHANNELS channels, one chunk of time, one batch entry. Grid: (groups * blocks of a group, chunks, batch).
[[max_total_threads_per_threadgroup(THREADS)]]
kernel void selective_scan_forward(
    device const ELEMENT* x [[buffer(0)]],
    device const ELEMENT* delta [[buffer(1)]],
    device const float* A [[buffer(2)]],
    device const ELEMENT* B [[buffer(3)]],
    device const ELEMENT* C [[buffer(4)]],
    device const float* D [[buffer(5)]],
    device const ELEMENT* z [[buffer(6)]],
    device const float* bias [[buffer(7)]],
    device const float* h_first [[buffer(8)]],
    device ELEMENT* y [[buffer(9)]],
    device float* h_last [[buffer(10)]],
    device float* checkpoints [[buffer(11)]],
    constant long* sizes [[buffer(12)]],
    constant long* strides [[buffer(13)]],
    uint3 threadgroup_index [[threadgroup_position_in_grid]],
    uint3 thread_index [[thread_position_in_threadgroup]])
{
    alignas(16) threadgroup float tile_B[STEPS * STATE_PITCH];
    alignas(16) threadgroup float tile_C[STEPS * STATE_PITCH];
    alignas(16) threadgroup float tile_delta[CHANNELS * STEP_PITCH];
    alignas(16) threadgroup float tile_input[CHANNELS * STEP_PITCH];  // delta' x, and y once a step is done

    const uint lane = thread_index.x % 32;
    const uint simdgroup = thread_index.x / 32;
    const uint row = lane / LANES;
    const uint part = lane % LANES;

    const uint blocks = ((uint)CHANNELS_OF_GROUP + CHANNELS - 1) / CHANNELS;
    const uint group = threadgroup_index.x / blocks;
    const uint first_row = (threadgroup_index.x % blocks) * CHANNELS + simdgroup * ROWS;  // in the group
    const uint rows = (uint)CHANNELS_OF_GROUP;
    const long first_channel = group * CHANNELS_OF_GROUP + first_row;
    const long channels = GROUPS * CHANNELS_OF_GROUP;
    const long batch = threadgroup_index.z;
    const uint begin = threadgroup_index.y * (uint)CHUNK_STEPS;
    const uint end = min(begin + (uint)CHUNK_STEPS, (uint)LENGTH);

    // The channel whose states this lane keeps.
    const bool present = first_row + row < rows;
    const long channel = first_channel + row;
    const long states_at = (batch * channels + channel) * STATES;
    float rate[HELD];  // A log2(e)
    float h[HELD];
    for (uint j = 0; j < HELD; j++) {
        uint n = part * HELD + j;
        bool real = present && n < STATES;
        rate[j] = real ? A[channel * STATES + n] * LOG2_E : 0.0f;
        h[j] = 0.0f;
        if (real && threadgroup_index.y > 0) {
            h[j] = checkpoints[((batch * CHECKPOINTS + begin / INTERVAL) * channels + channel) * STATES + n];
        }
#if HAS_H
        if (real && threadgroup_index.y == 0) {
            h[j] = h_first[states_at + n];
        }
#endif
    }

    // The elements that this lane reads of each tile: rows read_row + i * 32 / STEPS, all at step read_step.
    const uint read_row = lane / STEPS;
    const uint read_step = lane % STEPS;
    x += batch * X_BATCH + first_channel * X_CHANNEL;
    delta += batch * DELTA_BATCH + first_channel * DELTA_CHANNEL;
    z += batch * Z_BATCH + first_channel * Z_CHANNEL;
    y += (batch * channels + first_channel) * LENGTH;
    B += batch * B_BATCH + group * B_GROUP;
    C += batch * C_BATCH + group * C_GROUP;
    float next_x[SHARE];
    float next_delta[SHARE];
    float next_z[SHARE];
    float next_B[STATE_SHARE];
    float next_C[STATE_SHARE];
    float skip[SHARE];
    float shift[SHARE];
    for (uint i = 0; i < SHARE; i++) {
        uint r = read_row + i * (32 / STEPS);
        bool real = r < ROWS && first_row + r < rows;
        skip[i] = HAS_D && real ? D[first_channel + r] : 0.0f;
        shift[i] = HAS_BIAS && real ? bias[first_channel + r] : 0.0f;
    }

    for (uint loaded = begin; loaded < end + STEPS; loaded += STEPS) {
        // The tile that was read in the turn before is at `start`; the first turn only reads.
        const uint start = loaded - STEPS;
        float this_x[SHARE];
        float this_z[SHARE];
        threadgroup_barrier(mem_flags::mem_threadgroup);
        if (loaded > begin) {
            for (uint i = 0; i < SHARE; i++) {
                uint r = read_row + i * (32 / STEPS);
                bool real = r < ROWS && first_row + r < rows && start + read_step < end;
                float step = next_delta[i] + shift[i];
#if SOFTPLUS
                step = softplus(step);
#endif
                step = real ? step : 0.0f;  // a step of no length leaves the state as it is
                this_x[i] = next_x[i];
                this_z[i] = next_z[i];
                if (r < ROWS) {
                    uint at = (simdgroup * ROWS + r) * STEP_PITCH + read_step;
                    tile_delta[at] = step;
                    tile_input[at] = step * next_x[i];
                }
            }
            for (uint i = 0; i < STATE_SHARE; i++) {
                uint element = thread_index.x + i * THREADS;
                if (element < PADDED * STEPS) {
                    uint at = (element % STEPS) * STATE_PITCH + element / STEPS;
                    tile_B[at] = next_B[i];
                    tile_C[at] = next_C[i];
                }
            }
        }
        threadgroup_barrier(mem_flags::mem_threadgroup);

        for (uint i = 0; i < SHARE; i++) {
            uint r = read_row + i * (32 / STEPS);
            uint t = loaded + read_step;
            bool real = r < ROWS && first_row + r < rows && t < end;
            next_x[i] = real ? float(x[r * X_CHANNEL + t]) : 0.0f;
            next_delta[i] = real ? float(delta[r * DELTA_CHANNEL + t]) : 0.0f;
#if HAS_Z
            next_z[i] = real ? float(z[r * Z_CHANNEL + t]) : 0.0f;
#else
            next_z[i] = 0.0f;
#endif
        }
        for (uint i = 0; i < STATE_SHARE; i++) {
            uint element = thread_index.x + i * THREADS;
            uint n = element / STEPS;
            uint t = loaded + element % STEPS;
            bool real = n < STATES && t < end;
            next_B[i] = real ? float(B[n * B_STATE + t]) : 0.0f;
            next_C[i] = real ? float(C[n * C_STATE + t]) : 0.0f;
        }
        if (loaded == begin) {
            continue;
        }

        if (start % INTERVAL == 0 && present) {
            for (uint j = 0; j < HELD; j++) {
                uint n = part * HELD + j;
                if (n < STATES) {
                    checkpoints[((batch * CHECKPOINTS + start / INTERVAL) * channels + channel) * STATES + n] = h[j];
                }
            }
        }

        const uint tile_row = (simdgroup * ROWS + row) * STEP_PITCH;
        for (uint s = 0; s < STEPS; s += 4) {
            float sums[4];
            for (uint k = 0; k < 4; k++) {
                float step = tile_delta[tile_row + s + k];
                float input = tile_input[tile_row + s + k];
                sums[k] = 0.0f;
                for (uint j = 0; j < HELD; j++) {
                    uint at = (s + k) * STATE_PITCH + part * HELD + j;
                    h[j] = fma(fast::exp2(step * rate[j]), h[j], input * tile_B[at]);
                    sums[k] = fma(h[j], tile_C[at], sums[k]);
                }
            }
            sum_over_states(sums, part);
            simdgroup_barrier(mem_flags::mem_threadgroup);  // all lanes have read these steps of tile_input
            if (part < 4) {
                for (uint i = 0; i < SUMS_HELD; i++) {
                    tile_input[tile_row + s + SUM_STEP(part, i)] = sums[i];
                }
            }
        }
        simdgroup_barrier(mem_flags::mem_threadgroup);

        for (uint i = 0; i < SHARE; i++) {
            uint r = read_row + i * (32 / STEPS);
            uint t = start + read_step;
            if (r < ROWS && first_row + r < rows && t < end) {
                float value = fma(skip[i], this_x[i], tile_input[(simdgroup * ROWS + r) * STEP_PITCH + read_step]);
#if HAS_Z
                value *= this_z[i] * sigmoid(this_z[i]);
#endif
                y[r * LENGTH + t] = ELEMENT(value);
            }
        }
    }

    if (present && end == (uint)LENGTH) {
        for (uint j = 0; j < HELD; j++) {
            uint n = part * HELD + j;
            if (n < STATES) {
                h_last[states_at + n] = h[j];
            }
        }
    }
}
