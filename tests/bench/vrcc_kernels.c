/* vrcc_kernels - the arithmetic that bench_vrcc.c compiles with clang and with vrcc: prints "NAME SECONDS" for each,
 * the least of several passes over data that differ from pass to pass. A pass is long enough that neither the clock nor
 * the first look at the data counts; what only streams is timed in the first-level cache, the second and memory. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define N      4096
#define FAR    32768   /* elements that lie in the second-level cache */
#define BIG    4194304 /* and in memory */
#define SIDE   64      /* of matrices and images */
#define GRID   32      /* of the conjugate gradient's square */
#define PASSES 8
#define APART  __attribute__((noinline))

static volatile double sink;
static unsigned long state = 88172645463325252ul;

static double uniform(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (double)(state >> 11) * 0x1p-53 + 0x1p-20;
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

#define KERNELS(type, root)                                                                                            \
    static type x_##type[N], y_##type[N], a_##type[SIDE * SIDE], b_##type[SIDE * SIDE], c_##type[SIDE * SIDE];         \
    static type u_##type[BIG], v_##type[BIG];                                                                          \
    static type p_##type[GRID * GRID], q_##type[GRID * GRID], r_##type[GRID * GRID], s_##type[GRID * GRID];            \
                                                                                                                       \
    static void fill_##type(void)                                                                                      \
    {                                                                                                                  \
        for (int i = 0; i < N; i++) {                                                                                  \
            x_##type[i] = (type)uniform();                                                                             \
            y_##type[i] = (type)uniform();                                                                             \
            a_##type[i % (SIDE * SIDE)] = (type)uniform();                                                             \
            b_##type[i % (SIDE * SIDE)] = (type)uniform();                                                             \
        }                                                                                                              \
        for (int i = 0; i < BIG; i += N) {                                                                             \
            memcpy(u_##type + i, x_##type, sizeof x_##type);                                                           \
            memcpy(v_##type + i, y_##type, sizeof y_##type);                                                           \
        }                                                                                                              \
    }                                                                                                                  \
                                                                                                                       \
    APART static type dot_##type(const type *x, const type *y, int n)                                                  \
    {                                                                                                                  \
        type sum = 0;                                                                                                  \
        for (int i = 0; i < n; i++)                                                                                    \
            sum += x[i] * y[i];                                                                                        \
        return sum;                                                                                                    \
    }                                                                                                                  \
                                                                                                                       \
    /* four by the width of a vector of sums, as -ffast-math would make of the loop above */                           \
    APART static type dot_vector_##type(const type *x, const type *y, int n)                                           \
    {                                                                                                                  \
        type sums[64] = {0}, sum = 0;                                                                                  \
        for (int i = 0; i < n; i += 64)                                                                                \
            for (int k = 0; k < 64; k++)                                                                               \
                sums[k] += x[i + k] * y[i + k];                                                                        \
        for (int k = 0; k < 64; k++)                                                                                   \
            sum += sums[k];                                                                                            \
        return sum;                                                                                                    \
    }                                                                                                                  \
                                                                                                                       \
    APART static void axpy_##type(type alpha, const type *restrict x, type *restrict y, int n)                         \
    {                                                                                                                  \
        for (int i = 0; i < n; i++)                                                                                    \
            y[i] += alpha * x[i];                                                                                      \
    }                                                                                                                  \
                                                                                                                       \
    APART static void matmul_##type(const type *restrict a, const type *restrict b, type *restrict c)                  \
    {                                                                                                                  \
        for (int i = 0; i < SIDE; i++) {                                                                               \
            for (int j = 0; j < SIDE; j++)                                                                             \
                c[i * SIDE + j] = 0;                                                                                   \
            for (int k = 0; k < SIDE; k++)                                                                             \
                for (int j = 0; j < SIDE; j++)                                                                         \
                    c[i * SIDE + j] += a[i * SIDE + k] * b[k * SIDE + j];                                              \
        }                                                                                                              \
    }                                                                                                                  \
                                                                                                                       \
    APART static void conv_##type(const type *restrict a, const type *restrict w, type *restrict c)                    \
    {                                                                                                                  \
        for (int i = 1; i < SIDE - 1; i++) {                                                                           \
            for (int j = 1; j < SIDE - 1; j++) {                                                                       \
                type sum = 0;                                                                                          \
                for (int u = 0; u < 3; u++)                                                                            \
                    for (int v = 0; v < 3; v++)                                                                        \
                        sum += w[3 * u + v] * a[(i + u - 1) * SIDE + j + v - 1];                                       \
                c[i * SIDE + j] = sum;                                                                                 \
            }                                                                                                          \
        }                                                                                                              \
    }                                                                                                                  \
                                                                                                                       \
    APART static type harmonic_##type(int from, int n)                                                                 \
    {                                                                                                                  \
        type sum = 0;                                                                                                  \
        for (int i = from; i < from + n; i++)                                                                          \
            sum += 1 / (type)i;                                                                                        \
        return sum;                                                                                                    \
    }                                                                                                                  \
                                                                                                                       \
    static void apply_##type(const type *x, type *out)                                                                 \
    {                                                                                                                  \
        for (int i = 1; i < GRID - 1; i++)                                                                             \
            for (int j = 1; j < GRID - 1; j++) {                                                                       \
                const int k = i * GRID + j;                                                                            \
                out[k] = (type)4.1 * x[k] - x[k - 1] - x[k + 1] - x[k - GRID] - x[k + GRID];                           \
            }                                                                                                          \
    }                                                                                                                  \
                                                                                                                       \
    APART static type gradient_##type(int iterations)                                                                  \
    {                                                                                                                  \
        const int n = GRID * GRID;                                                                                     \
        for (int i = 0; i < n; i++) {                                                                                  \
            const int row = i / GRID, column = i % GRID;                                                               \
            const int inside = row > 0 && row < GRID - 1 && column > 0 && column < GRID - 1;                           \
            r_##type[i] = p_##type[i] = inside ? x_##type[i] : 0;                                                      \
            s_##type[i] = 0;                                                                                           \
        }                                                                                                              \
        type rr = dot_##type(r_##type, r_##type, n);                                                                   \
        for (int k = 0; k < iterations; k++) {                                                                         \
            apply_##type(p_##type, q_##type);                                                                          \
            const type alpha = rr / dot_##type(p_##type, q_##type, n);                                                 \
            axpy_##type(alpha, p_##type, s_##type, n);                                                                 \
            axpy_##type(-alpha, q_##type, r_##type, n);                                                                \
            const type next = dot_##type(r_##type, r_##type, n), beta = next / rr;                                     \
            for (int i = 0; i < n; i++)                                                                                \
                p_##type[i] = r_##type[i] + beta * p_##type[i];                                                        \
            rr = next;                                                                                                 \
        }                                                                                                              \
        return root(rr);                                                                                               \
    }                                                                                                                  \
                                                                                                                       \
    /* radix 2 in place, bits not reversed; the twiddle factors lie in a */                                            \
    APART static void fft_##type(type *re, type *im, const type *cosine, const type *sine)                             \
    {                                                                                                                  \
        for (int half = N / 2; half >= 1; half /= 2)                                                                   \
            for (int begin = 0; begin < N; begin += 2 * half)                                                          \
                for (int k = 0; k < half; k++) {                                                                       \
                    const int i = begin + k, j = i + half;                                                             \
                    const type c = cosine[k * (N / 2 / half)], s = sine[k * (N / 2 / half)];                           \
                    const type u = re[i] - re[j], v = im[i] - im[j];                                                   \
                    re[i] += re[j];                                                                                    \
                    im[i] += im[j];                                                                                    \
                    re[j] = u * c - v * s;                                                                             \
                    im[j] = u * s + v * c;                                                                             \
                }                                                                                                      \
    }

KERNELS(float, sqrtf)
KERNELS(double, sqrt)

#define TIME(name, turns, statement)                                                                                   \
    do {                                                                                                               \
        double best = 1e9;                                                                                             \
        for (int pass = 0; pass < PASSES; pass++) {                                                                    \
            fill_float();                                                                                              \
            fill_double();                                                                                             \
            const double begin = seconds();                                                                            \
            for (int turn = 0; turn < (turns); turn++)                                                                 \
                statement;                                                                                             \
            const double took = (seconds() - begin) / (turns);                                                         \
            best = took < best ? took : best;                                                                          \
        }                                                                                                              \
        printf("%s %.9g\n", name, best);                                                                               \
    } while (0)

#define TIME_ALL(type, letter)                                                                                         \
    TIME("harmonic " letter, 1, sink = harmonic_##type(1 + pass * N, N));                                              \
    TIME("dot " letter, 1, sink = dot_##type(x_##type, y_##type, N));                                                  \
    TIME("dot-vector " letter " L1", 64, sink = dot_vector_##type(x_##type, y_##type, N));                             \
    TIME("dot-vector " letter " L2", 8, sink = dot_vector_##type(u_##type, v_##type, FAR));                            \
    TIME("dot-vector " letter " memory", 1, sink = dot_vector_##type(u_##type, v_##type, BIG));                        \
    TIME("axpy " letter " L1", 64, axpy_##type((type)0.37, x_##type, y_##type, N));                                    \
    TIME("axpy " letter " L2", 8, axpy_##type((type)0.37, u_##type, v_##type, FAR));                                   \
    TIME("axpy " letter " memory", 1, axpy_##type((type)0.37, u_##type, v_##type, BIG));                               \
    TIME("matmul " letter, 1, matmul_##type(a_##type, b_##type, c_##type));                                            \
    TIME("conv " letter, 1, conv_##type(a_##type, b_##type, c_##type));                                                \
    TIME("gradient " letter, 1, sink = gradient_##type(20));                                                           \
    TIME("fft " letter, 1, fft_##type(x_##type, y_##type, a_##type, b_##type))

int main(void)
{
    TIME_ALL(float, "f32");
    TIME_ALL(double, "f64");
    return 0;
}
