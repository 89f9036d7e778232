// The selective scan and its gradient on a CPU: a block of LANES channels side by side, one state after another.
//
// Memory has time innermost, so a tile of LANES channels and STEPS steps is read, turned to fp32 and transposed once;
// then for each state the recurrence runs over the tile in registers. The backward walks the tiles from the last to
// the first: it recomputes a tile's states from the one kept at its start, then runs the adjoint recurrence. A task is
// a few blocks of channels of one batch element and group; what it adds up depends on no other, so the result is the
// same for any number of threads.

#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <system_error>
#include <thread>
#include <vector>

#include "selective_scan_lanes.h"

namespace {

constexpr int STEPS = 64;
constexpr int64_t WORK_PER_THREAD = 1 << 17;  // steps of single states: less is not worth starting a thread

// The problem, laid out as selective_scan_cpu.py passes it.

struct Array {
  char* data;         // null where there is none
  int64_t stride[3];  // in elements
};

struct Scan {
  int64_t batch, channels, length, groups, states, softplus, blocks_per_task;
  Array x, delta, z, y, dy, dx, ddelta, dz;  // (batch, channel, time)
  Array B, C;                                // (batch, group, state, time)
  // The others are fp32 and dense.
  Array dB, dC;                              // (batch, group, task, state, time), summed over tasks by the caller
  Array A, D, bias, h, h_last, dh, dh_last;  // as the operation has them
  Array dA, dD, dbias;                       // with the batch in front, summed over it by the caller
  Array checkpoints;                         // (tile, batch, block, state, lane)

  int64_t group_channels() const { return channels / groups; }
  int64_t group_blocks() const { return (group_channels() + LANES - 1) / LANES; }
  int64_t group_tasks() const { return (group_blocks() + blocks_per_task - 1) / blocks_per_task; }
  int64_t tiles() const { return (length + STEPS - 1) / STEPS; }
};

INLINE float* dense(const Array& array, int64_t offset) {
  return array.data ? reinterpret_cast<float*>(array.data) + offset : nullptr;
}

// What a thread works in: a tile of each tensor, transposed, and the block's parameters and states.
struct Workspace {
  using Tile = Lanes[STEPS];
  Tile x, raw, rate, input, z, out, dout, dinput, drate;
  Lanes before[4][STEPS + 1], decay[4][STEPS];
  Lanes D, bias, dD, dbias;
  Lanes A[256], h[256], carry[256], dA[256];
  float B[256][STEPS], C[256][STEPS];
};

// Up to LANES channels of one batch element and group.
template <class T>
struct Block {
  const Scan& scan;
  Workspace& w;
  int64_t batch, group, task;
  int64_t first, count;  // channels
  int64_t index;         // among the blocks of a batch element
  bool opens;            // whether it is the first of its task, and sets what the others add to

  T* row(const Array& array, int64_t channel, int64_t time) const {
    return reinterpret_cast<T*>(array.data) + batch * array.stride[0] + channel * array.stride[1] + time;
  }

  void load(const Array& array, int64_t start, int steps, Lanes* tile) const {
    for (int t = 0; t < steps; t += LANES) {
      const int here = steps - t < LANES ? steps - t : LANES;
      for (int64_t i = 0; i < LANES; ++i) {
        T whole[LANES] = {};
        if (i < count && here < LANES) std::memcpy(whole, row(array, first + i, start + t), here * sizeof(T));
        tile[t + i] = i < count && here == LANES ? widen(row(array, first + i, start + t)) : widen(whole);
      }
      transpose(tile + t);
    }
  }

  // Destroys the tile.
  void store(const Array& array, int64_t start, int steps, Lanes* tile) const {
    for (int t = 0; t < steps; t += LANES) {
      const int here = steps - t < LANES ? steps - t : LANES;
      transpose(tile + t);
      for (int64_t i = 0; i < count; ++i) {
        T whole[LANES];
        if (here == LANES) {
          narrow(row(array, first + i, start + t), tile[t + i]);
        } else {
          narrow(whole, tile[t + i]);
          std::memcpy(row(array, first + i, start + t), whole, here * sizeof(T));
        }
      }
    }
  }

