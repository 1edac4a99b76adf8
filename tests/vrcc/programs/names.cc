/* Functions with the names that C++ gives; runtime_test.sh knows which line of the output is whose. */
#include <cstdio>

namespace outer
{

template <class T> T total(const T *x, int n)
{
    T sum = 0;
    for (int i = 0; i < n; i++)
        sum += x[i];
    return sum;
}

struct matrix {
    double a;
    double operator()(double x) const
    {
        return a * x;
    }
    double operator[](int i) const
    {
        return a * i;
    }
};

namespace
{
double hidden(double x)
{
    return x * 0.3;
}
} // namespace

} // namespace outer

int main(int count, char **)
{
    double x[4] = {0.1 * count, 0.2, 0.3, 0.4};
    float y[4] = {0.1f * count, 0.23f, 0.71f, 0.39f};
    outer::matrix m{0.7 * count};
    auto local = [&](double v) { return v / 3; };
    std::printf("%a\n%a\n%a\n%a\n%a\n", outer::total(x, 4), outer::total(y, 4), m(0.3), m[3],
                outer::hidden(0.9 * count));
    std::printf("%a\n", local(count));
    return 0;
}
