/* The options of `varanalyze diff`. */
#include "cmd_diff.h"

#include <errno.h>
#include <formats/fail.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef va_diff_settings settings;

/* Options without a letter. */
enum { ABS = 256, REL, ULP, NAN_EQUAL, INCLUDE, EXCLUDE, NO_ATTRIBUTES, MAP, CONVERT, FOLLOW, STOP, HDF5 };

static const struct option long_options[] = {
    {"all", no_argument, NULL, 'a'},
    {"layer", required_argument, NULL, 'l'},
    {"phase", required_argument, NULL, 'p'},
    {"step", required_argument, NULL, 's'},
    {"tolerance", required_argument, NULL, 't'},
    {"abs", required_argument, NULL, ABS},
    {"rel", required_argument, NULL, REL},
    {"ulp", required_argument, NULL, ULP},
    {"nan-equal", no_argument, NULL, NAN_EQUAL},
    {"format", required_argument, NULL, 'f'},
    {"output", required_argument, NULL, 'o'},
    {"help", no_argument, NULL, 'h'},
    {"quiet", no_argument, NULL, 'q'},
    {"include", required_argument, NULL, INCLUDE},
    {"exclude", required_argument, NULL, EXCLUDE},
    {"no-attributes", no_argument, NULL, NO_ATTRIBUTES},
    {"map", required_argument, NULL, MAP},
    {"convert", no_argument, NULL, CONVERT},
    {"follow", no_argument, NULL, FOLLOW},
    {"stop", required_argument, NULL, STOP},
    {"statistics", no_argument, NULL, 'S'},
    {"hdf5", no_argument, NULL, HDF5},
    {NULL, 0, NULL, 0},
};

/* One kind of tolerance: 'abs', 'rel', 'ulp' with a number, or 'nan' without. */
static bool set_tolerance(settings *s, const char *name, const char *value)
{
    vr_tolerance *t = &s->diff.tolerance;
    char *end = NULL;
    errno = 0;
    const double number = value ? strtod(value, &end) : 0;
    const bool fine = value && end != value && !*end && !errno && number >= 0 && isfinite(number);
    s->diff.has_tolerance = true;
    if (fine && strcmp(name, "abs") == 0)
        t->absolute = number;
    else if (fine && strcmp(name, "rel") == 0)
        t->relative = number;
    else if (fine && strcmp(name, "ulp") == 0 && number < 9e18 && floor(number) == number)
        t->ulp = (int64_t)number;
    else if (!value && strcmp(name, "nan") == 0)
        t->nan_equal = true;
    else
        return false;
    return true;
}

static vr_status parse_tolerance(settings *s, char *list)
{
    for (char *word; (word = strsep(&list, ","));) {
        char name[4] = "";
        const char *value = strchr(word, '=');
        memcpy(name, word, strnlen(word, 3));
        const bool well_formed = value ? value == word + 3 : strlen(word) == 3;
        if (!well_formed || !set_tolerance(s, name, value ? value + 1 : NULL))
            return vr_fail(VR_ERROR_ARGUMENT, "tolerance '%s' is not abs=X, rel=X, ulp=N or nan", word);
    }
    return VR_OK;
}

static vr_status parse_one_tolerance(settings *s, const char *name)
{
    if (set_tolerance(s, name, optarg))
        return VR_OK;
    return vr_fail(VR_ERROR_ARGUMENT, "--%s '%s' is not a %s of 0 or more", name, optarg,
                   strcmp(name, "ulp") == 0 ? "whole number" : "number");
}

static vr_status parse_stop(settings *s)
{
    char *end;
    errno = 0;
    const uint64_t stop = strtoull(optarg, &end, 10);
    if (errno || *end || end == optarg || stop == 0 || strchr(optarg, '-'))
        return vr_fail(VR_ERROR_ARGUMENT, "--stop '%s' is not a whole number above 0", optarg);
    s->objects.values.stop = stop;
    return VR_OK;
}

/* Options of all files; -1: it is none of these. */
static vr_status parse_common(settings *s, int option)
{
    switch (option) {
    case 'a':
        s->diff.all = true;
        return VR_OK;
    case 't':
        return parse_tolerance(s, optarg);
    case ABS:
        return parse_one_tolerance(s, "abs");
    case REL:
        return parse_one_tolerance(s, "rel");
    case ULP:
        return parse_one_tolerance(s, "ulp");
    case NAN_EQUAL:
        set_tolerance(s, "nan", NULL);
        return VR_OK;
    case 'f':
        return va_format_parse(&s->format, optarg);
    case 'o':
        s->output = optarg;
        return VR_OK;
    default:
        s->quiet = s->diff.stop_at_first = true;
        return VR_OK;
    }
}

static vr_status parse_for_traces(settings *s, int option)
{
    switch (option) {
    case 'l':
        s->for_traces = "--layer";
        s->diff.layer = optarg;
        return VR_OK;
    case 'p':
        s->for_traces = "--phase";
        return vr_phase_parse(&s->diff.phase, optarg);
    default:
        s->for_traces = "--step";
        return va_steps_parse(&s->diff.first_step, &s->diff.last_step, optarg);
    }
}

static vr_status parse_for_objects(settings *s, int option)
{
    va_h5_filter *filter = &s->objects.filter;
    switch (option) {
    case INCLUDE:
        s->for_objects = "--include";
        filter->include[filter->include_count++] = optarg;
        return VR_OK;
    case EXCLUDE:
        s->for_objects = "--exclude";
        filter->exclude[filter->exclude_count++] = optarg;
        return VR_OK;
    case MAP:
        s->for_objects = "--map";
        filter->map[filter->map_count++] = optarg;
        return VR_OK;
    case NO_ATTRIBUTES:
        s->for_objects = "--no-attributes";
        s->objects.no_attributes = true;
        return VR_OK;
    case CONVERT:
        s->for_objects = "--convert";
        s->objects.values.convert = true;
        return VR_OK;
    case FOLLOW:
        s->for_objects = "--follow";
        s->objects.values.follow = true;
        return VR_OK;
    case 'S':
        s->for_objects = "--statistics";
        s->objects.values.statistics = true;
        return VR_OK;
    case STOP:
        s->for_objects = "--stop";
        return parse_stop(s);
    default:
        s->hdf5 = true;
        return VR_OK;
    }
}

static vr_status parse_option(settings *s, int option)
{
    if (option == 'l' || option == 'p' || option == 's')
        return parse_for_traces(s, option);
    if (option == 'S' || option >= INCLUDE)
        return parse_for_objects(s, option);
    return parse_common(s, option);
}

int va_diff_parse(va_diff_settings *s, int argc, char **argv)
{
    for (int c; (c = getopt_long(argc, argv, "al:p:s:t:f:o:qSh", long_options, NULL)) != -1;) {
        if (c == '?' || c == 'h')
            return c;
        if (parse_option(s, c) != VR_OK)
            return -1;
    }
    s->objects.values.tolerance = s->diff.tolerance;
    s->objects.most = s->format == VA_TEXT && !s->diff.all ? VA_H5_DIFF_SHOWN : 0;
    if (s->quiet)
        s->objects.values.stop = 1;
    return 0;
}
