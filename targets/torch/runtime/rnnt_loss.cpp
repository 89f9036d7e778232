// The transducer (RNN-T) loss on a CPU: the vocabulary collapsed to blank, label and rest, then the recursion over the
// lattice (Graves 2012, "Sequence transduction with recurrent neural networks", equations 16 to 20).
//
// A cell (t, u) of the lattice: u labels are out after t frames; `columns` counts u from 0 to the longest label
// sequence. The vocabulary is read in vectors of 16; the recursion, which never sees it, is cheap enough for fp64.
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <thread>
#include <vector>

namespace {

constexpr int LANES = 16;
typedef float Vector __attribute__((vector_size(LANES * sizeof(float))));
typedef int32_t Integers __attribute__((vector_size(LANES * sizeof(int32_t))));
typedef uint16_t Shorts __attribute__((vector_size(LANES * sizeof(uint16_t))));
typedef _Float16 Halves __attribute__((vector_size(LANES * sizeof(_Float16))));

constexpr float INF = std::numeric_limits<float>::infinity();
constexpr float LOWEST = -3.0e38f;  // below every logit but -inf, whose distance to it still is -inf and not NaN

struct Bfloat { uint16_t bits; };

Vector widen(const float* x) { Vector v; std::memcpy(&v, x, sizeof v); return v; }

Vector widen(const _Float16* x) {
    Halves v;
    std::memcpy(&v, x, sizeof v);
    return __builtin_convertvector(v, Vector);
}

Vector widen(const Bfloat* x) {
    Shorts v;
    std::memcpy(&v, x, sizeof v);
    return (Vector)(__builtin_convertvector(v, Integers) << 16);
}

void narrow(Vector v, float* x) { std::memcpy(x, &v, sizeof v); }

void narrow(Vector v, _Float16* x) {
    const Halves h = __builtin_convertvector(v, Halves);
    std::memcpy(x, &h, sizeof h);
}

void narrow(Vector v, Bfloat* x) {
    const Integers bits = (Integers)v;
    const Integers even = (bits >> 16) & 1;  // round to nearest, ties to even
    const Integers rounded = ((bits + 0x7fff + even) >> 16) & 0xffff;
    const Shorts s = __builtin_convertvector(v == v ? rounded : Integers{} + 0x7fc0, Shorts);
    std::memcpy(x, &s, sizeof s);
}

// The first `count` elements, `fill` after them.
template <class Element>
Vector load(const Element* x, int64_t count, float fill = 0) {
    if (count >= LANES) return widen(x);
    Element some[LANES] = {};
    std::memcpy(some, x, count * sizeof(Element));
    Vector v = widen(some);
    for (int64_t k = count; k < LANES; ++k) v[k] = fill;
    return v;
}

template <class Element>
void store(Vector v, Element* x, int64_t count) {
    if (count >= LANES) return narrow(v, x);
    Element some[LANES];
    narrow(v, some);
    std::memcpy(x, some, count * sizeof(Element));
}

Vector all(float x) { return Vector{} + x; }

Vector larger(Vector a, Vector b) { return a < b ? b : a; }

// exp, within 2e-7 of it relatively; 0 below the smallest normal number. A NaN stays one.
Vector exponential(Vector x) {
    const Vector bounded = x < -87.0f ? all(-87.0f) : x > 88.0f ? all(88.0f) : x;
    const Vector n = (bounded * 1.44269504f + 12582912.0f) - 12582912.0f;  // 1.5 * 2^23: rounds to an integer
    const Vector r = (bounded - n * 0.693359375f) + n * 2.12194440e-4f;    // ln 2 in two parts
    // Taylor's series of exp at 0, for |r| <= ln 2 / 2.
    Vector p = r * (1.0f / 5040) + 1.0f / 720;
    p = p * r + 1.0f / 120;
    p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    const Vector power = (Vector)((__builtin_convertvector(n == n ? n : all(0), Integers) + 127) << 23);
    return x < -87.0f ? all(0) : p * power;
}

template <class Number>
Number log_add(Number a, Number b) {
    if (a == b && std::isinf(a)) return a;
    return (a > b ? a : b) + std::log1p(std::exp(-std::abs(a - b)));
}

template <class Work>
void in_parallel(int64_t count, int64_t threads, Work work) {
    std::atomic<int64_t> next{0};
    auto take = [&] { for (int64_t i; (i = next++) < count;) work(i); };
    std::vector<std::thread> others;
    for (int64_t k = 1; k < threads && k < count; ++k) others.emplace_back(take);
    take();
    for (auto& other : others) other.join();
}

// What both directions of the collapse are given.
template <class Element>
struct Cells {
    const Element* logits;
    const int32_t* targets;                       // (batch, columns - 1)
    int64_t batch, frames, columns, classes, blank;
    int64_t strides[4];                           // of batch, frames, columns, classes, in elements

