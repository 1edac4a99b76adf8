/* Which condition a run is a replica of (study_read.h). */
#include "study_read.h"

#include <fnmatch.h>
#include <formats/fail.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Purposes in the order in which they are named. The first ones are the algorithm's. */
static const char *const purposes[] = {"init",    "order",    "shift",   "dropout", "augmentation", "other",
                                       "kernels", "rounding", "perturb", "seed",    "threads"};
enum { INIT, ORDER, SHIFT, DROPOUT, AUGMENTATION, OTHER, KERNELS, ROUNDING, PERTURB, SEED, THREADS, PURPOSES };

#define BIT(purpose) (1u << (purpose))
#define ALGORITHM    (BIT(INIT) | BIT(ORDER) | BIT(SHIFT) | BIT(DROPOUT) | BIT(AUGMENTATION))

static const char *text_of(const json_t *about, const char *key, const char *otherwise)
{
    const char *text = json_string_value(json_object_get(about, key));
    return text ? text : otherwise;
}

static unsigned purpose_of(const char *name)
{
    for (unsigned p = 0; p < SEED; p++)
        if (strcmp(name, purposes[p]) == 0)
            return BIT(p);
    return BIT(OTHER);
}

/* What varies from run to run: what it says, and atomic additions, which need no seed for that. */
static unsigned varied_in(const json_t *about)
{
    unsigned varied = strcmp(text_of(about, "kernels", ""), "atomic") == 0 ? BIT(KERNELS) : 0;
    const json_t *vary = json_object_get(about, "vary");
    for (size_t i = 0; i < json_array_size(vary); i++) {
        const char *name = json_string_value(json_array_get(vary, i));
        varied |= name ? purpose_of(name) : 0;
    }
    return varied;
}

/* ---- labels ---- */

/* "0000007 atomic nearest foo,bar": the purposes, the modes, and the purposes that have no name here. */
static vr_status label_by_variation(char **out, const json_t *about)
{
    char others[256] = "";
    const json_t *vary = json_object_get(about, "vary");
    for (size_t i = 0; i < json_array_size(vary); i++) {
        const char *name = json_string_value(json_array_get(vary, i));
        const size_t used = strlen(others);
        if (name && purpose_of(name) == BIT(OTHER))
            snprintf(others + used, sizeof others - used, "%s%s", used ? "+" : "", name);
    }
    return asprintf(out, "%07x %s %s %s", varied_in(about), text_of(about, "kernels", "?"),
                    text_of(about, "rounding", "?"), others) < 0
               ? VR_ERROR_MEMORY
               : VR_OK;
}

/* The name of the file, or of the member. */
static const char *file_of(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path, *colon = strrchr(name, ':');
    return colon ? colon + 1 : name;
}

/* The length of a name without the number that it ends with and the character before that, which is one of these. */
static size_t without_number(const char *name, size_t length, const char *before)
{
    size_t left = length;
    while (left > 0 && name[left - 1] >= '0' && name[left - 1] <= '9')
        left--;
    return left > 1 && left < length && strchr(before, name[left - 1]) ? left - 1 : length;
}

/* "algo-0001.h5" and, of an MPI rank, "algo-0001.3.h5" are of "algo"; "v1.2.h5" is of "v1.2". */
static vr_status label_by_name(char **out, const char *path)
{
    const char *name = file_of(path), *dot = strrchr(name, '.');
    const size_t whole = dot && dot != name ? (size_t)(dot - name) : strlen(name);
    const size_t run = without_number(name, whole, "."), of_run = without_number(name, run, "-_");
    const size_t length = of_run < run ? of_run : whole;
    return asprintf(out, "%.*s", (int)length, name) < 0 ? VR_ERROR_MEMORY : VR_OK;
}

/* What stands at a place, "host.name", as text. NULL in `*out`: nothing does. */
static vr_status label_by_place(char **out, const json_t *about, const char *place)
{
    const json_t *at = about;
    *out = NULL;
    for (const char *part = place; at && *part;) {
        const size_t length = strcspn(part, ".");
        char key[128];
        snprintf(key, sizeof key, "%.*s", (int)length, part);
        at = json_object_get(at, key);
        part += length + (part[length] == '.');
    }
    if (!at || json_is_object(at))
        return VR_OK;
    if (json_is_string(at))
        *out = strdup(json_string_value(at));
    else
        *out = json_dumps(at, JSON_ENCODE_ANY | JSON_COMPACT);
    return *out ? VR_OK : VR_ERROR_MEMORY;
}

static vr_status label_by_glob(char **out, const char *path, const va_study_choice *choice)
{
    *out = NULL;
    for (size_t i = 0; i < choice->named_count; i++) {
        const char *equals = strchr(choice->named[i], '=');
        if (fnmatch(equals + 1, path, 0) == 0 || fnmatch(equals + 1, file_of(path), 0) == 0) {
            *out = strndup(choice->named[i], (size_t)(equals - choice->named[i]));
            return *out ? VR_OK : VR_ERROR_MEMORY;
        }
    }
    return VR_OK;
}

