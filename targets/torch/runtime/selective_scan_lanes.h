// As many fp32 numbers as a vector register holds: reading and writing them as fp32, fp16 or bf16, exponentials, and
// transposing.
//
// The vectors are the GCC extension that clang shares, so the same text serves x86 and ARM.

#pragma once

#include <cstdint>
#include <cstring>
#if defined(__AVX512F__)
#include <immintrin.h>
#endif

namespace {

#if defined(__AVX512F__)
#define LANES 16
#elif defined(__AVX__)
#define LANES 8
#else
#define LANES 4
#endif

typedef float Lanes __attribute__((vector_size(LANES * sizeof(float))));
typedef int32_t Bits __attribute__((vector_size(LANES * sizeof(int32_t))));
typedef uint16_t Words __attribute__((vector_size(LANES * sizeof(uint16_t))));

#define INLINE inline __attribute__((always_inline))

// Elements in memory: fp32, fp16, bf16.

struct Half { uint16_t word; };
struct Brain { uint16_t word; };

INLINE Bits bits(Lanes x) { return (Bits)x; }
INLINE Lanes lanes(Bits x) { return (Lanes)x; }
INLINE Lanes all(float x) { return x - Lanes{}; }

INLINE Lanes widen(const float* from) {
  Lanes out;
  std::memcpy(&out, from, sizeof out);
  return out;
}

INLINE Bits widen_words(const void* from) {
  Words words;
  std::memcpy(&words, from, sizeof words);
  return __builtin_convertvector(words, Bits);
}

INLINE Lanes widen(const Brain* from) { return lanes(widen_words(from) << 16); }

INLINE Lanes widen(const Half* from) {
  const Bits word = widen_words(from), magnitude = (word & 0x7fff) << 13;
  const Bits finite = bits(lanes(magnitude) * 0x1p112f);  // 112: the difference of the exponents' biases
  const Bits out = magnitude >= 0x0f800000 ? (magnitude | 0x7f800000) : finite;
  return lanes(out | ((word & 0x8000) << 16));
}

INLINE void narrow(float* to, Lanes x) { std::memcpy(to, &x, sizeof x); }

INLINE void narrow_words(void* to, Bits x) {
  const Words words = __builtin_convertvector(x, Words);
  std::memcpy(to, &words, sizeof words);
}

// Both round to the nearest, ties to even.
INLINE void narrow(Brain* to, Lanes x) {
  const Bits b = bits(x), rounded = (b + 0x7fff + ((b >> 16) & 1)) >> 16;
  narrow_words(to, x != x ? ((b >> 16) | 0x40) : rounded);
}

INLINE void narrow(Half* to, Lanes x) {
  const Bits b = bits(x), magnitude = b & 0x7fffffff;
  const Bits normal = (magnitude - 0x38000000 + 0xfff + ((magnitude >> 13) & 1)) >> 13;
  const Bits small = bits(lanes(magnitude) + 0.5f) - 0x3f000000;  // adding 0.5 rounds at the unit of a subnormal half
  Bits out = magnitude < 0x38800000 ? small : normal;
  out = magnitude >= 0x477ff000 ? (Bits{} + 0x7c00) : out;
  out = magnitude > 0x7f800000 ? (Bits{} + 0x7e00) : out;
  narrow_words(to, out | ((b >> 16) & 0x8000));
}

// Functions of each number.

// 2^x: relative error 2e-9 of the polynomial (a minimax fit on [-1/2, 1/2], exactly 1 at 0) and the rounding of fp32.
// Below -126 it is zero or the smallest normal number; above 128 it is infinite.
INLINE Lanes exp2(Lanes x) {
  const Lanes round = all(12582912.0f);  // 1.5 * 2^23: the fraction drops out
#if !defined(__AVX512F__)  // whose scaling by a power of two minds the range itself
  const Lanes low = all(-126.0f), high = all(128.0f);
  x = low > x ? low : x;
  x = high < x ? high : x;
#endif
  const Lanes shifted = x + round, f = x - (shifted - round);
  Lanes p = f * 0x1.41fbbcp-13f + 0x1.5f3e56p-10f;
  p = p * f + 0x1.3b2d4cp-7f;
  p = p * f + 0x1.c6aee8p-5f;
  p = p * f + 0x1.ebfbdcp-3f;
  p = p * f + 0x1.62e43p-1f;
  p = p * f + 1.0f;
#if defined(__AVX512F__)
  return _mm512_scalef_ps(p, shifted - round);
#else
  return p * lanes((bits(shifted) + 127) << 23);
#endif
}

constexpr float LOG2_E = 1.442695041f, LN_2 = 0.693147181f;

INLINE Lanes exp(Lanes x) { return exp2(x * LOG2_E); }
INLINE Lanes sigmoid(Lanes x) { return 1.0f / (1.0f + exp(-x)); }

// log(1 + e^x) = max(x, 0) + 2 atanh(s), s = w / (2 + w), w = e^-|x|; the fit in s^2 on [0, 1/9] is good to 4e-9.
INLINE Lanes softplus(Lanes x) {
  const Lanes zero = {}, w = exp(x > zero ? -x : x), s = w / (2.0f + w), u = s * s;
  Lanes p = u * 0.140957698f + 0.139788345f;
  p = p * u + 0.200125575f;
  p = p * u + 0.333331555f;
  p = p * u + 1.0f;
  return (x < zero ? zero : x) + 2.0f * s * p;
}

#if defined(__clang__)
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLE(a, b, ...) __builtin_shuffle(a, b, Bits{__VA_ARGS__})
#endif

// The first halves of two rows, number by number in turn, and the second halves.
#if LANES == 16
#define LOW 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define HIGH 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#elif LANES == 8
#define LOW 0, 8, 1, 9, 2, 10, 3, 11
#define HIGH 4, 12, 5, 13, 6, 14, 7, 15
#else
#define LOW 0, 4, 1, 5
#define HIGH 2, 6, 3, 7
#endif

INLINE Lanes zip_low(Lanes a, Lanes b) { return SHUFFLE(a, b, LOW); }
INLINE Lanes zip_high(Lanes a, Lanes b) { return SHUFFLE(a, b, HIGH); }

// log2(LANES) perfect shuffles of LANES rows are their transpose.
INLINE void transpose(Lanes* rows) {
  Lanes other[LANES];
  Lanes *from = rows, *to = other;
  for (int round = 1; round < LANES; round *= 2) {
    for (int i = 0; i < LANES / 2; ++i) {
      to[2 * i] = zip_low(from[i], from[i + LANES / 2]);
      to[2 * i + 1] = zip_high(from[i], from[i + LANES / 2]);
    }
    Lanes* swap = from;
    from = to;
    to = swap;
  }
  if (from != rows) std::memcpy(rows, from, sizeof other);
}

// The sums of LANES rows, by the same shuffles with an addition after each; destroys the rows.
INLINE Lanes row_sums(Lanes* rows) {
#pragma GCC unroll 4
  for (int half = LANES / 2; half; half /= 2)
#pragma GCC unroll 8
    for (int i = 0; i < half; ++i) {
      const Lanes a = rows[i], b = rows[i + half];
      rows[i] = zip_low(a, b) + zip_high(a, b);
    }
  return rows[0];
}

}  // namespace
