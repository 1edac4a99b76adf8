/* A multiplication, a conversion and two comparisons, which the test counts. */
int main(int count, char **arguments)
{
    (void)arguments;
    double x = count * 0.1;
    for (int i = 0; i < 7; i++)
        x = (float)(x * 1.1) < 9 ? x * 1.1 : x;
    return x > 100;
}
