#include "localize_plan.h"

#include <formats/fail.h>
#include <stdlib.h>
#include <string.h>

#define GUESSES_MOST 8
#define NODES_MOST   64
#define LIKELY       0.48 /* a run that is wanted less likely is not made in advance */

typedef struct guess {
    vr_digest set;
    uint32_t sample;
    va_verdict verdict;
} guess;

/* Items of a search, which are functions or lines: what each is of sites. */
typedef struct item {
    const uint32_t *sites;
    size_t count;
} item;

typedef struct asker {
    const va_plan *plan;
    const guess *guesses;
    size_t guess_count;
    item *items;
    uint32_t *order;      /* all sites, function by function */
    uint64_t *sites;      /* of the last set that was asked for */
    va_question question; /* the first that has no answer */
    double chance;        /* that it is unstable */
} asker;

static va_verdict no_memory(void)
{
    vr_fail(VR_ERROR_MEMORY, "out of memory");
    return VA_STUCK;
}

/* ---- asking ---- */

bool va_kept_enough(const va_plan *plan, const va_kept *kept)
{
    if (kept->share >= 1 || kept->share <= 0)
        return kept->share >= 1;
    return plan->at_least < 0 ? kept->share >= 0.5 : kept->bits >= plan->at_least;
}

static va_verdict ask_sites(asker *a, size_t items, uint32_t sample, double chance)
{
    const vr_digest set = va_sites_digest(a->plan->counted, a->sites);
    const va_trial *trial = va_journal_find(a->plan->journal, set, sample);
    if (trial)
        return va_kept_enough(a->plan, &trial->kept) ? VA_STABLE : VA_UNSTABLE;
    for (size_t i = 0; i < a->guess_count; i++)
        if (a->guesses[i].sample == sample && vr_digest_equal(a->guesses[i].set, set))
            return a->guesses[i].verdict;
    a->question.set = set;
    a->question.sample = sample;
    a->question.items = items;
    a->chance = chance;
    memcpy(a->question.sites, a->sites, va_sites_words(a->plan->counted) * sizeof *a->sites);
    return VA_UNKNOWN;
}

static void choose_none(asker *a)
{
    memset(a->sites, 0, va_sites_words(a->plan->counted) * sizeof *a->sites);
}

static void choose_item(asker *a, const item *chosen)
{
    for (size_t i = 0; i < chosen->count; i++)
        va_sites_add(a->sites, chosen->sites[i], 1);
}

static va_verdict ask_items(void *context, const uint32_t *items, size_t count, uint32_t sample, double chance)
{
    asker *a = context;
    choose_none(a);
    for (size_t i = 0; i < count; i++)
        choose_item(a, &a->items[items[i]]);
    return ask_sites(a, count, sample, chance);
}

/* Runs of the chosen sites, beginning with run `first`: all of them, or those up to the first that is unstable. What is
 * guessed has no figure. */
static va_verdict ask_runs(va_figure *out, asker *a, size_t items, uint32_t first, bool all)
{
    const vr_digest set = va_sites_digest(a->plan->counted, a->sites);
    va_verdict verdict = VA_STABLE;
    *out = (va_figure){.least = {.share = 2}};
    for (uint32_t n = 0; n < a->plan->samples && (all || out->unstable == 0); n++) {
        const uint32_t sample = va_nth_sample(n, first);
        verdict = ask_sites(a, items, sample, 0.1);
        if (verdict == VA_UNKNOWN)
            return verdict;
        const va_trial *trial = va_journal_find(a->plan->journal, set, sample);
        out->runs++;
        out->unstable += verdict == VA_UNSTABLE;
        if (trial && trial->kept.share < out->least.share)
            out->least = trial->kept;
    }
    return out->unstable ? VA_UNSTABLE : VA_STABLE;
}

/* ---- functions ---- */

static bool open_functions(asker *a)
{
    const va_counted *counted = a->plan->counted;
    a->sites = calloc(va_sites_words(counted), sizeof *a->sites);
    a->question.sites = calloc(va_sites_words(counted), sizeof *a->sites);
    a->order = malloc((counted->site_count + 1) * sizeof *a->order);
    a->items = calloc(counted->function_count + 1, sizeof *a->items);
    if (!a->sites || !a->question.sites || !a->order || !a->items)
        return false;
    for (size_t i = 0; i < counted->site_count; i++)
        a->order[i] = (uint32_t)i;
    for (size_t i = 0; i < counted->function_count; i++)
        a->items[i] = (item){a->order + counted->functions[i].first, counted->functions[i].count};
    return true;
}

