// The selective scan of Mamba (Gu and Dao 2023, arXiv 2312.00752, section 3.2), forward and backward:
//
//     delta' = softplus(delta + bias)                    (or delta + bias)
//     h(t) = exp(delta'(t) A) h(t-1) + delta'(t) x(t) B(t)
//     y(t) = (C(t) . h(t) + D x(t)) * silu(z(t))
//
// Mapping. Time runs inside a thread, everything else across threads. A channel belongs to LANES neighbouring lanes of
// a SIMD group, each of which keeps HELD of its states in registers; a threadgroup has CHANNELS channels of one group
// of B and C and of one batch entry. Time is cut into tiles of STEPS: a tile of x, delta and z is read with time along
// the lanes (the layout is (batch, channel, time)), what does not depend on the state is worked out there once a step,
// and the recurrence then reads it from threadgroup memory. B and C of a tile are shared by all channels. While a tile
// is computed, the next one is on its way into registers. Long sequences with few channels are cut into chunks of time,
// which run side by side; selective_scan_chunk_ends finds out what each hands to the next.
//
// No atomics: sums over channels and batch leave as partial sums, so that results repeat bit for bit.
//
// Defined by the launch (selective_scan_gpu.py):
//   ELEMENT     type of x, delta, B, C, z, y and their gradients: float, half or bfloat
//   KEPT        type of what one pass leaves for another: stored states, partial sums of dB and dC: float or bfloat
//   STATES      states of a channel
//   LANES       4, 8, 16 or 32
//   HELD        a power of two; LANES * HELD >= STATES, the rest is padding
//   STEPS       steps of a tile: 4, 8, 16 or 32
//   INTERVAL    steps between two stored states (checkpoints), a multiple of STEPS
//   SIMDGROUPS  SIMD groups of a threadgroup
//   HAS_D, HAS_Z, HAS_BIAS, HAS_H, HAS_DH, SOFTPLUS    0 or 1; HAS_DH: whether the last state has a gradient
//   REVERSED    0 or 1: whether the chunk kernels serve the backward pass
//
// Offsets within the channels or the states of one group and batch entry are 32 bits wide, all others 64.
//
// The language used: MSL 3.1 without fp64, atomics, dynamic threadgroup memory or threadgroup pointers in signatures.
// Functions used: fma, min, max, abs, exp2 and divide (fast), simd_shuffle_xor, simdgroup_barrier, threadgroup_barrier.

#define THREADS (32 * SIMDGROUPS)
#define ROWS (32 / LANES)                 // channels of a SIMD group
#define CHANNELS (ROWS * SIMDGROUPS)      // channels of a threadgroup
#define PADDED (LANES * HELD)             // states with the padding
#define STATE_PITCH (PADDED + HELD)       // floats from one step of a tile of B or C to the next: spreads the banks
#define STEP_PITCH (STEPS + 4)            // floats from one channel of a tile to the next
#define GRADIENT_PITCH (2 * PADDED + 1)   // floats from one step to the next of a SIMD group's sums for dB and dC
#define SHARE ((ROWS * STEPS + 31) / 32)  // elements of a SIMD group's tile of x that one lane reads
#define STATE_SHARE ((PADDED * STEPS + THREADS - 1) / THREADS)  // elements of a tile of B that one thread reads
#define TILES_OF_INTERVAL (INTERVAL / STEPS)

// Sums each of four values over the LANES lanes of a channel, halving what a lane holds with each exchange. Lane `part`
// returns the sum of value part % 4.
inline float sum_over_states(float a, float b, float c, float d, uint part) {
    bool odd = (part & 1) != 0;
    bool upper = (part & 2) != 0;
    float low = (odd ? b : a) + simd_shuffle_xor(odd ? a : b, 1);
    float high = (odd ? d : c) + simd_shuffle_xor(odd ? c : d, 1);
    float sum = (upper ? high : low) + simd_shuffle_xor(upper ? low : high, 2);
#pragma unroll
    for (uint mask = 4; mask < LANES; mask *= 2) {
        sum += simd_shuffle_xor(sum, mask);
    }
    return sum;
}

// Gradients of B and of C have to be summed over channels. In the lanes of odd channels the two halves of a lane's
// states change places, so that the first exchange needs no choosing: what a lane keeps lies first, what it sends last.
#define SWAP(row) (((row) & 1) * (HELD / 2))
#define SWAPPED_COPIES (HELD > 1 && ROWS > 1 ? 2 : 1)  // of a tile of B: in the order of states, and for odd channels

