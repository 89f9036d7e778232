// The forward pass of the selective scan with time across the lanes of a SIMD group (selective_scan.metal has it inside of
// a thread): for few channels, which would leave a GPU idle there.
//
// Mapping. A channel belongs to a SIMD group, each lane of which has STEPS successive steps of a tile in registers. State
// by state a lane runs through its steps from zero, the SIMD group combines what its lanes found by a prefix sum (of pairs
// of decay and state), and each lane runs through its steps again from its true first state, with the decays that it still
// has. So there is one exponential a step and state, no second pass, and no wait for another SIMD group. TOGETHER states
// are worked on at a time, so that one need not wait for another's lanes. B and C are read as they are needed, 16 bytes at
// a time, from the cache that SIMD groups of other channels have filled.
//
// Defined by the launch, beside what selective_scan.metal has:
//   ELEMENT     half or bfloat, and ELEMENT_IS_BFLOAT
//   STEPS       steps of a lane: a multiple of 8 that divides INTERVAL; 32 * STEPS is a multiple of INTERVAL
//   TOGETHER    divides STATES
// x, delta, B, C and z begin at 16 bytes, and so do all their rows; LENGTH is a multiple of STEPS.
//
// Functions used beside those of selective_scan.metal: as_type, simd_shuffle, simd_shuffle_up.

#define THREADS (32 * SIMDGROUPS)
#define KEPT_STATES ((STATES + 31) / 32)  // whose rates and values a lane keeps
#define TILE (32 * STEPS)
#define VECTOR 8                          // elements of 16 bytes
#define VECTORS (STEPS / VECTOR)

// Element `i` of 16 bytes, which the compiler knows.
inline float element(uint4 from, uint i) {
    uint both = i < 2 ? from.x : i < 4 ? from.y : i < 6 ? from.z : from.w;
#if ELEMENT_IS_BFLOAT
    return as_type<float>(i % 2 == 0 ? both << 16 : both & 0xffff0000u);
#else
    return float(as_type<half>((ushort)(i % 2 == 0 ? both & 0xffffu : both >> 16)));
#endif
}

inline uint packed(float low, float high) {
    return (uint)as_type<ushort>(ELEMENT(low)) | ((uint)as_type<ushort>(ELEMENT(high)) << 16);
}

// Grid: (groups * blocks of a group, 1, batch), blocks of SIMDGROUPS channels.
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
    const uint lane = thread_index.x % 32;
    const uint rows = (uint)CHANNELS_OF_GROUP;
    const uint blocks = (rows + SIMDGROUPS - 1) / SIMDGROUPS;
    const uint group = threadgroup_index.x / blocks;
    const uint row = (threadgroup_index.x % blocks) * SIMDGROUPS + thread_index.x / 32;
    const bool present = row < rows;
    const long channels = GROUPS * CHANNELS_OF_GROUP;
    const long channel = group * CHANNELS_OF_GROUP + min(row, rows - 1);
    const long batch = threadgroup_index.z;
    const uint length = (uint)LENGTH;

    x += batch * X_BATCH + channel * X_CHANNEL;
    delta += batch * DELTA_BATCH + channel * DELTA_CHANNEL;
    z += batch * Z_BATCH + channel * Z_CHANNEL;
    y += (batch * channels + channel) * LENGTH;
    B += batch * B_BATCH + group * B_GROUP;
    C += batch * C_BATCH + group * C_GROUP;
    checkpoints += (batch * CHECKPOINTS * channels + channel) * STATES;
    h_last += (batch * channels + channel) * STATES;
    const float skip = HAS_D ? D[channel] : 0.0f;
    const float shift = HAS_BIAS ? bias[channel] : 0.0f;

    // A lane keeps what belongs to states lane, lane + 32, ...
    float rates[KEPT_STATES];  // A log2(e)
    float states[KEPT_STATES];
#pragma unroll
    for (uint i = 0; i < KEPT_STATES; i++) {
        const uint n = min(lane + i * 32, (uint)STATES - 1);
        rates[i] = A[channel * STATES + n] * LOG2_E;
        states[i] = HAS_H ? h_first[(batch * channels + channel) * STATES + n] : 0.0f;
    }

    // Loads are under way long before what they bring is needed: x and delta of a tile while the one before it is worked
    // on, B and C of states as soon as those of the ones before are used up. Lanes past the end read the last steps
    // instead; with steps of length zero that is harmless.
    const uint last = length - STEPS;
    uint read = min(lane * (uint)STEPS, last);
    uint4 next_x[VECTORS];
    uint4 next_delta[VECTORS];
    uint4 this_B[TOGETHER * VECTORS];
    uint4 this_C[TOGETHER * VECTORS];
#pragma unroll
    for (uint i = 0; i < VECTORS; i++) {
        next_x[i] = ((device const uint4*)(x + read))[i];
        next_delta[i] = ((device const uint4*)(delta + read))[i];
    }
