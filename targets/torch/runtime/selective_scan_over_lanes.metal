// The forward pass of the selective scan with time across the lanes of a SIMD group (selective_scan.metal has it inside of
// a thread): for few channels, which would leave a GPU idle there.
//
// Mapping. TIME_LANES neighbouring lanes share a channel, each of which has STEPS successive steps of a tile in registers.
// State by state a lane runs through its steps from zero, the SIMD group combines what its lanes found by a prefix sum
// (an associative one: decay and state), and each lane runs through its steps again from its true first state, with the
// decays that it still has. So there is one exponential a step and state, no second pass, and no wait for another SIMD
// group. SPLIT SIMD groups share the states of a channel: each works out delta' and delta' x of a part of the steps, and
// adds up that part of y. B and C are read as they are needed, 16 bytes at a time, from the cache that SIMD groups of
// other channels have filled.
//
// Defined by the launch, beside what selective_scan.metal has:
//   TIME_LANES  lanes that share a channel: 8, 16 or 32
//   STEPS       steps of a lane: a multiple of SPLIT times the elements of 16 bytes; divides INTERVAL
//   SPLIT       SIMD groups that share the states of a channel; divides SIMDGROUPS and STATES
//   TOGETHER    states that are worked on together, so that one need not wait for another's lanes; divides STATES / SPLIT
// TIME_LANES * STEPS is a multiple of INTERVAL, LENGTH one of STEPS. x, delta, B, C and z begin at 16 bytes, and so do all
// their rows.

#define THREADS (32 * SIMDGROUPS)
#define ROWS (32 / TIME_LANES)                 // channels of a SIMD group
#define CHANNELS (ROWS * SIMDGROUPS / SPLIT)   // channels of a threadgroup
#define HELD (STATES / SPLIT)                  // states of a SIMD group
#define KEPT_STATES ((HELD + TIME_LANES - 1) / TIME_LANES)  // of a channel, whose rate and state one lane keeps
#define TILE (TIME_LANES * STEPS)
#define VECTOR (16 / ELEMENT_BYTES)            // elements of 16 bytes
#define VECTORS (STEPS / VECTOR)
#define SHARE (STEPS / SPLIT)                  // steps of a lane that one of the SPLIT SIMD groups prepares
#define SHARE_VECTORS (SHARE / VECTOR)
#define PLACE(step) ((step) / 4 * 128 + (step) % 4)  // of a step of the first lane in the memory that a team shares

// Of 16 bytes, word `i`, which the compiler knows.
inline uint word(uint4 from, uint i) {
    return i == 0 ? from.x : i == 1 ? from.y : i == 2 ? from.z : from.w;
}

// And element `i`.
inline float element(uint4 from, uint i) {
#if ELEMENT_BYTES == 4
    return as_type<float>(word(from, i));
#elif ELEMENT_IS_BFLOAT
    uint both = word(from, i / 2);
    return as_type<float>(i % 2 == 0 ? both << 16 : both & 0xffff0000u);
#else
    uint both = word(from, i / 2);
    return float(as_type<half>((ushort)(i % 2 == 0 ? both & 0xffffu : both >> 16)));
#endif
}

// Word `i` of elements that follow each other.
inline uint packed(thread const float* values, uint i) {
#if ELEMENT_BYTES == 4
    return as_type<uint>(values[i]);
#else
    uint low = as_type<ushort>(ELEMENT(values[2 * i]));
    uint high = as_type<ushort>(ELEMENT(values[2 * i + 1]));
    return low | (high << 16);
#endif
}