// Sums 2 * HELD values, those of B and then those of C, over the ROWS channels of a SIMD group. A lane of channel `row`
// is left with GRADIENTS_HELD sums, the i-th of which is value gradient_slot(row, i); lanes of channels past
// GRADIENT_ROWS hold copies.
inline void sum_over_channels(thread float* values, uint row) {
    uint held = 2 * HELD;
#pragma unroll
    for (uint mask = 1; mask < ROWS; mask *= 2) {
        if (HELD > 1 && mask == 1) {
            held /= 2;
#pragma unroll
            for (uint i = 0; i < HELD; i++) {
                uint from = i < HELD / 2 ? i : i + HELD / 2;
                values[i] = values[from] + simd_shuffle_xor(values[from + HELD / 2], LANES);
            }
        } else if (held > 1) {
            bool upper = (row & mask) != 0;
            held /= 2;
#pragma unroll
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

// In the order of states, not in that of the lane.
inline uint gradient_slot(uint row, uint i) {
    if (HELD == 1) {
        return ROWS > 1 ? row & 1 : i;
    }
    if (ROWS == 1) {
        return i;
    }
    if (ROWS == 2) {
        return i + (i < HELD / 2 ? 0 : HELD / 2) + SWAP(row);
    }
    return i + SWAP(row) + ((row & 2) != 0 ? HELD : 0) + (ROWS > 4 && (row & 4) != 0 ? HELD / 4 : 0);
}

// Grid: (groups * blocks of a group, chunks, batch). h_first and h_last are (batch, channel, state), checkpoints
// (batch, stored states, channel, state); ends and totals come from selective_scan_chunk_ends, where there are chunks.
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
    device const float* ends [[buffer(9)]],
    device const float* totals [[buffer(10)]],
    device ELEMENT* y [[buffer(11)]],
    device float* h_last [[buffer(12)]],
    device KEPT* checkpoints [[buffer(13)]],
    constant long* sizes [[buffer(14)]],
    constant long* strides [[buffer(15)]],
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
    const uint tile_row = (simdgroup * ROWS + row) * STEP_PITCH;

    const uint rows = (uint)CHANNELS_OF_GROUP;
    const uint blocks = (rows + CHANNELS - 1) / CHANNELS;
    const uint group = threadgroup_index.x / blocks;
    const uint first_row = (threadgroup_index.x % blocks) * CHANNELS + simdgroup * ROWS;  // in the group
    const long channels = GROUPS * CHANNELS_OF_GROUP;
    const long first_channel = group * CHANNELS_OF_GROUP;  // of the group
    const long batch = threadgroup_index.z;
    const uint begin = threadgroup_index.y * (uint)CHUNK_STEPS;
    const uint end = min(begin + (uint)CHUNK_STEPS, (uint)LENGTH);

    // The channel whose states this lane keeps.
    const bool present = first_row + row < rows;
    const long channel = first_channel + first_row + row;
    float rate[HELD];  // A log2(e)
    float h[HELD];
#pragma unroll
    for (uint j = 0; j < HELD; j++) {
        uint n = part * HELD + j;
        bool real = present && n < STATES;
        rate[j] = real ? A[channel * STATES + n] * LOG2_E : 0.0f;
        h[j] = HAS_H && real ? h_first[(batch * channels + channel) * STATES + n] : 0.0f;
    }
#pragma unroll 8  // so that the loads of several chunks are under way at a time
    for (uint chunk = 0; chunk < threadgroup_index.y; chunk++) {
        long at = (batch * CHUNKS + chunk) * channels + channel;
        float total = present ? totals[at] : 0.0f;
#pragma unroll
        for (uint j = 0; j < HELD; j++) {
            uint n = part * HELD + j;
            float end_of_chunk = present && n < STATES ? ends[at * STATES + n] : 0.0f;
            h[j] = fma(fast::exp2(rate[j] * total), h[j], end_of_chunk);
        }
    }

    // The elements that this lane reads of each tile: of channels read_row + i * 32 / STEPS, all at step read_step. For
    // one past the last channel or step the last is read instead, and a step of length zero makes that harmless.
    const uint read_step = lane % STEPS;
    const uint read_row = lane / STEPS;
    x += batch * X_BATCH + first_channel * X_CHANNEL;
    delta += batch * DELTA_BATCH + first_channel * DELTA_CHANNEL;
    z += batch * Z_BATCH + first_channel * Z_CHANNEL;
    y += (batch * channels + first_channel) * LENGTH;
    checkpoints += (batch * CHECKPOINTS * channels + first_channel) * STATES;
    uint read_channel[SHARE];
    float skip[SHARE];
    float shift[SHARE];
#pragma unroll
    for (uint i = 0; i < SHARE; i++) {
        read_channel[i] = min(first_row + read_row + i * (32 / STEPS), rows - 1);
        skip[i] = HAS_D ? D[first_channel + read_channel[i]] : 0.0f;
        shift[i] = HAS_BIAS ? bias[first_channel + read_channel[i]] : 0.0f;
    }
    // And of each tile of B and C: states state_row + i * THREADS / STEPS, all at step state_step.
    const uint state_step = thread_index.x % STEPS;
    const uint state_row = thread_index.x / STEPS;
    B += batch * B_BATCH + group * B_GROUP;
    C += batch * C_BATCH + group * C_GROUP;

    float next_x[SHARE];
    float next_delta[SHARE];
    float next_z[SHARE];
    float next_B[STATE_SHARE];
    float next_C[STATE_SHARE];
    // Each turn works on the tile that the turn before has read; the first only reads.
    for (uint next = begin; next < end + STEPS; next += STEPS) {
        const uint start = next - STEPS;
        float this_x[SHARE];
        float this_z[SHARE];
        threadgroup_barrier(mem_flags::mem_threadgroup);
        if (next > begin) {
            const bool within = start + read_step < end;
#pragma unroll
            for (uint i = 0; i < SHARE; i++) {
                uint r = read_row + i * (32 / STEPS);
                float step = step_length(next_delta[i], shift[i]);
                step = within && r < ROWS && first_row + r < rows ? step : 0.0f;
                this_x[i] = next_x[i];
                this_z[i] = next_z[i];
                if (r < ROWS) {
                    uint at = (simdgroup * ROWS + r) * STEP_PITCH + read_step;
                    tile_delta[at] = step;
                    tile_input[at] = step * next_x[i];
                }
            }
#pragma unroll
            for (uint i = 0; i < STATE_SHARE; i++) {
                uint n = state_row + i * (THREADS / STEPS);
                if (n < PADDED) {
                    tile_B[state_step * STATE_PITCH + n] = next_B[i];
                    tile_C[state_step * STATE_PITCH + n] = next_C[i];
                }
            }
        }
        threadgroup_barrier(mem_flags::mem_threadgroup);

        const uint t = min(next + read_step, end - 1);
#pragma unroll
        for (uint i = 0; i < SHARE; i++) {
            next_x[i] = float(x[read_channel[i] * (uint)X_CHANNEL + t]);
            next_delta[i] = float(delta[read_channel[i] * (uint)DELTA_CHANNEL + t]);
            next_z[i] = HAS_Z ? float(z[read_channel[i] * (uint)Z_CHANNEL + t]) : 0.0f;
        }
        const uint state_t = min(next + state_step, end - 1);
#pragma unroll
        for (uint i = 0; i < STATE_SHARE; i++) {
            uint n = state_row + i * (THREADS / STEPS);
            uint clamped = min(n, (uint)STATES - 1);
            next_B[i] = n < STATES ? float(B[clamped * (uint)B_STATE + state_t]) : 0.0f;
            next_C[i] = n < STATES ? float(C[clamped * (uint)C_STATE + state_t]) : 0.0f;
        }
        if (next == begin) {
            continue;
        }

        if (start % INTERVAL == 0 && present) {
            device KEPT* stored = checkpoints + start / INTERVAL * channels * STATES;
#pragma unroll
            for (uint j = 0; j < HELD; j++) {
                uint n = part * HELD + j;
                if (n < STATES) {
                    stored[(first_row + row) * STATES + n] = KEPT(h[j]);
                }
            }
        }

#pragma unroll
        for (uint quarter = 0; quarter < STEPS / 4; quarter++) {
            const uint s = 4 * quarter;
            float step[4];
            float input[4];
            float sums[4];
#pragma unroll
            for (uint k = 0; k < 4; k++) {
                step[k] = tile_delta[tile_row + s + k];
                input[k] = tile_input[tile_row + s + k];
            }
#pragma unroll
            for (uint k = 0; k < 4; k++) {
                sums[k] = 0.0f;
#pragma unroll
                for (uint j = 0; j < HELD; j++) {
                    uint at = (s + k) * STATE_PITCH + part * HELD + j;
                    h[j] = fma(fast::exp2(step[k] * rate[j]), h[j], input[k] * tile_B[at]);
                    sums[k] = fma(h[j], tile_C[at], sums[k]);
                }
            }
            float sum = sum_over_states(sums[0], sums[1], sums[2], sums[3], part);
            simdgroup_barrier(mem_flags::mem_threadgroup);  // all lanes have read these steps of tile_input
            if (part < 4) {
                tile_input[tile_row + s + part] = sum;
            }
        }
        simdgroup_barrier(mem_flags::mem_threadgroup);

        const bool within = start + read_step < end;
#pragma unroll
        for (uint i = 0; i < SHARE; i++) {
            uint r = read_row + i * (32 / STEPS);
            if (within && r < ROWS && first_row + r < rows) {
                float value = fma(skip[i], this_x[i], tile_input[(simdgroup * ROWS + r) * STEP_PITCH + read_step]);
                value = HAS_Z ? value * this_z[i] * sigmoid(this_z[i]) : value;
                y[read_channel[i] * (uint)LENGTH + start + read_step] = ELEMENT(value);
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

// Where a sequence is cut into chunks: what each chunk by itself adds to the state after it (with REVERSED, to the
// gradient of the state before it), and the sum of its delta'. Grid: (groups * blocks of a group, chunks - 1, batch);
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

    const uint rows = (uint)CHANNELS_OF_GROUP;
    const uint blocks = (rows + CHANNELS - 1) / CHANNELS;
    const uint group = threadgroup_index.x / blocks;
    const uint first_row = (threadgroup_index.x % blocks) * CHANNELS + simdgroup * ROWS;
    const long channels = GROUPS * CHANNELS_OF_GROUP;
    const long first_channel = group * CHANNELS_OF_GROUP;
    const long batch = threadgroup_index.z;
    const uint chunk = threadgroup_index.y + REVERSED;
    const uint begin = chunk * (uint)CHUNK_STEPS;
    const uint end = min(begin + (uint)CHUNK_STEPS, (uint)LENGTH);
    const uint tiles = (end - begin + STEPS - 1) / STEPS;
    const long chunk_index = batch * CHUNKS + chunk;
    const bool present = first_row + row < rows;
    const long channel = first_channel + first_row + row;

#if REVERSED
    const uint signal_channel = (uint)DY_CHANNEL;
    const uint matrix_state = (uint)C_STATE;
    signal += batch * DY_BATCH + first_channel * DY_CHANNEL;
    matrix += batch * C_BATCH + group * C_GROUP;
#else
    const uint signal_channel = (uint)X_CHANNEL;
    const uint matrix_state = (uint)B_STATE;
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
    const uint read_step = lane % STEPS;
    const uint read_row = lane / STEPS;
    const uint state_step = thread_index.x % STEPS;
    const uint state_row = thread_index.x / STEPS;
    uint read_channel[SHARE];
    float shift[SHARE];
    float total[SHARE];
#pragma unroll
    for (uint i = 0; i < SHARE; i++) {
        read_channel[i] = min(first_row + read_row + i * (32 / STEPS), rows - 1);
        shift[i] = HAS_BIAS ? bias[first_channel + read_channel[i]] : 0.0f;
        total[i] = 0.0f;
    }

    float next_signal[SHARE];
    float next_delta[SHARE];
    float next_z[SHARE];
    float next_matrix[STATE_SHARE];
    uint start = begin;
    for (uint turn = 0; turn <= tiles; turn++) {
        threadgroup_barrier(mem_flags::mem_threadgroup);
        if (turn > 0) {
            const bool within = start + read_step < end;
#pragma unroll
            for (uint i = 0; i < SHARE; i++) {
                uint r = read_row + i * (32 / STEPS);
                bool real = within && r < ROWS && first_row + r < rows;
                float step = step_length(next_delta[i], shift[i]);
                step = real ? step : 0.0f;
                float value = REVERSED ? (real ? next_signal[i] : 0.0f) : next_signal[i] * step;
                value = REVERSED && HAS_Z ? value * next_z[i] * sigmoid(next_z[i]) : value;
                total[i] += step;
                if (r < ROWS) {
                    uint at = (simdgroup * ROWS + r) * STEP_PITCH + read_step;
                    tile_delta[at] = step;
                    tile_signal[at] = value;
                }
            }
#pragma unroll
            for (uint i = 0; i < STATE_SHARE; i++) {
                uint n = state_row + i * (THREADS / STEPS);
                if (n < PADDED) {
                    tile_matrix[state_step * STATE_PITCH + n] = next_matrix[i];
                }
            }
        }
        threadgroup_barrier(mem_flags::mem_threadgroup);

        if (turn < tiles) {
            start = begin + (REVERSED ? tiles - 1 - turn : turn) * STEPS;
            const uint t = min(start + read_step, end - 1);
#pragma unroll
            for (uint i = 0; i < SHARE; i++) {
                next_signal[i] = float(signal[read_channel[i] * signal_channel + t]);
                next_delta[i] = float(delta[read_channel[i] * (uint)DELTA_CHANNEL + t]);
                next_z[i] = REVERSED && HAS_Z ? float(z[read_channel[i] * (uint)Z_CHANNEL + t]) : 0.0f;
            }
            const uint state_t = min(start + state_step, end - 1);
#pragma unroll
            for (uint i = 0; i < STATE_SHARE; i++) {
                uint n = state_row + i * (THREADS / STEPS);
                next_matrix[i] = n < STATES ? float(matrix[min(n, (uint)STATES - 1) * matrix_state + state_t]) : 0.0f;
            }
        }
        if (turn == 0) {
            continue;
        }
#pragma unroll
        for (uint quarter = 0; quarter < STEPS / 4; quarter++) {
            const uint first = REVERSED ? STEPS - 4 - 4 * quarter : 4 * quarter;
            float step[4];
            float value[4];
#pragma unroll
            for (uint k = 0; k < 4; k++) {
                step[k] = tile_delta[tile_row + first + k];
                value[k] = tile_signal[tile_row + first + k];
            }
#pragma unroll
            for (uint turned = 0; turned < 4; turned++) {
                const uint k = REVERSED ? 3 - turned : turned;
#pragma unroll
                for (uint j = 0; j < HELD; j++) {
                    float decay = fast::exp2(step[k] * rate[j]);
                    float weight = tile_matrix[(first + k) * STATE_PITCH + part * HELD + j];
                    h[j] = REVERSED ? decay * fma(value[k], weight, h[j]) : fma(decay, h[j], value[k] * weight);
                }
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
            totals[chunk_index * channels + first_channel + first_row + r] = total[i];
        }
    }
}

// The gradients, from the last step to the first. Each interval is run forwards again from its stored state, which
// leaves the states before its tiles in registers, and then each tile, which leaves those after its steps there. Then,
// with g(t) the gradient of h(t) and e(t) that of C(t) . h(t):
//
//     g(t) = e(t) C(t) + exp(delta'(t + 1) A) g(t + 1)
//
// Grid: (groups * PARTIALS, chunks, batch). A threadgroup takes every PARTIALS-th block of CHANNELS channels of its
// group, one after the other, and adds up their gradients of B and C in dB_partial and dC_partial (partial, batch,
// group, state, time). dA_partial is (batch * chunks, channel, state), dD_partial and dbias_partial (batch * chunks,
// channel). ends and totals come from selective_scan_chunk_ends, REVERSED, where there are chunks.
[[max_total_threads_per_threadgroup(THREADS)]]
kernel void selective_scan_backward(
    device const ELEMENT* dy [[buffer(0)]],
    device const float* dh_last [[buffer(1)]],
    device const ELEMENT* x [[buffer(2)]],
    device const ELEMENT* delta [[buffer(3)]],
    device const float* A [[buffer(4)]],
    device const ELEMENT* B [[buffer(5)]],
    device const ELEMENT* C [[buffer(6)]],
    device const float* D [[buffer(7)]],
    device const ELEMENT* z [[buffer(8)]],
    device const float* bias [[buffer(9)]],
    device const KEPT* checkpoints [[buffer(10)]],
    device const float* ends [[buffer(11)]],
    device const float* totals [[buffer(12)]],
    device ELEMENT* dx [[buffer(13)]],
    device ELEMENT* ddelta [[buffer(14)]],
    device float* dA_partial [[buffer(15)]],
    device KEPT* dB_partial [[buffer(16)]],
    device KEPT* dC_partial [[buffer(17)]],
    device float* dD_partial [[buffer(18)]],
    device ELEMENT* dz [[buffer(19)]],
    device float* dbias_partial [[buffer(20)]],
    device float* dh [[buffer(21)]],
    constant long* sizes [[buffer(22)]],
    constant long* strides [[buffer(23)]],
    uint3 threadgroup_index [[threadgroup_position_in_grid]],
    uint3 thread_index [[thread_position_in_threadgroup]])
{
    alignas(16) threadgroup float tile_B[SWAPPED_COPIES * STEPS * STATE_PITCH];
    alignas(16) threadgroup float tile_C[SWAPPED_COPIES * STEPS * STATE_PITCH];
    alignas(16) threadgroup float tile_delta[CHANNELS * STEP_PITCH];  // delta', then the sum over states of g h A
    alignas(16) threadgroup float tile_input[CHANNELS * STEP_PITCH];  // delta' x, then the sum over states of g B
    alignas(16) threadgroup float tile_e[CHANNELS * STEP_PITCH];      // e, then C . h
    threadgroup float tile_gradients[SIMDGROUPS * STEPS * GRADIENT_PITCH];

    const uint lane = thread_index.x % 32;
    const uint simdgroup = thread_index.x / 32;
    const uint row = lane / LANES;
    const uint part = lane % LANES;
    const uint tile_row = (simdgroup * ROWS + row) * STEP_PITCH;
    const uint swapped = SWAPPED_COPIES > 1 ? SWAP(row) : 0;  // this lane's j-th state is part * HELD + (j ^ swapped)
    const uint tile_state = (swapped > 0 ? STEPS * STATE_PITCH : 0) + part * HELD;
    const uint read_step = lane % STEPS;
    const uint read_row = lane / STEPS;
    const uint state_step = thread_index.x % STEPS;
    const uint state_row = thread_index.x / STEPS;

    const uint rows = (uint)CHANNELS_OF_GROUP;
    const uint length = (uint)LENGTH;
    const uint group = threadgroup_index.x / (uint)PARTIALS;
    const uint partial = threadgroup_index.x % (uint)PARTIALS;
    const long channels = GROUPS * CHANNELS_OF_GROUP;
    const long batch = threadgroup_index.z;
    const uint begin = threadgroup_index.y * (uint)CHUNK_STEPS;
    const uint end = min(begin + (uint)CHUNK_STEPS, length);
    const long chunk_index = batch * CHUNKS + threadgroup_index.y;
    // Turns of a threadgroup: of each interval, the tiles but the last forwards, then all tiles backwards.
    const uint turns_of_interval = 2 * TILES_OF_INTERVAL - 1;
    const uint intervals = (end - begin + INTERVAL - 1) / INTERVAL;
    const uint turns = intervals * turns_of_interval;

    const long first_channel = group * CHANNELS_OF_GROUP;  // of the group
    const long out_at = (batch * channels + first_channel) * LENGTH;
    x += batch * X_BATCH + first_channel * X_CHANNEL;
    delta += batch * DELTA_BATCH + first_channel * DELTA_CHANNEL;
    z += batch * Z_BATCH + first_channel * Z_CHANNEL;
    dy += batch * DY_BATCH + first_channel * DY_CHANNEL;
    dx += out_at;
    ddelta += out_at;
    dz += out_at;
    checkpoints += (batch * CHECKPOINTS * channels + first_channel) * STATES;
    B += batch * B_BATCH + group * B_GROUP;
    C += batch * C_BATCH + group * C_GROUP;
    const long states_partial = ((partial * BATCH + batch) * GROUPS + group) * STATES;
    dB_partial += states_partial * LENGTH;
    dC_partial += states_partial * LENGTH;

    for (uint block = partial; block * CHANNELS < rows; block += (uint)PARTIALS) {
        const uint first_row = block * CHANNELS + simdgroup * ROWS;
        const bool present = first_row + row < rows;
        const long channel = first_channel + first_row + row;

        float rate[HELD];  // A log2(e)
        float dA[HELD];
        float g[HELD];  // exp(delta'(t) A) g(t) of the step after
#pragma unroll
        for (uint j = 0; j < HELD; j++) {
            uint n = part * HELD + (j ^ swapped);
            bool real = present && n < STATES;
            rate[j] = real ? A[channel * STATES + n] * LOG2_E : 0.0f;
            g[j] = HAS_DH && real ? dh_last[(batch * channels + channel) * STATES + n] : 0.0f;
            dA[j] = 0.0f;
        }
#pragma unroll 8
        for (uint chunk = (uint)CHUNKS - 1; chunk > threadgroup_index.y; chunk--) {
            long at = (batch * CHUNKS + chunk) * channels + channel;
            float total = present ? totals[at] : 0.0f;
#pragma unroll
            for (uint j = 0; j < HELD; j++) {
                uint n = part * HELD + (j ^ swapped);
                float end_of_chunk = present && n < STATES ? ends[at * STATES + n] : 0.0f;
                g[j] = fma(fast::exp2(rate[j] * total), g[j], end_of_chunk);
            }
        }
        uint read_channel[SHARE];
        float skip[SHARE];
        float shift[SHARE];
        float dD[SHARE];
        float dbias[SHARE];
        for (uint i = 0; i < SHARE; i++) {
            read_channel[i] = min(first_row + read_row + i * (32 / STEPS), rows - 1);
            skip[i] = HAS_D ? D[first_channel + read_channel[i]] : 0.0f;
            shift[i] = HAS_BIAS ? bias[first_channel + read_channel[i]] : 0.0f;
            dD[i] = 0.0f;
            dbias[i] = 0.0f;
        }

        float next_x[SHARE];
        float next_delta[SHARE];
        float next_dy[SHARE] = {};
        float next_z[SHARE] = {};
        float next_B[STATE_SHARE];
        float next_C[STATE_SHARE] = {};
        float h[HELD];
        float starts[TILES_OF_INTERVAL * HELD];  // the state before each tile of the interval
        uint start = begin;
        uint tile = 0;
        bool forwards = false;
        for (uint turn = 0; turn <= turns; turn++) {
            // What was read in the turn before becomes this turn's tile.
            const uint this_start = start;
            const uint this_tile = tile;
            const bool this_forwards = forwards;
            const bool within = this_start + read_step < end;
            float this_x[SHARE];
            float this_delta[SHARE];
            float this_step[SHARE];
            float this_e[SHARE];
            float this_dy[SHARE];
            float this_z[SHARE];
            threadgroup_barrier(mem_flags::mem_threadgroup);
            if (turn > 0) {
#pragma unroll
                for (uint i = 0; i < SHARE; i++) {
                    uint r = read_row + i * (32 / STEPS);
                    bool real = within && r < ROWS && first_row + r < rows;
                    this_x[i] = next_x[i];
                    this_delta[i] = next_delta[i];
                    this_dy[i] = next_dy[i];
                    this_z[i] = next_z[i];
                    this_step[i] = step_length(next_delta[i], shift[i]);
                    this_step[i] = real ? this_step[i] : 0.0f;
                    this_e[i] = real ? next_dy[i] : 0.0f;
                    this_e[i] = HAS_Z ? this_e[i] * next_z[i] * sigmoid(next_z[i]) : this_e[i];
                    if (r < ROWS) {
                        uint at = (simdgroup * ROWS + r) * STEP_PITCH + read_step;
                        tile_delta[at] = this_step[i];
                        tile_input[at] = this_step[i] * next_x[i];
                        tile_e[at] = this_e[i];
                    }
                }
#pragma unroll
                for (uint i = 0; i < STATE_SHARE; i++) {
                    uint n = state_row + i * (THREADS / STEPS);
                    if (n < PADDED) {
                        uint at = state_step * STATE_PITCH;
                        tile_B[at + n] = next_B[i];
                        tile_C[at + n] = next_C[i];
                        if (SWAPPED_COPIES > 1) {
                            at += STEPS * STATE_PITCH;
                            tile_B[at + (n ^ (HELD / 2))] = next_B[i];
                            tile_C[at + (n ^ (HELD / 2))] = next_C[i];
                        }
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
                const uint t = min(start + read_step, end - 1);
#pragma unroll
                for (uint i = 0; i < SHARE; i++) {
                    next_x[i] = float(x[read_channel[i] * (uint)X_CHANNEL + t]);
                    next_delta[i] = float(delta[read_channel[i] * (uint)DELTA_CHANNEL + t]);
                    if (!forwards) {
                        next_dy[i] = float(dy[read_channel[i] * (uint)DY_CHANNEL + t]);
                        next_z[i] = HAS_Z ? float(z[read_channel[i] * (uint)Z_CHANNEL + t]) : 0.0f;
                    }
                }
                const uint state_t = min(start + state_step, end - 1);
#pragma unroll
                for (uint i = 0; i < STATE_SHARE; i++) {
                    uint n = state_row + i * (THREADS / STEPS);
                    uint clamped = min(n, (uint)STATES - 1);
                    next_B[i] = n < STATES ? float(B[clamped * (uint)B_STATE + state_t]) : 0.0f;
                    if (!forwards) {
                        next_C[i] = n < STATES ? float(C[clamped * (uint)C_STATE + state_t]) : 0.0f;
                    }
                }
            }
            if (turn == 0) {
                continue;
            }

            // The state before this tile: stored by the forward pass, or left by an earlier turn. Constant places in
            // `starts`, whatever the tile, let it stay in registers.
            if (this_tile == 0) {
                device const KEPT* stored = checkpoints + this_start / INTERVAL * channels * STATES;
#pragma unroll
                for (uint j = 0; j < HELD; j++) {
                    uint n = part * HELD + (j ^ swapped);
                    h[j] = present && n < STATES ? float(stored[(first_row + row) * STATES + n]) : 0.0f;
                }
            }
#pragma unroll
            for (uint at = 1; at < TILES_OF_INTERVAL; at++) {
#pragma unroll
                for (uint j = 0; j < HELD; j++) {
                    h[j] = this_tile == at && !this_forwards ? starts[at * HELD + j] : h[j];
                }
            }
            if (this_forwards) {
#pragma unroll
                for (uint s = 0; s < STEPS; s++) {
                    float step = tile_delta[tile_row + s];
                    float input = tile_input[tile_row + s];
#pragma unroll
                    for (uint j = 0; j < HELD; j++) {
                        float decay = fast::exp2(step * rate[j]);
                        h[j] = fma(decay, h[j], input * tile_B[tile_state + s * STATE_PITCH + j]);
                    }
                }
#pragma unroll
                for (uint at = 1; at < TILES_OF_INTERVAL; at++) {
#pragma unroll
                    for (uint j = 0; j < HELD; j++) {
                        starts[at * HELD + j] = this_tile + 1 == at ? h[j] : starts[at * HELD + j];
                    }
                }
                continue;
            }

            float states[(STEPS + 1) * HELD];  // before the tile and after each step
            float outputs[STEPS];              // a lane's share of C . h
#pragma unroll
            for (uint j = 0; j < HELD; j++) {
                states[j] = h[j];
            }
#pragma unroll
            for (uint s = 0; s < STEPS; s++) {
                float step = tile_delta[tile_row + s];
                float input = tile_input[tile_row + s];
                outputs[s] = 0.0f;
#pragma unroll
                for (uint j = 0; j < HELD; j++) {
                    uint at = tile_state + s * STATE_PITCH + j;
                    uint to = (s + 1) * HELD + j;
                    states[to] = fma(fast::exp2(step * rate[j]), states[to - HELD], input * tile_B[at]);
                    outputs[s] = HAS_Z ? fma(states[to], tile_C[at], outputs[s]) : 0.0f;
                }
            }

#pragma unroll
            for (uint quarter = 0; quarter < STEPS / 4; quarter++) {
                const uint first = STEPS - 4 - 4 * quarter;
                float step[4];
                float input[4];
                float e[4];
                float sums_rate[4];
                float sums_input[4];
#pragma unroll
                for (uint k = 0; k < 4; k++) {
                    step[k] = tile_delta[tile_row + first + k];
                    input[k] = tile_input[tile_row + first + k];
                    e[k] = tile_e[tile_row + first + k];
                    sums_rate[k] = 0.0f;
                    sums_input[k] = 0.0f;
                }
#pragma unroll
                for (uint back = 0; back < 4; back++) {
                    const uint k = 3 - back;
                    const uint s = first + k;
                    float gradients[2 * HELD];  // of B, then of C
#pragma unroll
                    for (uint j = 0; j < HELD; j++) {
                        uint at = tile_state + s * STATE_PITCH + j;
                        float now = fma(e[k], tile_C[at], g[j]);
                        gradients[j] = now * input[k];
                        gradients[HELD + j] = e[k] * states[(s + 1) * HELD + j];
                        sums_input[k] = fma(now, tile_B[at], sums_input[k]);
                        g[j] = now * fast::exp2(step[k] * rate[j]);
                        float turned = g[j] * states[s * HELD + j];  // the gradient of delta' A
                        dA[j] = fma(step[k], turned, dA[j]);
                        sums_rate[k] = fma(rate[j], turned, sums_rate[k]);
                    }
                    sum_over_channels(gradients, row);
                    if (row < GRADIENT_ROWS) {
#pragma unroll
                        for (uint i = 0; i < GRADIENTS_HELD; i++) {
                            uint slot = gradient_slot(row, i);
                            uint column = (slot / HELD) * PADDED + part * HELD + slot % HELD;
                            tile_gradients[(simdgroup * STEPS + s) * GRADIENT_PITCH + column] = gradients[i];
                        }
                    }
                }
                float sum_rate = sum_over_states(sums_rate[0], sums_rate[1], sums_rate[2], sums_rate[3], part);
                float sum_input = sum_over_states(sums_input[0], sums_input[1], sums_input[2], sums_input[3], part);
                float output = 0.0f;
                if (HAS_Z) {
                    output = sum_over_states(
                        outputs[first], outputs[first + 1], outputs[first + 2], outputs[first + 3], part);
                }
                simdgroup_barrier(mem_flags::mem_threadgroup);  // all lanes have read these steps of the tile
                if (part < 4) {
                    uint at = tile_row + first + part;
                    tile_delta[at] = sum_rate;
                    tile_input[at] = sum_input;
                    if (HAS_Z) {
                        tile_e[at] = output;
                    }
                }
            }
            threadgroup_barrier(mem_flags::mem_threadgroup);

#pragma unroll
            for (uint i = 0; i < 2 * STATE_SHARE; i++) {
                const uint column = state_row + i * (THREADS / STEPS);
                const uint n = column % PADDED;
                if (column < 2 * PADDED && n < STATES && this_start + state_step < end) {
                    float sum = 0.0f;
#pragma unroll
                    for (uint w = 0; w < SIMDGROUPS; w++) {
                        sum += tile_gradients[(w * STEPS + state_step) * GRADIENT_PITCH + column];
                    }
                    device KEPT* total = column < PADDED ? dB_partial : dC_partial;
                    total += n * length + this_start + state_step;
                    *total = KEPT(block == partial ? sum : float(*total) + sum);
                }
            }
#pragma unroll
            for (uint i = 0; i < SHARE; i++) {
                uint r = read_row + i * (32 / STEPS);
                if (within && r < ROWS && first_row + r < rows) {
                    uint at = (simdgroup * ROWS + r) * STEP_PITCH + read_step;
                    uint to = read_channel[i] * length + this_start + read_step;
                    float slope = SOFTPLUS ? sigmoid(this_delta[i] + shift[i]) : 1.0f;
                    float d_step = fma(LN_2, tile_delta[at], this_x[i] * tile_input[at]) * slope;
                    ddelta[to] = ELEMENT(d_step);
                    dx[to] = ELEMENT(fma(this_step[i], tile_input[at], skip[i] * this_e[i]));
                    dbias[i] += d_step;
                    dD[i] = fma(this_e[i], this_x[i], dD[i]);
                    if (HAS_Z) {
                        float gate = sigmoid(this_z[i]);
                        float gate_slope = gate * fma(this_z[i], 1.0f - gate, 1.0f);
                        float output = fma(skip[i], this_x[i], tile_e[at]);
                        dz[to] = ELEMENT(this_dy[i] * output * gate_slope);
                    }
                }
            }
        }

        if (present) {
            for (uint j = 0; j < HELD; j++) {
                uint n = part * HELD + (j ^ swapped);
                if (n < STATES) {
                    dA_partial[(chunk_index * channels + channel) * STATES + n] = dA[j];
                    if (HAS_H && threadgroup_index.y == 0) {
                        dh[(batch * channels + channel) * STATES + n] = g[j];
                    }
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
                const long at = chunk_index * channels + first_channel + first_row + r;
                if (HAS_D) {
                    dD_partial[at] = dD[i];
                }
                if (HAS_BIAS) {
                    dbias_partial[at] = dbias[i];
                }
            }
        }
    }
}

// Adds up what selective_scan_backward left in parts: over PARTIALS for dB and dC, over batch and chunks for the rest.
// Grid: one thread for each element of the largest of dB and dA, in groups of THREADS.
[[max_total_threads_per_threadgroup(THREADS)]]
kernel void selective_scan_sums(
    device const float* dA_partial [[buffer(0)]],
    device const KEPT* dB_partial [[buffer(1)]],
    device const KEPT* dC_partial [[buffer(2)]],
    device const float* dD_partial [[buffer(3)]],
    device const float* dbias_partial [[buffer(4)]],
    device float* dA [[buffer(5)]],
    device ELEMENT* dB [[buffer(6)]],
    device ELEMENT* dC [[buffer(7)]],
    device float* dD [[buffer(8)]],
    device float* dbias [[buffer(9)]],
    constant long* sizes [[buffer(10)]],
    uint3 threadgroup_index [[threadgroup_position_in_grid]],
    uint3 thread_index [[thread_position_in_threadgroup]])
{
    const long at = (long)threadgroup_index.x * THREADS + thread_index.x;
    const long channels = GROUPS * CHANNELS_OF_GROUP;
    const long over_time = BATCH * GROUPS * STATES * LENGTH;
    if (at < over_time) {
        float sum_B = 0.0f;
        float sum_C = 0.0f;
        for (long i = at; i < PARTIALS * over_time; i += over_time) {
            sum_B += float(dB_partial[i]);
            sum_C += float(dC_partial[i]);
        }
        dB[at] = ELEMENT(sum_B);
        dC[at] = ELEMENT(sum_C);
    }
    if (at < channels * STATES) {
        float sum = 0.0f;
        for (long i = 0; i < BATCH * CHUNKS; i++) {
            sum += dA_partial[i * channels * STATES + at];
        }
        dA[at] = sum;
    }
    if (at < channels) {
        float sum_D = 0.0f;
        float sum_bias = 0.0f;
        for (long i = 0; i < BATCH * CHUNKS; i++) {
            sum_D += HAS_D ? dD_partial[i * channels + at] : 0.0f;
            sum_bias += HAS_BIAS ? dbias_partial[i * channels + at] : 0.0f;
        }
        if (HAS_D) {
            dD[at] = sum_D;
        }
        if (HAS_BIAS) {
            dbias[at] = sum_bias;
        }
    }
}
