// What C++ adds: templates in several files, exceptions, virtual functions, static initialization, threads, complex
// numbers; and what cannot be entered twice: variable arguments and computed jumps.
#include <complex>
#include <cstdarg>
#include <cstdio>
#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

template <class T> T squares(const std::vector<T> &v)
{
    T sum = 0;
    for (auto x : v)
        sum += x * x;
    return sum;
}

struct third {
    double value;
    explicit third(double x) : value(x / 3)
    {
    }
    ~third()
    {
        std::printf("~third %.17g\n", value * 3);
    }
};

static double before_main = [] {
    double sum = 0;
    for (int i = 1; i < 100; i++)
        sum += 1.0 / i;
    return sum;
}();

static double may_throw(double x)
{
    third t(x);
    if (x > 2)
        throw std::runtime_error("more than 2: " + std::to_string(x * 1.1));
    return x * 1.1;
}

struct shape {
    virtual double area(double) const = 0;
    virtual ~shape()
    {
    }
};

struct disc : shape {
    double pi = 3.14159;
    double area(double r) const override
    {
        return pi * r * r + 0.1;
    }
};

static double sum_of(int n, ...)
{
    va_list list;
    va_start(list, n);
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += va_arg(list, double) * 1.1;
    va_end(list);
    return sum;
}

static double jumping(int n)
{
    static void *labels[] = {&&a, &&b};
    double s = 0.1;
    goto *labels[n & 1];
a:
    s += 1.1;
    if (--n > 0)
        goto *labels[n & 1];
b:
    s *= 1.3;
    if (--n > 0)
        goto *labels[n & 1];
    return s;
}

long double extended(long double x)
{
    return x * 1.1L + 1; // left alone, and said so
}

int main()
{
    std::vector<double> v(1000);
    std::iota(v.begin(), v.end(), 0.1);
    std::vector<float> w(1000, 0.1f);
    std::printf("%.17g %.17g %.9g\n", squares(v), before_main, squares(w));
    try {
        may_throw(1);
        may_throw(3);
    } catch (std::exception &e) {
        std::printf("caught %s\n", e.what());
    }
    shape *s = new disc;
    std::printf("%.17g\n", s->area(0.3));
    delete s;
    std::complex<double> z(1.1, 2.2), y(3.3, 4.4);
    z *= y;
    std::printf("%.17g %.17g\n", z.real(), z.imag());
    std::printf("%.17g %.17g %.20Lg\n", sum_of(3, 1.1, 2.2, 3.3), jumping(5), extended(0.1L));
    std::vector<std::thread> threads;
    double sums[4];
    for (int i = 0; i < 4; i++)
        threads.emplace_back([&, i] {
            double sum = 0;
            for (int k = 1; k < 10000; k++)
                sum += 1.0 / (k + i);
            sums[i] = sum;
        });
    for (auto &t : threads)
        t.join();
    for (double x : sums)
        std::printf("%.17g\n", x);
}
