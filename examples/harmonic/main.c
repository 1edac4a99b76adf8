/* harmonic - the sum of 1/i in f32, by rounding mode.
 *
 * To nearest, the sum stops growing once 1/i is less than half an ulp of it, at about i = 2 million. Rounded
 * stochastically it goes on growing as the logarithm does, since the roundings' errors are 0 on average. Both the
 * quotient and the sum are rounded in the mode.
 */
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <varanalyze/random.h>
#include <varanalyze/rounding.h>

static const char usage[] =
    "usage: harmonic [options]\n"
    "\n"
    "Sum 1/i for i = 1 .. N in f32, rounding quotients and sums in a mode, and say how far the sum is from\n"
    "the harmonic number, over several seeds.\n"
    "\n"
    "  -n N               terms (default 10000000)\n"
    "  -r RUNS            runs of a mode that draws random bits, each with a seed of its own (default 30)\n"
    "  --mode LIST        of nearest, sr, ud, up, down, zero, rr, pb, mca (default nearest,sr,ud)\n"
    "  --precision T      bits kept, 1 to 24 (default 24)\n"
    "  --bits SOURCE      stream (default) or operands\n"
    "  --seed S           the first seed (default 1)\n"
    "  --csv FILE         how the sum grows: i, the harmonic number, each mode's mean; - for standard output\n"
    "  --plot FILE        the same as a picture, by gnuplot: FILE.svg or FILE.png\n"
    "  -h, --help\n"
    "\n"
    "examples:\n"
    "  harmonic --plot harmonic.svg\n"
    "  harmonic -n 1000000 --mode sr,mca --precision 11\n";

#define MAX_POINTS   256 /* at which the sum is noted */
#define BLOCK        4096
#define TROUBLE      2
#define MODES_OPTION "nearest,sr,ud"

typedef struct settings {
    long terms, runs, precision, seed;
    bool operands;
    int modes;
    vr_rounding_mode mode[VR_ROUND_MODES];
    const char *csv, *plot;
} settings;

/* Where the sum is noted, and what it is there: the harmonic number, and each mode's mean over the runs. */
typedef struct progress {
    int points;
    long at[MAX_POINTS];
    double exact[MAX_POINTS], mean[VR_ROUND_MODES][MAX_POINTS];
} progress;

typedef struct result {
    long runs;
    double mean, deviation; /* of the last sum; the deviation is that of a sample */
} result;

/* About eight points from each power of two to the next, and the last term. */
static void choose_points(progress *p, long terms)
{
    double next = 1;
    long last = 0;
    while (last < terms && p->points < MAX_POINTS - 1) {
        const long i = (long)next < terms ? (long)next : terms;
        if (i > last)
            p->at[p->points++] = last = i;
        next *= 1.0905077326652577; /* 2^(1/8) */
    }
    if (last < terms)
        p->at[p->points++] = terms;
}

/* Kahan's sum in f64: exact to far more digits than are shown. */
static void sum_exactly(progress *p)
{
    double sum = 0, rest = 0;
    long i = 1;
    for (int point = 0; point < p->points; point++) {
        for (; i <= p->at[point]; i++) {
            const double term = 1.0 / (double)i - rest, next = sum + term;
            rest = (next - sum) - term;
            sum = next;
        }
        p->exact[point] = sum;
    }
}

/* sums[point]: one run's. Terms are made by the array function, and added one by one. */
static vr_status sum_once(float *sums, const progress *p, const vr_rounding *rounding)
{
    float ones[BLOCK], terms[BLOCK], sum = 0;
    vr_stream quotients = vr_stream_at(rounding->key, 0), additions = vr_stream_at(rounding->key, 1);
    const long last = p->at[p->points - 1];
    int point = 0;
    for (int k = 0; k < BLOCK; k++)
        ones[k] = 1;
    for (long begin = 1; begin <= last; begin += BLOCK) {
        const long n = last - begin + 1 < BLOCK ? last - begin + 1 : BLOCK;
        for (long k = 0; k < n; k++)
            terms[k] = (float)(begin + k);
        const vr_status status =
            vr_round_array(rounding, &quotients, VR_DIV, VR_F32, terms, ones, terms, NULL, (size_t)n);
        if (status != VR_OK)
            return status;
        for (long k = 0; k < n; k++) {
            sum = vr_round_add_f32(rounding, &additions, sum, terms[k]);
            if (begin + k == p->at[point])
                sums[point++] = sum;
        }
    }
    return VR_OK;
}