    int64_t offset(int64_t b, int64_t t, int64_t u) const { return b * strides[0] + t * strides[1] + u * strides[2]; }
    int64_t cell(int64_t b, int64_t t, int64_t u) const { return (b * frames + t) * columns + u; }
    int64_t step(int64_t b, int64_t t, int64_t u) const { return (b * frames + t) * (columns - 1) + u; }
    // The class of the next label; -1 in the last column and where the target is no label.
    int64_t label(int64_t b, int64_t u) const {
        const int64_t target = u < columns - 1 ? targets[b * (columns - 1) + u] : -1;
        return target < classes && target != blank ? target : -1;
    }
};

struct Collapsed {
    float *blank, *label, *rest, *total;          // (batch, frames, columns), label (batch, frames, columns - 1)

    template <class Element>
    void set(const Cells<Element>& in, int64_t b, int64_t t, int64_t u, float blank_logit, float label_logit,
             float rest_logit) {
        const float sum = log_add(log_add(blank_logit, label_logit), rest_logit);
        const int64_t at = in.cell(b, t, u);
        blank[at] = blank_logit - sum;
        rest[at] = rest_logit - sum;
        total[at] = sum;
        if (u < in.columns - 1) label[in.step(b, t, u)] = label_logit - sum;
    }
};

// The classes side by side: one cell after the other, a class a lane, in the runs between blank and label.
template <class Element>
void collapse_row(const Cells<Element>& in, Collapsed out, int64_t b, int64_t t, int64_t u) {
    const Element* x = in.logits + in.offset(b, t, u);
    const int64_t label = in.label(b, u);
    const int64_t low = label < 0 || in.blank < label ? in.blank : label, high = low == label ? in.blank : label;
    const int64_t edges[] = {-1, low, high < 0 ? in.classes : high, in.classes};
    Vector top = all(LOWEST), sum = all(0);
    for (int run = 0; run < 3; ++run)
        for (int64_t v = edges[run] + 1; v < edges[run + 1]; v += LANES)
            top = larger(top, load(x + v, edges[run + 1] - v, -INF));
    float highest = LOWEST, rest = 0;
    for (int k = 0; k < LANES; ++k) highest = top[k] > highest ? top[k] : highest;
    for (int run = 0; run < 3; ++run)
        for (int64_t v = edges[run] + 1; v < edges[run + 1]; v += LANES)
            sum += exponential(load(x + v, edges[run + 1] - v, -INF) - highest);
    for (int k = 0; k < LANES; ++k) rest += sum[k];
    const float label_logit = label < 0 ? -INF : load(x + label, 1)[0];
    out.set(in, b, t, u, load(x + in.blank, 1)[0], label_logit, highest + std::log(rest));
}

constexpr int BLOCK = 4;  // vectors of neighbouring frames walked together: 256 bytes of fp32 logits a class

// The frames side by side: a frame a lane, one class after the other.
template <class Element>
void collapse_frames(const Cells<Element>& in, Collapsed out, int64_t b, int64_t first, int64_t u) {
    const Element* x = in.logits + in.offset(b, first, u);
    const int64_t label = in.label(b, u), count = in.frames - first;
    Vector top[BLOCK], sum[BLOCK];
    for (int k = 0; k < BLOCK; ++k) top[k] = all(LOWEST), sum[k] = all(0);
    for (int64_t v = 0; v < in.classes; ++v)
        for (int k = 0; k < BLOCK && k * LANES < count; ++k)
            if (v != in.blank && v != label)
                top[k] = larger(top[k], load(x + v * in.strides[3] + k * LANES, count - k * LANES));
    for (int64_t v = 0; v < in.classes; ++v)
        for (int k = 0; k < BLOCK && k * LANES < count; ++k)
            if (v != in.blank && v != label)
                sum[k] += exponential(load(x + v * in.strides[3] + k * LANES, count - k * LANES) - top[k]);
    for (int64_t k = 0; k < BLOCK * LANES && k < count; ++k) {
        const float label_logit = label < 0 ? -INF : load(x + label * in.strides[3] + k, 1)[0];
        const float rest = top[k / LANES][k % LANES] + std::log(sum[k / LANES][k % LANES]);
        out.set(in, b, first + k, u, load(x + in.blank * in.strides[3] + k, 1)[0], label_logit, rest);
    }
}

struct Gradients {
    const float *dblank, *dlabel, *drest, *rest, *total;  // shaped as in Collapsed
};

// What reaches a cell from its three log-probabilities, and what that makes of each class's probability.
struct Reaching {
    float blank = 0, label = 0, all = 0, others = 0, total = 0;
    bool none = true;