static void close_functions(asker *a)
{
    free(a->items);
    free(a->order);
    free(a->sites);
}

/* Chooses all functions, but for those of found sets `but` unless that is NULL. */
static void choose_all(asker *a, const va_localized *but)
{
    choose_none(a);
    va_sites_add(a->sites, 0, a->plan->counted->site_count);
    for (size_t i = 0; but && i < but->count; i++)
        for (size_t j = 0; j < but->found[i].count; j++) {
            const item *function = &a->items[but->found[i].functions[j].function];
            for (size_t k = 0; k < function->count; k++)
                a->sites[function->sites[k] / 64] &= ~((uint64_t)1 << function->sites[k] % 64);
        }
}

/* Without all that is rounded nothing may differ: else what is found would be wrong. */
static va_verdict check_nothing(asker *a)
{
    choose_none(a);
    const va_verdict verdict = ask_sites(a, 0, 0, 0);
    if (verdict != VA_UNSTABLE)
        return verdict;
    const va_trial *trial = va_journal_find(a->plan->journal, va_sites_digest(a->plan->counted, a->sites), 0);
    vr_fail(VR_ERROR_ARGUMENT,
            "the result is unstable although no function is rounded (%s): has something that was not compiled by vrcc, "
            "as a library, noise of its own under VR_ROUNDING?",
            trial && *trial->kept.why ? trial->kept.why : "too few bits are left");
    return VA_STUCK;
}

/* ---- lines ---- */

typedef struct line_search {
    const va_plan *plan;
    uint32_t *sites; /* of the functions, line by line */
    size_t site_count;
    item *items; /* lines, those with the most sums first */
    size_t count;
} line_search;

static const va_counted_site *site_at(const line_search *s, const uint32_t *at)
{
    return &s->plan->counted->sites[*at];
}

static int by_line(const void *a, const void *b, void *context)
{
    const va_counted_site *x = site_at(context, a), *y = site_at(context, b);
    const int file = strcmp(x->file, y->file);
    return file ? file : (x->line > y->line) - (x->line < y->line);
}

static uint64_t sums_of(const line_search *s, const item *line)
{
    uint64_t sums = 0;
    for (size_t i = 0; i < line->count; i++)
        sums += site_at(s, &line->sites[i])->sums;
    return sums;
}

static int by_sums(const void *a, const void *b, void *context)
{
    const uint64_t x = sums_of(context, a), y = sums_of(context, b);
    if (x != y)
        return x < y ? 1 : -1;
    const uint32_t *first = ((const item *)a)->sites, *second = ((const item *)b)->sites;
    return first < second ? -1 : 1; /* as they stand in the source */
}

static bool open_lines(line_search *s, const asker *a, const va_found *found)
{
    size_t room = 1;
    for (size_t i = 0; i < found->count; i++)
        room += a->items[found->functions[i].function].count;
    s->sites = malloc(room * sizeof *s->sites);
    s->items = calloc(room, sizeof *s->items);
    if (!s->sites || !s->items)
        return false;
    for (size_t i = 0; i < found->count; i++) {
        const item *function = &a->items[found->functions[i].function];
        memcpy(s->sites + s->site_count, function->sites, function->count * sizeof *s->sites);
        s->site_count += function->count;
    }
    qsort_r(s->sites, s->site_count, sizeof *s->sites, by_line, s);
    for (size_t i = 0; i < s->site_count; i++) {
        if (i == 0 || by_line(&s->sites[i - 1], &s->sites[i], s) != 0)
            s->items[s->count++] = (item){s->sites + i, 0};
        s->items[s->count - 1].count++;
    }
    qsort_r(s->items, s->count, sizeof *s->items, by_sums, s);
    return true;
}

static va_verdict keep_lines(va_found *out, asker *a, const va_minimals *minimals)
{
    va_verdict verdict = VA_UNSTABLE;
    out->lines = calloc(minimals->count + 1, sizeof *out->lines);
    if (!out->lines)
        return no_memory();
    for (size_t i = 0; i < minimals->count && verdict == VA_UNSTABLE; i++) {
        const va_minimal *set = &minimals->sets[i];
        va_found_lines *lines = &out->lines[out->line_count++];
        *lines = (va_found_lines){malloc((set->count + 1) * sizeof *lines->sites), set->count, {0}};
        if (!lines->sites)
            return no_memory();
        choose_none(a);
        for (size_t j = 0; j < set->count; j++) {
            const item *line = &a->items[set->items[j]];
            lines->sites[j] = line->sites[0];
            choose_item(a, line);
        }
        verdict = ask_runs(&lines->together, a, set->count, set->sample, false);
    }
    return verdict;
}

