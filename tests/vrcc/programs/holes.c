/* One of each that vrcc leaves alone; report_test holds the report against this list. */
#include <immintrin.h>
#include <math.h>

long double wide(long double x)
{
    return x * x;
}

__m128 reciprocal(__m128 x)
{
    return _mm_rcp_ps(x);
}

double assembler(double x)
{
    __asm__("addsd %0, %0" : "+x"(x));
    return x;
}

double library(double x)
{
    return sin(x);
}

double excluded(double x)
{
    return x + 1;
}

double fine(double x)
{
    return x * 3;
}

__float128 quadruple(__float128 x)
{
    return x + x;
}

__attribute__((target("avx512f"))) __m512 rounded_up(__m512 x)
{
    return _mm512_add_round_ps(x, x, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC);
}

double powers(double x, int n)
{
    return __builtin_powi(x, n);
}

double _Complex complex_quotient(double _Complex x, double _Complex y)
{
    return x / y;
}

double _Complex complex_product(double _Complex x, double _Complex y)
{
    return x * y;
}

long double wide_root(long double x)
{
    return sqrtl(x);
}

double narrowed(long double x)
{
    return (double)x;
}

double huge_integer(__int128 x)
{
    return (double)x;
}

__attribute__((target("f16c"))) __m128i packed(__m128 x)
{
    return _mm_cvtps_ph(x, 0);
}

__attribute__((target("avx512f"))) __m128 one_lane(__m128 x)
{
    return _mm_add_round_ss(x, x, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC);
}

__attribute__((target("avx512f"))) __m128d one_quotient(__m128d x, __m128d y)
{
    return _mm_div_round_sd(x, y, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC);
}
