// The transducer (RNN-T) loss on a GPU: the vocabulary collapsed to blank, label and rest, then the recursion over the
// lattice (Graves 2012, "Sequence transduction with recurrent neural networks", equations 16 to 20).
//
// A cell (t, u) of the lattice: u labels are out after t frames. `columns` counts u from 0 to the longest label
// sequence.
// Given by the launch: ELEMENT, the type of the logits (float, half, bfloat); VOCABULARY_INNERMOST, 1 where the logits
// of a cell lie side by side, 0 where the cells of neighbouring frames do.
#include <metal_stdlib>
using namespace metal;

#ifndef INFINITY // a CUDA compiler without <math.h>
#define INFINITY (1.0f / 0.0f)
#define NAN (0.0f / 0.0f)
#endif

#define LOG2E 1.44269504f
#define LN2 0.69314718f
#define SIMD 32    // threads of a SIMD group on every Apple GPU
#define SIMDS 8    // SIMD groups of a threadgroup that collapses the vocabulary
#define CHUNK 8    // logits that a thread has on their way from memory at once
#define WIDTH 1024 // most columns of the lattice that a threadgroup walks at once
#define AHEAD 8    // anti-diagonals whose log-probabilities are fetched before they are needed; even

// log(exp(a) + exp(b)). A NaN stays one.
inline float log_add(float a, float b) {
    if (a == -INFINITY && b == -INFINITY) {
        return a;
    }
    float apart = a > b ? b - a : a - b;
    return (a > b ? a : b) + LN2 * precise::log2(1.0f + precise::exp2(LOG2E * apart));
}

// alpha(t, u), the log-probability of all ways to a cell, and the loss of each utterance.
// One threadgroup an utterance. Thread `lane` owns a column and is at frame t = d - lane of anti-diagonal d, so the
// column to its left has just left frame t. Wider lattices are walked strip by strip.
kernel void rnnt_alphas(
    device const float* blank [[buffer(0)]],         // (batch, frames, columns)
    device const float* label [[buffer(1)]],         // (batch, frames, columns - 1)
    device const int* frame_lengths [[buffer(2)]],   // (batch)
    device const int* label_lengths [[buffer(3)]],   // (batch)
    device float* alphas [[buffer(4)]],              // (batch, frames, columns)
    device float* loss [[buffer(5)]],                // (batch)
    constant long& frames [[buffer(6)]],
    constant long& columns [[buffer(7)]],
    uint utterance [[threadgroup_position_in_grid]],
    uint position [[thread_position_in_threadgroup]],
    uint threads [[threads_per_threadgroup]])
{
    threadgroup float handed[2][WIDTH]; // alpha + label of the last anti-diagonal and of this one, by lane
    int lane = int(position);
    int width = int(threads);
    int last_frame = frame_lengths[utterance] - 1;
    int last_column = label_lengths[utterance];
    if (last_frame < 0 || last_frame >= frames || last_column < 0 || last_column >= columns) {
        if (lane == 0) {
            loss[utterance] = NAN; // nothing is read back here, so a wrong length shows in the loss
        }
        return;
    }
    device const float* blanks = blank + long(utterance) * frames * columns;
    device const float* labels = label + long(utterance) * frames * (columns - 1);
    device float* reached = alphas + long(utterance) * frames * columns;

    for (int first = 0; first <= last_column; first += width) {
        int u = first + lane;
        int diagonals = last_frame + min(width, last_column + 1 - first);
        float from_above = u == 0 ? 0.0f : -INFINITY; // alpha(t - 1, u) + blank(t - 1, u)
        for (int d = 0; d < diagonals; d += AHEAD) {
            float blank_ahead[AHEAD];
            float label_ahead[AHEAD];
            for (int k = 0; k < AHEAD; ++k) {
                int t = min(max(d + k - lane, 0), last_frame);
                blank_ahead[k] = u <= last_column ? blanks[t * columns + u] : 0.0f;
                label_ahead[k] = u < last_column ? labels[t * (columns - 1) + u] : 0.0f;
            }
            for (int k = 0; k < AHEAD; ++k) {
                int t = d + k - lane;
                if (u <= last_column && t >= 0 && t <= last_frame) {
                    float from_left = -INFINITY; // alpha(t, u - 1) + label(t, u - 1)
                    if (lane > 0) {
                        from_left = handed[(k + 1) & 1][lane - 1];
                    } else if (first > 0) {
                        from_left = reached[t * columns + u - 1] + labels[t * (columns - 1) + u - 1];
                    }
                    float alpha = log_add(from_above, from_left);
                    reached[t * columns + u] = alpha;
                    from_above = alpha + blank_ahead[k];
                    handed[k & 1][lane] = alpha + label_ahead[k];
                }
                threadgroup_barrier(mem_flags::mem_threadgroup);
            }
        }
        if (u == last_column) {
            loss[utterance] = -from_above;
        }
        threadgroup_barrier(mem_flags::mem_device); // the next strip reads this one's last column of alphas
    }
}