/* All runs of a mode; p->mean[mode] is filled in. */
static vr_status sum_mode(result *out, progress *p, int index, const settings *options)
{
    const vr_rounding_mode mode = options->mode[index];
    const long runs = vr_rounding_is_random(mode) ? options->runs : 1;
    float *sums = malloc((size_t)runs * MAX_POINTS * sizeof *sums);
    vr_status status = sums ? VR_OK : VR_ERROR_MEMORY;
#pragma omp parallel for schedule(dynamic) if (sums)
    for (long run = 0; run < runs; run++) {
        const uint64_t key = vr_derive_seed((uint64_t)(options->seed + run), "rounding");
        const vr_rounding rounding = {mode, (uint8_t)options->precision, options->operands, key};
        if (sums && sum_once(sums + run * MAX_POINTS, p, &rounding) != VR_OK)
#pragma omp atomic write
            status = VR_ERROR_ARGUMENT;
    }
    *out = (result){.runs = runs};
    double squares = 0;
    for (long run = 0; run < runs && status == VR_OK; run++)
        for (int point = 0; point < p->points; point++)
            p->mean[index][point] += sums[run * MAX_POINTS + point] / (double)runs;
    out->mean = p->mean[index][p->points - 1];
    for (long run = 0; run < runs && status == VR_OK; run++)
        squares += pow(sums[run * MAX_POINTS + p->points - 1] - out->mean, 2);
    out->deviation = runs > 1 ? sqrt(squares / (double)(runs - 1)) : 0;
    free(sums);
    return status;
}

static void print_result(const settings *options, int index, const result *r, double exact)
{
    printf("%-8s %10.6f  error %+.6f", vr_rounding_name(options->mode[index]), r->mean, r->mean - exact);
    if (r->runs > 1)
        printf("  standard deviation %.6f over %ld seeds", r->deviation, r->runs);
    putchar('\n');
}

static void write_csv(FILE *out, const progress *p, const settings *options)
{
    fputs("i,harmonic", out);
    for (int m = 0; m < options->modes; m++)
        fprintf(out, ",%s", vr_rounding_name(options->mode[m]));
    for (int point = 0; point < p->points; point++) {
        fprintf(out, "\n%ld,%.9g", p->at[point], p->exact[point]);
        for (int m = 0; m < options->modes; m++)
            fprintf(out, ",%.9g", p->mean[m][point]);
    }
    fputc('\n', out);
}

static bool complain(const char *path, const char *what)
{
    fprintf(stderr, "harmonic: %s: %s\n", path, what);
    return false;
}

static bool save_csv(const progress *p, const settings *options)
{
    if (strcmp(options->csv, "-") == 0) {
        write_csv(stdout, p, options);
        return true;
    }
    FILE *out = fopen(options->csv, "w");
    if (!out)
        return complain(options->csv, strerror(errno));
    write_csv(out, p, options);
    const bool failed = ferror(out) != 0;
    return fclose(out) == 0 && !failed ? true : complain(options->csv, "could not be written");
}

static const char *terminal_of(const char *path)
{
    const char *suffix = strrchr(path, '.');
    if (suffix && strcmp(suffix, ".svg") == 0)
        return "svg size 800,500 background 'white'";
    return suffix && strcmp(suffix, ".png") == 0 ? "png size 800,500" : NULL;
}

/* The path goes to gnuplot as a string of its own, which a quote would end. Where there is no gnuplot, nobody may be
 * reading. */
static bool save_plot(const progress *p, const settings *options)
{
    signal(SIGPIPE, SIG_IGN);
    FILE *out = popen("gnuplot", "w");
    if (!out)
        return complain("gnuplot", strerror(errno));
    fprintf(out, "set terminal %s\nset output '", terminal_of(options->plot));
    for (const char *c = options->plot; *c; c++)
        fputs(*c == '\'' ? "''" : (char[]){*c, 0}, out);
    fputs("'\nset datafile separator ','\nset logscale x\nset xlabel 'i'\nset ylabel 'sum of 1/i in f32'\n"
          "set key left top autotitle columnhead\n$data << END_OF_DATA\n",
          out);
    write_csv(out, p, options);
    fprintf(out, "END_OF_DATA\nplot for [k=2:%d] $data using 1:k with lines linewidth 2\n", options->modes + 2);
    const int status = pclose(out);
    return status == 0 ? true : complain(options->plot, "gnuplot did not draw it; is it installed?");
}

