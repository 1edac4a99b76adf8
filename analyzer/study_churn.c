#include "study_churn.h"

#include "study_kernels.h"

#include <formats/fail.h>
#include <isa.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TILE        16          /* rows of a tile of pairs, which stay in the cache for a BLOCK_BYTES of each */
#define BLOCK_BYTES (16 << 10)  /* a multiple of the bits of a word */
#define TABLE_BYTES (256 << 10) /* of a thread's counters */

static vr_status out_of_memory(void)
{
    return vr_fail(VR_ERROR_MEMORY, "out of memory for the churn of a condition");
}

const char *va_churn_lacks(const va_churn *churn)
{
    if (churn->replicas < 2)
        return "one replica has none to disagree with";
    return churn->samples == 0 ? "the replicas have no samples in common" : NULL;
}

void va_churn_free(va_churn *churn)
{
    if (!churn)
        return;
    free(churn->with_others);
    free(churn->class_mean);
    free(churn->class_with_others);
    free(churn->class_samples);
    free(churn->pairs);
    free(churn->one_correct);
    free(churn->among_correct);
    free(churn);
}

static va_churn *new_churn(const va_table *table)
{
    const size_t classes = (size_t)table->classes, n = (size_t)table->replicas;
    va_churn *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->replicas = table->replicas;
    c->classes = table->classes;
    c->samples = table->samples;
    c->pair_count = n > 1 ? n * (n - 1) / 2 : 0;
    c->with_others = calloc(n + 1, sizeof *c->with_others);
    c->class_mean = calloc(classes + 1, sizeof *c->class_mean);
    c->class_with_others = calloc(classes * n + 1, sizeof *c->class_with_others);
    c->class_samples = calloc(classes + 1, sizeof *c->class_samples);
    c->pairs = calloc(c->pair_count + 1, sizeof *c->pairs);
    c->one_correct = calloc(c->pair_count + 1, sizeof *c->one_correct);
    c->among_correct = calloc(c->pair_count + 1, sizeof *c->among_correct);
    if (c->with_others && c->class_mean && c->class_with_others && c->class_samples && c->pairs && c->one_correct &&
        c->among_correct)
        return c;
    va_churn_free(c);
    return NULL;
}

/* ---- predictions as codes ---- */

/* Samples in the order of their labels, so that those of a class are neighbours; predictions as codes 0..codes-1: of a
 * class its number, of what is no class the next ones. */
typedef struct coded {
    size_t samples, replicas, words;
    int32_t *labels;  /* [samples] */
    int32_t *strange; /* predictions that are no class: ascending, each once */
    size_t strangers, codes, width;
    char *rows;        /* [replicas][samples] of `width` bytes */
    uint64_t *correct; /* [replicas][words]: bit i: sample i is right */
    uint64_t *right;   /* [replicas]: bits set */
} coded;

/* Whether threads are worth their while. */
static bool is_large(const coded *c)
{
    return vr_worth_threads((uint64_t)c->samples * c->replicas * c->width);
}

static void free_coded(coded *c)
{
    free(c->labels);
    free(c->strange);
    free(c->rows);
    free(c->correct);
    free(c->right);
}