// The gradient with respect to blank and label: minus the probability of passing through each step, which is
// exp(alpha + step + beta + loss). beta(t, u), the log-probability of all ways from a cell to the end, is walked as in
// rnnt_alphas, from the last column and the last frame back, and stored nowhere but at the border between two strips.
kernel void rnnt_gradients(
    device const float* dloss [[buffer(0)]],         // (batch)
    device const float* blank [[buffer(1)]],         // (batch, frames, columns)
    device const float* label [[buffer(2)]],         // (batch, frames, columns - 1)
    device const int* frame_lengths [[buffer(3)]],   // (batch)
    device const int* label_lengths [[buffer(4)]],   // (batch)
    device const float* alphas [[buffer(5)]],        // (batch, frames, columns)
    device const float* loss [[buffer(6)]],          // (batch)
    device float* borders [[buffer(7)]],             // (batch, 2, frames), beta between two strips, in turn
    device float* dblank [[buffer(8)]],              // (batch, frames, columns), zero beforehand
    device float* dlabel [[buffer(9)]],              // (batch, frames, columns - 1), zero beforehand
    constant long& frames [[buffer(10)]],
    constant long& columns [[buffer(11)]],
    uint utterance [[threadgroup_position_in_grid]],
    uint position [[thread_position_in_threadgroup]],
    uint threads [[threads_per_threadgroup]])
{
    threadgroup float handed[2][WIDTH]; // beta of the last anti-diagonal and of this one, by lane
    int lane = int(position);
    int width = int(threads);
    int last_frame = frame_lengths[utterance] - 1;
    int last_column = label_lengths[utterance];
    if (last_frame < 0 || last_frame >= frames || last_column < 0 || last_column >= columns) {
        return;
    }
    long cells = long(utterance) * frames * columns;
    long steps = long(utterance) * frames * (columns - 1);
    float scale = -dloss[utterance];
    float total = loss[utterance];

    for (int first = 0; first <= last_column; first += width) {
        int u = last_column - first - lane;
        int diagonals = last_frame + min(width, last_column + 1 - first);
        long side = (first / width) & 1;
        device const float* before = borders + (long(utterance) * 2 + 1 - side) * frames;
        device float* after = borders + (long(utterance) * 2 + side) * frames;
        float below = u == last_column ? 0.0f : -INFINITY; // beta(t + 1, u)
        for (int d = 0; d < diagonals; d += AHEAD) {
            float blank_ahead[AHEAD];
            float label_ahead[AHEAD];
            float alpha_ahead[AHEAD];
            for (int k = 0; k < AHEAD; ++k) {
                long t = last_frame - min(max(d + k - lane, 0), last_frame);
                blank_ahead[k] = u >= 0 ? blank[cells + t * columns + u] : 0.0f;
                alpha_ahead[k] = u >= 0 ? alphas[cells + t * columns + u] : 0.0f;
                label_ahead[k] = u >= 0 && u < last_column ? label[steps + t * (columns - 1) + u] : 0.0f;
            }
            for (int k = 0; k < AHEAD; ++k) {
                long t = last_frame - (d + k - lane);
                if (u >= 0 && t >= 0 && t <= last_frame) {
                    float right = -INFINITY; // beta(t, u + 1)
                    if (lane > 0) {
                        right = handed[(k + 1) & 1][lane - 1];
                    } else if (first > 0) {
                        right = before[t];
                    }
                    float to_below = blank_ahead[k] + below;
                    float to_right = label_ahead[k] + right;
                    float reached = alpha_ahead[k] + total;
                    dblank[cells + t * columns + u] = scale * precise::exp2(LOG2E * (reached + to_below));
                    if (u < last_column) {
                        dlabel[steps + t * (columns - 1) + u] = scale * precise::exp2(LOG2E * (reached + to_right));
                    }
                    below = log_add(to_below, to_right);
                    handed[k & 1][lane] = below;
                    if (lane == width - 1 && u > 0) {
                        after[t] = below;
                    }
                }
                threadgroup_barrier(mem_flags::mem_threadgroup);
            }
        }
        threadgroup_barrier(mem_flags::mem_device); // the next strip reads this one's border
    }
}

