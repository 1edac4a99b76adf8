#include "agree.h"

#include "command.h"

#include <fnmatch.h>
#include <formats/fail.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- analysis ---- */

static bool same_record(const va_agreement *all, int x, const vr_trace_record *a, int y, const vr_trace_record *b)
{
    if (!a || !b)
        return !a && !b;
    const vr_site *s = &vr_trace_sites(all->traces[x])[a->site], *t = &vr_trace_sites(all->traces[y])[b->site];
    return vr_digest_equal(a->digest, b->digest) && va_same_kind(s, t);
}

/* Splits the groups by a row: runs stay together only while they are the same. */
static void split(va_agreement *all, const int *value)
{
    int *old = all->before;
    memcpy(old, all->group, (size_t)all->runs * sizeof *old);
    all->groups = 0;
    for (int i = 0; i < all->runs; i++) {
        int same = -1;
        for (int j = 0; j < i && same < 0; j++)
            if (old[j] == old[i] && value[j] == value[i])
                same = j;
        all->group[i] = same < 0 ? all->groups++ : all->group[same];
    }
}

/* The value most runs have; of a tie, the one met first. */
static int majority(const int *value, int runs)
{
    int best = value[0], most = 0;
    for (int i = 0; i < runs; i++) {
        int count = 0;
        for (int j = 0; j < runs; j++)
            count += value[j] == value[i];
        if (count > most) {
            most = count;
            best = value[i];
        }
    }
    return best;
}

static void take_row(va_agreement *all, const va_batch *batch, size_t row, int *value)
{
    const vr_trace_record *const *records = &batch->records[row * (size_t)all->runs];
    bool everywhere = true, equal = true;
    for (int i = 0; i < all->runs; i++) {
        value[i] = i;
        for (int j = 0; j < i && value[i] == i; j++)
            if (same_record(all, i, records[i], j, records[j]))
                value[i] = value[j];
        everywhere &= records[i] != NULL;
        equal &= value[i] == value[0];
        all->missing[i] += records[i] == NULL;
    }
    all->compared += everywhere;
    all->agreed += everywhere && equal;
    if (equal)
        return;
    split(all, value);
    const int most = majority(value, all->runs);
    for (int i = 0; i < all->runs; i++)
        if (value[i] != most && !all->partings[i].parted)
            all->partings[i] = (va_parting){true, batch->step, batch->epoch, batch->entity[row]};
}

static bool is_selected(const va_agreement *all, const va_batch *batch, size_t row, const va_diff_options *o)
{
    const va_entity *e = &all->entities[batch->entity[row]];
    return (!o->layer || fnmatch(o->layer, e->layer, 0) == 0) && (!o->phase || o->phase == e->phase) &&
           batch->step >= o->first_step && batch->step <= o->last_step;
}

static void find_odd(va_agreement *all)
{
    all->odd = -1;
    if (all->groups != 2 || all->runs < 3)
        return;
    int of_second = 0, one[2] = {0, 0};
    for (int i = 0; i < all->runs; i++) {
        of_second += all->group[i];
        one[all->group[i]] = i;
    }
    if (of_second == 1)
        all->odd = one[1];
    else if (of_second == all->runs - 1)
        all->odd = one[0];
}

vr_status va_agree_run(va_agreement **out, vr_trace *const *traces, int runs, const va_diff_options *options)
{
    va_agreement *all = calloc(1, sizeof *all);
    if (!all)
        return vr_fail(VR_ERROR_MEMORY, "out of memory");
    *all = (va_agreement){.runs = runs, .traces = traces, .groups = 1};
    all->group = calloc((size_t)runs, sizeof *all->group);
    all->before = calloc((size_t)runs, sizeof *all->before);
    all->partings = calloc((size_t)runs, sizeof *all->partings);
    all->missing = calloc((size_t)runs, sizeof *all->missing);
    int *value = calloc((size_t)runs, sizeof *value);
    vr_status status = all->group && all->before && all->partings && all->missing && value
                           ? va_check_ranks(traces, runs)
                           : vr_fail(VR_ERROR_MEMORY, "out of memory");
    if (status == VR_OK)
        status = va_pairing_open(&all->pairing, traces, runs);
    const va_batch *batch = NULL;
    if (status == VR_OK)
        all->entities = va_pairing_entities(all->pairing);
    while (status == VR_OK && (status = va_pairing_next(all->pairing, &batch)) == VR_OK && batch)
        for (size_t row = 0; row < batch->rows; row++)
            if (is_selected(all, batch, row, options))
                take_row(all, batch, row, value);
    free(value);
    if (status != VR_OK) {
        va_agree_free(all);
        return status;
    }
    find_odd(all);
    *out = all;
    return VR_OK;
}

