/* What is held fixed and what varies: options, environment, seeds and orders. */
#include "run_impl.h"

#include <errno.h>
#include <formats/fail.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include <varanalyze/projection.h>
#include <varanalyze/random.h>

/* The option, else the variable unless empty, else NULL. */
static const char *choose(const char *option, const char *variable)
{
    const char *value = option ? option : getenv(variable);
    return value && (option || *value) ? value : NULL;
}

static vr_status parse_number(uint64_t *out, const char *variable, const char *text)
{
    char *end;
    errno = 0;
    const unsigned long long value = strtoull(text, &end, 0);
    if (errno || end == text || *end || strchr(text, '-'))
        return vr_fail(VR_ERROR_ARGUMENT, "%s=%s: not a number from 0 to 2^64-1", variable, text);
    *out = value;
    return VR_OK;
}

static vr_status choose_number(uint64_t *out, const uint64_t *option, const char *variable, uint64_t otherwise)
{
    const char *text = getenv(variable);
    if (!option && text && *text)
        return parse_number(out, variable, text);
    *out = option ? *option : otherwise;
    return VR_OK;
}

static bool copy_text(char **out, const char *text)
{
    *out = strdup(text);
    return *out != NULL;
}

static vr_status read_seeds(vr_run *run, const vr_run_options *options)
{
    uint64_t drawn = 0;
    vr_status status = choose_number(&run->seed, options->seed, "VR_SEED", 1);
    if (status == VR_OK && *run->vary && getrandom(&drawn, sizeof drawn, 0) != sizeof drawn)
        drawn = vr_clock() ^ (uint64_t)getpid() << 48;
    return status == VR_OK ? choose_number(&run->replica, options->replica, "VR_REPLICA", drawn) : status;
}

static vr_status read_filter(vr_run *run, const vr_run_options *options)
{
    const char *text = choose(options->level, "VR_LEVEL");
    vr_level level = VR_LEVEL_STATS;
    const vr_status status = text ? vr_level_parse(&level, text) : VR_OK;
    return status == VR_OK ? vr_filter_parse(&run->filter, level, choose(options->filter, "VR_FILTER")) : status;
}

static vr_status read_projection(vr_run *run, const vr_run_options *options)
{
    const uint64_t own = options->projection;
    uint64_t numbers = 0;
    vr_status status = choose_number(&numbers, own ? &own : NULL, "VR_PROJECTION", VR_PROJECTION_DEFAULT);
    if (status == VR_OK && !vr_projection_is_size(numbers))
        status = vr_fail(VR_ERROR_ARGUMENT, "run: VR_PROJECTION=%llu is no power of two from %d to %d",
                         (unsigned long long)numbers, VR_PROJECTION_LEAST, VR_PROJECTION_MOST);
    run->projection = (uint32_t)numbers;
    return status == VR_OK ? vr_filter_parse_final(&run->final, choose(options->final, "VR_FINAL")) : status;
}

/* `pattern` with %p and %r filled in; NULL when there is no memory. */
static char *expand_path(const char *pattern)
{
    char *out = NULL;
    size_t size;
    long rank = 0, ranks = 1;
    vr_host_rank(&rank, &ranks);
    FILE *stream = open_memstream(&out, &size);
    if (!stream)
        return NULL;
    for (const char *c = pattern; *c; c++)
        if (c[0] == '%' && c[1] == 'p' && c++)
            fprintf(stream, "%ld", (long)getpid());
        else if (c[0] == '%' && c[1] == 'r' && c++)
            fprintf(stream, "%ld", rank);
        else
            putc(*c, stream);
    return fclose(stream) == 0 ? out : NULL;
}

static vr_status no_memory(const char *path)
{
    return vr_fail(VR_ERROR_MEMORY, "%s: out of memory", path);
}

static vr_status refuse_folder(const char *path, const char *what)
{
    struct stat there;
    if (stat(path, &there) == 0 && S_ISDIR(there.st_mode))
        return vr_fail(VR_ERROR_IO, "%s: is a directory; name a file for the %s", path, what);
    return VR_OK;
}

