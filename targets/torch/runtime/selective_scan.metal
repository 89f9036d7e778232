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
//   REVERSED    0 or 1: whether the chunk kernels serve the backward pass
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
#define GRADIENT_PITCH (2 * PADDED + 4)   // floats from one step to the next of a SIMD group's sums for dB and dC
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

// Where a sequence is cut into chunks: what each chunk by itself would add to the state after it (or, with REVERSED, to
// the gradient of the state before it), and the sum of its delta'. Grid: (groups * blocks of a group, chunks - 1, batch);
// the last chunk (with REVERSED the first) has no other after it. `signal` is x (dy), `matrix` B (C); z is used with
// REVERSED only. `ends` is (batch, chunks, channel, state), `totals` (batch, chunks, channel).
[[max_total_threads_per_threadgroup(THREADS)]]
kernel void selective_scan_chunk_ends(
    device const ELEMENT* signal [[buffer(0)]],
    device const ELEMENT* delta [[buffer(1)]],
    device const float* A [[buffer(2)]],
    device const ELEMENT* matrix [[buffer(3)]],
    device const ELEMENT* z [[buffer(4)]],
    device const float* bias [[buffer(5)]],
    device float* ends [[buffer(6)]],
    device float* totals [[buffer(7)]],
    constant long* sizes [[buffer(8)]],
    constant long* strides [[buffer(9)]],
    uint3 threadgroup_index [[threadgroup_position_in_grid]],
    uint3 thread_index [[thread_position_in_threadgroup]])
{
    alignas(16) threadgroup float tile_matrix[STEPS * STATE_PITCH];
    alignas(16) threadgroup float tile_delta[CHANNELS * STEP_PITCH];
    alignas(16) threadgroup float tile_signal[CHANNELS * STEP_PITCH];

    const uint lane = thread_index.x % 32;
    const uint simdgroup = thread_index.x / 32;
    const uint row = lane / LANES;
    const uint part = lane % LANES;
    const uint tile_row = (simdgroup * ROWS + row) * STEP_PITCH;
    const uint read_row = lane / STEPS;
    const uint read_step = lane % STEPS;

    const uint rows = (uint)CHANNELS_OF_GROUP;
    const uint blocks = (rows + CHANNELS - 1) / CHANNELS;
    const uint group = threadgroup_index.x / blocks;
    const uint first_row = (threadgroup_index.x % blocks) * CHANNELS + simdgroup * ROWS;
    const long first_channel = group * CHANNELS_OF_GROUP + first_row;
    const long channels = GROUPS * CHANNELS_OF_GROUP;
    const long batch = threadgroup_index.z;
    const uint chunk = threadgroup_index.y + REVERSED;
    const uint begin = chunk * (uint)CHUNK_STEPS;
    const uint end = min(begin + (uint)CHUNK_STEPS, (uint)LENGTH);
    const uint tiles = (end - begin + STEPS - 1) / STEPS;
    const long chunk_index = batch * CHUNKS + chunk;
    const bool present = first_row + row < rows;
    const long channel = first_channel + row;

#if REVERSED
    const long signal_channel = DY_CHANNEL;
    const long matrix_state = C_STATE;
    signal += batch * DY_BATCH + first_channel * DY_CHANNEL;
    matrix += batch * C_BATCH + group * C_GROUP;
#else
    const long signal_channel = X_CHANNEL;
    const long matrix_state = B_STATE;
    signal += batch * X_BATCH + first_channel * X_CHANNEL;
    matrix += batch * B_BATCH + group * B_GROUP;
#endif
    delta += batch * DELTA_BATCH + first_channel * DELTA_CHANNEL;
    z += batch * Z_BATCH + first_channel * Z_CHANNEL;

    float rate[HELD];  // A log2(e)
    float h[HELD];
    for (uint j = 0; j < HELD; j++) {
        uint n = part * HELD + j;
        rate[j] = present && n < STATES ? A[channel * STATES + n] * LOG2_E : 0.0f;
        h[j] = 0.0f;
    }
    float next_signal[SHARE];
    float next_delta[SHARE];
    float next_z[SHARE];
    float next_matrix[STATE_SHARE];
    float shift[SHARE];
    float total[SHARE];
    for (uint i = 0; i < SHARE; i++) {
        uint r = read_row + i * (32 / STEPS);
        shift[i] = HAS_BIAS && r < ROWS && first_row + r < rows ? bias[first_channel + r] : 0.0f;
        total[i] = 0.0f;
    }

    uint start = 0;
    for (uint turn = 0; turn <= tiles; turn++) {
        threadgroup_barrier(mem_flags::mem_threadgroup);
        if (turn > 0) {
            for (uint i = 0; i < SHARE; i++) {
                uint r = read_row + i * (32 / STEPS);
                float step = next_delta[i] + shift[i];
#if SOFTPLUS
                step = softplus(step);
#endif
                step = r < ROWS && first_row + r < rows && start + read_step < end ? step : 0.0f;
                total[i] += step;
                if (r < ROWS) {
                    uint at = (simdgroup * ROWS + r) * STEP_PITCH + read_step;
                    tile_delta[at] = step;
#if REVERSED && HAS_Z
                    tile_signal[at] = next_signal[i] * next_z[i] * sigmoid(next_z[i]);
#elif REVERSED
                    tile_signal[at] = next_signal[i];
#else
                    tile_signal[at] = next_signal[i] * step;
#endif
                }
            }
            for (uint i = 0; i < STATE_SHARE; i++) {
                uint element = thread_index.x + i * THREADS;
                if (element < PADDED * STEPS) {
                    tile_matrix[(element % STEPS) * STATE_PITCH + element / STEPS] = next_matrix[i];
                }
            }
        }
        threadgroup_barrier(mem_flags::mem_threadgroup);

        if (turn < tiles) {
            start = begin + (REVERSED ? tiles - 1 - turn : turn) * STEPS;
            for (uint i = 0; i < SHARE; i++) {
                uint r = read_row + i * (32 / STEPS);
                uint t = start + read_step;
                bool real = r < ROWS && first_row + r < rows && t < end;
                next_signal[i] = real ? float(signal[r * signal_channel + t]) : 0.0f;
                next_delta[i] = real ? float(delta[r * DELTA_CHANNEL + t]) : 0.0f;
                next_z[i] = REVERSED && HAS_Z && real ? float(z[r * Z_CHANNEL + t]) : 0.0f;
            }
            for (uint i = 0; i < STATE_SHARE; i++) {
                uint element = thread_index.x + i * THREADS;
                uint n = element / STEPS;
                uint t = start + element % STEPS;
                next_matrix[i] = n < STATES && t < end ? float(matrix[n * matrix_state + t]) : 0.0f;
            }
        }
        if (turn == 0) {
            continue;
        }
#pragma unroll
        for (uint k = 0; k < STEPS; k++) {
            const uint s = REVERSED ? STEPS - 1 - k : k;
            float step = tile_delta[tile_row + s];
            float value = tile_signal[tile_row + s];
#pragma unroll
            for (uint j = 0; j < HELD; j++) {
                float decay = fast::exp2(step * rate[j]);
                float weight = tile_matrix[s * STATE_PITCH + part * HELD + j];
                h[j] = REVERSED ? decay * fma(value, weight, h[j]) : fma(decay, h[j], value * weight);
            }
        }
    }

    for (uint j = 0; j < HELD; j++) {
        uint n = part * HELD + j;
        if (present && n < STATES) {
            ends[(chunk_index * channels + channel) * STATES + n] = h[j];
        }
    }
    for (uint i = 0; i < SHARE; i++) {
        for (uint mask = 1; mask < STEPS; mask *= 2) {
            total[i] += simd_shuffle_xor(total[i], mask);
        }
        uint r = read_row + i * (32 / STEPS);
        if (read_step == 0 && r < ROWS && first_row + r < rows) {
            totals[chunk_index * channels + first_channel + r] = total[i];
        }
    }
}

