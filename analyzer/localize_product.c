#include "localize_product.h"

#include "localize_text.h"
#include "sigbits.h"

#include <errno.h>
#include <fcntl.h>
#include <formats/fail.h>
#include <formats/io.h>
#include <glob.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK 4096 /* elements */

typedef enum kind { TEXT, RAW, TRACE } kind;

typedef struct product {
    char *name; /* of the file in the folder */
    kind kind;
    va_text text;
    char *bytes; /* of RAW */
    size_t size;
    vr_trace *trace;
} product;

struct va_products {
    const va_product_rule *rule;
    product *list;
    size_t count;
    int digits; /* the largest precision */
};

static vr_status no_memory(void)
{
    return vr_fail(VR_ERROR_MEMORY, "out of memory");
}

/* ---- names ---- */

/* A folder as a glob that matches it alone, and in it the pattern. */
static char *pattern_in(const char *folder, const char *pattern)
{
    char *out = malloc(2 * strlen(folder) + strlen(pattern) + 2), *to = out;
    for (const char *at = folder; out && *at; at++) {
        if (strchr("*?[\\", *at))
            *to++ = '\\';
        *to++ = *at;
    }
    if (out)
        sprintf(to, "/%s", pattern);
    return out;
}

static vr_status find_files(glob_t *out, const char *folder, char *const *patterns)
{
    static char *const usual[] = {"out", NULL};
    *out = (glob_t){0};
    int flags = 0;
    for (char *const *at = patterns && *patterns ? patterns : usual; *at; at++) {
        char *pattern = pattern_in(folder, *at);
        const int result = pattern ? glob(pattern, flags, NULL, out) : GLOB_NOSPACE;
        free(pattern);
        if (result == GLOB_NOSPACE)
            return no_memory();
        flags = GLOB_APPEND;
    }
    return VR_OK;
}

/* ---- one product ---- */

static vr_status load(product *p, const char *path)
{
    struct stat file;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &file) != 0) {
        const vr_status status = vr_fail_errno(errno, "%s: cannot read", path);
        if (fd >= 0)
            close(fd);
        return status;
    }
    vr_status status = VR_OK;
    if (!S_ISREG(file.st_mode))
        status = vr_fail(VR_ERROR_FORMAT, "%s: is no regular file", path);
    p->bytes = status == VR_OK ? malloc((size_t)file.st_size + 1) : NULL;
    if (status == VR_OK && !p->bytes)
        status = no_memory();
    const ssize_t got = p->bytes ? vr_read_whole(fd, p->bytes, (size_t)file.st_size, 0) : 0;
    if (got < 0)
        status = vr_fail_errno(errno, "%s: cannot read", path);
    p->size = got > 0 ? (size_t)got : 0;
    close(fd);
    return status;
}

static void close_product(product *p)
{
    vr_trace_close(p->trace);
    va_text_free(&p->text);
    free(p->bytes);
    free(p->name);
}

static bool has_suffix(const char *name, const char *suffix)
{
    const size_t length = strlen(name), end = strlen(suffix);
    return length > end && strcmp(name + length - end, suffix) == 0;
}

static vr_status read_raw(const product *p, const va_product_rule *rule, const char *path)
{
    const size_t element = vr_dtype_size(rule->dtype);
    if (p->size % element != 0)
        return vr_fail(VR_ERROR_FORMAT, "%s: %zu bytes are no whole number of elements of type %s", path, p->size,
                       vr_dtype_name(rule->dtype));
    return VR_OK;
}

static vr_status open_product(product *p, const va_product_rule *rule, const char *path, size_t folder)
{
    const bool is_output = !rule->patterns || !*rule->patterns;
    p->name = strdup(path + folder + 1);
    if (!p->name)
        return no_memory();
    p->kind = is_output ? TEXT : has_suffix(path, ".h5") ? TRACE : rule->raw ? RAW : TEXT;
    if (p->kind == TRACE)
        return vr_trace_open(&p->trace, path);
    vr_status status = load(p, path);
    if (status != VR_OK || p->kind == RAW)
        return status == VR_OK ? read_raw(p, rule, path) : status;
    status = va_text_read(&p->text, p->bytes, p->size);
    free(p->bytes);
    p->bytes = NULL;
    return status;
}

/* What a message calls it. */
static const char *called(const va_products *all, const product *p)
{
    return !all->rule->patterns || !*all->rule->patterns ? "standard output" : p->name;
}

/* ---- the reference ---- */