/* The trace is written beside the archive, under a name that no other process and no other run of this one has. */
static vr_status read_archive(vr_run *run, const char *archive, const char *trace)
{
    char host[65] = "";
    gethostname(host, sizeof host - 1);
    run->archive = expand_path(archive);
    char *path = expand_path(trace);
    const char *slash = path ? strrchr(path, '/') : NULL;
    run->member = path ? strdup(slash ? slash + 1 : path) : NULL;
    free(path);
    if (!run->archive || !run->member || asprintf(&run->name, "%s:%s", run->archive, run->member) < 0 ||
        asprintf(&run->trace, "%s.%s.%ld.%llu.h5", run->archive, host, (long)getpid(),
                 (unsigned long long)run->number) < 0)
        return no_memory(archive);
    if (!*run->member || strspn(run->member, ".") == strlen(run->member) ||
        !vr_name_is_text(run->member, strlen(run->member)))
        return vr_fail(VR_ERROR_ARGUMENT,
                       "VR_TRACE=%s: a trace in an archive needs a name that ends in a file's, in "
                       "UTF-8 without control characters",
                       trace);
    return refuse_folder(run->archive, "archive");
}

static vr_status read_trace(vr_run *run, const vr_run_options *options)
{
    const char *trace = choose(options->trace, "VR_TRACE"), *archive = choose(options->archive, "VR_ARCHIVE");
    const bool archived = archive && *archive;
    vr_status status;
    if (trace ? !*trace : !archived)
        return VR_OK;
    if (archived)
        status = read_archive(run, archive, trace ? trace : "run.h5");
    else if ((run->trace = expand_path(trace)) && (run->name = strdup(run->trace)))
        status = refuse_folder(run->trace, "trace");
    else
        status = no_memory(trace);
    if (status == VR_OK && asprintf(&run->journal, "%s" VR_JOURNAL_SUFFIX, run->trace) < 0) {
        run->journal = NULL;
        status = no_memory(run->trace);
    }
    return status;
}

/* In a program compiled with vrcc: the mode that its arithmetic has, whatever else is said. */
const char *vr_vrcc_rounding(void) __attribute__((weak));

static const char *choose_rounding(const vr_run_options *options)
{
    return vr_vrcc_rounding ? vr_vrcc_rounding() : choose(options->rounding, "VR_ROUNDING");
}

/* The options as far as their version has them. */
static bool take_options(vr_run_options *out, const vr_run_options *given)
{
    static const size_t sizes[VR_RUN_OPTIONS_VERSION + 1] = {
        [3] = offsetof(vr_run_options, final), [VR_RUN_OPTIONS_VERSION] = sizeof *out};
    const size_t size = given->version <= VR_RUN_OPTIONS_VERSION ? sizes[given->version] : 0;
    *out = (vr_run_options)VR_RUN_OPTIONS_INIT;
    memcpy(out, given, size);
    return size > 0;
}

vr_status vr_control_read(vr_run *run, const vr_run_options *given)
{
    vr_run_options mine;
    const vr_run_options *const options = &mine;
    const bool known = take_options(&mine, given);
    const char *vary = choose(options->vary, "VR_VARY"), *kernels = choose(options->kernels, "VR_KERNELS"),
               *rounding = choose_rounding(options), *perturb = choose(options->perturb, "VR_PERTURB");
    if (!copy_text(&run->vary, vary ? vary : "") || !copy_text(&run->kernels, kernels ? kernels : "fixed") ||
        !copy_text(&run->rounding, rounding ? rounding : "nearest") ||
        !copy_text(&run->perturb_rules, perturb ? perturb : ""))
        return vr_fail(VR_ERROR_MEMORY, "run: out of memory");
    if (!known)
        return vr_fail(VR_ERROR_ARGUMENT, "run: options of version %u; initialize them with VR_RUN_OPTIONS_INIT",
                       given->version);
    run->sample_values = options->sample_values ? options->sample_values : 64;
    if (run->sample_values > UINT16_MAX)
        return vr_fail(VR_ERROR_ARGUMENT, "run: at most %d sample values", UINT16_MAX);
    vr_status status = read_seeds(run, options);
    if (status == VR_OK)
        status = read_filter(run, options);
    if (status == VR_OK)
        status = read_projection(run, options);
    if (status == VR_OK)
        status = vr_perturb_parse(&run->perturb, perturb);
    if (status == VR_OK)
        status = read_trace(run, options);
    return status;
}