void va_agree_free(va_agreement *all)
{
    if (!all)
        return;
    free(all->group);
    free(all->before);
    free(all->partings);
    free(all->missing);
    va_pairing_close(all->pairing);
    free(all);
}

/* ---- output ---- */

static const char *path_of(const va_agreement *all, int run)
{
    return vr_trace_get_info(all->traces[run])->path;
}

static void print_verdict(FILE *out, const va_agreement *all, bool color)
{
    const char *bold = color ? "\033[1m" : "", *plain = color ? "\033[0m" : "";
    if (all->groups == 1) {
        fprintf(out, "%sthe same%s: %d runs, ", bold, plain, all->runs);
        va_print_count(out, all->compared, "record");
        fputs(" each, all digests equal\n", out);
    } else if (all->odd >= 0)
        fprintf(out, "%sdifferent%s: %s is the odd one out of %d runs\n", bold, plain, path_of(all, all->odd),
                all->runs);
    else
        fprintf(out, "%sdifferent%s: %d groups among %d runs\n", bold, plain, all->groups, all->runs);
}

void va_agree_text(FILE *out, const va_agreement *all, bool color)
{
    char agreed[VA_COUNT_TEXT];
    print_verdict(out, all, color);
    if (all->groups == 1)
        return;
    fprintf(out, "%s of ", va_count_text(agreed, all->agreed));
    va_print_count(out, all->compared, "record");
    fputs(" are the same in all\n\n", out);
    for (int group = 0; group < all->groups; group++) {
        fprintf(out, "group %d:", group + 1);
        for (int i = 0; i < all->runs; i++)
            if (all->group[i] == group)
                fprintf(out, " %s", path_of(all, i));
        fputc('\n', out);
    }
    fputc('\n', out);
    for (int i = 0; i < all->runs; i++) {
        const va_parting *p = &all->partings[i];
        if (!p->parted)
            continue;
        const va_entity *e = &all->entities[p->entity];
        fprintf(out, "%s parts from the rest ", path_of(all, i));
        if (p->step)
            fprintf(out, "at step %" PRIu64 " (epoch %u)", p->step, p->epoch);
        else
            fputs("in the setup", out);
        fprintf(out, ", %s %s/%s\n", vr_phase_name(e->phase), e->layer, e->name);
    }
    fputs("compare two of them for the origins and their causes\n", out);
}

static json_t *parting_json(const va_agreement *all, const va_parting *p)
{
    if (!p->parted)
        return json_null();
    const va_entity *e = &all->entities[p->entity];
    return json_pack("{s:I, s:i, s:s, s:s, s:s}", "step", (json_int_t)p->step, "epoch", (int)p->epoch, "phase",
                     vr_phase_name(e->phase), "layer", e->layer, "name", e->name);
}

json_t *va_agree_json(const va_agreement *all)
{
    json_t *runs = json_array();
    for (int i = 0; i < all->runs; i++)
        json_array_append_new(runs, json_pack("{s:o, s:i, s:I, s:o}", "path", va_json_path(path_of(all, i)), "group",
                                              all->group[i] + 1, "missing", (json_int_t)all->missing[i], "parts",
                                              parting_json(all, &all->partings[i])));
    return json_pack("{s:b, s:i, s:o, s:I, s:I, s:o}", "same", all->groups == 1, "groups", all->groups, "odd",
                     all->odd < 0 ? json_null() : va_json_path(path_of(all, all->odd)), "compared",
                     (json_int_t)all->compared, "agreed", (json_int_t)all->agreed, "runs", runs);
}

void va_agree_csv(FILE *out, const va_agreement *all)
{
    fputs("path,group,missing,step,epoch,phase,layer,name\n", out);
    for (int i = 0; i < all->runs; i++) {
        const va_parting *p = &all->partings[i];
        va_csv_text(out, path_of(all, i));
        fprintf(out, ",%d,%" PRIu64, all->group[i] + 1, all->missing[i]);
        if (p->parted) {
            const va_entity *e = &all->entities[p->entity];
            fprintf(out, ",%" PRIu64 ",%u,%s,", p->step, p->epoch, vr_phase_name(e->phase));
            va_csv_text(out, e->layer);
            fputc(',', out);
            va_csv_text(out, e->name);
            fputc('\n', out);
        } else
            fputs(",,,,,\n", out);
    }
}