  void load_group(const Array& array, int64_t start, int steps, float (*tile)[STEPS]) const {
    const T* from = reinterpret_cast<T*>(array.data) + batch * array.stride[0] + group * array.stride[1] + start;
    for (int64_t n = 0; n < scan.states; ++n, from += array.stride[2])
      for (int t = 0; t < steps; t += LANES) {
        T whole[LANES] = {};
        if (steps - t < LANES) std::memcpy(whole, from + t, (steps - t) * sizeof(T));
        narrow(tile[n] + t, widen(steps - t < LANES ? whole : from + t));
      }
  }

  // One number a channel, or a row of states a channel; lanes behind the last channel are zero.
  Lanes gather(const float* from, int64_t stride) const {
    Lanes out = {};
    for (int64_t i = 0; from && i < count; ++i) out[i] = from[i * stride];
    return out;
  }
  void scatter(float* to, int64_t stride, Lanes x) const {
    for (int64_t i = 0; to && i < count; ++i) to[i * stride] = x[i];
  }
  Lanes gather_state(const Array& array, int64_t batches, int64_t n) const {
    return gather(dense(array, (batches * scan.channels + first) * scan.states + n), scan.states);
  }
  void scatter_state(const Array& array, int64_t n, Lanes x) const {
    scatter(dense(array, (batch * scan.channels + first) * scan.states + n), scan.states, x);
  }

  Lanes* checkpoint(int64_t tile) const {
    const int64_t block = (tile * scan.batch + batch) * scan.groups * scan.group_blocks() + index;
    return reinterpret_cast<Lanes*>(scan.checkpoints.data) + block * scan.states;
  }

  void load_parameters() const {
    for (int64_t n = 0; n < scan.states; ++n) w.A[n] = gather_state(scan.A, 0, n) * LOG2_E;
    w.D = gather(dense(scan.D, first), 1);
    w.bias = gather(dense(scan.bias, first), 1);
  }

  void load_tile(int64_t start, int steps) const {
    load(scan.x, start, steps, w.x);
    load(scan.delta, start, steps, w.raw);
    if (scan.z.data) load(scan.z, start, steps, w.z);
    load_group(scan.B, start, steps, w.B);
    load_group(scan.C, start, steps, w.C);
    for (int t = 0; t < steps; ++t) {
      w.raw[t] += w.bias;
      w.rate[t] = scan.softplus ? softplus(w.raw[t]) : w.raw[t];
      w.input[t] = w.rate[t] * w.x[t];
      w.out[t] = w.D * w.x[t];
    }
  }

  // N states over a tile: registers hold them, so each step's rate, input and output are touched once for all N.
  template <int N>
  INLINE void advance(int64_t n, int steps) const {
    Lanes h[N], A[N];
    for (int k = 0; k < N; ++k) h[k] = w.h[n + k], A[k] = w.A[n + k];
    for (int t = 0; t < steps; ++t) {
      const Lanes rate = w.rate[t], input = w.input[t];
      Lanes out = w.out[t];
      for (int k = 0; k < N; ++k) {
        h[k] = exp2(rate * A[k]) * h[k] + input * w.B[n + k][t];
        out += h[k] * w.C[n + k][t];
      }
      w.out[t] = out;
    }
    for (int k = 0; k < N; ++k) w.h[n + k] = h[k];
  }