/* The lines of functions that are unstable together. */
static va_verdict find_lines(va_found *out, asker *a, size_t *left)
{
    line_search s = {.plan = a->plan};
    va_minimals minimals = {0};
    va_verdict verdict = open_lines(&s, a, out) ? VA_UNSTABLE : no_memory();
    if (verdict == VA_UNSTABLE) {
        item *functions = a->items;
        a->items = s.items;
        const va_oracle oracle = {ask_items, a, a->plan->samples};
        verdict = va_search(&minimals, &oracle, s.count, out->sample);
        *left = minimals.left;
        if (verdict == VA_UNSTABLE)
            verdict = keep_lines(out, a, &minimals);
        a->items = functions;
    }
    va_minimals_free(&minimals);
    free(s.sites);
    free(s.items);
    return verdict;
}

/* ---- figures ---- */

static void choose_found(asker *a, const va_found *found)
{
    choose_none(a);
    for (size_t i = 0; i < found->count; i++)
        choose_item(a, &a->items[found->functions[i].function]);
}

static va_verdict measure_function(asker *a, va_found_function *f, uint32_t sample)
{
    const va_found one = {.functions = f, .count = 1};
    const va_localized but = {.found = (va_found *)&one, .count = 1};
    choose_none(a);
    choose_item(a, &a->items[f->function]);
    const va_verdict verdict = ask_runs(&f->alone, a, 1, sample, true);
    if (verdict == VA_UNKNOWN || a->plan->counted->function_count == 1)
        return verdict;
    choose_all(a, &but);
    return ask_runs(&f->without, a, a->plan->counted->function_count - 1, sample, false);
}

static int by_alone(const void *a, const void *b)
{
    const va_found_function *x = a, *y = b;
    const double p = x->alone.least.share, q = y->alone.least.share;
    return p != q ? (p > q) - (p < q) : (x->function > y->function) - (x->function < y->function);
}

static va_verdict measure(asker *a, va_found *found)
{
    choose_found(a, found);
    va_verdict verdict = ask_runs(&found->together, a, found->count, found->sample, true);
    for (size_t i = 0; i < found->count && verdict != VA_UNKNOWN; i++)
        verdict = measure_function(a, &found->functions[i], found->sample);
    if (verdict != VA_UNKNOWN)
        qsort(found->functions, found->count, sizeof *found->functions, by_alone);
    return verdict;
}

static int by_together(const void *a, const void *b)
{
    const va_found *x = a, *y = b;
    const double p = x->together.least.share, q = y->together.least.share;
    return p != q ? (p > q) - (p < q)
                  : (x->functions[0].function > y->functions[0].function) -
                        (x->functions[0].function < y->functions[0].function);
}

/* ---- the plan ---- */

static va_verdict keep_functions(va_localized *out, const va_minimals *minimals)
{
    out->found = calloc(minimals->count + 1, sizeof *out->found);
    if (!out->found)
        return no_memory();
    for (size_t i = 0; i < minimals->count; i++) {
        const va_minimal *set = &minimals->sets[i];
        va_found *found = &out->found[out->count++];
        *found = (va_found){.functions = calloc(set->count, sizeof *found->functions), .sample = set->sample};
        if (!found->functions)
            return no_memory();
        for (size_t j = 0; j < set->count; j++)
            found->functions[found->count++].function = set->items[j];
    }
    return VA_UNSTABLE;
}

/* Functions that are in no found set. */
static size_t count_left(const asker *a, const va_localized *out)
{
    size_t left = a->plan->counted->function_count;
    for (size_t i = 0; i < out->count; i++)
        left -= out->found[i].count;
    return left;
}

/* Lines and figures of all that was found. */
static va_verdict complete(va_localized *out, asker *a)
{
    va_verdict verdict = VA_UNSTABLE;
    for (size_t i = 0; i < out->count && verdict == VA_UNSTABLE && a->plan->lines; i++) {
        out->stage = "lines";
        verdict = find_lines(&out->found[i], a, &out->left);
    }
    for (size_t i = 0; i < out->count && (verdict == VA_UNSTABLE || verdict == VA_STABLE); i++) {
        out->stage = "figures";
        out->left = out->count - i;
        verdict = measure(a, &out->found[i]);
    }
    if (verdict == VA_UNKNOWN || verdict == VA_STUCK)
        return verdict;
    choose_all(a, out);
    if (count_left(a, out) > 0 && ask_runs(&out->rest, a, count_left(a, out), 0, false) == VA_UNKNOWN)
        return VA_UNKNOWN;
    qsort(out->found, out->count, sizeof *out->found, by_together);
    return VA_UNSTABLE;
}

