/* The comparison of HDF5 files of any kind: whatever the bytes, it comes to a result, which can be shown, or fails and
 * names the file; and a file is the same as itself. The library may crash on what it reads: see triage.sh. */
#include <analyzer/hdf5_diff.h>
#include <analyzer/random_hdf5.h>
#include <formats/hdf5_file.h>
#include <fuzz/fuzz_trace.h>

#include <fcntl.h>

#define OTHER_SEED 7 /* of the file that all others are compared with */

static char other_path[64];

/* The library cannot create a file in memory by its path, only open it. */
static void make_other(void)
{
    static char bytes[1 << 20];
    char path[64];
    if (*other_path)
        return;
    snprintf(path, sizeof path, "/tmp/fuzz-walk-%ld.h5", (long)getpid());
    rh_tree *tree = rh_tree_new(OTHER_SEED);
    rh_tree_write(tree, path, OTHER_SEED);
    rh_tree_free(tree);
    FILE *file = fopen(path, "rb");
    require(file != NULL);
    fuzz_file(other_path, bytes, fread(bytes, 1, sizeof bytes, file));
    fclose(file);
    unlink(path);
}

static bool open_side(vr_source *source, hid_t *file, char *path)
{
    *source = (vr_source){.name = path, .fd = open(path, O_RDONLY | O_CLOEXEC)};
    const off_t size = lseek(source->fd, 0, SEEK_END);
    require(source->fd >= 0 && size >= 0);
    source->size = (uint64_t)size;
    if (vr_h5_open(file, source->fd, 0, source->size, path) == VR_OK)
        return true;
    require(strncmp(vr_error(), path, strlen(path)) == 0);
    close(source->fd);
    return false;
}

static void show(const va_h5_diff *diff, const va_h5_diff_options *options)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    require(out != NULL);
    va_h5_diff_text(out, diff, options, false);
    va_h5_diff_csv(out, diff);
    fclose(out);
    require(size > 0);
    free(text);
    json_decref(va_h5_diff_json(diff));
}

static void compare(char *a, char *b, bool thorough)
{
    va_h5_diff *diff;
    vr_source sources[2];
    hid_t files[2];
    va_h5_diff_options options = VA_H5_DIFF_OPTIONS_INIT;
    options.values.statistics = options.values.convert = thorough;
    options.most = thorough ? 0 : VA_H5_DIFF_SHOWN;
    if (!open_side(&sources[0], &files[0], a))
        return;
    if (open_side(&sources[1], &files[1], b)) {
        if (va_h5_diff_run(&diff, files, (const vr_source *const[]){&sources[0], &sources[1]}, &options) == VR_OK) {
            require(a != b || va_h5_diff_is_same(diff));
            show(diff, &options);
            va_h5_diff_free(diff);
        } else {
            require(strstr(vr_error(), a) || strstr(vr_error(), b));
        }
        H5Fclose(files[1]);
        close(sources[1].fd);
    }
    H5Fclose(files[0]);
    close(sources[0].fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    make_other();
    const int fd = fuzz_file(path, data, size);
    compare(path, path, false);
    compare(path, other_path, true);
    close(fd);
    return 0;
}
