// A stack of its own for every simulated thread, and the switch between two of them.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <vector>

namespace engine {

constexpr size_t stack_bytes = 64 << 10;

// A thread that runs past its stack hits a page without access instead of its neighbour.
// Of all kernels of a process, which has no more than 65,530 mappings on Linux: they are in a library that kernels share.
extern std::vector<char*> stacks;

inline char* new_stack() {
  constexpr size_t page = 64 << 10;  // a multiple of every page size in use
  void* low = mmap(nullptr, page + stack_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (low == MAP_FAILED) return nullptr;
  mprotect(low, page, PROT_NONE);
  return static_cast<char*>(low) + page;
}

}  // namespace engine

#if defined(__x86_64__) && !defined(ENGINE_UCONTEXT)

// swapcontext saves the signal mask with a system call on every switch; eight pushes do without.
extern "C" void engine_switch(void** save, void* load);
asm(R"(
.text
.type engine_switch, @function
engine_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size engine_switch, .-engine_switch
)");

namespace engine {

struct Context {
  void* stack_pointer;

  void start(char* stack, void (*body)()) {
    void** top = reinterpret_cast<void**>(stack + stack_bytes);
    *--top = nullptr;  // keeps the stack aligned as a call would leave it
    *--top = reinterpret_cast<void*>(body);
    stack_pointer = top - 6;
  }
  void switch_to(Context& other) { engine_switch(&stack_pointer, other.stack_pointer); }
};

}  // namespace engine

#else

#include <ucontext.h>

namespace engine {

struct Context {
  ucontext_t context;

  void start(char* stack, void (*body)()) {
    getcontext(&context);
    context.uc_stack.ss_sp = stack;
    context.uc_stack.ss_size = stack_bytes;
    context.uc_link = nullptr;
    makecontext(&context, body, 0);
  }
  void switch_to(Context& other) { swapcontext(&context, &other.context); }
};

}  // namespace engine

#endif