static int digits_of_trace(vr_trace *trace)
{
    const vr_trace_info *info = vr_trace_get_info(trace);
    const vr_site *sites = vr_trace_sites(trace);
    int digits = 0;
    for (uint64_t i = 0; i < info->site_count; i++)
        digits = va_bits_digits(sites[i].dtype) > digits ? va_bits_digits(sites[i].dtype) : digits;
    return digits;
}

static vr_status open_all(va_products *all, const char *folder, const glob_t *files)
{
    all->list = calloc(files->gl_pathc + 1, sizeof *all->list);
    if (!all->list)
        return no_memory();
    for (size_t i = 0; i < files->gl_pathc; i++) {
        product *p = &all->list[all->count++];
        const vr_status status = open_product(p, all->rule, files->gl_pathv[i], strlen(folder));
        if (status != VR_OK)
            return status;
        const int digits = p->kind == TRACE ? digits_of_trace(p->trace)
                           : p->kind == RAW ? (p->size ? va_bits_digits(all->rule->dtype) : 0)
                                            : (p->text.count ? va_text_digits(p->text.decimals) : 0);
        all->digits = digits > all->digits ? digits : all->digits;
    }
    return VR_OK;
}

static vr_status check_reference(const va_products *all)
{
    const bool is_output = !all->rule->patterns || !*all->rule->patterns;
    if (all->count == 0 && !is_output)
        return vr_fail(VR_ERROR_FORMAT,
                       "no file in the folder of the run matches '%s': have the command write there; '{}' in it stands "
                       "for the folder, $VR_LOCALIZE_FOLDER is it",
                       all->rule->patterns[0]);
    if (all->digits > 0)
        return VR_OK;
    return vr_fail(VR_ERROR_FORMAT, "there is no number in %s: name what is to be compared by --output or --check",
                   all->count ? called(all, &all->list[0]) : "standard output");
}

vr_status va_products_open(va_products **out, const char *folder, const va_product_rule *rule)
{
    glob_t files;
    va_products *all = calloc(1, sizeof *all);
    if (!all)
        return no_memory();
    all->rule = rule;
    vr_status status = find_files(&files, folder, rule->patterns);
    if (status == VR_OK)
        status = open_all(all, folder, &files);
    globfree(&files);
    if (status == VR_OK)
        status = check_reference(all);
    if (status != VR_OK) {
        va_products_close(all);
        return status;
    }
    *out = all;
    return VR_OK;
}

void va_products_close(va_products *products)
{
    for (size_t i = 0; products && i < products->count; i++)
        close_product(&products->list[i]);
    if (products)
        free(products->list);
    free(products);
}

/* ---- comparing ---- */

static void compare_raw(va_kept *kept, const va_products *all, const product *reference, const product *p)
{
    const vr_dtype dtype = all->rule->dtype;
    const size_t element = vr_dtype_size(dtype), count = p->size / element;
    const int digits = va_bits_digits(dtype);
    double x[BLOCK], y[BLOCK];
    char where[160];
    if (p->size != reference->size) {
        va_kept_nothing(kept, "%s has %zu elements in place of %zu", p->name, count, reference->size / element);
        return;
    }
    for (size_t first = 0; first < count; first += BLOCK) {
        const size_t n = count - first < BLOCK ? count - first : BLOCK;
        const char *a = p->bytes + first * element, *b = reference->bytes + first * element;
        if (memcmp(a, b, n * element) == 0)
            continue;
        vr_to_f64(x, a, dtype, n);
        vr_to_f64(y, b, dtype, n);
        for (size_t i = 0; i < n; i++)
            if (x[i] != y[i] && va_kept_number(kept, va_bits_above(x[i], y[i], all->rule->floor, digits), digits)) {
                snprintf(where, sizeof where, "%.100s, element %zu", p->name, first + i);
                va_kept_tell(kept, where, x[i], y[i]);
            }
    }
}

static void compare_row(va_kept *kept, const va_sigbits_row *row)
{
    const char *name = row->name ? row->name : "";
    const double least = row->figures[VA_FIGURE_BIAS].least;
    if (row->counts.nonfinite_differs || row->counts.zero_reference)
        va_kept_nothing(kept, "tensor %.60s %.60s is %s", row->layer, name,
                        row->counts.nonfinite_differs ? "not finite" : "not 0 as in the reference");
    else if (!isnan(least) && va_kept_number(kept, fmax(least, 0), row->digits))
        snprintf(kept->why, sizeof kept->why, "tensor %.80s %.80s", row->layer, name);
}

