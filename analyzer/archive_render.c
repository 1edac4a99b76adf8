#include "archive_render.h"

#include <inttypes.h>
#include <string.h>

static const char *type_name(const vr_member *member)
{
    static const char types[] = "0123456";
    static const char *const names[] = {"file",         "hard link", "symbolic link", "character device",
                                        "block device", "directory", "fifo"};
    const char *at = member->type ? strchr(types, member->type) : NULL;
    return at ? names[at - types] : "other";
}

/* The digest in hex, "" when there is none. */
static const char *digest_text(char out[33], const vr_member *member)
{
    snprintf(out, 33, "%016" PRIx64 "%016" PRIx64, member->digest.hi, member->digest.lo);
    return member->has_digest ? out : "";
}

static void print_long(FILE *out, const vr_member *member)
{
    char digest[33];
    fprintf(out, "%14" PRIu64 "  %-32s  %14" PRIu64 "  ", member->size,
            member->has_digest ? digest_text(digest, member) : "-", member->offset);
    va_print_text(out, member->name, SIZE_MAX);
    if (member->type != '0' || member->sparse)
        fprintf(out, "  (%s)", member->sparse ? "sparse file" : type_name(member));
    fputc('\n', out);
}

static void list_text(FILE *out, const va_members *list)
{
    if (list->full)
        fprintf(out, "%14s  %-32s  %14s  %s\n", "bytes", "digest", "offset", "name");
    for (uint64_t i = 0; i < list->count; i++)
        if (list->full) {
            print_long(out, list->members[i]);
        } else {
            va_print_text(out, list->members[i]->name, SIZE_MAX);
            fputc('\n', out);
        }
}

static void list_csv(FILE *out, const va_members *list)
{
    char digest[33];
    fputs("name,type,sparse,bytes,offset,digest,mtime,mode\n", out);
    for (uint64_t i = 0; i < list->count; i++) {
        const vr_member *m = list->members[i];
        va_csv_text(out, m->name);
        fprintf(out, ",%s,%d,%" PRIu64 ",%" PRIu64 ",%s,%" PRId64 ",%04o\n", type_name(m), m->sparse, m->size,
                m->offset, digest_text(digest, m), m->mtime, (unsigned)m->mode);
    }
}

static json_t *member_json(const vr_member *m)
{
    char digest[33], mode[16];
    snprintf(mode, sizeof mode, "%04o", (unsigned)m->mode);
    return json_pack("{s:o, s:s, s:b, s:I, s:I, s:o, s:I, s:s}", "name", va_json_path(m->name), "type", type_name(m),
                     "sparse", m->sparse, "bytes", (json_int_t)m->size, "offset", (json_int_t)m->offset, "digest",
                     m->has_digest ? json_string(digest_text(digest, m)) : json_null(), "mtime", (json_int_t)m->mtime,
                     "mode", mode);
}

static void list_json(FILE *out, const va_members *list)
{
    json_t *members = json_array();
    for (uint64_t i = 0; i < list->count; i++)
        json_array_append_new(members, member_json(list->members[i]));
    va_print_json(out, json_pack("{s:o, s:o}", "archive", va_json_path(list->path), "members", members));
}

void va_members_print(FILE *out, const va_members *list, va_format format)
{
    if (format == VA_JSON)
        list_json(out, list);
    else if (format == VA_CSV)
        list_csv(out, list);
    else
        list_text(out, list);
}

static void verdict_sum(FILE *out, const va_verdict *v)
{
    fprintf(out, "%s: ", v->path);
    va_print_count(out, v->members, "member");
    if (v->problem_count == 0)
        fputs(v->unknown == v->members && v->members ? ", readable" : ", as written", out);
    else
        fprintf(out, ", %" PRIu64 " damaged", v->bad);
    if (v->unknown)
        fprintf(out, ", %" PRIu64 " without a digest ('varanalyze archive append %s' gives %s one)", v->unknown,
                v->path, v->unknown == 1 ? "it" : "each");
    fputc('\n', out);
}

static void verdict_text(FILE *out, const va_verdict *v)
{
    for (uint64_t i = 0; i < v->problem_count; i++) {
        fprintf(out, "%s%s", v->path, *v->problems[i].member ? ":" : "");
        va_print_text(out, v->problems[i].member, SIZE_MAX);
        fputs(": ", out);
        va_print_text(out, v->problems[i].what, SIZE_MAX);
        fputc('\n', out);
    }
    if (!v->unreadable)
        verdict_sum(out, v);
}

static void verdict_csv(FILE *out, const va_verdict *v, bool first)
{
    if (first)
        fputs("archive,member,problem\n", out);
    for (uint64_t i = 0; i < v->problem_count; i++) {
        va_csv_text(out, v->path);
        fputc(',', out);
        va_csv_text(out, v->problems[i].member);
        fputc(',', out);
        va_csv_text(out, v->problems[i].what);
        fputc('\n', out);
    }
}

static void verdict_json(FILE *out, const va_verdict *v)
{
    json_t *problems = json_array();
    for (uint64_t i = 0; i < v->problem_count; i++)
        json_array_append_new(problems, json_pack("{s:o, s:o}", "member", va_json_path(v->problems[i].member),
                                                  "problem", va_json_path(v->problems[i].what)));
    json_t *json =
        json_pack("{s:o, s:I, s:I, s:I, s:o}", "archive", va_json_path(v->path), "members", (json_int_t)v->members,
                  "bad", (json_int_t)v->bad, "unknown", (json_int_t)v->unknown, "problems", problems);
    va_print_json(out, json);
}

void va_verdict_print(FILE *out, const va_verdict *verdict, va_format format, bool first)
{
    if (format == VA_JSON)
        verdict_json(out, verdict);
    else if (format == VA_CSV)
        verdict_csv(out, verdict, first);
    else
        verdict_text(out, verdict);
}