static int by_number(const void *a, const void *b)
{
    const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

static bool is_class(const va_table *table, int32_t prediction)
{
    return prediction >= 0 && prediction < table->classes;
}

static vr_status find_strangers(coded *c, const va_table *table)
{
    size_t found = 0, kept = 0;
    for (size_t r = 0; r < c->replicas; r++)
        for (size_t i = 0; i < c->samples; i++)
            found += !is_class(table, table->rows[r].predictions[i]);
    c->strange = calloc(found + 1, sizeof *c->strange);
    if (!c->strange)
        return out_of_memory();
    for (size_t r = 0; found > 0 && r < c->replicas; r++)
        for (size_t i = 0; i < c->samples; i++)
            if (!is_class(table, table->rows[r].predictions[i]))
                c->strange[kept++] = table->rows[r].predictions[i];
    qsort(c->strange, found, sizeof *c->strange, by_number);
    for (size_t i = 0; i < found; i++)
        if (i == 0 || c->strange[i] != c->strange[i - 1])
            c->strange[c->strangers++] = c->strange[i];
    c->codes = (size_t)table->classes + c->strangers;
    c->width = c->codes <= 1 << 8 ? 1 : c->codes <= 1 << 16 ? 2 : 4;
    return VR_OK;
}

static size_t code_of(const coded *c, const va_table *table, int32_t prediction)
{
    if (is_class(table, prediction))
        return (size_t)prediction;
    const int32_t *at = bsearch(&prediction, c->strange, c->strangers, sizeof *c->strange, by_number);
    return (size_t)table->classes + (size_t)(at - c->strange);
}

static void put(char *row, size_t width, size_t i, size_t code)
{
    if (width == 1)
        ((uint8_t *)row)[i] = (uint8_t)code;
    else if (width == 2)
        ((uint16_t *)row)[i] = (uint16_t)code;
    else
        ((uint32_t *)row)[i] = (uint32_t)code;
}

static inline size_t get(const char *row, size_t width, size_t i)
{
    return width == 1   ? ((const uint8_t *)row)[i]
           : width == 2 ? ((const uint16_t *)row)[i]
                        : ((const uint32_t *)row)[i];
}

/* place[i]: where sample i of the table stands. */
static void code_row(coded *c, const va_table *table, const uint32_t *place, size_t r)
{
    char *row = c->rows + r * c->samples * c->width;
    uint64_t *correct = c->correct + r * c->words;
    const int32_t *predictions = table->rows[r].predictions;
    for (size_t i = 0; i < c->samples; i++) {
        const size_t at = place[i];
        put(row, c->width, at, code_of(c, table, predictions[i]));
        correct[at / 64] |= (uint64_t)(predictions[i] == table->labels[i]) << at % 64;
    }
    c->right[r] = va_study_kernels_best()->both(correct, correct, c->words);
}

/* Counting sort by label; `starts` are the samples of each class and become the places behind them. */
static void place_samples(uint32_t *place, coded *c, const va_table *table, size_t *starts)
{
    size_t at = 0;
    for (int class = 0; class < table->classes; class ++) {
        const size_t count = starts[class];
        starts[class] = at;
        at += count;
    }
    for (size_t i = 0; i < c->samples; i++) {
        place[i] = (uint32_t)starts[table->labels[i]]++;
        c->labels[place[i]] = table->labels[i];
    }
}

static vr_status code_rows(coded *c, const va_table *table, const size_t *class_samples)
{
    uint32_t *place = calloc(c->samples + 1, sizeof *place);
    size_t *starts = calloc((size_t)table->classes + 1, sizeof *starts);
    if (place && starts) {
        memcpy(starts, class_samples, (size_t)table->classes * sizeof *starts);
        place_samples(place, c, table, starts);
#pragma omp parallel for schedule(static) if (is_large(c))
        for (size_t r = 0; r < c->replicas; r++)
            code_row(c, table, place, r);
    }
    const bool fine = place && starts;
    free(place);
    free(starts);
    return fine ? VR_OK : out_of_memory();
}

static vr_status make_coded(coded *c, const va_table *table, const size_t *class_samples)
{
    *c = (coded){.samples = table->samples, .replicas = (size_t)table->replicas, .words = table->samples / 64 + 1};
    vr_status status = find_strangers(c, table);
    if (status == VR_OK) {
        c->labels = calloc(c->samples + 1, sizeof *c->labels);
        c->rows = calloc(c->samples * c->replicas + 1, c->width);
        c->correct = calloc(c->words * c->replicas + 1, sizeof *c->correct);
        c->right = calloc(c->replicas + 1, sizeof *c->right);
        const bool fine = c->labels && c->rows && c->correct && c->right;
        status = fine ? code_rows(c, table, class_samples) : out_of_memory();
    }
    if (status != VR_OK)
        free_coded(c);
    return status;
}

/* ---- means, from how often each code is predicted ---- */

/* A thread's counters: of the samples of a block, how many replicas predict each code. */
typedef struct counters {
    uint16_t *counts; /* [block][codes] */
    size_t block;
} counters;

static void count_codes(counters *t, const coded *c, size_t first, size_t n, int by)
{
    for (size_t r = 0; r < c->replicas; r++) {
        const char *row = c->rows + r * c->samples * c->width;
        for (size_t i = 0; i < n; i++) {
            uint16_t *count = &t->counts[i * c->codes + get(row, c->width, first + i)];
            *count = by ? (uint16_t)(*count + 1) : 0;
        }
    }
}

/* Disagreements of each replica with all others, added to those of its samples' classes: sums[class][replica]. */
static void add_block(uint64_t *sums, const counters *t, const coded *c, size_t first, size_t n)
{
    for (size_t r = 0; r < c->replicas; r++) {
        const char *row = c->rows + r * c->samples * c->width;
        for (size_t i = 0; i < n;) {
            const int32_t class = c->labels[first + i];
            uint64_t sum = 0;
            for (; i < n && c->labels[first + i] == class; i++)
                sum += c->replicas - t->counts[i * c->codes + get(row, c->width, first + i)];
#pragma omp atomic
            sums[(size_t) class * c->replicas + r] += sum;
        }
    }
}

static vr_status add_blocks(uint64_t *sums, const coded *c)
{
    const size_t fit = TABLE_BYTES / sizeof(uint16_t) / (c->codes + 1), block = fit < 1 ? 1 : fit > 512 ? 512 : fit;
    const size_t blocks = (c->samples + block - 1) / block;
    bool fine = true;
#pragma omp parallel reduction(&& : fine) if (is_large(c))
    {
        counters t = {calloc(block * c->codes + 1, sizeof *t.counts), block};
        fine = t.counts != NULL;
#pragma omp for schedule(static)
        for (size_t b = 0; b < blocks; b++) {
            const size_t first = b * block, n = c->samples - first < block ? c->samples - first : block;
            if (!fine)
                continue;
            count_codes(&t, c, first, n, 1);
            add_block(sums, &t, c, first, n);
            count_codes(&t, c, first, n, 0);
        }
        free(t.counts);
    }
    return fine ? VR_OK : out_of_memory();
}

/* Of sums of disagreements over `samples` and ordered pairs. */
static double mean_of(uint64_t sum, size_t samples, size_t pairs)
{
    return samples && pairs ? (double)sum / ((double)samples * (double)pairs) : NAN;
}

static void set_means(va_churn *churn, const uint64_t *sums)
{
    const size_t n = (size_t)churn->replicas, others = n > 0 ? n - 1 : 0;
    uint64_t all = 0;
    for (size_t class = 0; class < (size_t)churn->classes; class ++) {
        uint64_t of_class = 0;
        for (size_t r = 0; r < n; r++) {
            of_class += sums[class * n + r];
            churn->class_with_others[class * n + r] = mean_of(sums[class * n + r], churn->class_samples[class], others);
        }
        churn->class_mean[class] = mean_of(of_class, churn->class_samples[class], n * others);
        all += of_class;
    }
    churn->mean = mean_of(all, churn->samples, n * others);
    for (size_t r = 0; r < n; r++) {
        uint64_t of_replica = 0;
        for (size_t class = 0; class < (size_t)churn->classes; class ++)
            of_replica += sums[class * n + r];
        churn->with_others[r] = mean_of(of_replica, churn->samples, others);
    }
}

static vr_status find_means(va_churn *churn, const coded *c)
{
    uint64_t *sums = calloc((size_t)churn->classes * c->replicas + 1, sizeof *sums);
    const vr_status status = sums ? add_blocks(sums, c) : out_of_memory();
    if (status == VR_OK)
        set_means(churn, sums);
    free(sums);
    return status;
}

/* ---- pairs ---- */

/* Of a tile's pairs: samples on which they differ, and that both get right. */
typedef struct tile {
    size_t a, b; /* its first row, and column */
    uint64_t differ[TILE][TILE], both[TILE][TILE];
} tile;

static void compare_block(tile *t, const coded *c, const va_study_kernels *kernels, size_t first, size_t n)
{
    const size_t bytes = c->samples * c->width, word = first / 64, words = (n + 63) / 64;
    for (size_t a = t->a; a < t->a + TILE && a < c->replicas; a++)
        for (size_t b = t->b > a ? t->b : a + 1; b < t->b + TILE && b < c->replicas; b++) {
            t->differ[a - t->a][b - t->b] += kernels->differ(c->rows + a * bytes + first * c->width,
                                                             c->rows + b * bytes + first * c->width, c->width, n);
            t->both[a - t->a][b - t->b] +=
                kernels->both(c->correct + a * c->words + word, c->correct + b * c->words + word, words);
        }
}

/* Right in exactly one: a + b - 2 both; in at least one: a + b - both. */
static void set_pairs(va_churn *churn, const coded *c, const tile *t)
{
    const double samples = (double)c->samples;
    for (size_t a = t->a; a < t->a + TILE && a < c->replicas; a++)
        for (size_t b = t->b > a ? t->b : a + 1; b < t->b + TILE && b < c->replicas; b++) {
            const size_t pair = va_pair(a, b, c->replicas);
            const uint64_t both = t->both[a - t->a][b - t->b], any = c->right[a] + c->right[b] - both;
            churn->pairs[pair] = samples > 0 ? (double)t->differ[a - t->a][b - t->b] / samples : NAN;
            churn->one_correct[pair] = samples > 0 ? (double)(any - both) / samples : NAN;
            churn->among_correct[pair] = any > 0 ? (double)(any - both) / (double)any : NAN;
        }
}

static void compare_pairs(va_churn *churn, const coded *c)
{
    const va_study_kernels *kernels = va_study_kernels_best();
    const size_t tiles = (c->replicas + TILE - 1) / TILE, block = BLOCK_BYTES / c->width;
#pragma omp parallel for schedule(dynamic) if (is_large(c))
    for (size_t k = 0; k < tiles * tiles; k++) {
        tile t = {.a = k / tiles * TILE, .b = k % tiles * TILE};
        if (t.b < t.a)
            continue;
        for (size_t first = 0; first < c->samples; first += block)
            compare_block(&t, c, kernels, first, c->samples - first < block ? c->samples - first : block);
        set_pairs(churn, c, &t);
    }
    churn->over_pairs = va_spread_of(churn->pairs, churn->pair_count);
    churn->one_correct_spread = va_spread_of(churn->one_correct, churn->pair_count);
    churn->among_correct_spread = va_spread_of(churn->among_correct, churn->pair_count);
}

vr_status va_churn_of(va_churn **out, const va_table *table)
{
    va_churn *churn = new_churn(table);
    if (!churn)
        return out_of_memory();
    for (size_t i = 0; i < table->samples; i++)
        churn->class_samples[table->labels[i]]++;
    coded all;
    vr_status status = make_coded(&all, table, churn->class_samples);
    if (status == VR_OK) {
        status = find_means(churn, &all);
        compare_pairs(churn, &all);
        free_coded(&all);
    }
    if (status != VR_OK) {
        va_churn_free(churn);
        return status;
    }
    *out = churn;
    return VR_OK;
}