// The vocabulary of each cell collapsed: log p(blank), log p(the next label), log p(all the rest), and the logsumexp of
// the logits. Where there is no next label (the last column, a target outside the vocabulary) its log p is -inf.
// With VOCABULARY_INNERMOST a SIMD group shares a cell, a class a lane; otherwise a lane has a cell of its own and the
// SIMD groups share the classes: either way the lanes of a SIMD group read side by side.
#if VOCABULARY_INNERMOST
#define FRAMES_PER_GROUP SIMDS
#define FRAME_IN_GROUP simd
#define FIRST_CLASS int(lane)
#define CLASS_STEP SIMD
#define LOGIT(v) (v)
#else
#define FRAMES_PER_GROUP SIMD
#define FRAME_IN_GROUP lane
#define FIRST_CLASS int(simd)
#define CLASS_STEP SIMDS
#define LOGIT(v) ((v) * strides[3])
#endif

kernel void rnnt_collapse(
    device const ELEMENT* logits [[buffer(0)]],
    device const int* targets [[buffer(1)]],         // (batch, columns - 1)
    device float* blank_out [[buffer(2)]],           // (batch, frames, columns)
    device float* label_out [[buffer(3)]],           // (batch, frames, columns - 1)
    device float* rest_out [[buffer(4)]],            // (batch, frames, columns)
    device float* total_out [[buffer(5)]],           // (batch, frames, columns)
    constant long& frames [[buffer(6)]],
    constant long& columns [[buffer(7)]],
    constant long& classes [[buffer(8)]],
    constant long& blank [[buffer(9)]],
    constant long* strides [[buffer(10)]],           // of the logits, in elements: batch, frame, column, class
    uint3 group [[threadgroup_position_in_grid]],    // (frames / FRAMES_PER_GROUP, columns, batch)
    uint lane [[thread_index_in_simdgroup]],
    uint simd [[simdgroup_index_in_threadgroup]])
{
    long t = long(group.x) * FRAMES_PER_GROUP + FRAME_IN_GROUP;
    bool inside = t < frames;
    t = min(t, frames - 1);
    long u = group.y;
    long b = group.z;
    device const ELEMENT* cell = logits + (b * strides[0] + t * strides[1] + u * strides[2]);
    int target = u < columns - 1 ? targets[b * (columns - 1) + u] : -1;
    bool has_label = target >= 0 && target < classes && target != blank;

    float top = -3.0e38f; // below every logit but -inf, whose distance to it still is -inf and not NaN
    float sum = 0.0f;
    for (int start = FIRST_CLASS; start < classes; start += CLASS_STEP * CHUNK) {
        float x[CHUNK];
        float before = top;
        for (int k = 0; k < CHUNK; ++k) {
            int v = start + k * CLASS_STEP;
            x[k] = v < classes && v != blank && v != target ? float(cell[LOGIT(v)]) : -INFINITY;
        }
        for (int k = 0; k < CHUNK; ++k) {
            top = max(top, x[k]);
        }
        sum *= precise::exp2(LOG2E * (before - top));
        for (int k = 0; k < CHUNK; ++k) {
            sum += precise::exp2(LOG2E * (x[k] - top));
        }
    }

    float highest = top;
#if VOCABULARY_INNERMOST
    for (ushort apart = SIMD / 2; apart > 0; apart /= 2) {
        highest = max(highest, simd_shuffle_xor(highest, apart));
    }
    sum *= precise::exp2(LOG2E * (top - highest));
    for (ushort apart = SIMD / 2; apart > 0; apart /= 2) {
        sum += simd_shuffle_xor(sum, apart);
    }
    bool writes = inside && lane == 0;
#else
    threadgroup float tops[SIMDS][SIMD];
    threadgroup float sums[SIMDS][SIMD];
    tops[simd][lane] = top;
    sums[simd][lane] = sum;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (int k = 0; k < SIMDS; ++k) {
        highest = max(highest, tops[k][lane]);
    }
    sum = 0.0f;
    for (int k = 0; k < SIMDS; ++k) {
        sum += sums[k][lane] * precise::exp2(LOG2E * (tops[k][lane] - highest));
    }
    bool writes = inside && simd == 0;
#endif
    if (writes) {
        float blank_logit = float(cell[LOGIT(blank)]);
        float label_logit = has_label ? float(cell[LOGIT(long(target))]) : -INFINITY;
        float rest = highest + LN2 * precise::log2(sum);
        float total = log_add(log_add(blank_logit, label_logit), rest);
        long at = (b * frames + t) * columns + u;
        blank_out[at] = blank_logit - total;
        rest_out[at] = rest - total;
        total_out[at] = total;
        if (u < columns - 1) {
            label_out[(b * frames + t) * (columns - 1) + u] = label_logit - total;
        }
    }
}

