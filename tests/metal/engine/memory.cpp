// Watches every load and store of the kernel. The kernel's file alone is compiled with -fsanitize=thread, which makes the
// compiler call a function before each of them; those functions are here in place of the sanitizer's own.
//
// A cell for every two bytes of every buffer knows whether it belongs to the tensor, whether it was ever written, and who
// touched it last. Two accesses are ordered when a barrier that covers that memory lies between them, so a race is found
// whether or not the schedule of this run makes it show.

#include <cstdlib>
#include <cstring>
#include <vector>

#include "engine.h"

namespace engine {
namespace {

enum State : uint8_t { outside, unwritten, written };

struct Access {
  unsigned id;          // thread in the launch
  unsigned epoch;       // barriers of the group before it
  unsigned simd_epoch;  // SIMD barriers of the thread before it
  unsigned place;       // offset of the instruction in the library
};

enum Readers : uint8_t { nobody, one, simd_group, group, groups };

struct Cell {
  Access write;
  Access read;
  bool was_written;
  Readers readers;
  State state;
};

struct Region {
  const char* name;
  uintptr_t begin;
  uintptr_t end;
  bool threadgroup;
  std::vector<Cell> cells;
};

std::vector<Region> regions;  // ordered by address
extern "C" const char __ehdr_start __attribute__((visibility("hidden")));
extern "C" const char _end __attribute__((visibility("hidden")));

Region* find(uintptr_t address) {
  size_t low = 0;
  size_t high = regions.size();
  while (low < high) {
    const size_t middle = (low + high) / 2;
    if (address >= regions[middle].end) low = middle + 1;
    else high = middle;
  }
  return low < regions.size() && address >= regions[low].begin ? &regions[low] : nullptr;
}

bool is_private(uintptr_t address) {
  const auto stack = reinterpret_cast<uintptr_t>(current->stack);
  return address >= stack && address < stack + stack_bytes;
}

// Tables at program scope lie in the library itself, beside the threadgroup arrays, which are regions.
bool is_program(uintptr_t address) {
  return address >= reinterpret_cast<uintptr_t>(&__ehdr_start) && address < reinterpret_cast<uintptr_t>(&_end);
}

unsigned simd_of(unsigned id) { return id % launch.threads / simd_width; }
unsigned group_of(unsigned id) { return id / launch.threads; }

// Whether a barrier lies between an earlier access of the same group and this one.
bool ordered(const Access& earlier, const Access& now) {
  return earlier.id == now.id || earlier.epoch < now.epoch ||
         (simd_of(earlier.id) == simd_of(now.id) && earlier.simd_epoch < now.simd_epoch);
}

bool same_group(const Access& a, const Access& b) { return group_of(a.id) == group_of(b.id); }

bool after_reads(const Cell& cell, const Access& now) {
  if (cell.readers == nobody) return true;
  if (cell.readers == groups || !same_group(cell.read, now)) return false;
  if (cell.read.epoch < now.epoch) return true;
  if (cell.readers == group) return false;
  if (cell.readers == one) return ordered(cell.read, now);
  return simd_of(cell.read.id) == simd_of(now.id) && cell.read.simd_epoch < now.simd_epoch;
}

Readers joined(const Cell& cell, const Access& now) {
  if (cell.readers == nobody) return one;
  if (cell.readers == groups || !same_group(cell.read, now)) return groups;
  if (cell.read.epoch < now.epoch) return one;
  if (cell.readers == group) return group;
  if (simd_of(cell.read.id) != simd_of(now.id)) return group;
  if (cell.read.simd_epoch < now.simd_epoch) return one;
  return cell.readers == one && cell.read.id == now.id ? one : simd_group;
}

[[noreturn]] void race(const char* doing, const char* did, const Region& region, uintptr_t address, const Access& now,
                       const Access& before) {
  fail("race: thread %u of group %u %s byte %zu of '%s' at @%x, which thread %u of group %u %s at @%x: no barrier between",
       now.id % launch.threads, group_of(now.id), doing, size_t(address - region.begin), region.name, now.place,
       before.id % launch.threads, group_of(before.id), did, before.place);
}

void read_cell(const Region& region, Cell& cell, uintptr_t address, const Access& now) {
  if (cell.state == unwritten)
    fail("uninitialised: thread %u of group %u reads byte %zu of '%s' at @%x, which nothing has written",
         now.id % launch.threads, group_of(now.id), size_t(address - region.begin), region.name, now.place);
  if (cell.was_written && !(same_group(cell.write, now) && ordered(cell.write, now)))
    race("reads", "wrote", region, address, now, cell.write);
  cell.readers = joined(cell, now);
  cell.read = now;
}

void write_cell(const Region& region, Cell& cell, uintptr_t address, const Access& now) {
  if (cell.was_written && !(same_group(cell.write, now) && ordered(cell.write, now)))
    race("writes", "wrote", region, address, now, cell.write);
  if (!after_reads(cell, now)) race("writes", "read", region, address, now, cell.read);
  cell.write = now;
  cell.was_written = true;
  cell.state = written;
}

void access(void* pointer, size_t bytes, bool write, void* caller) {
  const auto address = reinterpret_cast<uintptr_t>(pointer);
  const auto place = unsigned(reinterpret_cast<uintptr_t>(caller) - reinterpret_cast<uintptr_t>(&__ehdr_start));
  const char* doing = write ? "writes" : "reads";
  Region* region = find(address);
  if (!region) {
    if (is_private(address) || (!write && is_program(address))) return;
    fail("out of bounds: thread %u of group %u %s %zu bytes at @%x outside of every buffer", current->index,
         group_of(current->id), doing, bytes, place);
  }
  const size_t offset = address - region->begin;
  if (address % bytes && bytes <= 16)
    fail("misaligned: thread %u of group %u %s %zu bytes at byte %zu of '%s' at @%x", current->index,
         group_of(current->id), doing, bytes, offset, region->name, place);
  if (address + bytes > region->end || region->cells[offset / 2].state == outside)
    fail("out of bounds: thread %u of group %u %s byte %zu of '%s' at @%x, which is not the tensor's", current->index,
         group_of(current->id), doing, offset, region->name, place);
  const unsigned epoch = region->threadgroup ? launch.threadgroup_epoch : launch.device_epoch;
  const Access now{current->id, epoch, current->simd_epoch, place};
  for (size_t cell = offset / 2; cell <= (offset + bytes - 1) / 2; ++cell)
    (write ? write_cell : read_cell)(*region, region->cells[cell], region->begin + 2 * cell, now);
}

void fill_threadgroup(const Region& region) {
  auto* word = reinterpret_cast<uint16_t*>(region.begin);
  for (; reinterpret_cast<uintptr_t>(word) + 1 < region.end; ++word) *word = poison;
}

}  // namespace

void poison_threadgroup_memory() {
  for (Region& region : regions) {
    if (!region.threadgroup) continue;
    fill_threadgroup(region);
    for (Cell& cell : region.cells) cell = Cell{{}, {}, false, nobody, unwritten};
  }
}

}  // namespace engine