vr_status va_study_label(va_study_run *run, const va_study_choice *choice, const char **why)
{
    vr_status status;
    *why = "";
    if (choice->named_count) {
        status = label_by_glob(&run->label, run->path, choice);
        *why = "no --condition names it";
    } else if (!choice->by || strcmp(choice->by, "vary") == 0) {
        status = label_by_variation(&run->label, run->about);
    } else if (strcmp(choice->by, "name") == 0) {
        status = label_by_name(&run->label, run->path);
    } else {
        status = label_by_place(&run->label, run->about, choice->by);
        *why = "it does not say what --by asks for";
    }
    return status == VR_OK ? VR_OK : vr_fail(VR_ERROR_MEMORY, "out of memory");
}

/* ---- names ---- */

static void append(char *out, size_t size, const char *separator, const char *text)
{
    const size_t used = strlen(out);
    snprintf(out + used, size - used, "%s%s", used ? separator : "", text);
}

/* The purposes of a set, `others` in place of those without a name. */
static void list_purposes(char *out, size_t size, unsigned set, const char *separator, const char *others)
{
    for (unsigned p = 0; p < PURPOSES; p++)
        if (set & BIT(p))
            append(out, size, separator, p == OTHER && *others ? others : purposes[p]);
}

static void name_variation(char *out, size_t size, unsigned varied, const char *others)
{
    const unsigned both = BIT(INIT) | BIT(ORDER), algorithm = varied & (ALGORITHM | BIT(OTHER));
    const bool algo = (algorithm & both) == both && !(algorithm & BIT(OTHER));
    out[0] = 0;
    if (varied == 0) {
        append(out, size, "", "Control");
        return;
    }
    if (algo)
        append(out, size, "+", "ALGO");
    else
        list_purposes(out, size, algorithm, "+", others);
    if (varied & BIT(KERNELS))
        append(out, size, "+", algo || !algorithm ? "IMPL" : "kernels");
    list_purposes(out, size, varied & ~(algorithm | BIT(KERNELS)), "+", "");
}

/* ---- grouping ---- */

/* A condition on its way. */
typedef struct draft {
    const char *label;
    char others[256];
    unsigned varied;
    int *runs;
    int count;
    char name[256];
    bool ambiguous; /* another has the name */
} draft;

static int find_draft(draft *drafts, int count, const char *label)
{
    for (int i = 0; i < count; i++)
        if (strcmp(drafts[i].label, label) == 0)
            return i;
    return -1;
}

static bool differs(const va_study *study, const draft *d, const char *key)
{
    const json_t *first = json_object_get(study->runs[d->runs[0]].about, key);
    for (int i = 1; i < d->count; i++) {
        const json_t *other = json_object_get(study->runs[d->runs[i]].about, key);
        if (first != other && !json_equal(first, other)) /* json_equal of two that are not there is false */
            return true;
    }
    return false;
}

/* Seeds that the user chose run by run vary what they seed, and so do numbers of threads where the order of additions
 * depends on them; a condition of the user's own may hold runs of several modes. */
static void find_varied(const va_study *study, draft *d)
{
    for (int i = 0; i < d->count; i++)
        d->varied |= varied_in(study->runs[d->runs[i]].about);
    if (differs(study, d, "seed"))
        d->varied |= BIT(SEED);
    if (differs(study, d, "kernels"))
        d->varied |= BIT(KERNELS);
    if (differs(study, d, "rounding"))
        d->varied |= BIT(ROUNDING);
    if (strcmp(text_of(study->runs[d->runs[0]].about, "kernels", ""), "threads") == 0 && differs(study, d, "threads"))
        d->varied |= BIT(THREADS);
}

static bool find_ambiguous(draft *drafts, int count)
{
    bool any = false;
    for (int i = 0; i < count; i++) {
        drafts[i].ambiguous = false;
        for (int j = 0; j < count; j++)
            drafts[i].ambiguous |= i != j && strcmp(drafts[i].name, drafts[j].name) == 0;
        any |= drafts[i].ambiguous;
    }
    return any;
}

/* Names by what varied. */
static void name_drafts(draft *drafts, int count, bool by_variation)
{
    for (int i = 0; i < count; i++)
        if (by_variation)
            name_variation(drafts[i].name, sizeof drafts[i].name, drafts[i].varied, drafts[i].others);
        else
            snprintf(drafts[i].name, sizeof drafts[i].name, "%s", drafts[i].label);
}

/* Where two have one name, they are told apart by all their purposes and, if that is not enough, the modes. */
static void tell_apart(const va_study *study, draft *drafts, int count)
{
    for (int pass = 0; pass < 2 && find_ambiguous(drafts, count); pass++)
        for (int i = 0; i < count; i++) {
            char full[256] = "";
            const json_t *about = study->runs[drafts[i].runs[0]].about;
            if (!drafts[i].ambiguous)
                continue;
            if (pass == 0 && drafts[i].varied) {
                list_purposes(full, sizeof full, drafts[i].varied, "+", drafts[i].others);
            } else {
                append(full, sizeof full, "", drafts[i].name);
                append(full, sizeof full, " (", text_of(about, "kernels", "?"));
                append(full, sizeof full, ", ", text_of(about, "rounding", "?"));
                append(full, sizeof full, "", ")");
            }
            snprintf(drafts[i].name, sizeof drafts[i].name, "%s", full);
        }
}