// The gradient of rnnt_collapse with respect to the logits. A cell that has none (padding) is not even read.
kernel void rnnt_collapse_gradient(
    device const float* dblank [[buffer(0)]],        // (batch, frames, columns)
    device const float* dlabel [[buffer(1)]],        // (batch, frames, columns - 1)
    device const float* drest [[buffer(2)]],         // (batch, frames, columns)
    device const ELEMENT* logits [[buffer(3)]],
    device const int* targets [[buffer(4)]],         // (batch, columns - 1)
    device const float* rest [[buffer(5)]],          // (batch, frames, columns)
    device const float* total [[buffer(6)]],         // (batch, frames, columns)
    device ELEMENT* dlogits [[buffer(7)]],           // strides of the logits
    constant long& frames [[buffer(8)]],
    constant long& columns [[buffer(9)]],
    constant long& classes [[buffer(10)]],
    constant long& blank [[buffer(11)]],
    constant long* strides [[buffer(12)]],           // of the logits, in elements: batch, frame, column, class
    uint3 group [[threadgroup_position_in_grid]],    // (frames / FRAMES_PER_GROUP, columns, batch)
    uint lane [[thread_index_in_simdgroup]],
    uint simd [[simdgroup_index_in_threadgroup]])
{
    long t = long(group.x) * FRAMES_PER_GROUP + FRAME_IN_GROUP;
    long u = group.y;
    long b = group.z;
    if (t >= frames) {
        return;
    }
    long at = (b * frames + t) * columns + u;
    long offset = b * strides[0] + t * strides[1] + u * strides[2];
    device const ELEMENT* cell = logits + offset;
    device ELEMENT* dcell = dlogits + offset;
    int target = u < columns - 1 ? targets[b * (columns - 1) + u] : -1;
    bool has_label = target >= 0 && target < classes && target != blank;

    float to_blank = dblank[at];
    float to_label = has_label ? dlabel[(b * frames + t) * (columns - 1) + u] : 0.0f;
    float to_rest = drest[at];
    if (to_blank == 0.0f && to_label == 0.0f && to_rest == 0.0f) {
        for (int v = FIRST_CLASS; v < classes; v += CLASS_STEP) {
            dcell[LOGIT(v)] = (ELEMENT)0.0f;
        }
        return;
    }
    float all = to_blank + to_label + to_rest;
    float others = to_rest == 0.0f ? -all : to_rest * precise::exp2(-LOG2E * rest[at]) - all;
    float normaliser = total[at];
    for (int start = FIRST_CLASS; start < classes; start += CLASS_STEP * CHUNK) {
        float x[CHUNK];
        for (int k = 0; k < CHUNK; ++k) {
            int v = start + k * CLASS_STEP;
            x[k] = v < classes ? float(cell[LOGIT(v)]) : 0.0f;
        }
        for (int k = 0; k < CHUNK; ++k) {
            int v = start + k * CLASS_STEP;
            float p = precise::exp2(LOG2E * (x[k] - normaliser));
            float gradient = v == blank ? to_blank - p * all : v == target ? to_label - p * all : p * others;
            if (v < classes) {
                dcell[LOGIT(v)] = (ELEMENT)gradient;
            }
        }
    }
}