  void forward() const {
    load_parameters();
    for (int64_t n = 0; n < scan.states; ++n) w.h[n] = gather_state(scan.h, batch, n);
    for (int64_t tile = 0; tile < scan.tiles(); ++tile) {
      const int64_t start = tile * STEPS;
      const int steps = scan.length - start < STEPS ? scan.length - start : STEPS;
      std::memcpy(checkpoint(tile), w.h, scan.states * sizeof(Lanes));
      load_tile(start, steps);
      int64_t n = 0;
      for (; n + 4 <= scan.states; n += 4) advance<4>(n, steps);
      for (; n < scan.states; ++n) advance<1>(n, steps);
      if (scan.z.data)
        for (int t = 0; t < steps; ++t) w.out[t] *= w.z[t] * sigmoid(w.z[t]);
      store(scan.y, start, steps, w.out);
    }
    for (int64_t n = 0; n < scan.states; ++n) scatter_state(scan.h_last, n, w.h[n]);
  }

  // The gradients of N states over a tile: the states again, then the adjoint g[t] = C[t] dout[t] + decay[t+1] g[t+1].
  template <int N>
  INLINE void retreat(int64_t n, int64_t start, int steps) const {
    Lanes h[N], g[N], A[N], dA[N];
    for (int k = 0; k < N; ++k) h[k] = w.h[n + k], g[k] = w.carry[n + k], A[k] = w.A[n + k], dA[k] = w.dA[n + k];
    for (int t = 0; t < steps; ++t) {
      const Lanes rate = w.rate[t], input = w.input[t];
      Lanes out = w.out[t];
      for (int k = 0; k < N; ++k) {
        w.before[k][t] = h[k];
        w.decay[k][t] = exp2(rate * A[k]);
        h[k] = w.decay[k][t] * h[k] + input * w.B[n + k][t];
        out += h[k] * w.C[n + k][t];
      }
      w.out[t] = out;
    }
    for (int k = 0; k < N; ++k) w.before[k][steps] = h[k];
    for (int t = steps - 1; t >= 0; --t) {
      const Lanes rate = w.rate[t], input = w.input[t], dout = w.dout[t];
      Lanes dinput = w.dinput[t], drate = w.drate[t];
      for (int k = 0; k < N; ++k) {
        const Lanes dh = dout * w.C[n + k][t] + g[k];
        g[k] = w.decay[k][t] * dh;
        const Lanes dexponent = g[k] * w.before[k][t];
        dinput += dh * w.B[n + k][t];
        drate += dexponent * A[k];
        dA[k] += dexponent * rate;
        w.decay[k][t] = dh * input;        // from here on the channels' parts of dB
        w.before[k][t + 1] *= dout;        // and those of dC
      }
      w.dinput[t] = dinput;
      w.drate[t] = drate;
    }
    for (int k = 0; k < N; ++k) {
      w.carry[n + k] = g[k], w.dA[n + k] = dA[k];
      add_over_channels(scan.dB, n + k, start, steps, w.decay[k]);
      add_over_channels(scan.dC, n + k, start, steps, w.before[k] + 1);
    }
  }

  void add_over_channels(const Array& array, int64_t n, int64_t start, int steps, Lanes* parts) const {
    const int64_t row = ((batch * scan.groups + group) * scan.group_tasks() + task) * scan.states + n;
    float* to = dense(array, row * scan.length + start);
    for (int t = 0; t < steps; t += LANES, to += LANES) {
      const Lanes sums = row_sums(parts + t);
      if (steps - t >= LANES) {
        narrow(to, opens ? sums : sums + widen(to));
      } else {
        for (int i = 0; i < steps - t; ++i) to[i] = opens ? sums[i] : sums[i] + to[i];
      }
    }
  }