    Reaching() = default;

    template <class Element>
    Reaching(const Cells<Element>& in, const Gradients& from, int64_t b, int64_t t, int64_t u) {
        const int64_t at = in.cell(b, t, u);
        const float to_rest = from.drest[at];
        blank = from.dblank[at];
        label = in.label(b, u) < 0 ? 0 : from.dlabel[in.step(b, t, u)];
        total = from.total[at];
        all = blank + label + to_rest;
        others = (to_rest == 0 ? 0 : to_rest * std::exp(-from.rest[at])) - all;
        none = blank == 0 && label == 0 && to_rest == 0;
    }
};

template <class Element>
void spread_row(const Cells<Element>& in, const Gradients& from, Element* dlogits, int64_t b, int64_t t, int64_t u) {
    const Element* x = in.logits + in.offset(b, t, u);
    Element* dx = dlogits + in.offset(b, t, u);
    const Reaching cell(in, from, b, t, u);
    for (int64_t v = 0; v < in.classes; v += LANES) {
        const int64_t count = in.classes - v;
        store(cell.none ? all(0) : cell.others * exponential(load(x + v, count) - cell.total), dx + v, count);
    }
    const int64_t named[] = {in.blank, in.label(b, u)};
    const float own[] = {cell.blank, cell.label};
    for (int k = 0; k < 2; ++k)
        if (named[k] >= 0 && !cell.none)
            store(own[k] - cell.all * exponential(load(x + named[k], 1) - cell.total), dx + named[k], 1);
}

template <class Element>
void spread_frames(const Cells<Element>& in, const Gradients& from, Element* dlogits, int64_t b, int64_t first,
                   int64_t u) {
    const int64_t label = in.label(b, u);
    for (int64_t t = first; t < first + BLOCK * LANES && t < in.frames; t += LANES) {
        const Element* x = in.logits + in.offset(b, t, u);
        Element* dx = dlogits + in.offset(b, t, u);
        const int64_t count = in.frames - t;
        Vector to_blank{}, to_label{}, total{}, sum{}, others{};
        Integers used{};
        for (int64_t k = 0; k < LANES && k < count; ++k) {
            const Reaching cell(in, from, b, t + k, u);
            to_blank[k] = cell.blank, to_label[k] = cell.label, total[k] = cell.total;
            sum[k] = cell.all, others[k] = cell.others, used[k] = cell.none ? 0 : -1;
        }
        for (int64_t v = 0; v < in.classes; ++v) {
            const Vector p = exponential(load(x + v * in.strides[3], count) - total);
            const Vector g = v == in.blank ? to_blank - p * sum : v == label ? to_label - p * sum : p * others;
            store(used ? g : all(0), dx + v * in.strides[3], count);
        }
    }
}

template <class Element, class Row, class Frames>
void each_cell(const Cells<Element>& in, int64_t threads, Row row, Frames frames) {
    if (in.strides[3] == 1)
        return in_parallel(in.batch * in.frames, threads, [&](int64_t i) {
            for (int64_t u = 0; u < in.columns; ++u) row(i / in.frames, i % in.frames, u);
        });
    in_parallel(in.batch * in.columns, threads, [&](int64_t i) {
        for (int64_t t = 0; t < in.frames; t += BLOCK * LANES) frames(i / in.columns, t, i % in.columns);
    });
}

template <class Element>
void collapse(const Cells<Element>& in, Collapsed out, int64_t threads) {
    each_cell(
        in, threads, [&](int64_t b, int64_t t, int64_t u) { collapse_row(in, out, b, t, u); },
        [&](int64_t b, int64_t t, int64_t u) { collapse_frames(in, out, b, t, u); });
}

template <class Element>
void spread(const Cells<Element>& in, const Gradients& from, Element* dlogits, int64_t threads) {
    each_cell(
        in, threads, [&](int64_t b, int64_t t, int64_t u) { spread_row(in, from, dlogits, b, t, u); },
        [&](int64_t b, int64_t t, int64_t u) { spread_frames(in, from, dlogits, b, t, u); });
}

constexpr double NOWHERE = -std::numeric_limits<double>::infinity();

// alpha(t, u), the log-probability of all ways to a cell; returns the utterance's loss.
double walk_forward(const float* blank, const float* label, int64_t frames, int64_t labels, int64_t columns,
                    double* alphas) {
    for (int64_t t = 0; t < frames; ++t)
        for (int64_t u = 0; u <= labels; ++u) {
            const int64_t above = (t - 1) * columns + u, left = t * columns + u - 1;
            const double from_above = t ? alphas[above] + blank[above] : u ? NOWHERE : 0;
            alphas[t * columns + u] = u ? log_add(from_above, alphas[left] + label[left - t]) : from_above;
        }
    const int64_t end = (frames - 1) * columns + labels;
    return -alphas[end] - blank[end];
}

// beta(t, u), the log-probability of all ways from a cell to the end, kept for one frame only; and the gradient, minus
// the probability of passing through each step.
void walk_backward(const float* blank, const float* label, int64_t frames, int64_t labels, int64_t columns,
                   const double* alphas, double dloss, float* dblank, float* dlabel) {
    const int64_t end = (frames - 1) * columns + labels;
    const double loss = -alphas[end] - blank[end];
    std::vector<double> beta(labels + 1, NOWHERE);
    beta[labels] = 0;
    for (int64_t t = frames - 1; t >= 0; --t)
        for (int64_t u = labels; u >= 0; --u) {
            const int64_t cell = t * columns + u, step = cell - t;
            const double below = blank[cell] + beta[u], right = u < labels ? label[step] + beta[u + 1] : NOWHERE;
            dblank[cell] = -dloss * std::exp(alphas[cell] + below + loss);
            if (u < labels) dlabel[step] = -dloss * std::exp(alphas[cell] + right + loss);
            beta[u] = u < labels ? log_add(below, right) : below;
        }
}

template <class Element>
Cells<Element> cells(const void* logits, const int32_t* targets, const int64_t* sizes) {
    Cells<Element> in{(const Element*)logits, targets, sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], {}};
    std::memcpy(in.strides, sizes + 5, sizeof in.strides);
    return in;
}

}  // namespace