static va_verdict conduct(va_localized *out, asker *a)
{
    va_minimals minimals = {0};
    const va_oracle oracle = {ask_items, a, a->plan->samples};
    va_verdict verdict = check_nothing(a);
    out->stage = "functions";
    out->left = a->plan->counted->function_count;
    if (verdict == VA_STABLE) {
        verdict = va_search(&minimals, &oracle, a->plan->counted->function_count, 0);
        out->left = minimals.left;
    }
    if (verdict == VA_UNSTABLE)
        verdict = keep_functions(out, &minimals);
    va_minimals_free(&minimals);
    if (verdict == VA_UNSTABLE)
        verdict = complete(out, a);
    if (verdict == VA_UNKNOWN || verdict == VA_STUCK)
        return verdict;
    choose_all(a, NULL);
    const va_verdict all = ask_runs(&out->all, a, a->plan->counted->function_count, 0, false);
    return all == VA_UNKNOWN ? all : verdict;
}

/* With guesses; the caller frees question->sites. */
static va_verdict run_guessing(va_localized *out, va_question *question, double *chance, const va_plan *plan,
                               const guess *guesses, size_t guess_count)
{
    asker a = {.plan = plan, .guesses = guesses, .guess_count = guess_count};
    *out = (va_localized){0};
    const va_verdict verdict = open_functions(&a) ? conduct(out, &a) : no_memory();
    close_functions(&a);
    *question = a.question;
    *chance = a.chance;
    return verdict;
}

va_verdict va_plan_run(va_localized *out, const va_plan *plan)
{
    va_question question;
    double chance;
    const va_verdict verdict = run_guessing(out, &question, &chance, plan, NULL, 0);
    free(question.sites);
    return verdict;
}

void va_localized_free(va_localized *localized)
{
    for (size_t i = 0; i < localized->count; i++) {
        va_found *found = &localized->found[i];
        for (size_t j = 0; j < found->line_count; j++)
            free(found->lines[j].sites);
        free(found->lines);
        free(found->functions);
    }
    free(localized->found);
    *localized = (va_localized){0};
}

/* ---- what is wanted next ---- */

/* Results that are guessed, and how likely all of them are. */
typedef struct node {
    guess guesses[GUESSES_MOST];
    size_t count;
    double likelihood;
} node;

static bool is_same(const va_question *a, const va_question *b)
{
    return a->sample == b->sample && vr_digest_equal(a->set, b->set);
}

static bool is_among(const va_question *question, const va_question *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (is_same(question, &list[i]))
            return true;
    return false;
}

static void branch(node *nodes, size_t *count, const node *from, const va_question *question, double chance)
{
    for (int i = 0; i < 2 && from->count < GUESSES_MOST && *count < NODES_MOST; i++) {
        node *child = &nodes[*count];
        *child = *from;
        child->likelihood *= i ? chance : 1 - chance;
        child->guesses[child->count++] = (guess){question->set, question->sample, i ? VA_UNSTABLE : VA_STABLE};
        *count += child->likelihood >= LIKELY;
    }
}

/* The most likely one, taken out; the first of those. */
static node take_likeliest(node *nodes, size_t *count)
{
    size_t best = 0;
    for (size_t i = 1; i < *count; i++)
        if (nodes[i].likelihood > nodes[best].likelihood)
            best = i;
    const node taken = nodes[best];
    memmove(nodes + best, nodes + best + 1, (*count - best - 1) * sizeof *nodes);
    --*count;
    return taken;
}

va_verdict va_plan_next(va_question *out, size_t *out_count, size_t room, va_localized *localized, const va_plan *plan,
                        const va_question *busy, size_t busy_count)
{
    node nodes[NODES_MOST] = {{.likelihood = 1}};
    size_t count = 1;
    va_question question;
    double chance;
    va_verdict result = VA_UNKNOWN;
    *out_count = 0;
    for (bool first = true; count > 0 && (first || *out_count < room); first = false) {
        const node at = take_likeliest(nodes, &count);
        va_localized guessed;
        const va_verdict verdict = run_guessing(&guessed, &question, &chance, plan, at.guesses, at.count);
        if (first) {
            *localized = guessed;
            result = verdict;
        } else {
            va_localized_free(&guessed);
        }
        if (verdict == VA_UNKNOWN)
            branch(nodes, &count, &at, &question, chance);
        if (verdict != VA_UNKNOWN || is_among(&question, busy, busy_count) || is_among(&question, out, *out_count) ||
            *out_count == room)
            free(question.sites);
        else
            out[(*out_count)++] = question;
    }
    return result;
}