extern "C" {

void engine_clear_regions() { engine::regions.clear(); }

// `member` has one byte for every two of the buffer: whether they belong to the tensor; null where all of them do.
// An element of `element` bytes that is poison throughout counts as not written yet.
void engine_add_buffer(const char* name, void* begin, size_t bytes, size_t element, const uint8_t* member) {
  const auto low = reinterpret_cast<uintptr_t>(begin);
  engine::Region region{name, low, low + bytes, false, std::vector<engine::Cell>((bytes + 1) / 2)};
  const auto* words = static_cast<const uint16_t*>(begin);
  const size_t step = element < 2 ? 1 : element / 2;
  for (size_t first = 0; first < region.cells.size(); first += step) {
    size_t poisoned = 0;
    for (size_t i = first; i < first + step && 2 * i + 2 <= bytes; ++i) poisoned += words[i] == engine::poison;
    for (size_t i = first; i < first + step && i < region.cells.size(); ++i)
      region.cells[i].state = member && !member[i] ? engine::outside
                              : poisoned == step   ? engine::unwritten
                                                   : engine::written;
  }
  auto place = engine::regions.begin();
  while (place != engine::regions.end() && place->begin < low) ++place;
  engine::regions.insert(place, std::move(region));
}

// A threadgroup array, by its offset in the library.
void engine_add_array(const char* name, size_t offset, size_t bytes) {
  void* begin = const_cast<char*>(&engine::__ehdr_start) + offset;
  engine_add_buffer(name, begin, bytes, 1, nullptr);
  engine::find(reinterpret_cast<uintptr_t>(begin))->threadgroup = true;
}

#define ACCESS(name, bytes, write) \
  void name(void* address) { engine::access(address, bytes, write, __builtin_return_address(0)); }
ACCESS(__tsan_read1, 1, false)
ACCESS(__tsan_read2, 2, false)
ACCESS(__tsan_read4, 4, false)
ACCESS(__tsan_read8, 8, false)
ACCESS(__tsan_read16, 16, false)
ACCESS(__tsan_write1, 1, true)
ACCESS(__tsan_write2, 2, true)
ACCESS(__tsan_write4, 4, true)
ACCESS(__tsan_write8, 8, true)
ACCESS(__tsan_write16, 16, true)
ACCESS(__tsan_unaligned_read2, 2, false)
ACCESS(__tsan_unaligned_read4, 4, false)
ACCESS(__tsan_unaligned_read8, 8, false)
ACCESS(__tsan_unaligned_read16, 16, false)
ACCESS(__tsan_unaligned_write2, 2, true)
ACCESS(__tsan_unaligned_write4, 4, true)
ACCESS(__tsan_unaligned_write8, 8, true)
ACCESS(__tsan_unaligned_write16, 16, true)
void __tsan_read_range(void* address, size_t bytes) { engine::access(address, bytes, false, __builtin_return_address(0)); }
void __tsan_write_range(void* address, size_t bytes) { engine::access(address, bytes, true, __builtin_return_address(0)); }
void __tsan_init() {}
}
