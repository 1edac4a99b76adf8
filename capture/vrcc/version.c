#include "version.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

/* A file of vrcc's own, by its bytes. */
static bool add_file(XXH3_state_t *state, const char *path)
{
    char bytes[1 << 16];
    FILE *file = fopen(path, "rb");
    if (!file)
        return false;
    for (size_t got; (got = fread(bytes, 1, sizeof bytes, file)) > 0;)
        XXH3_64bits_update(state, bytes, got);
    const bool fine = !ferror(file);
    fclose(file);
    return fine;
}

static bool digest_files(XXH64_hash_t *out, const char *directory)
{
    static const char *const names[] = {"pass.so", "arithmetic.bc", "arithmetic-fma.bc", "libvrcc.a"};
    XXH3_state_t *state = XXH3_createState();
    if (!state)
        return false;
    XXH3_64bits_reset(state);
    bool fine = add_file(state, "/proc/self/exe");
    for (size_t i = 0; i < sizeof names / sizeof *names && fine; i++) {
        char path[PATH_MAX + 32];
        snprintf(path, sizeof path, "%s/%s", directory, names[i]);
        fine = add_file(state, path);
        if (!fine)
            fprintf(stderr, "vrcc: %s: %s; is vrcc installed whole?\n", path, strerror(errno));
    }
    *out = XXH3_64bits_digest(state);
    XXH3_freeState(state);
    return fine;
}

/* The program found in PATH as execvp does, NULL when there is none. */
static char *find_program(const char *name)
{
    const char *path = getenv("PATH");
    if (strchr(name, '/') || !path)
        return realpath(name, NULL);
    char *real = NULL;
    for (const char *at = path; *at && !real;) {
        const size_t length = strcspn(at, ":");
        char candidate[PATH_MAX];
        if (snprintf(candidate, sizeof candidate, "%.*s/%s", (int)length, at, name) < (int)sizeof candidate)
            real = realpath(candidate, NULL);
        at += length + (at[length] == ':');
    }
    return real;
}

int vrcc_put_version(const vrcc_options *options, const char *clang)
{
    XXH64_hash_t digest;
    struct stat info;
    if (!digest_files(&digest, options->directory))
        return 1;
    char *program = find_program(clang);
    if (!program || stat(program, &info) != 0) {
        fprintf(stderr, "vrcc: %s: %s\n", clang, strerror(errno));
        free(program);
        return 1;
    }
    printf("vrcc " VR_VERSION ", LLVM " VRCC_LLVM ", %016llx\n", (unsigned long long)digest);
    printf("clang %s, %lld bytes of %lld.%09ld\n", program, (long long)info.st_size, (long long)info.st_mtim.tv_sec,
           info.st_mtim.tv_nsec);
    const char *flags = getenv("VRCC_FLAGS");
    printf("VRCC_FLAGS %s\n", flags ? flags : "");
    free(program);
    return fflush(stdout) == 0 ? 0 : 1;
}