/* By statistics, which bound what the run and the reference have in common with their mean. `more`: with each other. */
static void compare_bound(va_kept *kept, const va_sigbits_row *row, double more)
{
    const char *name = row->name ? row->name : "";
    if (row->unknown)
        va_kept_nothing(kept, "tensor %.60s %.60s differs, and holds no values or statistics that say how much",
                        row->layer, name);
    else if (row->bounded && va_kept_number(kept, fmax(row->bound + more, 0), row->digits))
        snprintf(kept->why, sizeof kept->why, "tensor %.60s %.60s, by its statistics: it holds no values", row->layer,
                 name);
}

/* The run stands for two samples that are the same: the bias of two such samples is the error of one. `*without`: of so
 * many tensors that differ there are no values. */
static vr_status compare_values(va_kept *kept, const product *reference, const product *p, uint64_t *without)
{
    va_sigbits_options options = VA_SIGBITS_OPTIONS_INIT;
    va_sigbits *all;
    vr_trace *const runs[] = {p->trace, p->trace};
    options.bits.reference = VA_BITS_RUN;
    options.reference = reference->trace;
    options.by = VA_BY_TENSOR;
    const vr_status status = va_sigbits_run(&all, runs, 2, &options);
    if (status != VR_OK)
        return status;
    for (size_t i = 0; i < all->row_count; i++) {
        compare_row(kept, &all->rows[i]);
        *without += all->rows[i].unknown + all->rows[i].bounded;
    }
    if (all->unreferenced || all->lonely)
        va_kept_nothing(kept, "%.150s has other records than the reference", p->name);
    va_sigbits_free(all);
    return VR_OK;
}

/* Of two samples, the errors against the mean are half of that of the one against the other: a bit less. */
static vr_status compare_statistics(va_kept *kept, const product *reference, const product *p)
{
    va_sigbits_options options = VA_SIGBITS_OPTIONS_INIT;
    va_sigbits *all;
    va_bits_rule rule;
    vr_trace *const runs[] = {p->trace, reference->trace};
    options.by = VA_BY_TENSOR;
    vr_status status = va_bits_rule_make(&rule, &options.bits, 2, 0);
    if (status == VR_OK)
        status = va_sigbits_run(&all, runs, 2, &options);
    if (status != VR_OK)
        return status;
    for (size_t i = 0; i < all->row_count; i++)
        compare_bound(kept, &all->rows[i], rule.significant_less - 1);
    va_sigbits_free(all);
    return VR_OK;
}

static vr_status compare_traces(va_kept *kept, const product *reference, const product *p)
{
    uint64_t without = 0;
    const vr_status status = compare_values(kept, reference, p, &without);
    return status == VR_OK && without ? compare_statistics(kept, reference, p) : status;
}

static vr_status compare_product(va_kept *kept, const va_products *all, const product *reference, const product *p)
{
    if (reference->kind == TRACE)
        return compare_traces(kept, reference, p);
    if (reference->kind == RAW)
        compare_raw(kept, all, reference, p);
    else
        va_text_compare(kept, &reference->text, &p->text, all->rule->floor, called(all, p));
    return VR_OK;
}

/* A failure as a reason why nothing is kept, unless it is one of memory. */
static vr_status judge_failure(va_kept *kept, vr_status status)
{
    if (status != VR_OK && status != VR_ERROR_MEMORY) {
        va_kept_nothing(kept, "%s", vr_error());
        return VR_OK;
    }
    return status;
}

static vr_status compare_file(va_kept *kept, va_products *all, size_t i, const char *path, size_t folder)
{
    product p = {0};
    const product *reference = &all->list[i];
    if (strcmp(reference->name, path + folder + 1) != 0) {
        va_kept_nothing(kept, "it left other files: %.70s, not %.70s", path + folder + 1, reference->name);
        return VR_OK;
    }
    vr_status status = open_product(&p, all->rule, path, folder);
    if (status == VR_OK)
        status = compare_product(kept, all, reference, &p);
    close_product(&p);
    return judge_failure(kept, status);
}

vr_status va_products_compare(va_kept *out, va_products *reference, const char *folder)
{
    glob_t files;
    *out = (va_kept){.bits = reference->digits, .digits = reference->digits, .share = 1};
    vr_status status = find_files(&files, folder, reference->rule->patterns);
    if (status == VR_OK && files.gl_pathc != reference->count)
        va_kept_nothing(out, "it left %zu files, the reference %zu", (size_t)files.gl_pathc, reference->count);
    for (size_t i = 0; status == VR_OK && out->share > 0 && i < reference->count; i++)
        status = compare_file(out, reference, i, files.gl_pathv[i], strlen(folder));
    globfree(&files);
    return status;
}
