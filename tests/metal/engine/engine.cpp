// Runs a launch: every group in a random order, every thread of a group as a fiber.
//
// The lanes of a SIMD group meet at each SIMD operation; SIMD groups meet only at barriers, and one of them runs alone to the
// next barrier before another begins, in a random order. No fair schedule shows a missing barrier as readily.

#include "engine.h"

#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <utility>
#include <vector>

namespace engine {

Thread* current;
Launch launch;

namespace {

void (*enter)(void* const* buffers);
void* const* arguments;
char message[1024];
bool failed;
Context scheduler;
std::vector<Thread> threads;
uint64_t random_state;
uint64_t exchanged[2][1024];  // what the lanes hand each other: a lane may be one operation ahead of another

unsigned random_below(unsigned bound) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return unsigned((random_state >> 32) % bound);
}

void wait(Wait how) {
  current->wait = how;
  current->context.switch_to(scheduler);
}

void body() {
  enter(arguments);
  wait(Wait::end);
  __builtin_trap();
}

unsigned lanes_of(unsigned simd) {
  const unsigned left = launch.threads - simd * simd_width;
  return left < simd_width ? left : simd_width;
}

const char* where(const Thread& thread, char* text, size_t bytes) {
  if (thread.wait == Wait::end) snprintf(text, bytes, "has returned");
  else snprintf(text, bytes, "waits in %s at line %d", thread.operation, thread.line);
  return text;
}

// Everyone who waits together has to wait at one place.
bool agree(const Thread& a, const Thread& b) {
  if (a.wait == b.wait && (a.wait == Wait::end || (a.line == b.line && a.operation == b.operation))) return true;
  char first[200];
  char second[200];
  failed = true;
  snprintf(message, sizeof message, "divergence: in group %u, thread %u %s while thread %u %s", a.id / launch.threads,
           a.index, where(a, first, sizeof first), b.index, where(b, second, sizeof second));
  return false;
}

void run_lanes(Thread* lanes, unsigned count) {
  unsigned order[simd_width];
  for (unsigned i = 0; i < count; ++i) order[i] = i;
  for (unsigned i = count; i > 1; --i) std::swap(order[i - 1], order[random_below(i)]);
  for (unsigned i = 0; i < count && !failed; ++i) {
    current = lanes + order[i];
    scheduler.switch_to(current->context);
  }
}

// Runs one SIMD group until its lanes wait for the group or have returned.
void run_simd(Thread* lanes, unsigned count) {
  do {
    run_lanes(lanes, count);
    for (unsigned i = 1; i < count && !failed; ++i) agree(lanes[0], lanes[i]);
  } while (!failed && lanes->wait == Wait::simd);
}

void pass_barrier() {
  launch.threadgroup_epoch += (threads[0].flags & 2) != 0;
  launch.device_epoch += (threads[0].flags & 1) != 0;
}

void run_threads() {
  const unsigned simds = (launch.threads + simd_width - 1) / simd_width;
  std::vector<unsigned> order(simds);
  for (unsigned i = 0; i < simds; ++i) order[i] = i;
  do {
    for (unsigned i = simds; i > 1; --i) std::swap(order[i - 1], order[random_below(i)]);
    for (unsigned i = 0; i < simds && !failed; ++i) run_simd(&threads[order[i] * simd_width], lanes_of(order[i]));
    for (unsigned i = 1; i < simds && !failed; ++i) agree(threads[0], threads[i * simd_width]);
    pass_barrier();
  } while (!failed && threads[0].wait == Wait::group);
}

void run_group(unsigned index) {
  launch.group[0] = index % launch.groups[0];
  launch.group[1] = index / launch.groups[0] % launch.groups[1];
  launch.group[2] = index / launch.groups[0] / launch.groups[1];
  launch.threadgroup_epoch = launch.device_epoch = 0;
  poison_threadgroup_memory();
  for (unsigned i = 0; i < launch.threads; ++i) {
    threads[i] = Thread{{}, stacks[i], i, index * launch.threads + i, 0, 0, Wait::none, 0, nullptr, 0};
    threads[i].context.start(stacks[i], body);
  }
  run_threads();
}

}  // namespace

void fail(const char* format, ...) {
  va_list values;
  va_start(values, format);
  vsnprintf(message, sizeof message, format, values);
  va_end(values);
  failed = true;
  current->context.switch_to(scheduler);
  __builtin_trap();
}

// One lane gives `bits` and may then look at what the others gave. All lanes of the SIMD group take part.
const uint64_t* exchange(uint64_t bits, const char* operation, int line) {
  Thread& self = *current;
  uint64_t* values = exchanged[self.collectives++ & 1] + self.index / simd_width * simd_width;
  values[self.index % simd_width] = bits;
  self.operation = operation;
  self.line = line;
  wait(Wait::simd);
  return values;
}

unsigned active_lanes() { return lanes_of(current->index / simd_width); }
unsigned lane() { return current->index % simd_width; }

struct Position {
  unsigned x, y, z;
};

Position thread_position_in_threadgroup() {
  const unsigned index = current->index;
  const unsigned* size = launch.size;
  return {index % size[0], index / size[0] % size[1], index / size[0] / size[1]};
}
Position threadgroup_position_in_grid() { return {launch.group[0], launch.group[1], launch.group[2]}; }
Position threads_per_threadgroup() { return {launch.size[0], launch.size[1], launch.size[2]}; }
Position threadgroups_per_grid() { return {launch.groups[0], launch.groups[1], launch.groups[2]}; }
unsigned thread_index_in_threadgroup() { return current->index; }
unsigned thread_index_in_simdgroup() { return lane(); }
unsigned simdgroup_index_in_threadgroup() { return current->index / simd_width; }

void group_barrier(int flags, int line) {
  current->operation = "threadgroup_barrier";
  current->line = line;
  current->flags = flags;
  wait(Wait::group);
}

void simd_barrier(int line) {
  exchange(0, "simdgroup_barrier", line);
  ++current->simd_epoch;
}

}  // namespace engine

// Runs `groups` groups of `size` threads each; null when all went well, otherwise what the kernel did wrong.
extern "C" const char* engine_launch(void (*kernel)(void* const*), void* const* buffers, const unsigned groups[3],
                                     const unsigned size[3], uint64_t seed) {
  using namespace engine;
  memcpy(launch.groups, groups, sizeof launch.groups);
  memcpy(launch.size, size, sizeof launch.size);
  launch.threads = size[0] * size[1] * size[2];
  enter = kernel;
  arguments = buffers;
  failed = false;
  random_state = seed * 0x9E3779B97F4A7C15u + 0x2545F4914F6CDD1Du;
  threads.resize(launch.threads);
  while (stacks.size() < launch.threads) {
    char* stack = new_stack();
    if (!stack) return "no memory for the stacks of a threadgroup";
    stacks.push_back(stack);
  }
  std::vector<unsigned> order(groups[0] * groups[1] * groups[2]);
  for (unsigned i = 0; i < order.size(); ++i) order[i] = i;
  for (unsigned i = unsigned(order.size()); i > 1; --i) std::swap(order[i - 1], order[random_below(i)]);
  for (unsigned i = 0; i < order.size() && !failed; ++i) run_group(order[i]);
  return failed ? message : nullptr;
}
