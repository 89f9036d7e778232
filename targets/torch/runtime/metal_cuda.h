// What <metal_stdlib> is to Metal, spelt for NVIDIA GPUs: metal.py hands this text to NVRTC under that name, so that one
// .metal file runs on both. Device functions need no annotation, because metal.py compiles with the device as the
// default execution space. It holds what this project's kernels use and no more: a kernel that needs another Metal
// function gets a line here.
#pragma once

using uint = unsigned int;
using ushort = unsigned short;
using ulong = unsigned long;

// Address spaces. CUDA infers where a pointer leads, so only threadgroup memory needs a word of its own.
#define device
#define constant const
#define thread
#define threadgroup __shared__
// The function that a .metal file calls a kernel becomes the inlined body of the __global__ function that metal.py adds.
#define kernel static __forceinline__

// 16-bit elements are storage only: loads widen to float, stores round to nearest even.
struct half {
    unsigned short bits;
    half() = default;
    explicit half(float value) { asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value)); }
    explicit operator float() const {
        float value;
        asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
        return value;
    }
};

struct bfloat {
    unsigned short bits;
    bfloat() = default;
    explicit bfloat(float value) { asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(value)); }
    explicit operator float() const { return __uint_as_float((unsigned int)bits << 16); }
};

// The same bits as another type of that size.
template <typename To, typename From>
inline To as_type(From from) {
    static_assert(sizeof(To) == sizeof(From), "as_type takes a type of the same size");
    To to;
    memcpy(&to, &from, sizeof to);
    return to;
}

namespace metal {

enum class mem_flags { mem_none, mem_device, mem_threadgroup };

// __syncthreads orders device memory among the threads of a group as well, whatever the flags.
inline void threadgroup_barrier(mem_flags) { __syncthreads(); }
inline void simdgroup_barrier(mem_flags) { __syncwarp(); }

inline float simd_shuffle_xor(float value, ushort mask) { return __shfl_xor_sync(0xffffffffu, value, mask); }
inline float simd_shuffle_up(float value, ushort delta) { return __shfl_up_sync(0xffffffffu, value, delta); }
inline float simd_shuffle_down(float value, ushort delta) { return __shfl_down_sync(0xffffffffu, value, delta); }
inline float simd_shuffle(float value, ushort lane) { return __shfl_sync(0xffffffffu, value, lane); }

// CUDA's own overloads live in the global namespace. Metal's safe math mode, which torch.mps sets, makes these precise.
using ::exp;
using ::exp2;
using ::fma;
using ::log;
using ::log2;
using ::max;
using ::min;

namespace precise {
using ::exp;
using ::exp2;
using ::log;
using ::log2;
inline float divide(float a, float b) { return a / b; }
}

// One instruction each (2 ulp where the result is a normal number; subnormal results are flushed to zero).
namespace fast {
inline float exp2(float x) {
    float result;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
    return result;
}
inline float exp(float x) { return exp2(x * 1.44269504f); }
inline float log2(float x) {
    float result;
    asm("lg2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
    return result;
}
inline float log(float x) { return log2(x) * 0.693147181f; }
inline float divide(float a, float b) { return __fdividef(a, b); }
}

}