// Turns the ends of all chunks, in place, into the states before them (with REVERSED, the gradients after them), from
// `first` (batch, channel, state), which without HAS_H is zero. Grid: (channels * states / THREADS, 1, batch).
[[max_total_threads_per_threadgroup(THREADS)]]
kernel void selective_scan_join_chunks(
    device const float* first [[buffer(0)]],
    device const float* A [[buffer(1)]],
    device const float* totals [[buffer(2)]],
    device float* ends [[buffer(3)]],
    constant long* sizes [[buffer(4)]],
    uint3 threadgroup_index [[threadgroup_position_in_grid]],
    uint3 thread_index [[thread_position_in_threadgroup]])
{
    const long channels = GROUPS * CHANNELS_OF_GROUP;
    const long batch = threadgroup_index.z;
    const long state = (long)threadgroup_index.x * THREADS + thread_index.x;  // and channel
    if (state >= channels * STATES) {
        return;
    }
    const float rate = A[state] * LOG2_E;
    float carried = HAS_H ? first[batch * channels * STATES + state] : 0.0f;
    for (uint turn = 0; turn < (uint)CHUNKS; turn++) {
        const long chunk_index = batch * CHUNKS + (REVERSED ? (uint)CHUNKS - 1 - turn : turn);
        const long at = chunk_index * channels * STATES + state;
        if (turn + 1 < (uint)CHUNKS) {
            float end = ends[at];
            ends[at] = carried;
            carried = fma(fast::exp2(rate * totals[chunk_index * channels + state / STATES]), carried, end);
        } else {
            ends[at] = carried;
        }
    }
}