  void backward() const {
    load_parameters();
    w.dD = w.dbias = Lanes{};
    for (int64_t n = 0; n < scan.states; ++n) w.carry[n] = gather_state(scan.dh_last, batch, n), w.dA[n] = Lanes{};
    for (int64_t tile = scan.tiles() - 1; tile >= 0; --tile) {
      const int64_t start = tile * STEPS;
      const int steps = scan.length - start < STEPS ? scan.length - start : STEPS;
      std::memcpy(w.h, checkpoint(tile), scan.states * sizeof(Lanes));
      load_tile(start, steps);
      load(scan.dy, start, steps, w.dout);
      for (int t = 0; t < steps; ++t) {
        w.dinput[t] = w.drate[t] = Lanes{};
        if (!scan.z.data) continue;
        const Lanes z = w.z[t], gate = sigmoid(z), dy = w.dout[t];
        w.dout[t] = dy * z * gate;
        w.z[t] = dy * gate * (1.0f + z * (1.0f - gate));  // times the output before the gate, this is dz
      }
      int64_t n = 0;
      for (; n + 4 <= scan.states; n += 4) retreat<4>(n, start, steps);
      for (; n < scan.states; ++n) retreat<1>(n, start, steps);
      finish_gradients(start, steps);
    }
    for (int64_t n = 0; n < scan.states; ++n) {
      scatter_state(scan.dA, n, w.dA[n]);
      scatter_state(scan.dh, n, w.carry[n]);
    }
    scatter(dense(scan.dD, batch * scan.channels + first), 1, w.dD);
    scatter(dense(scan.dbias, batch * scan.channels + first), 1, w.dbias);
  }

  void finish_gradients(int64_t start, int steps) const {
    for (int t = 0; t < steps; ++t) {
      const Lanes dinput = w.dinput[t], drate = w.drate[t] * LN_2 + dinput * w.x[t];
      w.drate[t] = scan.softplus ? drate * sigmoid(w.raw[t]) : drate;
      w.dinput[t] = dinput * w.rate[t] + w.D * w.dout[t];
      w.dbias += w.drate[t];
      w.dD += w.dout[t] * w.x[t];
      w.z[t] *= w.out[t];
    }
    store(scan.dx, start, steps, w.dinput);
    store(scan.ddelta, start, steps, w.drate);
    if (scan.z.data) store(scan.dz, start, steps, w.z);
  }
};

template <class T>
void run_task(const Scan& scan, Workspace& workspace, int64_t number, bool backward) {
  const int64_t tasks = scan.group_tasks(), task = number % tasks;
  const int64_t group = number / tasks % scan.groups, batch = number / tasks / scan.groups;
  const int64_t from = task * scan.blocks_per_task, end = from + scan.blocks_per_task;
  for (int64_t block = from; block < end && block < scan.group_blocks(); ++block) {
    const int64_t done = block * LANES, left = scan.group_channels() - done, count = left < LANES ? left : LANES;
    const Block<T> work{scan,  workspace, batch, group, task, group * scan.group_channels() + done,
                        count, group * scan.group_blocks() + block, block == from};
    backward ? work.backward() : work.forward();
  }
}

template <class T>
void run(const Scan& scan, bool backward, int64_t threads) {
  const int64_t tasks = scan.batch * scan.groups * scan.group_tasks();
  const int64_t worthwhile = 1 + scan.batch * scan.channels * scan.length * scan.states / WORK_PER_THREAD;
  std::atomic<int64_t> next{0};
  const auto work = [&] {
    const std::unique_ptr<Workspace> workspace(new Workspace);
    for (int64_t number; (number = next++) < tasks;) run_task<T>(scan, *workspace, number, backward);
  };
  std::vector<std::thread> others;
  for (int64_t i = 1; i < threads && i < worthwhile && i < tasks; ++i) {
    try {
      others.emplace_back(work);
    } catch (const std::system_error&) {
      break;  // no more threads to be had: those that run do all of it
    }
  }
  work();
  for (std::thread& each : others) each.join();
}

}  // namespace

// Channels of a block, for the layout of the checkpoints.
extern "C" int64_t selective_scan_lanes() { return LANES; }

// type: of what has a time axis, 0 fp32, 1 fp16, 2 bf16.
extern "C" void selective_scan(const Scan* scan, int64_t type, int64_t backward, int64_t threads) {
  (type == 0 ? run<float> : type == 1 ? run<Half> : run<Brain>)(*scan, backward != 0, threads);
}
