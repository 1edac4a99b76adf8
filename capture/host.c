/* What a run was: machine, program, libraries and the environment variables that matter. Never the whole environment.
 */
#include "run_impl.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <gnu/libc-version.h>
#include <link.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#define MAX_VALUE 4096 /* bytes kept of a command line or a variable */

extern char **environ;

bool vr_host_rank(long *rank, long *size)
{
    static const char *const variables[][2] = {{"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"},
                                               {"PMI_RANK", "PMI_SIZE"},
                                               {"PMIX_RANK", "PMIX_SIZE"},
                                               {"SLURM_PROCID", "SLURM_NTASKS"}};
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
        const char *r = getenv(variables[i][0]), *s = getenv(variables[i][1]);
        if (r && *r) {
            *rank = strtol(r, NULL, 10);
            *size = s && *s ? strtol(s, NULL, 10) : *rank + 1;
            return true;
        }
    }
    return false;
}

/* Text that may not be UTF-8, of which at most MAX_VALUE bytes are kept. */
static json_t *text_value(const char *text)
{
    const size_t length = strnlen(text, MAX_VALUE);
    json_t *value = json_stringn(text, length);
    return value ? value : json_string("(not UTF-8)");
}

static json_t *command_line(void)
{
    char bytes[MAX_VALUE + 1];
    json_t *words = json_array();
    const int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    const ssize_t n = fd < 0 ? 0 : read(fd, bytes, MAX_VALUE);
    if (fd >= 0)
        close(fd);
    bytes[n > 0 ? n : 0] = 0;
    for (ssize_t at = 0; at < n; at += (ssize_t)strlen(bytes + at) + 1)
        json_array_append_new(words, text_value(bytes + at));
    return words;
}

/* The digest of the running program's file: another build is another digest. */
static json_t *program_digest(void)
{
    char hex[33] = "";
    struct stat file;
    const int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && fstat(fd, &file) == 0 && file.st_size > 0) {
        void *bytes = mmap(NULL, (size_t)file.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (bytes != MAP_FAILED) {
            vr_digest digest;
            const vr_tensor view = VR_TENSOR(VR_U8, bytes, file.st_size);
            if (vr_digest_tensor(&digest, &view) == VR_OK)
                vr_digest_hex(hex, digest);
            munmap(bytes, (size_t)file.st_size);
        }
    }
    if (fd >= 0)
        close(fd);
    return json_string(hex);
}

/* How busy the machine is as the run begins: what others do to it shows in the times. */
static void tell_load(vr_run *run)
{
    double load;
    if (getloadavg(&load, 1) == 1)
        vr_run_tell(run, "load", json_real(load));
}

static void tell_program(vr_run *run)
{
    char started[32];
    const time_t now = time(NULL);
    struct tm utc;
    strftime(started, sizeof started, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    vr_run_tell(run, "program",
                json_pack("{s:o, s:o, s:I, s:s}", "command", command_line(), "digest", program_digest(), "pid",
                          (json_int_t)getpid(), "started", started));
}

static json_t *cpu_model(void)
{
    FILE *info = fopen("/proc/cpuinfo", "re");
    char line[256];
    json_t *model = NULL;
    while (info && !model && fgets(line, sizeof line, info)) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) == 0 && colon) {
            line[strcspn(line, "\n")] = 0;
            model = text_value(colon + 1 + strspn(colon + 1, " \t"));
        }
    }
    if (info)
        fclose(info);
    return model ? model : json_string("unknown");
}

static void tell_host(vr_run *run)
{
    struct utsname system;
    struct timespec resolution = {0};
    uname(&system);
    clock_getres(CLOCK_MONOTONIC, &resolution);
    vr_run_tell(run, "host",
                json_pack("{s:s, s:o, s:s, s:s, s:I}", "name", system.nodename, "cpu", cpu_model(), "machine",
                          system.machine, "kernel", system.release, "cpus", (json_int_t)sysconf(_SC_NPROCESSORS_ONLN)));
    vr_run_tell(run, "clock",
                json_pack("{s:s, s:I}", "source", "CLOCK_MONOTONIC", "resolution_ns", (json_int_t)resolution.tv_nsec));
    vr_run_tell(run, "threads", json_integer(omp_get_max_threads()));
    long rank, ranks;
    if (vr_host_rank(&rank, &ranks))
        vr_run_tell(run, "mpi", json_pack("{s:I, s:I}", "rank", (json_int_t)rank, "size", (json_int_t)ranks));
}

/* The file name of a loaded library, links followed: libopenblas.so.0 says less than libopenblas-r0.3.21.so. */
static int add_library(struct dl_phdr_info *info, size_t size, void *libraries)
{
    (void)size;
    if (!info->dlpi_name || !strchr(info->dlpi_name, '/'))
        return 0;
    char *path = realpath(info->dlpi_name, NULL);
    if (path)
        json_array_append_new(libraries, text_value(strrchr(path, '/') + 1));
    free(path);
    return 0;
}

static void tell_libraries(vr_run *run)
{
    json_t *loaded = json_array();
    dl_iterate_phdr(add_library, loaded);
    vr_run_tell(run, "libraries",
                json_pack("{s:s, s:s, s:s, s:o}", "varanalyze", VR_VERSION, "varanalyze_compiler", __VERSION__, "libc",
                          gnu_get_libc_version(), "loaded", loaded));
}

/* Whether a variable's name matches one of the comma-separated globs. */
static bool is_wanted(const char *name, const char *globs)
{
    char *copy = strdup(globs), *at = copy, *glob;
    bool wanted = false;
    while (copy && !wanted && (glob = strsep(&at, ",")))
        wanted = *glob && fnmatch(glob, name, 0) == 0;
    free(copy);
    return wanted;
}

static void tell_environment(vr_run *run, const char *names)
{
    for (char **variable = environ; variable && *variable; variable++) {
        char name[256];
        const char *equals = strchr(*variable, '=');
        if (!equals || (size_t)(equals - *variable) >= sizeof name)
            continue;
        memcpy(name, *variable, (size_t)(equals - *variable));
        name[equals - *variable] = 0;
        if (is_wanted(name, "OMP_*,GOMP_*,KMP_*,VR_*") || (names && is_wanted(name, names)))
            vr_run_tell(run, "environment", json_pack("{s:o}", name, text_value(equals + 1)));
    }
}

void vr_host_tell_memory(vr_run *run)
{
    FILE *status = fopen("/proc/self/status", "re");
    char line[256];
    unsigned long long kilobytes;
    while (status && fgets(line, sizeof line, status))
        if (sscanf(line, "VmHWM: %llu kB", &kilobytes) == 1)
            vr_run_tell(run, "memory", json_pack("{s:I}", "peak_bytes", (json_int_t)(kilobytes * 1024)));
    if (status)
        fclose(status);
}

void vr_host_tell(vr_run *run, const char *names)
{
    tell_program(run);
    tell_host(run);
    tell_load(run);
    tell_libraries(run);
    tell_environment(run, names);
}
