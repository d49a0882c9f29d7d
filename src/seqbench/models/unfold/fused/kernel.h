/* What every generated kernel is built on: types, and the functions of its equations.

   REAL is the type of numbers, BYTES the size of a vector register, ROWS how many rows go through all steps
   together: few enough that their state and the weights stay in the cache. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef REAL real;
#define INLINE static inline __attribute__((always_inline))
/* Each iteration of a loop over columns is independent of the others. */
#ifdef __clang__
#define COLUMNS _Pragma("clang loop vectorize(assume_safety)")
#else
#define COLUMNS _Pragma("GCC ivdep")
#endif

/* Products, see products.c. */
struct term { const real *a; long lda, k; };  /* a value (m, k) of a product, its rows lda numbers apart */
void product(long m, long n, real *c, long ldc, long count, const struct term *terms, const real *w);
void outer(long m, long k, const real *a, long lda, long n, const real *g, long ldg, real *w, long ldw);
void add(real *to, long row_stride, long column_stride, long rows, long columns, const real *w, long ldw);
void pack(real *packed, long rows, long n, long row, long column, long k, long columns, const real *w,
          long row_stride, long column_stride);

/* exp x = 2^n exp r with r = x − n ln 2, |r| ≤ ln 2 / 2, and the Taylor series of exp r. */
#if REAL_IS_FLOAT
typedef int32_t bits;
#define MANTISSA 23
#define BIAS 127
#define LN2_HIGH 0.693359375f
#define LN2_LOW -2.12194440e-4f
#else
typedef int64_t bits;
#define MANTISSA 52
#define BIAS 1023
#define LN2_HIGH 6.93145751953125e-1
#define LN2_LOW 1.42860682030941723212e-6
#endif

/* 2^n for a whole number n within the range of exponents. */
INLINE real power_of_two(real n) {
  bits b = ((bits)n + BIAS) << MANTISSA;
  real r;
  memcpy(&r, &b, sizeof r);
  return r;
}

/* exp r − 1 for |r| ≤ ln 2 / 2. */
INLINE real expm1_series(real r) {
#if REAL_IS_FLOAT
  real p = (real)(1. / 5040);
#else
  real p = (real)(1. / 6227020800.);
  p = p * r + (real)(1. / 479001600);
  p = p * r + (real)(1. / 39916800);
  p = p * r + (real)(1. / 3628800);
  p = p * r + (real)(1. / 362880);
  p = p * r + (real)(1. / 40320);
  p = p * r + (real)(1. / 5040);
#endif
  p = p * r + (real)(1. / 720);
  p = p * r + (real)(1. / 120);
  p = p * r + (real)(1. / 24);
  p = p * r + (real)(1. / 6);
  p = p * r + (real)0.5;
  return r + r * r * p;
}

INLINE real nearest(real x) { return REAL_IS_FLOAT ? __builtin_rintf(x) : __builtin_rint(x); }

/* exp x − 1 for |x| up to 80; exact near 0. */
INLINE real expm1_of(real x) {
  const real n = nearest(x * (real)1.44269504088896340736);
  const real scale = power_of_two(n), r = (x - n * LN2_HIGH) - n * LN2_LOW;
  return scale * expm1_series(r) + (scale - 1);
}

INLINE real exp_of(real x) {
  const real low = REAL_IS_FLOAT ? -104 : -746, high = REAL_IS_FLOAT ? 89 : 710;
  x = x < low ? low : x > high ? high : x;
  const real n = nearest(x * (real)1.44269504088896340736), half = nearest(n * (real)0.5);
  const real r = (x - n * LN2_HIGH) - n * LN2_LOW;
  return (expm1_series(r) + 1) * power_of_two(half) * power_of_two(n - half);
}

INLINE real tanh_of(real x) {
  const real bound = REAL_IS_FLOAT ? 10 : 20;  /* beyond it tanh is 1 to the last bit */
  const real e = expm1_of(2 * (x < -bound ? -bound : x > bound ? bound : x));
  return e / (e + 2);
}

/* exp −x, kept from overflow: where it would, the result is next to nothing. */
INLINE real sigmoid_of(real x) {
  const real bound = REAL_IS_FLOAT ? 87 : 708;
  x = x < -bound ? -bound : x > bound ? bound : x;
  const real n = nearest(x * (real)-1.44269504088896340736);
  const real r = (-x - n * LN2_HIGH) - n * LN2_LOW;
  return 1 / (1 + (expm1_series(r) + 1) * power_of_two(n));
}

#define FUNCTION(name) INLINE real name##_of(real x) { return REAL_IS_FLOAT ? name##f(x) : name(x); }
FUNCTION(log) FUNCTION(log1p) FUNCTION(sqrt) FUNCTION(sin) FUNCTION(cos) FUNCTION(erf) FUNCTION(floor)
FUNCTION(ceil) FUNCTION(trunc)
INLINE real pow_of(real x, real y) { return REAL_IS_FLOAT ? powf(x, y) : pow(x, y); }
/* From 20 on torch takes x for log(1 + exp x). */
INLINE real softplus_of(real x) {
  return x > 20 ? x : (x > 0 ? x : 0) + log1p_of(exp_of(x > 0 ? -x : x));
}
/* Exact while x / y is below 2^22. */
INLINE real remainder_of(real x, real y) {
  const real r = x - y * floor_of(x / y);
  return r != 0 && (r < 0) != (y < 0) ? r + y : r == y ? 0 : r;
}

/* Reductions of a row; the maximum is NaN where a number is, and its place the first one. */
INLINE real sum_of(const real *a, long n) {
  real sum = 0;
  for (long j = 0; j < n; j++) sum += a[j];
  return sum;
}
INLINE real argmax_of(const real *a, long n) {
  long best = 0;
  for (long j = 1; j < n; j++)
    if (a[best] == a[best] && !(a[j] <= a[best])) best = j;
  return (real)best;
}
INLINE real max_of(const real *a, long n) { return a[(long)argmax_of(a, n)]; }