static bool parse_number(long *out, const char *text, long least, long most, const char *what)
{
    char *end;
    errno = 0;
    *out = strtol(text, &end, 10);
    if (errno == 0 && end != text && *end == '\0' && *out >= least && *out <= most)
        return true;
    fprintf(stderr, "harmonic: %s \"%s\"; use a number from %ld to %ld\n", what, text, least, most);
    return false;
}

static bool parse_modes(settings *options, const char *list)
{
    char copy[256];
    options->modes = 0;
    if (strlen(list) >= sizeof copy)
        return complain("--mode", "too long");
    strcpy(copy, list);
    for (char *rest = copy, *name; (name = strsep(&rest, ","));) {
        if (options->modes == VR_ROUND_MODES)
            return complain("--mode", "more modes than there are");
        if (vr_rounding_parse(&options->mode[options->modes++], name) != VR_OK)
            return complain("--mode", vr_error());
    }
    return true;
}

static bool parse_option(settings *options, int option)
{
    switch (option) {
    case 'n': /* beyond 2^31 the sum would take minutes, and f32 has no such i anyway */
        return parse_number(&options->terms, optarg, 1, 2147483647, "-n");
    case 'r':
        return parse_number(&options->runs, optarg, 1, 100000, "-r");
    case 't':
        return parse_number(&options->precision, optarg, 1, 24, "--precision");
    case 's':
        return parse_number(&options->seed, optarg, 0, 1000000000, "--seed");
    case 'm':
        return parse_modes(options, optarg);
    case 'b':
        options->operands = strcmp(optarg, "operands") == 0;
        return options->operands || strcmp(optarg, "stream") == 0 || complain("--bits", "use stream or operands");
    case 'c':
        options->csv = optarg;
        return true;
    case 'p':
        options->plot = optarg;
        return (terminal_of(optarg) && !strchr(optarg, '\n')) ||
               complain(optarg, "a name of one line that ends in .svg or .png is needed");
    default:
        return false;
    }
}

static bool parse_options(settings *options, int argc, char **argv, bool *help)
{
    static const struct option names[] = {
        {"mode", required_argument, NULL, 'm'}, {"precision", required_argument, NULL, 't'},
        {"bits", required_argument, NULL, 'b'}, {"seed", required_argument, NULL, 's'},
        {"csv", required_argument, NULL, 'c'},  {"plot", required_argument, NULL, 'p'},
        {"help", no_argument, NULL, 'h'},       {NULL, 0, NULL, 0},
    };
    *options = (settings){.terms = 10000000, .runs = 30, .seed = 1};
    if (!parse_modes(options, MODES_OPTION))
        return false;
    for (int option; (option = getopt_long(argc, argv, "n:r:h", names, NULL)) != -1;) {
        if (option == 'h')
            *help = true;
        else if (!parse_option(options, option))
            return false;
    }
    return optind == argc || complain(argv[optind], "not an option");
}

int main(int argc, char **argv)
{
    static progress p;
    settings options;
    bool help = false;
    if (!parse_options(&options, argc, argv, &help)) {
        fputs("see harmonic --help\n", stderr);
        return TROUBLE;
    }
    if (help) {
        fputs(usage, stdout);
        return EXIT_SUCCESS;
    }
    choose_points(&p, options.terms);
    sum_exactly(&p);
    const double exact = p.exact[p.points - 1];
    printf("harmonic %10.6f  n %ld, seeds from %ld\n", exact, options.terms, options.seed);
    for (int m = 0; m < options.modes; m++) {
        result r;
        if (sum_mode(&r, &p, m, &options) != VR_OK) {
            complain(vr_rounding_name(options.mode[m]), "out of memory; fewer runs need less");
            return TROUBLE;
        }
        print_result(&options, m, &r, exact);
    }
    if ((options.csv && !save_csv(&p, &options)) || (options.plot && !save_plot(&p, &options)))
        return TROUBLE;
    if (fflush(stdout) != 0 || ferror(stdout)) {
        complain("standard output", "could not be written");
        return TROUBLE;
    }
    return EXIT_SUCCESS;
}
