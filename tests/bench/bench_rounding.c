/* bench_rounding - rounded operations on arrays of 4,096 elements, in the first-level cache of one core.
 *
 * Rates in 10^9 operations a second, for each instruction set this machine has: the plain operation as the compiler
 * vectorizes it for the best of them, then sr and ud, with bits from a stream and from the operands. Every row is timed
 * once in each round, the best of five slices; the median over the rounds is printed. The goals are twice PRISM's
 * static AVX-512 build.
 */
#include "bench.h"

#include <capture/rounding_kernel.h>
#include <math.h>

static const char usage[] = "usage: bench_rounding [--quick] [-n ROUNDS]\n";

#define COUNT      4096
#define MAX_ROUNDS 101
#define ISAS       3
#define VARIANTS   (1 + 4 * ISAS) /* plain; sr and ud by stream and operands for each instruction set */

static const char *const isas[ISAS] = {"baseline", "avx2", "avx512"};
static const char *const operations[VR_OPERATIONS] = {"add", "sub", "mul", "div", "sqrt", "fma"};
static const vr_rounding_kernels *kernels_of[ISAS]; /* NULL where the machine has none */
static float a32[COUNT], b32[COUNT], c32[COUNT], out32[COUNT];
static double a64[COUNT], b64[COUNT], c64[COUNT], out64[COUNT];
static double rates[VR_OPERATIONS][2][VARIANTS][MAX_ROUNDS];

#ifdef __x86_64__
#define CLONES __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#else
#define CLONES __attribute__((noinline))
#endif

#define DEFINE_PLAIN(type, bits, root, multiply_add)                                                                   \
    CLONES static void plain##bits(vr_operation op, const type *restrict a, const type *restrict b,                    \
                                   const type *restrict c, type *restrict out)                                         \
    {                                                                                                                  \
        if (op == VR_ADD)                                                                                              \
            for (int i = 0; i < COUNT; i++)                                                                            \
                out[i] = a[i] + b[i];                                                                                  \
        else if (op == VR_SUB)                                                                                         \
            for (int i = 0; i < COUNT; i++)                                                                            \
                out[i] = a[i] - b[i];                                                                                  \
        else if (op == VR_MUL)                                                                                         \
            for (int i = 0; i < COUNT; i++)                                                                            \
                out[i] = a[i] * b[i];                                                                                  \
        else if (op == VR_DIV)                                                                                         \
            for (int i = 0; i < COUNT; i++)                                                                            \
                out[i] = a[i] / b[i];                                                                                  \
        else if (op == VR_SQRT)                                                                                        \
            for (int i = 0; i < COUNT; i++)                                                                            \
                out[i] = root(a[i]);                                                                                   \
        else                                                                                                           \
            for (int i = 0; i < COUNT; i++)                                                                            \
                out[i] = multiply_add(a[i], b[i], c[i]);                                                               \
    }

DEFINE_PLAIN(float, 32, sqrtf, fmaf)
DEFINE_PLAIN(double, 64, sqrt, fma)

static void once(vr_operation op, bool wide, int variant)
{
    if (variant == 0) {
        if (wide)
            plain64(op, a64, b64, c64, out64);
        else
            plain32(op, a32, b32, c32, out32);
        __asm__ volatile("" ::: "memory");
        return;
    }
    const vr_rounding_kernels *kernels = kernels_of[(variant - 1) / 4];
    const int way = (variant - 1) % 4;
    static uint64_t position;
    const vr_rounding_call call = {.mode = way % 2 ? VR_ROUND_UD : VR_ROUND_SR,
                                   .op = op,
                                   .operands = way >= 2,
                                   .key = 1,
                                   .position = position % (1 << 30),
                                   .a = wide ? (void *)a64 : a32,
                                   .b = wide ? (void *)b64 : b32,
                                   .c = wide ? (void *)c64 : c32,
                                   .out = wide ? (void *)out64 : out32,
                                   .n = COUNT};
    (wide ? kernels->f64 : kernels->f32)(&call);
    position += COUNT;
}

#define SLICES 5