/* Whether the comma-separated list names the purpose. */
static bool is_named(const char *list, const char *purpose)
{
    const size_t length = strlen(purpose);
    for (const char *at = list + strspn(list, " ,"); *at; at += strspn(at, " ,")) {
        const size_t word = strcspn(at, " ,");
        if (word == length && memcmp(at, purpose, length) == 0)
            return true;
        at += word;
    }
    return false;
}

static void tell_seed(vr_run *run, const char *purpose, uint64_t seed)
{
    pthread_mutex_lock(&run->lock);
    if (!json_object_get(run->seeds, purpose)) {
        json_object_set_new(run->seeds, purpose, json_sprintf("0x%016llx", (unsigned long long)seed));
        vr_run_tell(run, "seeds", json_pack("{s:O}", purpose, json_object_get(run->seeds, purpose)));
    }
    pthread_mutex_unlock(&run->lock);
}

static uint64_t replica_seed(uint64_t seed, uint64_t replica)
{
    char purpose[32];
    snprintf(purpose, sizeof purpose, "replica %llu", (unsigned long long)replica);
    return vr_derive_seed(seed, purpose);
}

/* vr_run_seed's as vrcc's runtime has it, which knows the environment only. */
static uint64_t rounding_seed_of_vrcc(void)
{
    const char *vary = getenv("VR_VARY"), *replica = getenv("VR_REPLICA");
    uint64_t seed = 1, number = 0;
    if (choose_number(&seed, NULL, "VR_SEED", 1) != VR_OK)
        return 0;
    seed = vr_derive_seed(seed, "rounding");
    const bool varies = vary && is_named(vary, "rounding") && replica && *replica;
    return varies && parse_number(&number, "VR_REPLICA", replica) == VR_OK ? replica_seed(seed, number) : seed;
}

void vr_control_tell_vrcc(vr_run *run)
{
    const char *precision = getenv("VR_ROUNDING_PRECISION"), *bits = getenv("VR_ROUNDING_BITS");
    if (!vr_vrcc_rounding)
        return;
    if (precision && *precision)
        vr_run_tell(run, "rounding_precision", json_integer(strtoll(precision, NULL, 0)));
    if (is_named("nearest,up,down,zero", run->rounding))
        return;
    vr_run_tell(run, "rounding_bits", json_string(bits && *bits ? bits : "operands"));
    tell_seed(run, "rounding", rounding_seed_of_vrcc());
}

uint64_t vr_run_seed(vr_run *run, const char *purpose)
{
    if (!run)
        return vr_derive_seed(1, purpose);
    uint64_t seed = vr_derive_seed(run->seed, purpose);
    if (is_named(run->vary, purpose))
        seed = replica_seed(seed, run->replica);
    if (run->queue && !vr_run_is_forked(run))
        tell_seed(run, purpose, seed);
    return seed;
}

vr_status vr_run_order(vr_run *run, uint32_t epoch, size_t n, uint32_t *order)
{
    static const char *const inputs[] = {"seed:order"};
    if (n > UINT32_MAX)
        return vr_fail(VR_ERROR_SHAPE, "order: %zu samples are more than 2^32-1", n);
    vr_random random = vr_random_stream(vr_run_seed(run, "order"), epoch);
    vr_random_permutation(&random, order, n);
    const vr_tensor tensor = VR_TENSOR(VR_U32, order, (int64_t)n);
    const vr_site_key key = {VR_INPUT, "order", "permutation", &tensor, inputs, 1};
    return vr_record_tensor(run, &key, &(vr_manner){.least = VR_LEVEL_HASH, .epoch = &epoch});
}
