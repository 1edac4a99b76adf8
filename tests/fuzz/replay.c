/* Runs a fuzz target once on every file of the directories given: the corpus as a test, with any compiler. */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path, size_t size)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = malloc(size); /* exactly as long as the file, for the address sanitizer */
    const int ok = file && (data || size == 0) && fread(data, 1, size, file) == size;
    if (ok)
        LLVMFuzzerTestOneInput(data, size);
    else
        fprintf(stderr, "replay: %s: cannot read: %s\n", path, strerror(errno));
    free(data);
    if (file)
        fclose(file);
    return ok ? 0 : -1;
}

/* The number of files replayed, -1 after a failure. */
static long replay_directory(const char *directory)
{
    DIR *listing = opendir(directory);
    if (!listing) {
        fprintf(stderr, "replay: %s: cannot open: %s\n", directory, strerror(errno));
        return -1;
    }
    long count = 0;
    const struct dirent *entry;
    while (count >= 0 && (entry = readdir(listing))) {
        char path[4096];
        struct stat info;
        const int length = snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
        if (length < 0 || (size_t)length >= sizeof path || stat(path, &info) != 0) {
            fprintf(stderr, "replay: %s/%s: cannot read\n", directory, entry->d_name);
            count = -1;
        } else if (S_ISREG(info.st_mode)) {
            count = replay_file(path, (size_t)info.st_size) == 0 ? count + 1 : -1;
        }
    }
    closedir(listing);
    if (count == 0)
        fprintf(stderr, "replay: %s: no files; is the corpus missing?\n", directory);
    return count;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: %s DIRECTORY...\n", argv[0]);
        return 1;
    }
    for (int i = 1; i < argc; i++) {
        const long count = replay_directory(argv[i]);
        if (count <= 0)
            return 1;
        printf("%s: %ld files\n", argv[i], count);
    }
    return 0;
}
