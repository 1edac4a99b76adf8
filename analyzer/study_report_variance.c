/* Which source of randomness how much of the variance comes from, where conditions form a factorial design: one for
 * each set of sources (study_report.h). */
#include "study_report.h"
#include "study_variance.h"

#include <formats/fail.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A source, or several that always vary together: the conditions in which they do. */
typedef struct factor {
    char name[128];
    unsigned long long conditions;
} factor;

typedef struct design {
    factor factors[VA_MOST_FACTORS];
    int count;
    int condition[VA_MOST_TERMS]; /* of a set of factors */
} design;

#define MOST_CONDITIONS 64

/* Whether a list, "init, order" or "init+order", has the word. */
static bool has_word(const char *list, const char *word, size_t length)
{
    for (const char *at = list; *at; at += strspn(at, ",+ ")) {
        const size_t here = strcspn(at, ",+");
        if (here == length && strncmp(at, word, length) == 0)
            return true;
        at += here;
    }
    return false;
}

/* Adds a purpose to the factor that varies in the same conditions; false: there are too many. */
static bool add_purpose(design *d, const va_study *study, const char *purpose, size_t length)
{
    unsigned long long in = 0;
    for (int c = 0; c < study->condition_count; c++)
        in |= (unsigned long long)has_word(study->conditions[c].varied, purpose, length) << c;
    int f = 0;
    while (f < d->count && d->factors[f].conditions != in)
        f++;
    if (f == VA_MOST_FACTORS)
        return false;
    if (f == d->count)
        d->factors[d->count++].conditions = in;
    char *name = d->factors[f].name;
    const size_t used = strlen(name);
    if (!has_word(name, purpose, length))
        snprintf(name + used, sizeof d->factors[f].name - used, "%s%.*s", used ? "+" : "", (int)length, purpose);
    return true;
}

static bool list_factors(design *d, const va_study *study)
{
    for (int c = 0; c < study->condition_count; c++)
        for (const char *at = study->conditions[c].varied; *at;) {
            const size_t length = strcspn(at, ",+");
            if (!add_purpose(d, study, at, length))
                return false;
            at += length;
            at += strspn(at, ",+ ");
        }
    return d->count > 0;
}

/* Whether each set of the factors in `used` has exactly one condition with two runs or more, and no other factor
 * varies in it. Sets are numbered by the factors used. */
static bool place_conditions(design *out, const design *d, const va_study *study, unsigned used)
{
    *out = (design){0};
    for (int i = 0; i < VA_MOST_TERMS; i++)
        out->condition[i] = -1;
    for (int f = 0; f < d->count; f++)
        if (used >> f & 1)
            out->factors[out->count++] = d->factors[f];
    for (int c = 0; c < study->condition_count; c++) {
        unsigned set = 0, others = 0;
        for (int f = 0, k = 0; f < d->count; f++) {
            const unsigned in = d->factors[f].conditions >> c & 1;
            if (used >> f & 1)
                set |= in << k++;
            else
                others |= in;
        }
        if (others || study->conditions[c].count < 2)
            continue;
        if (out->condition[set] >= 0)
            return false;
        out->condition[set] = c;
    }
    for (int set = 0; set < 1 << out->count; set++)
        if (out->condition[set] < 0)
            return false;
    return true;
}

/* The largest complete design among the conditions. */
static bool find_design(design *out, const va_study *study)
{
    design all = {0};
    bool found = false;
    int most = 0;
    if (study->condition_count > MOST_CONDITIONS || !list_factors(&all, study))
        return false;
    for (unsigned used = 1; used < 1u << all.count; used++) {
        design candidate;
        if (__builtin_popcount(used) > most && place_conditions(&candidate, &all, study, used)) {
            *out = candidate;
            most = candidate.count;
            found = true;
        }
    }
    return found;
}

static void name_component(char *out, size_t size, const design *d, unsigned factors)
{
    out[0] = 0;
    for (int f = 0; f < d->count; f++)
        if (factors >> f & 1) {
            const size_t used = strlen(out);
            snprintf(out + used, size - used, "%s%s", used ? " x " : "", d->factors[f].name);
        }
    if (!factors)
        snprintf(out, size, "nothing");
}

vr_status va_report_variance(va_report *report)
{
    const va_place place = {report, VA_VARIANCE, -1, -1};
    const double *values[VA_MOST_TERMS];
    size_t counts[VA_MOST_TERMS];
    design d;
    if (!find_design(&d, report->study))
        return VR_OK;
    for (int set = 0; set < 1 << d.count; set++) {
        const va_metrics *m = report->conditions[d.condition[set]].metrics;
        if (m->samples == 0)
            return VR_OK;
        values[set] = m->accuracy;
        counts[set] = (size_t)m->replicas;
    }
    va_variance *parts = malloc(sizeof *parts);
    vr_status status = parts ? va_variance_of_conditions(parts, values, counts, d.count, report->options.confidence)
                             : vr_fail(VR_ERROR_MEMORY, "out of memory");
    for (int i = 0; status == VR_OK && i < parts->count; i++) {
        char name[512];
        const va_component *part = &parts->components[i];
        name_component(name, sizeof name, &d, part->factors);
        va_figure *f = va_add(&place, VA_M_VARIANCE, part->variance, "%s", name);
        if (part->variance.estimate < 0)
            va_add_note(report, f, "below 0: none is seen");
        va_add(&place, VA_M_SHARE, va_plain(part->variance.estimate < 0 ? 0 : part->share, part->variance.n), "%s",
               name);
    }
    free(parts);
    return status;
}
