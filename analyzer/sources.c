#include "sources.h"

#include "guard.h"

#include <formats/fail.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { BAR = 24 };

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Of the bar: when its file began and when it was drawn, 0: it is not there. */
static double start, drawn;

static void draw(const char *name, uint64_t done, uint64_t total)
{
    const double part = total ? (double)done / (double)total : 0;
    const int filled = (int)(part * BAR);
    char shown[49];
    snprintf(shown, sizeof shown, "%s", name);
    for (char *c = shown; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = '?';
    fprintf(stderr, "\r%s [%.*s%*s] %3d%%", shown, filled, "########################", BAR - filled, "",
            (int)(part * 100));
}

void va_progress_clear(void)
{
    if (drawn > 0)
        fputs("\r\033[K", stderr);
    start = drawn = 0;
}

void va_progress(void *context, const char *name, uint64_t done, uint64_t total)
{
    (void)context;
    static uint64_t before;
    if (!isatty(STDERR_FILENO))
        return;
    const double now = seconds();
    if (start == 0 || done < before) /* another file */
        start = now;
    before = done;
    if (done >= total) {
        va_progress_clear();
    } else if (now - start > 0.5 && now - drawn > 0.1) {
        draw(name, done, total);
        drawn = now;
    }
}

vr_archive_options va_archive_options(void)
{
    vr_archive_options options = VR_ARCHIVE_OPTIONS_INIT;
    options.progress = va_progress;
    return options;
}

/* Takes what is in `more`; the names are freed when there is no room. */
static vr_status take_names(va_sources *sources, char **more, uint64_t count)
{
    char **names = realloc(sources->names, (sources->count + count) * sizeof *names);
    if (!names) {
        vr_source_names_free(more, count);
        return vr_fail(VR_ERROR_MEMORY, "out of memory");
    }
    memcpy(names + sources->count, more, count * sizeof *names);
    free(more);
    sources->names = names;
    sources->count += count;
    return VR_OK;
}

static vr_status take_archive(va_sources *sources, vr_archive *archive)
{
    if (!archive)
        return VR_OK;
    vr_archive **archives = realloc(sources->archives, (sources->archive_count + 1) * sizeof(vr_archive *));
    if (!archives) {
        vr_archive_close(archive);
        return vr_fail(VR_ERROR_MEMORY, "out of memory");
    }
    sources->archives = archives;
    archives[sources->archive_count++] = archive;
    return VR_OK;
}

vr_status va_sources_add(va_sources *sources, const char *operand)
{
    char **names;
    uint64_t count;
    vr_archive *archive;
    const vr_archive_options options = va_archive_options();
    vr_status status = vr_source_names(&names, &count, &archive, operand, &options);
    if (status != VR_OK)
        return status;
    status = take_archive(sources, archive);
    if (status == VR_OK)
        return take_names(sources, names, count);
    vr_source_names_free(names, count);
    return status;
}

vr_status va_sources_open(va_sources *sources, char *const *operands, int count)
{
    vr_status status = VR_OK;
    *sources = (va_sources){0};
    for (int i = 0; status == VR_OK && i < count; i++)
        status = va_sources_add(sources, operands[i]);
    if (status != VR_OK)
        va_sources_close(sources);
    return status;
}

void va_sources_close(va_sources *sources)
{
    vr_source_names_free(sources->names, sources->count);
    for (uint64_t i = 0; i < sources->archive_count; i++)
        vr_archive_close(sources->archives[i]);
    free(sources->archives);
    *sources = (va_sources){0};
}

/* ---- runs ---- */

#define SPARE_FILES 16 /* of descriptors, for all but the runs */

void va_allow_files(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

bool va_files_are_short(size_t open)
{
    struct rlimit files;
    return getrlimit(RLIMIT_NOFILE, &files) == 0 && (rlim_t)open + SPARE_FILES > files.rlim_cur;
}

vr_status va_trace_open(vr_trace **out, const char *name, size_t open)
{
    struct rlimit files;
    va_guard_file(name);
    const vr_status status = vr_trace_open(out, name);
    if (status != VR_OK && va_files_are_short(open) && getrlimit(RLIMIT_NOFILE, &files) == 0)
        return vr_fail(status,
                       "%s: no more than %llu files may be open: raise 'ulimit -n', or put the runs in an archive",
                       name, (unsigned long long)files.rlim_cur);
    return status;
}
