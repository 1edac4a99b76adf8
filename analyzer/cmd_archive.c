#include "archive_files.h"
#include "archive_render.h"
#include "command.h"
#include "sources.h"

#include <errno.h>
#include <fnmatch.h>
#include <formats/fail.h>
#include <getopt.h>
#include <libtrace/archive_list.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char usage[] =
    "usage: varanalyze archive create  [-C DIR] ARCHIVE FILE...\n"
    "       varanalyze archive append  [-C DIR] [--replace|--number] ARCHIVE [FILE...]\n"
    "       varanalyze archive list    [-l] [-f FORMAT] [-o FILE] ARCHIVE [GLOB...]\n"
    "       varanalyze archive extract [-C DIR] [--overwrite] ARCHIVE [GLOB...]\n"
    "       varanalyze archive verify  [-f FORMAT] [-o FILE] ARCHIVE...\n"
    "\n"
    "Keeps many files in one tar archive, which all other commands read in place, as ARCHIVE:NAME, and tar or any\n"
    "other program that knows tar as well. Archives made or appended to here also hold the place and digest of each\n"
    "member: finding one takes no search, and verify finds damage. Programs that record put their traces into an\n"
    "archive by themselves when VR_ARCHIVE names one.\n"
    "\n"
    "create makes an archive that is not there yet. append adds to one, and makes it if need be; it is safe beside\n"
    "other processes that do the same; without FILE it gives an archive made by tar the places and digests of what\n"
    "it holds. Of a directory, all files below it are taken. Compressed archives can be read, not added to.\n"
    "GLOB is a pattern for members' names; '*' matches '/' too.\n"
    "\n"
    "options:\n"
    "  -C, --directory DIR          FILEs lie in DIR; extract to DIR\n"
    "  -r, --replace                a FILE whose name is taken replaces the member (else nothing is added)\n"
    "  -n, --number                 or gets another name: run.h5 becomes run-2.h5\n"
    "  -w, --overwrite              replace files that are there already\n"
    "  -l, --long                   list size, digest and place (offset in the archive) as well\n"
    "  -f, --format text|json|csv   (default text)\n"
    "  -o, --output FILE            write to FILE instead of standard output ('-')\n"
    "  -h, --help                   this text\n"
    "\n"
    "exit status: 0 done, all fine; 1 verify found something wrong; 2 trouble\n"
    "\n"
    "examples:\n"
    "  varanalyze archive create runs.tar run1.h5 run2.h5\n"
    "  varanalyze diff runs.tar:run1.h5 runs.tar:run2.h5\n"
    "  varanalyze archive append -C /scratch/sweep runs.tar .\n"
    "  varanalyze archive extract -C /tmp runs.tar 'seed-1*.h5'\n"
    "  varanalyze archive verify runs.tar && zstd runs.tar\n";

typedef struct settings {
    const char *directory, *output;
    vr_taken taken;
    va_format format;
    bool overwrite, full;
    const char *archive; /* the first operand */
    char **operands;     /* the others */
    int count;
} settings;

/* ---- create, append ---- */

static void say_added(const settings *s, const va_files *all, char *const *added)
{
    for (uint64_t i = 0; i < all->count; i++)
        if (strcmp(all->files[i].name, added[i]) != 0)
            printf("%s: %s is %s\n", s->archive, all->files[i].name, added[i]);
    if (s->count == 0) {
        printf("%s: it now holds the places and digests of its members\n", s->archive);
        return;
    }
    printf("%s: ", s->archive);
    va_print_count(stdout, all->count, "file");
    fputs(" added\n", stdout);
}

static int put(const settings *s, bool create)
{
    va_files all = {0};
    const vr_archive_options options = va_archive_options();
    vr_status status = va_refuse_compressed(s->archive);
    for (int i = 0; status == VR_OK && i < s->count; i++)
        status = va_files_add(&all, s->directory, s->operands[i], s->archive);
    char **added = calloc(all.count + 1, sizeof *added);
    if (status == VR_OK && !added)
        status = vr_fail(VR_ERROR_MEMORY, "out of memory");
    if (status == VR_OK)
        status = vr_archive_append(s->archive, all.files, all.count, s->taken, create, added, &options);
    if (status == VR_OK)
        say_added(s, &all, added);
    for (uint64_t i = 0; added && i < all.count; i++)
        free(added[i]);
    free(added);
    va_files_free(&all);
    return status == VR_OK ? va_finish(VA_SAME) : va_trouble();
}

static int create(const settings *s)
{
    return put(s, true);
}

