/* For process.c. */
__attribute__((visibility("default"))) double scaled(double x)
{
    double out = x;
    for (int i = 1; i < 8; i++)
        out = out * 1.3 + x / i;
    return out;
}