// Grid: (groups * blocks of a group, 1, batch).
[[max_total_threads_per_threadgroup(THREADS)]]
kernel void selective_scan_forward_over_lanes(
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
    device KEPT* checkpoints [[buffer(11)]],
    constant long* sizes [[buffer(12)]],
    constant long* strides [[buffer(13)]],
    uint3 threadgroup_index [[threadgroup_position_in_grid]],
    uint3 thread_index [[thread_position_in_threadgroup]])
{
#if SPLIT > 1
    // Four steps of each lane side by side: reads and writes of 16 bytes, no two of which meet in a bank.
    alignas(16) threadgroup float shared_step[SIMDGROUPS / SPLIT * STEPS * 32];
    alignas(16) threadgroup float shared_input[SIMDGROUPS / SPLIT * STEPS * 32];
    alignas(16) threadgroup float shared_y[SIMDGROUPS * STEPS * 32];
#endif
    const uint lane = thread_index.x % 32;
    const uint simdgroup = thread_index.x / 32;
    const uint row = lane / TIME_LANES;
    const uint part = lane % TIME_LANES;
    const uint team = simdgroup / SPLIT;   // SIMD groups that share channels
    const uint member = simdgroup % SPLIT;
    const uint own = member * SHARE;       // the first of the steps that this SIMD group prepares

    const uint rows = (uint)CHANNELS_OF_GROUP;
    const uint blocks = (rows + CHANNELS - 1) / CHANNELS;
    const uint group = threadgroup_index.x / blocks;
    const uint this_row = (threadgroup_index.x % blocks) * CHANNELS + team * ROWS + row;
    const bool present = this_row < rows;
    const long channels = GROUPS * CHANNELS_OF_GROUP;
    const long channel = group * CHANNELS_OF_GROUP + min(this_row, rows - 1);
    const long batch = threadgroup_index.z;
    const uint length = (uint)LENGTH;

    x += batch * X_BATCH + channel * X_CHANNEL;
    delta += batch * DELTA_BATCH + channel * DELTA_CHANNEL;
    z += batch * Z_BATCH + channel * Z_CHANNEL;
    y += (batch * channels + channel) * LENGTH;
    B += batch * B_BATCH + group * B_GROUP + member * HELD * B_STATE;
    C += batch * C_BATCH + group * C_GROUP + member * HELD * C_STATE;
    checkpoints += (batch * CHECKPOINTS * channels + channel) * STATES + member * HELD;
    const float skip = HAS_D ? D[channel] : 0.0f;
    const float shift = HAS_BIAS ? bias[channel] : 0.0f;

    // Lane `part` keeps what belongs to states part, part + TIME_LANES, ...
    float rates[KEPT_STATES];  // A log2(e)
    float states[KEPT_STATES];
#pragma unroll
    for (uint i = 0; i < KEPT_STATES; i++) {
        const uint n = min(part + i * TIME_LANES, (uint)HELD - 1) + member * HELD;
        rates[i] = A[channel * STATES + n] * LOG2_E;
        states[i] = HAS_H ? h_first[(batch * channels + channel) * STATES + n] : 0.0f;
    }

    // Loads are under way long before what they bring is needed: x and delta of a tile while the one before it is worked
    // on, B and C of a state as soon as those of the one before it are used up. Lanes past the end read the last steps
    // instead; with steps of length zero that is harmless.
    const uint last = length - STEPS;
    uint read = min(part * (uint)STEPS, last);
    uint4 next_x[SHARE_VECTORS];
    uint4 next_delta[SHARE_VECTORS];
    uint4 this_B[TOGETHER * VECTORS];
    uint4 this_C[TOGETHER * VECTORS];
#pragma unroll
    for (uint i = 0; i < SHARE_VECTORS; i++) {
        next_x[i] = ((device const uint4*)(x + read + own))[i];
        next_delta[i] = ((device const uint4*)(delta + read + own))[i];
    }
#pragma unroll
    for (uint i = 0; i < TOGETHER * VECTORS; i++) {
        this_B[i] = ((device const uint4*)(B + i / VECTORS * B_STATE + read))[i % VECTORS];
        this_C[i] = ((device const uint4*)(C + i / VECTORS * C_STATE + read))[i % VECTORS];
    }

    for (uint start = 0; start < length; start += TILE) {
        const uint first = start + part * STEPS;
        const bool within = first < length;
        float step[STEPS];
        float input[STEPS];
        float output[STEPS];
        float own_x[SHARE];
#pragma unroll
        for (uint s = 0; s < SHARE; s++) {
            own_x[s] = element(next_x[s / VECTOR], s % VECTOR);
            float value = step_length(element(next_delta[s / VECTOR], s % VECTOR), shift);
            step[s] = within ? value : 0.0f;
            input[s] = step[s] * own_x[s];
        }
        device const ELEMENT* row_B = B + read;
        device const ELEMENT* row_C = C + read;
        read = min(first + TILE, last);
#pragma unroll
        for (uint i = 0; i < SHARE_VECTORS; i++) {
            next_x[i] = ((device const uint4*)(x + read + own))[i];
            next_delta[i] = ((device const uint4*)(delta + read + own))[i];
        }
#if SPLIT > 1
        const uint at = team * STEPS * 32 + lane * 4;
#pragma unroll
        for (uint s = 0; s < SHARE; s++) {
            shared_step[at + own * 32 + PLACE(s)] = step[s];
            shared_input[at + own * 32 + PLACE(s)] = input[s];
        }
        threadgroup_barrier(mem_flags::mem_threadgroup);
#pragma unroll
        for (uint s = 0; s < STEPS; s++) {
            step[s] = shared_step[at + PLACE(s)];
            input[s] = shared_input[at + PLACE(s)];
        }
#endif
        float duration = 0.0f;
#pragma unroll
        for (uint s = 0; s < STEPS; s++) {
            output[s] = 0.0f;
            duration += step[s];
        }
        const bool stores = first % INTERVAL == 0 && within && present;
        device KEPT* stored = checkpoints + first / INTERVAL * channels * STATES;

        for (uint n = 0; n < HELD; n += TOGETHER) {
            float decay[TOGETHER * STEPS];
            float added[TOGETHER * STEPS];
            float state[TOGETHER];
            float sum[TOGETHER];    // the state after the lane's steps, from zero; then from the first state
            float total[TOGETHER];  // the decay over the lane's steps, then over those of lanes before it too
#pragma unroll
            for (uint m = 0; m < TOGETHER; m++) {
                const uint keeper = row * TIME_LANES + (n + m) % TIME_LANES;
                float rate = simd_shuffle(rates[0], keeper);
                state[m] = simd_shuffle(states[0], keeper);
#pragma unroll
                for (uint i = 1; i < KEPT_STATES; i++) {
                    float other_rate = simd_shuffle(rates[i], keeper);
                    float other_state = simd_shuffle(states[i], keeper);
                    rate = (n + m) / TIME_LANES == i ? other_rate : rate;
                    state[m] = (n + m) / TIME_LANES == i ? other_state : state[m];
                }
                sum[m] = 0.0f;
#pragma unroll
                for (uint s = 0; s < STEPS; s++) {
                    const uint at = m * STEPS + s;
                    decay[at] = fast::exp2(step[s] * rate);
                    added[at] = input[s] * element(this_B[at / VECTOR], s % VECTOR);
                    sum[m] = fma(decay[at], sum[m], added[at]);
                }
                total[m] = fast::exp2(duration * rate);
                sum[m] = part == 0 ? fma(total[m], state[m], sum[m]) : sum[m];
            }
            row_B = n + TOGETHER < HELD ? row_B + TOGETHER * B_STATE : B + read;
#pragma unroll
            for (uint i = 0; i < TOGETHER * VECTORS; i++) {
                this_B[i] = ((device const uint4*)(row_B + i / VECTORS * B_STATE))[i % VECTORS];
            }
#pragma unroll
            for (uint distance = 1; distance < TIME_LANES; distance *= 2) {
                const bool reached = part >= distance;
#pragma unroll
                for (uint m = 0; m < TOGETHER; m++) {
                    float before = simd_shuffle_up(sum[m], distance);
                    sum[m] = reached ? fma(total[m], before, sum[m]) : sum[m];
                    if (2 * distance < TIME_LANES) {
                        float longer = simd_shuffle_up(total[m], distance);
                        total[m] = reached ? total[m] * longer : total[m];
                    }
                }
            }
#pragma unroll
            for (uint m = 0; m < TOGETHER; m++) {
                float h = simd_shuffle_up(sum[m], 1);
                h = part == 0 ? state[m] : h;
                float last_state = simd_shuffle(sum[m], row * TIME_LANES + TIME_LANES - 1);
#pragma unroll
                for (uint i = 0; i < KEPT_STATES; i++) {
                    states[i] = part + i * TIME_LANES == n + m ? last_state : states[i];
                }
                if (stores) {
                    stored[n + m] = KEPT(h);
                }
#pragma unroll
                for (uint s = 0; s < STEPS; s++) {
                    const uint at = m * STEPS + s;
                    h = fma(decay[at], h, added[at]);
                    output[s] = fma(h, element(this_C[at / VECTOR], s % VECTOR), output[s]);
                }
            }
            row_C = n + TOGETHER < HELD ? row_C + TOGETHER * C_STATE : C + read;
#pragma unroll
            for (uint i = 0; i < TOGETHER * VECTORS; i++) {
                this_C[i] = ((device const uint4*)(row_C + i / VECTORS * C_STATE))[i % VECTORS];
            }
        }

#if SPLIT > 1
#pragma unroll
        for (uint s = 0; s < STEPS; s++) {
            shared_y[simdgroup * STEPS * 32 + lane * 4 + PLACE(s)] = output[s];
        }
        threadgroup_barrier(mem_flags::mem_threadgroup);
#pragma unroll
        for (uint s = 0; s < SHARE; s++) {
            output[s] = 0.0f;
#pragma unroll
            for (uint m = 0; m < SPLIT; m++) {
                output[s] += shared_y[(team * SPLIT + m) * STEPS * 32 + lane * 4 + own * 32 + PLACE(s)];
            }
        }
#endif
#pragma unroll
        for (uint i = 0; i < SHARE_VECTORS; i++) {
            const uint t = first + own + i * VECTOR;
            uint4 gate;
            if (HAS_Z) {
                gate = *(device const uint4*)(z + min(first, last) + own + i * VECTOR);
            }
            float made[VECTOR];
#pragma unroll
            for (uint j = 0; j < VECTOR; j++) {
                float value = fma(skip, own_x[i * VECTOR + j], output[i * VECTOR + j]);
                if (HAS_Z) {
                    float wide = element(gate, j);
                    value *= wide * sigmoid(wide);
                }
                made[j] = value;
            }
            if (within && present) {
                *(device uint4*)(y + t) = uint4{packed(made, 0), packed(made, 1), packed(made, 2), packed(made, 3)};
            }
        }
    }

    if (present) {
#pragma unroll
        for (uint i = 0; i < KEPT_STATES; i++) {
            const uint n = part + i * TIME_LANES;
            if (n < HELD) {
                h_last[(batch * channels + channel) * STATES + member * HELD + n] = states[i];
            }
        }
    }
}