// sizes: batch, frames, columns, classes, blank, then the strides of the logits. element: 0 fp32, 1 fp16, 2 bf16.
extern "C" void rnnt_collapse(const void* logits, const int32_t* targets, const int64_t* sizes, int64_t element,
                              float* blank, float* label, float* rest, float* total, int64_t threads) {
    const Collapsed out{blank, label, rest, total};
    if (element == 0) collapse(cells<float>(logits, targets, sizes), out, threads);
    if (element == 1) collapse(cells<_Float16>(logits, targets, sizes), out, threads);
    if (element == 2) collapse(cells<Bfloat>(logits, targets, sizes), out, threads);
}

extern "C" void rnnt_collapse_gradient(const float* dblank, const float* dlabel, const float* drest, const void* logits,
                                       const int32_t* targets, const int64_t* sizes, int64_t element, const float* rest,
                                       const float* total, void* dlogits, int64_t threads) {
    const Gradients from{dblank, dlabel, drest, rest, total};
    if (element == 0) spread(cells<float>(logits, targets, sizes), from, (float*)dlogits, threads);
    if (element == 1) spread(cells<_Float16>(logits, targets, sizes), from, (_Float16*)dlogits, threads);
    if (element == 2) spread(cells<Bfloat>(logits, targets, sizes), from, (Bfloat*)dlogits, threads);
}

// alphas: (batch, frames, columns), -inf beforehand; loss: (batch).
extern "C" void rnnt_alphas(const float* blank, const float* label, const int32_t* frame_lengths,
                            const int32_t* label_lengths, int64_t batch, int64_t frames, int64_t columns,
                            double* alphas, float* loss, int64_t threads) {
    in_parallel(batch, threads, [&](int64_t b) {
        const int64_t cell = b * frames * columns, step = b * frames * (columns - 1);
        loss[b] = walk_forward(blank + cell, label + step, frame_lengths[b], label_lengths[b], columns, alphas + cell);
    });
}

// dblank, dlabel: (batch, frames, columns) and (batch, frames, columns - 1), zero beforehand.
extern "C" void rnnt_gradients(const float* dloss, const float* blank, const float* label, const int32_t* frame_lengths,
                               const int32_t* label_lengths, const double* alphas, int64_t batch, int64_t frames,
                               int64_t columns, float* dblank, float* dlabel, int64_t threads) {
    in_parallel(batch, threads, [&](int64_t b) {
        const int64_t cell = b * frames * columns, step = b * frames * (columns - 1);
        walk_backward(blank + cell, label + step, frame_lengths[b], label_lengths[b], columns, alphas + cell, dloss[b],
                      dblank + cell, dlabel + step);
    });
}