static int append(const settings *s)
{
    if (s->count == 0 && access(s->archive, F_OK) != 0) {
        vr_fail_errno(errno, "%s", s->archive);
        return va_trouble();
    }
    return put(s, false);
}

/* ---- list, extract ---- */

static bool is_wanted(const settings *s, const vr_member *member)
{
    const char *name = vr_name_key(member->name);
    for (int i = 0; i < s->count; i++) {
        const char *pattern = vr_name_key(s->operands[i]);
        if (fnmatch(pattern, name, 0) == 0 || strcmp(pattern, name) == 0)
            return true;
    }
    return s->count == 0;
}

/* The members that were asked for; the array is the caller's to free. */
static vr_status choose(va_members *out, const settings *s, vr_archive *archive)
{
    const vr_member *members;
    uint64_t count;
    vr_status status = vr_archive_members(archive, &members, &count);
    if (status != VR_OK)
        return status;
    out->members = malloc((count + 1) * sizeof(vr_member *));
    if (!out->members)
        return vr_fail(VR_ERROR_MEMORY, "out of memory");
    for (uint64_t i = 0; i < count; i++)
        if (is_wanted(s, &members[i]))
            out->members[out->count++] = &members[i];
    if (s->count && out->count == 0)
        status = vr_fail(VR_ERROR_ARGUMENT, "%s: no member matches '%s'", s->archive, s->operands[0]);
    return status;
}

static int print_list(const va_members *list, const settings *s)
{
    va_output out;
    if (va_output_open(&out, s->output) != VR_OK)
        return va_trouble();
    va_members_print(out.stream, list, s->format);
    return va_output_close(&out, true) == VR_OK ? VA_SAME : va_trouble();
}

/* Each that fails is named, and the others are extracted all the same. */
static int extract_all(const va_members *list, const settings *s, vr_archive *archive)
{
    uint64_t done = 0;
    int result = VA_SAME;
    for (uint64_t i = 0; i < list->count; i++) {
        if (list->members[i]->type == '5') /* made where its files ask for it */
            continue;
        if (vr_archive_extract(archive, list->members[i], s->directory ? s->directory : ".", s->overwrite) == VR_OK)
            done++;
        else
            result = va_trouble();
    }
    printf("%s: ", s->archive);
    va_print_count(stdout, done, "file");
    fputs(" extracted\n", stdout);
    return va_finish(result);
}

static int with_members(const settings *s, bool extracts)
{
    vr_archive *archive;
    const vr_archive_options options = va_archive_options();
    va_members list = {.path = s->archive, .full = s->full};
    if (vr_archive_open(&archive, s->archive, &options) != VR_OK)
        return va_trouble();
    int result;
    if (choose(&list, s, archive) != VR_OK)
        result = va_trouble();
    else
        result = extracts ? extract_all(&list, s, archive) : print_list(&list, s);
    free(list.members);
    vr_archive_close(archive);
    return result;
}

static int list(const settings *s)
{
    return with_members(s, false);
}

static int extract(const settings *s)
{
    struct stat folder;
    if (s->directory && (stat(s->directory, &folder) != 0 || !S_ISDIR(folder.st_mode))) {
        fprintf(stderr, "varanalyze: %s: is no directory; make it first\n", s->directory);
        return VA_TROUBLE;
    }
    return with_members(s, true);
}

/* ---- verify ---- */

static void keep_problem(void *context, const char *member, const char *what)
{
    va_verdict *verdict = context;
    va_problem *problems = realloc(verdict->problems, (verdict->problem_count + 1) * sizeof *problems);
    if (!problems)
        return;
    verdict->problems = problems;
    problems[verdict->problem_count++] = (va_problem){strdup(member), strdup(what)};
}

static void free_verdict(va_verdict *verdict)
{
    for (uint64_t i = 0; i < verdict->problem_count; i++) {
        free(verdict->problems[i].member);
        free(verdict->problems[i].what);
    }
    free(verdict->problems);
}

static vr_status judge(va_verdict *verdict)
{
    vr_archive *archive;
    const vr_member *members;
    const vr_archive_options options = va_archive_options();
    vr_status status = vr_archive_open(&archive, verdict->path, &options);
    if (status != VR_OK)
        return status;
    status = vr_archive_members(archive, &members, &verdict->members);
    if (status == VR_OK)
        status = vr_archive_verify(archive, keep_problem, verdict, &verdict->bad, &verdict->unknown, &options);
    vr_archive_close(archive);
    return status;
}