// Grid: (groups * blocks of a group, chunks, batch). `firsts` (batch, chunks, channel, state) holds the state before each
// chunk; h_last is (batch, channel, state), checkpoints (batch, stored states, channel, state).
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
    device const float* firsts [[buffer(8)]],
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
    const long chunk_index = batch * CHUNKS + threadgroup_index.y;
    float rate[HELD];  // A log2(e)
    float h[HELD];
    for (uint j = 0; j < HELD; j++) {
        uint n = part * HELD + j;
        bool real = present && n < STATES;
        rate[j] = real ? A[channel * STATES + n] * LOG2_E : 0.0f;
        h[j] = HAS_H && real ? firsts[(chunk_index * channels + channel) * STATES + n] : 0.0f;
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
        for (uint quarter = 0; quarter < STEPS / 4; quarter++) {
            const uint s = 4 * quarter;
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
                h_last[(batch * channels + channel) * STATES + n] = h[j];
            }
        }
    }
}

// The gradients, from the last step to the first. Each interval is run forwards again from its stored state: the states at
// the starts of its tiles are kept in threadgroup memory, those of one tile in registers. Then, with g(t) the gradient of
// h(t) and e(t) that of C(t) . h(t):
//
//     g(t) = e(t) C(t) + exp(delta'(t + 1) A) g(t + 1)
//
// Grid: (groups * PARTIALS, chunks, batch). A threadgroup takes every PARTIALS-th block of CHANNELS channels of its group,
// one after the other, and adds up their gradients of B and C in dB_partial and dC_partial (partial, batch, group, state,
// time). dA_partial is (batch * chunks, channel, state), dD_partial and dbias_partial (batch * chunks, channel).
// `carries` (batch, chunks, channel, state) holds exp(delta'(t) A) g(t) for the first step t after each chunk.
[[max_total_threads_per_threadgroup(THREADS)]]
kernel void selective_scan_backward(
    device const ELEMENT* dy [[buffer(0)]],
    device const float* carries [[buffer(1)]],
    device const ELEMENT* x [[buffer(2)]],
    device const ELEMENT* delta [[buffer(3)]],
    device const float* A [[buffer(4)]],
    device const ELEMENT* B [[buffer(5)]],
    device const ELEMENT* C [[buffer(6)]],
    device const float* D [[buffer(7)]],
    device const ELEMENT* z [[buffer(8)]],
    device const float* bias [[buffer(9)]],
    device const float* checkpoints [[buffer(10)]],
    device ELEMENT* dx [[buffer(11)]],
    device ELEMENT* ddelta [[buffer(12)]],
    device float* dA_partial [[buffer(13)]],
    device float* dB_partial [[buffer(14)]],
    device float* dC_partial [[buffer(15)]],
    device float* dD_partial [[buffer(16)]],
    device ELEMENT* dz [[buffer(17)]],
    device float* dbias_partial [[buffer(18)]],
    device float* dh [[buffer(19)]],
    constant long* sizes [[buffer(20)]],
    constant long* strides [[buffer(21)]],
    uint3 threadgroup_index [[threadgroup_position_in_grid]],
    uint3 threadgroups [[threadgroups_per_grid]],
    uint3 thread_index [[thread_position_in_threadgroup]])
{
    alignas(16) threadgroup float tile_B[STEPS * STATE_PITCH];
    alignas(16) threadgroup float tile_C[STEPS * STATE_PITCH];
    alignas(16) threadgroup float tile_delta[CHANNELS * STEP_PITCH];  // delta', then sum over n of A log2(e) dA-like terms
    alignas(16) threadgroup float tile_input[CHANNELS * STEP_PITCH];  // delta' x, then sum over n of g B
    alignas(16) threadgroup float tile_e[CHANNELS * STEP_PITCH];      // e, then C . h
    alignas(16) threadgroup float tile_states[SIMDGROUPS * STEPS * GRADIENT_PITCH];
    threadgroup float starts[(TILES_OF_INTERVAL > 1 ? TILES_OF_INTERVAL - 1 : 1) * HELD * THREADS];

    const uint lane = thread_index.x % 32;
    const uint simdgroup = thread_index.x / 32;
    const uint row = lane / LANES;
    const uint part = lane % LANES;
    const uint tile_row = (simdgroup * ROWS + row) * STEP_PITCH;
    const uint read_row = lane / STEPS;
    const uint read_step = lane % STEPS;

    const uint rows = (uint)CHANNELS_OF_GROUP;
    const uint group = threadgroup_index.x / (uint)PARTIALS;
    const uint partial = threadgroup_index.x % (uint)PARTIALS;
    const long channels = GROUPS * CHANNELS_OF_GROUP;
    const long batch = threadgroup_index.z;
    const uint begin = threadgroup_index.y * (uint)CHUNK_STEPS;
    const uint end = min(begin + (uint)CHUNK_STEPS, (uint)LENGTH);
    const long chunk_index = batch * CHUNKS + threadgroup_index.y;
    // Turns of a threadgroup: of each interval, the tiles but the last forwards, then all tiles backwards.
    const uint turns_of_interval = 2 * TILES_OF_INTERVAL - 1;
    const uint intervals = (end - begin + INTERVAL - 1) / INTERVAL;
    const uint turns = intervals * turns_of_interval;

    B += batch * B_BATCH + group * B_GROUP;
    C += batch * C_BATCH + group * C_GROUP;
    const long states_partial = ((partial * (long)threadgroups.z + batch) * GROUPS + group) * STATES;
    dB_partial += states_partial * LENGTH;
    dC_partial += states_partial * LENGTH;

    for (uint block = partial; block * CHANNELS < rows; block += (uint)PARTIALS) {
        const uint first_row = block * CHANNELS + simdgroup * ROWS;
        const long first_channel = group * CHANNELS_OF_GROUP + first_row;
        const bool present = first_row + row < rows;
        const long channel = first_channel + row;
        device const ELEMENT* block_x = x + batch * X_BATCH + first_channel * X_CHANNEL;
        device const ELEMENT* block_delta = delta + batch * DELTA_BATCH + first_channel * DELTA_CHANNEL;
        device const ELEMENT* block_z = z + batch * Z_BATCH + first_channel * Z_CHANNEL;
        device const ELEMENT* block_dy = dy + batch * DY_BATCH + first_channel * DY_CHANNEL;
        const long out_at = (batch * channels + first_channel) * LENGTH;

        float rate[HELD];  // A log2(e)
        float dA[HELD];
        float g[HELD];  // exp(delta'(t) A) g(t) of the step after
        for (uint j = 0; j < HELD; j++) {
            uint n = part * HELD + j;
            bool real = present && n < STATES;
            rate[j] = real ? A[channel * STATES + n] * LOG2_E : 0.0f;
            g[j] = real ? carries[(chunk_index * channels + channel) * STATES + n] : 0.0f;
            dA[j] = 0.0f;
        }
        float skip[SHARE];
        float shift[SHARE];
        float dD[SHARE];
        float dbias[SHARE];
        for (uint i = 0; i < SHARE; i++) {
            uint r = read_row + i * (32 / STEPS);
            bool real = r < ROWS && first_row + r < rows;
            skip[i] = HAS_D && real ? D[first_channel + r] : 0.0f;
            shift[i] = HAS_BIAS && real ? bias[first_channel + r] : 0.0f;
            dD[i] = 0.0f;
            dbias[i] = 0.0f;
        }

        float next_x[SHARE];
        float next_delta[SHARE];
        float next_dy[SHARE];
        float next_z[SHARE];
        float next_B[STATE_SHARE];
        float next_C[STATE_SHARE];
        float h[HELD];
        uint start = 0;
        uint tile = 0;
        bool forwards = false;
        for (uint turn = 0; turn <= turns; turn++) {
            // What was read in the turn before becomes this turn's tile.
            const uint this_start = start;
            const uint this_tile = tile;
            const bool this_forwards = forwards;
            float this_x[SHARE];
            float this_slope[SHARE];  // of delta' by delta
            float this_step[SHARE];
            float this_e[SHARE];
            float this_dy[SHARE];
            float this_z[SHARE];
            threadgroup_barrier(mem_flags::mem_threadgroup);
            if (turn > 0) {
                for (uint i = 0; i < SHARE; i++) {
                    uint r = read_row + i * (32 / STEPS);
                    bool real = r < ROWS && first_row + r < rows && this_start + read_step < end;
                    float raw = next_delta[i] + shift[i];
                    this_x[i] = next_x[i];
                    this_dy[i] = next_dy[i];
                    this_z[i] = next_z[i];
                    this_e[i] = next_dy[i];
                    this_step[i] = raw;
                    this_slope[i] = 1.0f;
#if SOFTPLUS
                    this_step[i] = softplus(raw);
                    this_slope[i] = raw > 20.0f ? 1.0f : sigmoid(raw);
#endif
#if HAS_Z
                    this_e[i] *= next_z[i] * sigmoid(next_z[i]);
#endif
                    this_step[i] = real ? this_step[i] : 0.0f;
                    if (r < ROWS) {
                        uint at = (simdgroup * ROWS + r) * STEP_PITCH + read_step;
                        tile_delta[at] = this_step[i];
                        tile_input[at] = this_step[i] * this_x[i];
                        tile_e[at] = this_e[i];
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

            if (turn < turns) {
                const uint interval = intervals - 1 - turn / turns_of_interval;
                const uint turn_of_interval = turn % turns_of_interval;
                forwards = turn_of_interval < TILES_OF_INTERVAL - 1;
                tile = forwards ? turn_of_interval : turns_of_interval - 1 - turn_of_interval;
                start = begin + interval * INTERVAL + tile * STEPS;
                for (uint i = 0; i < SHARE; i++) {
                    uint r = read_row + i * (32 / STEPS);
                    uint t = start + read_step;
                    bool real = r < ROWS && first_row + r < rows && t < end;
                    next_x[i] = real ? float(block_x[r * X_CHANNEL + t]) : 0.0f;
                    next_delta[i] = real ? float(block_delta[r * DELTA_CHANNEL + t]) : 0.0f;
                    next_dy[i] = real && !forwards ? float(block_dy[r * DY_CHANNEL + t]) : 0.0f;
                    next_z[i] = 0.0f;
#if HAS_Z
                    next_z[i] = real && !forwards ? float(block_z[r * Z_CHANNEL + t]) : 0.0f;
#endif
                }
                for (uint i = 0; i < STATE_SHARE; i++) {
                    uint element = thread_index.x + i * THREADS;
                    uint n = element / STEPS;
                    uint t = start + element % STEPS;
                    bool real = n < STATES && t < end;
                    next_B[i] = real ? float(B[n * B_STATE + t]) : 0.0f;
                    next_C[i] = real && !forwards ? float(C[n * C_STATE + t]) : 0.0f;
                }
            }
            if (turn == 0) {
                continue;
            }

            // The state before this tile: stored by the forward pass, or left by an earlier turn.
            if (this_tile == 0) {
                long at = ((batch * CHECKPOINTS + this_start / INTERVAL) * channels + channel) * STATES;
                for (uint j = 0; j < HELD; j++) {
                    uint n = part * HELD + j;
                    h[j] = present && n < STATES ? checkpoints[at + n] : 0.0f;
                }
            } else if (!this_forwards) {
                for (uint j = 0; j < HELD; j++) {
                    h[j] = starts[((this_tile - 1) * HELD + j) * THREADS + thread_index.x];
                }
            }
            if (this_forwards) {
                for (uint s = 0; s < STEPS; s++) {
                    float step = tile_delta[tile_row + s];
                    float input = tile_input[tile_row + s];
                    for (uint j = 0; j < HELD; j++) {
                        float decay = fast::exp2(step * rate[j]);
                        h[j] = fma(decay, h[j], input * tile_B[s * STATE_PITCH + part * HELD + j]);
                    }
                }
                for (uint j = 0; j < HELD; j++) {
                    starts[(this_tile * HELD + j) * THREADS + thread_index.x] = h[j];
                }
                continue;
            }

            float states[STEPS][HELD];  // after each step
#if HAS_Z
            float outputs[STEPS];
#endif
#pragma unroll
            for (uint s = 0; s < STEPS; s++) {
                float step = tile_delta[tile_row + s];
                float input = tile_input[tile_row + s];
#if HAS_Z
                outputs[s] = 0.0f;
#endif
#pragma unroll
                for (uint j = 0; j < HELD; j++) {
                    float decay = fast::exp2(step * rate[j]);
                    float before = s > 0 ? states[s > 0 ? s - 1 : 0][j] : h[j];
                    states[s][j] = fma(decay, before, input * tile_B[s * STATE_PITCH + part * HELD + j]);
#if HAS_Z
                    outputs[s] = fma(states[s][j], tile_C[s * STATE_PITCH + part * HELD + j], outputs[s]);
#endif
                }
            }

#pragma unroll
            for (uint quarter = 0; quarter < STEPS / 4; quarter++) {
                const uint first = STEPS - 4 - 4 * quarter;
                float sums_rate[4];
                float sums_input[4];
#pragma unroll
                for (uint k = 0; k < 4; k++) {
                    const uint s = first + 3 - k;
                    float step = tile_delta[tile_row + s];
                    float input = tile_input[tile_row + s];
                    float e = tile_e[tile_row + s];
                    float gradients[2 * HELD];  // of B, then of C
                    float sum_rate = 0.0f;
                    float sum_input = 0.0f;
#pragma unroll
                    for (uint j = 0; j < HELD; j++) {
                        uint at = s * STATE_PITCH + part * HELD + j;
                        float now = fma(e, tile_C[at], g[j]);
                        gradients[j] = now * input;
                        gradients[HELD + j] = e * states[s][j];
                        sum_input = fma(now, tile_B[at], sum_input);
                        g[j] = now * fast::exp2(step * rate[j]);
                        float turned = g[j] * (s > 0 ? states[s > 0 ? s - 1 : 0][j] : h[j]);  // the gradient of delta' A
                        dA[j] = fma(step, turned, dA[j]);
                        sum_rate = fma(rate[j], turned, sum_rate);
                    }
                    sums_rate[s - first] = sum_rate;
                    sums_input[s - first] = sum_input;
                    sum_over_channels(gradients, row);
                    if (row < GRADIENT_ROWS) {
                        // Value v of lane `part` goes to column v % HELD of its states, in the half of B or of C.
#pragma unroll
                        for (uint i = 0; i < GRADIENTS_HELD; i++) {
                            uint v = first_gradient(row) + i;
                            uint column = (v / HELD) * PADDED + part * HELD + v % HELD;
                            tile_states[(simdgroup * STEPS + s) * GRADIENT_PITCH + column] = gradients[i];
                        }
                    }
                }
                sum_over_states(sums_rate, part);
                sum_over_states(sums_input, part);
#if HAS_Z
                sum_over_states(outputs + first, part);
#endif
                simdgroup_barrier(mem_flags::mem_threadgroup);  // all lanes have read these steps of the tile
                if (part < 4) {
#pragma unroll
                    for (uint i = 0; i < SUMS_HELD; i++) {
                        uint at = tile_row + first + SUM_STEP(part, i);
                        tile_delta[at] = sums_rate[i];
                        tile_input[at] = sums_input[i];
#if HAS_Z
                        tile_e[at] = outputs[first + i];
#endif
                    }
                }
            }
            threadgroup_barrier(mem_flags::mem_threadgroup);

            for (uint element = thread_index.x; element < STEPS * 2 * STATES; element += THREADS) {
                const uint s = element % STEPS;
                const uint n = element / STEPS % STATES;
                const bool is_C = element / STEPS >= STATES;
                const uint column = (is_C ? PADDED : 0) + n;
                float sum = 0.0f;
                for (uint w = 0; w < SIMDGROUPS; w++) {
                    sum += tile_states[(w * STEPS + s) * GRADIENT_PITCH + column];
                }
                if (this_start + s < end) {
                    device float* sums = (is_C ? dC_partial : dB_partial) + (n * LENGTH + this_start + s);
                    *sums = block == partial ? sum : *sums + sum;
                }
            }
            for (uint i = 0; i < SHARE; i++) {
                uint r = read_row + i * (32 / STEPS);
                uint t = this_start + read_step;
                if (r < ROWS && first_row + r < rows && t < end) {
                    uint at = (simdgroup * ROWS + r) * STEP_PITCH + read_step;
                    float d_step = fma(LN_2, tile_delta[at], this_x[i] * tile_input[at]) * this_slope[i];
                    ddelta[out_at + r * LENGTH + t] = ELEMENT(d_step);
                    dx[out_at + r * LENGTH + t] = ELEMENT(fma(this_step[i], tile_input[at], skip[i] * this_e[i]));
                    dbias[i] += d_step;
                    dD[i] = fma(this_e[i], this_x[i], dD[i]);
#if HAS_Z
                    float gate = sigmoid(this_z[i]);
                    float slope = gate * fma(this_z[i], 1.0f - gate, 1.0f);
                    float output = fma(skip[i], this_x[i], tile_e[at]);
                    dz[out_at + r * LENGTH + t] = ELEMENT(this_dy[i] * output * slope);
#endif
                }
            }
        }

        if (present) {
            for (uint j = 0; j < HELD; j++) {
                uint n = part * HELD + j;
                if (n < STATES) {
                    dA_partial[(chunk_index * channels + channel) * STATES + n] = dA[j];
#if HAS_H
                    if (threadgroup_index.y == 0) {
                        dh[(batch * channels + channel) * STATES + n] = g[j];
                    }
#endif
                }
            }
        }
        for (uint i = 0; i < SHARE; i++) {
            for (uint mask = 1; mask < STEPS; mask *= 2) {
                dD[i] += simd_shuffle_xor(dD[i], mask);
                dbias[i] += simd_shuffle_xor(dbias[i], mask);
            }
            uint r = read_row + i * (32 / STEPS);
            if (read_step == 0 && r < ROWS && first_row + r < rows) {
#if HAS_D
                dD_partial[chunk_index * channels + first_channel + r] = dD[i];
#endif
#if HAS_BIAS
                dbias_partial[chunk_index * channels + first_channel + r] = dbias[i];
#endif
            }
        }
    }
}