/* Operations a nanosecond, in the best of some slices of time: others' use of the core is not what is asked for. */
static double measure(vr_operation op, bool wide, int variant, double seconds)
{
    double best = 0;
    once(op, wide, variant);
    for (int slice = 0; slice < SLICES; slice++) {
        long calls = 0;
        const double start = bench_seconds();
        double now;
        do {
            for (int i = 0; i < 16; i++)
                once(op, wide, variant);
            calls += 16;
            now = bench_seconds();
        } while (now - start < seconds / SLICES);
        const double rate = 1e-9 * COUNT * (double)calls / (now - start);
        best = rate > best ? rate : best;
    }
    return best;
}

static void fill(void)
{
    vr_stream bits = vr_stream_at(1, 0);
    for (int i = 0; i < COUNT; i++) {
        a64[i] = 0.5 + (double)vr_stream_word64(bits.key, 3 * (uint64_t)i) * 0x1p-64;
        b64[i] = 0.5 + (double)vr_stream_word64(bits.key, 3 * (uint64_t)i + 1) * 0x1p-65;
        c64[i] = 0.5 + (double)vr_stream_word64(bits.key, 3 * (uint64_t)i + 2) * 0x1p-66;
        a32[i] = (float)a64[i];
        b32[i] = (float)b64[i];
        c32[i] = (float)c64[i];
    }
}

static bool has(int variant)
{
    return variant == 0 || kernels_of[(variant - 1) / 4];
}

static void print_tables(int rounds)
{
    for (int wide = 0; wide < 2; wide++) {
        printf("\n%s, Gop/s          stream sr      ud   operands sr      ud\n", wide ? "f64" : "f32");
        for (int op = 0; op < VR_OPERATIONS; op++) {
            printf("%-4s plain    %12.2f\n", operations[op], bench_median(rates[op][wide][0], rounds));
            for (int isa = 0; isa < ISAS; isa++) {
                if (!has(1 + 4 * isa))
                    continue;
                double *const at[4] = {rates[op][wide][1 + 4 * isa], rates[op][wide][2 + 4 * isa],
                                       rates[op][wide][3 + 4 * isa], rates[op][wide][4 + 4 * isa]};
                printf("     %-8s %12.2f %7.2f %13.2f %7.2f\n", isas[isa], bench_median(at[0], rounds),
                       bench_median(at[1], rounds), bench_median(at[2], rounds), bench_median(at[3], rounds));
            }
        }
    }
}

/* On the best instruction set of the machine the goals were set on. */
static bool print_goals(int rounds)
{
    static const struct {
        const char *name;
        vr_operation op;
        int wide;
        double goal;
    } goals[] = {{"add32", VR_ADD, 0, 1.90}, {"mul32", VR_MUL, 0, 2.08}, {"add64", VR_ADD, 1, 0.96}};
    static const char *const ways[4] = {"sr, stream", "ud, stream", "sr, operands", "ud, operands"};
    bool fine = true;
    if (!has(1 + 4 * (ISAS - 1))) {
        printf("\nno AVX-512: the goals say nothing here\n");
        return true;
    }
    printf("\n");
    for (size_t i = 0; i < sizeof goals / sizeof *goals; i++)
        for (int way = 0; way < 4; way++) {
            const double rate = bench_median(rates[goals[i].op][goals[i].wide][1 + 4 * (ISAS - 1) + way], rounds);
            fine &= rate >= goals[i].goal;
            printf("%s %-12s %.2f Gop/s, goal %.2f: %s\n", goals[i].name, ways[way], rate, goals[i].goal,
                   bench_verdict(rate >= goals[i].goal));
        }
    return fine;
}

int main(int argc, char **argv)
{
    bool quick;
    int rounds;
    if (!bench_options(argc, argv, usage, MAX_ROUNDS, &quick, &rounds))
        return 2;
    for (int isa = 0; isa < ISAS; isa++)
        kernels_of[isa] = vr_rounding_kernels_named(isas[isa]);
    fill();
    bench_print_load();
    for (int round = 0; round < rounds; round++)
        for (int op = 0; op < VR_OPERATIONS; op++)
            for (int wide = 0; wide < 2; wide++)
                for (int variant = 0; variant < VARIANTS; variant++)
                    if (has(variant))
                        rates[op][wide][variant][round] =
                            measure((vr_operation)op, wide, variant, quick ? 0.002 : 0.01);
    print_tables(rounds);
    return print_goals(rounds) ? 0 : 1;
}
