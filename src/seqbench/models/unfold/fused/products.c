/* Products of a few rows with weights, for all kernels.

   Weights are packed in panels of up to VECS vectors of columns, row after row, so that a tile of a
   few rows and one panel stays in registers while it goes along the rows of the weights. */
#include "kernel.h"

typedef real vec __attribute__((vector_size(BYTES), aligned(sizeof(real)), may_alias));
#define LANES ((long)(BYTES / sizeof(real)))
#define VECS (BYTES == 64 ? 4L : 2L)
#define PANEL (VECS * LANES)

INLINE void tiles(const long rows, const long vecs, long m, real *c, long ldc, long count,
                  const struct term *terms, const real *w) {
  for (long i = 0; i < m; i += rows) {
    vec sum[8][4];
    for (long r = 0; r < rows; r++)
      for (long v = 0; v < vecs; v++) sum[r][v] = (vec){0};
    const real *next = w;
    for (long s = 0; s < count; s++) {
      const real *a = terms[s].a + i * terms[s].lda;
      const long lda = terms[s].lda, k = terms[s].k;
      for (long q = 0; q < k; q++, next += vecs * LANES)
        for (long r = 0; r < rows; r++)
          for (long v = 0; v < vecs; v++) sum[r][v] += a[r * lda + q] * *(const vec *)(next + v * LANES);
    }
    for (long r = 0; r < rows; r++)
      for (long v = 0; v < vecs; v++) *(vec *)(c + (i + r) * ldc + v * LANES) = sum[r][v];
  }
}

static void tiles_1(long m, real *c, long ldc, long n, const struct term *t, const real *w) { tiles(8, 1, m, c, ldc, n, t, w); }
static void tiles_2(long m, real *c, long ldc, long n, const struct term *t, const real *w) { tiles(4, 2, m, c, ldc, n, t, w); }
#if BYTES == 64
static void tiles_3(long m, real *c, long ldc, long n, const struct term *t, const real *w) { tiles(4, 3, m, c, ldc, n, t, w); }
static void tiles_4(long m, real *c, long ldc, long n, const struct term *t, const real *w) { tiles(4, 4, m, c, ldc, n, t, w); }
#endif

/* c (m, n) = Σ a w over the terms, with packed w. Whole tiles are written: c has rows and columns to spare. */
void product(long m, long n, real *c, long ldc, long count, const struct term *terms, const real *w) {
  long k = 0;
  for (long s = 0; s < count; s++) k += terms[s].k;
  for (; n > 0; n -= PANEL, c += PANEL, w += k * PANEL) {
    const long vecs = n >= PANEL ? VECS : (n + LANES - 1) / LANES;
    if (vecs == 1) tiles_1(m, c, ldc, count, terms, w);
    if (vecs == 2) tiles_2(m, c, ldc, count, terms, w);
#if BYTES == 64
    if (vecs == 3) tiles_3(m, c, ldc, count, terms, w);
    if (vecs == 4) tiles_4(m, c, ldc, count, terms, w);
#endif
  }
}

/* w (k, n) += aᵀ g over m rows: the share of these rows in the gradient of weights. The rows of w are padded
   to whole tiles. */
INLINE void outer_tiles(const long rows, const long vecs, long m, long k, const real *a, long lda, const real *g,
                        long ldg, real *w, long ldw) {
  for (long i = 0; i < k; i += rows) {
    vec sum[8][4];
    for (long q = 0; q < rows; q++)
      for (long v = 0; v < vecs; v++) sum[q][v] = *(const vec *)(w + (i + q) * ldw + v * LANES);
    for (long r = 0; r < m; r++)
      for (long q = 0; q < rows; q++)
        for (long v = 0; v < vecs; v++) sum[q][v] += a[r * lda + i + q] * *(const vec *)(g + r * ldg + v * LANES);
    for (long q = 0; q < rows; q++)
      for (long v = 0; v < vecs; v++) *(vec *)(w + (i + q) * ldw + v * LANES) = sum[q][v];
  }
}

void outer(long m, long k, const real *a, long lda, long n, const real *g, long ldg, real *w, long ldw) {
  for (; n > 0; n -= PANEL, g += PANEL, w += PANEL) {
    const long vecs = n >= PANEL ? VECS : (n + LANES - 1) / LANES;
    if (vecs == 1) outer_tiles(8, 1, m, k, a, lda, g, ldg, w, ldw);
    if (vecs == 2) outer_tiles(4, 2, m, k, a, lda, g, ldg, w, ldw);
#if BYTES == 64
    if (vecs == 3) outer_tiles(4, 3, m, k, a, lda, g, ldg, w, ldw);
    if (vecs == 4) outer_tiles(4, 4, m, k, a, lda, g, ldg, w, ldw);
#endif
  }
}

/* Puts a block w (k, columns), with the given strides, into the packed weights (rows, n) at (row, column). */
void pack(real *packed, long rows, long n, long row, long column, long k, long columns, const real *w,
                 long row_stride, long column_stride) {
  for (long j = 0; j < columns;) {
    const long at = column + j, panel = at / PANEL * PANEL, left = n - panel;
    const long width = left >= PANEL ? PANEL : (left + LANES - 1) / LANES * LANES;
    const long count = panel + PANEL - at < columns - j ? panel + PANEL - at : columns - j;
    real *to = packed + panel * rows + row * width + (at - panel);
    const real *from = w + j * column_stride;
    if (column_stride == 1)
      for (long i = 0; i < k; i++) memcpy(to + i * width, from + i * row_stride, count * sizeof(real));
    else
      for (long q = 0; q < count; q++)
        for (long i = 0; i < k; i++) to[i * width + q] = from[i * row_stride + q * column_stride];
    j += count;
  }
}

/* to (rows, columns), with the given strides, += w. */
void add(real *to, long row_stride, long column_stride, long rows, long columns, const real *w, long ldw) {
  for (long i = 0; i < rows; i++)
    for (long j = 0; j < columns; j++) to[i * row_stride + j * column_stride] += w[i * ldw + j];
}