#pragma unroll
    for (uint i = 0; i < TOGETHER * VECTORS; i++) {
        this_B[i] = ((device const uint4*)(B + i / VECTORS * B_STATE + read))[i % VECTORS];
        this_C[i] = ((device const uint4*)(C + i / VECTORS * C_STATE + read))[i % VECTORS];
    }

    for (uint start = 0; start < length; start += TILE) {
        const uint first = start + lane * STEPS;
        const bool within = first < length;
        float step[STEPS];
        float input[STEPS];
        float output[STEPS];
        float this_x[STEPS];
        float duration = 0.0f;
#pragma unroll
        for (uint s = 0; s < STEPS; s++) {
            this_x[s] = element(next_x[s / VECTOR], s % VECTOR);
            float value = step_length(element(next_delta[s / VECTOR], s % VECTOR), shift);
            step[s] = within ? value : 0.0f;
            input[s] = step[s] * this_x[s];
            output[s] = 0.0f;
            duration += step[s];
        }
        device const ELEMENT* row_B = B + read;
        device const ELEMENT* row_C = C + read;
        read = min(first + TILE, last);
#pragma unroll
        for (uint i = 0; i < VECTORS; i++) {
            next_x[i] = ((device const uint4*)(x + read))[i];
            next_delta[i] = ((device const uint4*)(delta + read))[i];
        }
        const bool stores = first % INTERVAL == 0 && within && present;
        device KEPT* stored = checkpoints + first / INTERVAL * channels * STATES;

        for (uint n = 0; n < STATES; n += TOGETHER) {
            float decay[TOGETHER * STEPS];
            float added[TOGETHER * STEPS];
            float state[TOGETHER];
            float sum[TOGETHER];    // the state after the lane's steps, from zero; then from the first state
            float total[TOGETHER];  // the decay over the lane's steps, then over those of lanes before it too
#pragma unroll
            for (uint m = 0; m < TOGETHER; m++) {
                float rate = simd_shuffle(rates[0], (n + m) % 32);
                state[m] = simd_shuffle(states[0], (n + m) % 32);
#pragma unroll
                for (uint i = 1; i < KEPT_STATES; i++) {
                    float other_rate = simd_shuffle(rates[i], (n + m) % 32);
                    float other_state = simd_shuffle(states[i], (n + m) % 32);
                    rate = (n + m) / 32 == i ? other_rate : rate;
                    state[m] = (n + m) / 32 == i ? other_state : state[m];
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
                sum[m] = lane == 0 ? fma(total[m], state[m], sum[m]) : sum[m];
            }
            row_B = n + TOGETHER < STATES ? row_B + TOGETHER * B_STATE : B + read;
#pragma unroll
            for (uint i = 0; i < TOGETHER * VECTORS; i++) {
                this_B[i] = ((device const uint4*)(row_B + i / VECTORS * B_STATE))[i % VECTORS];
            }
#pragma unroll
            for (uint distance = 1; distance < 32; distance *= 2) {
                const bool reached = lane >= distance;
#pragma unroll
                for (uint m = 0; m < TOGETHER; m++) {
                    float before = simd_shuffle_up(sum[m], distance);
                    sum[m] = reached ? fma(total[m], before, sum[m]) : sum[m];
                    if (distance < 16) {
                        float longer = simd_shuffle_up(total[m], distance);
                        total[m] = reached ? total[m] * longer : total[m];
                    }
                }
            }
#pragma unroll
            for (uint m = 0; m < TOGETHER; m++) {
                float h = simd_shuffle_up(sum[m], 1);
                h = lane == 0 ? state[m] : h;
                float last_state = simd_shuffle(sum[m], 31);
#pragma unroll
                for (uint i = 0; i < KEPT_STATES; i++) {
                    states[i] = lane + i * 32 == n + m ? last_state : states[i];
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
            row_C = n + TOGETHER < STATES ? row_C + TOGETHER * C_STATE : C + read;
#pragma unroll
            for (uint i = 0; i < TOGETHER * VECTORS; i++) {
                this_C[i] = ((device const uint4*)(row_C + i / VECTORS * C_STATE))[i % VECTORS];
            }
        }

#pragma unroll
        for (uint i = 0; i < VECTORS; i++) {
            uint4 gates;
            if (HAS_Z) {
                gates = ((device const uint4*)(z + min(first, last)))[i];
            }
            float value[VECTOR];
#pragma unroll
            for (uint j = 0; j < VECTOR; j++) {
                value[j] = fma(skip, this_x[i * VECTOR + j], output[i * VECTOR + j]);
                if (HAS_Z) {
                    float gate = element(gates, j);
                    value[j] *= gate * sigmoid(gate);
                }
            }
            if (within && present) {
                ((device uint4*)(y + first))[i] = uint4{
                    packed(value[0], value[1]), packed(value[2], value[3]),
                    packed(value[4], value[5]), packed(value[6], value[7])};
            }
        }
    }

    if (present) {
#pragma unroll
        for (uint i = 0; i < KEPT_STATES; i++) {
            const uint n = lane + i * 32;
            if (n < STATES) {
                h_last[n] = states[i];
            }
        }
    }
}
