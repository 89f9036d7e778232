// What the parts of the engine share: the thread that runs, how it waits for others, how it ends a launch.
#pragma once

#include <cstdint>

#include "fiber.h"

namespace engine {

constexpr unsigned simd_width = 32;
constexpr uint16_t poison = 0x7FAD;  // a NaN as half, as bfloat and, twice in a row, as float

enum class Wait { none, simd, group, end };

struct Thread {
  Context context;
  char* stack;
  unsigned index;         // in its group
  unsigned id;            // in the launch: the group's index times its size, plus index
  unsigned simd_epoch;    // how many SIMD barriers it has passed
  unsigned collectives;   // how many SIMD operations it has done
  Wait wait;
  int line;               // of the call that waits
  const char* operation;  // its name
  int flags;              // of a barrier
};

struct Launch {
  unsigned groups[3];
  unsigned size[3];
  unsigned group[3];              // position of the group that runs
  unsigned threads;               // of a group
  unsigned threadgroup_epoch;     // barriers of this group that order threadgroup memory
  unsigned device_epoch;          // the same for device memory
};

extern Thread* current;
extern Launch launch;

// Ends the launch with a message; never returns to the thread.
[[noreturn]] void fail(const char* format, ...) __attribute__((format(printf, 1, 2)));

// memory.cpp
void poison_threadgroup_memory();

}  // namespace engine