static int by_purposes(const void *x, const void *y)
{
    const draft *a = x, *b = y;
    const int left = __builtin_popcount(a->varied), right = __builtin_popcount(b->varied);
    return left != right ? right - left : strcmp(a->name, b->name);
}

static int by_name(const void *x, const void *y)
{
    return strcmp(((const draft *)x)->name, ((const draft *)y)->name);
}

static vr_status finish_drafts(va_study *study, draft *drafts, int count)
{
    study->conditions = calloc((size_t)count + 1, sizeof *study->conditions);
    for (int i = 0; study->conditions && i < count; i++) {
        va_study_condition *c = &study->conditions[i];
        char varied[256] = "";
        list_purposes(varied, sizeof varied, drafts[i].varied, ", ", drafts[i].others);
        *c = (va_study_condition){.name = strdup(drafts[i].name),
                                  .varied = strdup(varied),
                                  .control = drafts[i].varied == 0,
                                  .runs = drafts[i].runs,
                                  .count = drafts[i].count};
        drafts[i].runs = NULL;
        study->condition_count++;
        if (!c->name || !c->varied)
            return vr_fail(VR_ERROR_MEMORY, "out of memory");
    }
    return study->conditions ? VR_OK : vr_fail(VR_ERROR_MEMORY, "out of memory");
}

static int add_draft(const va_study *study, draft *drafts, int *count, const char *label)
{
    drafts[*count] = (draft){.label = label, .runs = calloc(study->run_count + 1, sizeof(int))};
    return drafts[*count].runs ? (*count)++ : -1;
}

/* Gives each run to the draft of its label. */
static vr_status deal(const va_study *study, draft *drafts, int *count)
{
    for (size_t r = 0; r < study->run_count; r++) {
        int at = find_draft(drafts, *count, study->runs[r].label);
        if (at < 0)
            at = add_draft(study, drafts, count, study->runs[r].label);
        if (at < 0)
            return vr_fail(VR_ERROR_MEMORY, "out of memory");
        drafts[at].runs[drafts[at].count++] = (int)r;
    }
    return VR_OK;
}

/* Conditions that the user named stand in their order. */
static void sort_as_named(draft *drafts, int count, const va_study_choice *choice)
{
    int sorted = 0;
    for (size_t i = 0; i < choice->named_count; i++)
        for (int j = sorted; j < count; j++) {
            const size_t length = strcspn(choice->named[i], "=");
            if (strncmp(drafts[j].label, choice->named[i], length) == 0 && !drafts[j].label[length]) {
                const draft moved = drafts[j];
                drafts[j] = drafts[sorted];
                drafts[sorted++] = moved;
            }
        }
}

static void note_empty(va_study *study, const draft *drafts, int count, const va_study_choice *choice)
{
    for (size_t i = 0; i < choice->named_count; i++) {
        bool used = false;
        const size_t length = strcspn(choice->named[i], "=");
        for (int j = 0; j < count; j++)
            used |= strncmp(drafts[j].label, choice->named[i], length) == 0 && !drafts[j].label[length];
        if (!used)
            va_study_note(study, "condition %.*s: no run that can be used matches it", (int)length, choice->named[i]);
    }
}

/* What follows the third space of a label by variation. */
static void take_others(draft *d)
{
    const char *at = d->label;
    for (int i = 0; i < 3 && at; i++)
        at = strchr(at + (i > 0), ' ');
    snprintf(d->others, sizeof d->others, "%s", at ? at + 1 : "");
}

vr_status va_study_group(va_study *study, const va_study_choice *choice)
{
    const bool by_variation = !choice->named_count && (!choice->by || strcmp(choice->by, "vary") == 0);
    draft *drafts = calloc(study->run_count + 1, sizeof *drafts);
    int count = 0;
    vr_status status = drafts ? deal(study, drafts, &count) : vr_fail(VR_ERROR_MEMORY, "out of memory");
    for (int i = 0; status == VR_OK && i < count; i++) {
        find_varied(study, &drafts[i]);
        if (by_variation)
            take_others(&drafts[i]);
    }
    if (status == VR_OK) {
        name_drafts(drafts, count, by_variation);
        if (by_variation)
            tell_apart(study, drafts, count);
        if (choice->named_count)
            sort_as_named(drafts, count, choice);
        else
            qsort(drafts, (size_t)count, sizeof *drafts, by_variation ? by_purposes : by_name);
        note_empty(study, drafts, count, choice);
        status = finish_drafts(study, drafts, count);
    }
    for (int i = 0; drafts && i < count; i++)
        free(drafts[i].runs);
    free(drafts);
    return status;
}