/* The failure that is at hand is what is wrong with the archive. */
static void keep_failure(va_verdict *verdict)
{
    const char *what = vr_error();
    const size_t length = strlen(verdict->path);
    if (strncmp(what, verdict->path, length) == 0 && strncmp(what + length, ": ", 2) == 0)
        what += length + 2;
    verdict->unreadable = true;
    keep_problem(verdict, "", what);
}

static int verify_one(const char *path, const settings *s, FILE *out, bool first)
{
    va_verdict verdict = {.path = path};
    const vr_status status = judge(&verdict);
    int result = VA_TROUBLE;
    if (status == VR_ERROR_FORMAT)
        keep_failure(&verdict);
    if (status == VR_OK || status == VR_ERROR_FORMAT) {
        va_verdict_print(out, &verdict, s->format, first);
        result = verdict.bad || verdict.problem_count ? VA_DIFFERENT : VA_SAME;
    } else {
        va_trouble();
    }
    free_verdict(&verdict);
    return result;
}

static int verify(const settings *s)
{
    va_output out;
    if (va_output_open(&out, s->output) != VR_OK)
        return va_trouble();
    int result = verify_one(s->archive, s, out.stream, true);
    for (int i = 0; i < s->count; i++) {
        const int next = verify_one(s->operands[i], s, out.stream, false);
        result = next > result ? next : result;
    }
    return va_output_close(&out, result != VA_TROUBLE) == VR_OK ? result : va_trouble();
}

/* ---- the command line ---- */

typedef struct action {
    const char *name, *options; /* short options it takes */
    int least;                  /* operands */
    const char *operands;
    int (*run)(const settings *s);
} action;

static const action actions[] = {
    {"create", "C", 2, "an archive and the files to put into it", create},
    {"append", "Crn", 1, "an archive and the files to add to it", append},
    {"list", "lfo", 1, "an archive", list},
    {"extract", "Cw", 1, "an archive", extract},
    {"verify", "fo", 1, "an archive", verify},
};

static const action *find_action(const char *name)
{
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
        if (strcmp(actions[i].name, name) == 0)
            return &actions[i];
    return NULL;
}

static vr_status parse_option(settings *s, int option)
{
    switch (option) {
    case 'C':
        s->directory = optarg;
        return VR_OK;
    case 'r':
        s->taken = VR_TAKEN_REPLACE;
        return VR_OK;
    case 'n':
        s->taken = VR_TAKEN_NUMBER;
        return VR_OK;
    case 'w':
        s->overwrite = true;
        return VR_OK;
    case 'l':
        s->full = true;
        return VR_OK;
    case 'f':
        return va_format_parse(&s->format, optarg);
    default:
        s->output = optarg;
        return VR_OK;
    }
}

static int run_action(const action *what, int argc, char **argv)
{
    static const struct option options[] = {{"directory", required_argument, NULL, 'C'},
                                            {"replace", no_argument, NULL, 'r'},
                                            {"number", no_argument, NULL, 'n'},
                                            {"overwrite", no_argument, NULL, 'w'},
                                            {"long", no_argument, NULL, 'l'},
                                            {"format", required_argument, NULL, 'f'},
                                            {"output", required_argument, NULL, 'o'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    settings s = {.taken = VR_TAKEN_REFUSE};
    for (int c; (c = getopt_long(argc, argv, "C:rnwlf:o:h", options, NULL)) != -1;) {
        if (c == '?')
            return va_misuse(&va_cmd_archive, NULL);
        if (c == 'h')
            return va_help(&va_cmd_archive);
        if (!strchr(what->options, c))
            return va_misuse(&va_cmd_archive, "%s takes no option -%c", what->name, c);
        if (parse_option(&s, c) != VR_OK)
            return va_misuse(&va_cmd_archive, "%s", vr_error());
    }
    if (argc - optind < what->least)
        return va_misuse(&va_cmd_archive, "%s: name %s", what->name, what->operands);
    s.archive = argv[optind];
    s.operands = argv + optind + 1;
    s.count = argc - optind - 1;
    return what->run(&s);
}

static int run(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : NULL;
    if (!name)
        return va_misuse(&va_cmd_archive, "say what to do: create, append, list, extract or verify");
    if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        return va_help(&va_cmd_archive);
    const action *what = find_action(name);
    if (!what)
        return va_misuse(&va_cmd_archive, "cannot '%s': create, append, list, extract or verify", name);
    argv[1] = argv[0]; /* what getopt calls the program */
    return run_action(what, argc - 1, argv + 1);
}

const va_command va_cmd_archive = {"archive", "keep many files in one tar archive, and check it", usage, run};
