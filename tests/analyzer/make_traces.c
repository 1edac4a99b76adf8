/* make_traces - writes the traces of the golden runs, and files that are none, into the folder it is given. */
#include "scene.h"

#include <errno.h>
#include <fcntl.h>
#include <hdf5.h>
#include <libtrace/journal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LEVEL(name) .options = {.level = name}
#define POKE(...)   .poke = {.what = "forward:relu/out", .step = 3, .index = 5, __VA_ARGS__}
#define FLIP(...)   POKE(.flip = 1u << 20, __VA_ARGS__)

static const struct {
    const char *path;
    scene what;
} traces[] = {
    /* First, since these fork: OpenMP has no threads yet that the child would lack. */
    {"broken.h5", {.broken_off = true}},
    {"incomplete.h5", {.broken_off = true}},
    {"cut.h5", {.broken_off = true}},
    {"newer-journal.h5", {.broken_off = true}},
    {"same-1.h5", {.steps = 4}},
    {"same-2.h5", {.steps = 4}},
    {"seed.h5", {.seed = 2}},
    {"init.h5", {.replica = "init"}},
    {"order.h5", {.replica = "order"}},
    {"plain.h5", {.order = SCENE_PLAIN}},
    {"in-batches.h5", {.order = SCENE_IN_BATCHES}},
    {"backwards.h5", {.order = SCENE_BACKWARDS}},
    {"others.h5", {.order = SCENE_OTHERS}},
    {"hash.h5", {LEVEL("hash")}},
    {"chunks.h5", {LEVEL("chunks")}},
    {"sample.h5", {LEVEL("sample")}},
    {"full.h5", {LEVEL("full")}},
    {"flip-hash.h5", {LEVEL("hash"), FLIP()}},
    {"flip-stats.h5", {FLIP()}},
    {"flip-chunks.h5", {LEVEL("chunks"), FLIP()}},
    {"flip-full.h5", {LEVEL("full"), FLIP()}},
    {"nudged.h5", {LEVEL("full"), POKE(.hidden = true, .flip = 1)}},
    {"jitter-1.h5", {LEVEL("full"), POKE(.hidden = true, .flip = 6)}},
    {"jitter-2.h5", {LEVEL("full"), POKE(.hidden = true, .flip = 3)}},
    {"nan.h5", {POKE(.nan = 0x7fc00000)}},
    {"nan-full.h5", {LEVEL("full"), POKE(.nan = 0x7fc00000, .hidden = true)}},
    {"nan-full-2.h5", {LEVEL("full"), POKE(.nan = 0x7fc00001, .hidden = true)}},
    {"nameless.h5", {.nameless = true}},
    {"nameless-flip.h5", {.nameless = true, FLIP()}},
    {"filtered.h5", {.options = {.filter = "forward:fc1=off"}}},
    {"filtered-flip.h5", {.options = {.filter = "forward:fc1=off"}, FLIP()}},
    {"other-names.h5", {.other_names = true, FLIP()}},
    {"without-relu.h5", {.without = "relu"}},
    {"short.h5", {.steps = 3}},
    {"wide.h5", {.wide = true}},
    {"swapped.h5", {.swapped = true}},
    {"repeats.h5", {.repeats = 3}},
    {"repeats-flip.h5", {.repeats = 3, FLIP(.repeat = 1)}},
    {"atomic.h5", {.options = {.kernels = "atomic"}, FLIP()}},
    {"threads.h5", {.threads = 4, FLIP()}},
    {"rounding.h5", {.options = {.rounding = "sr"}, FLIP()}},
    {"note-1.h5", {.note = "digits"}},
    {"note-2.h5", {.note = "letters, \"all\"", FLIP()}},
    {"weight.h5", {.poke = {.what = "weight:fc1/weight", .step = 2, .index = 0, .flip = 1u << 22}}},
    {"rank-0.h5", {.rank = 1}},
    {"rank-1.h5", {.rank = 2}},
};

static void need(bool fine, const char *what)
{
    if (!fine) {
        fprintf(stderr, "make_traces: %s: %s\n", what, strerror(errno));
        exit(2);
    }
}

static void write_bytes(const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    need(file && fwrite(bytes, 1, size, file) == size && fclose(file) == 0, path);
}

static void write_at(const char *path, size_t offset, const void *bytes, size_t size)
{
    const int fd = open(path, O_WRONLY);
    need(fd >= 0 && pwrite(fd, bytes, size, (off_t)offset) == (ssize_t)size && close(fd) == 0, path);
}

/* The journal says what a full disk makes it say. */
static void make_incomplete(const char *path)
{
    const uint32_t incomplete = 1;
    const int32_t error = ENOSPC;
    const uint64_t step = 3;
    write_at(path, offsetof(vr_journal_header, incomplete), &incomplete, sizeof incomplete);
    write_at(path, offsetof(vr_journal_header, error), &error, sizeof error);
    write_at(path, offsetof(vr_journal_header, incomplete_step), &step, sizeof step);
}

/* The byte of the ring in which the next frame would begin is past what was recorded: one before it is the last of a
 * record. */
static void damage_end(const char *path)
{
    uint64_t head = 0;
    const int fd = open(path, O_RDONLY);
    need(fd >= 0 && pread(fd, &head, sizeof head, offsetof(vr_journal_header, head)) == sizeof head && close(fd) == 0,
         path);
    write_at(path, VR_JOURNAL_PAGE + (size_t)head - 8, "damaged!", 8);
}

static void cut_in_half(const char *from, const char *path)
{
    static char bytes[1 << 20];
    FILE *file = fopen(from, "rb");
    need(file, from);
    const size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    write_bytes(path, bytes, size / 2);
}

static void make_newer(const char *path)
{
    const uint64_t version = 2;
    scene_write(path, &(scene){.steps = 1});
    const hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT), attribute = H5Aopen(file, "version", H5P_DEFAULT);
    need(H5Awrite(attribute, H5T_NATIVE_UINT64, &version) >= 0, path);
    H5Aclose(attribute);
    H5Fclose(file);
}

static void make_other_hdf5(const char *path)
{
    const hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    need(file >= 0, path);
    H5Gclose(H5Gcreate2(file, "model", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    H5Fclose(file);
}

/* A weight, and what the model said of four samples in each of two epochs and of two others at last; `wrong` is a
 * prediction of the second epoch. */
static void make_evaluations(const char *path, int32_t wrong)
{
    static const char *const values[] = {"no", "yes", NULL}, *const *const all_values[] = {values};
    static const int32_t labels[4] = {0, 1, 2, 1}, young[4] = {0, 1, 1, 0};
    static const float weight[3] = {0.5f, -1, 2}, probabilities[2][3] = {{0.5f, 0.25f, 0.25f}, {0, 1, 0}};
    const uint64_t ids[4] = {10, 12, 11, 40};
    const vr_run_options options = {.version = VR_RUN_OPTIONS_VERSION, .trace = path};
    vr_run *run;
    need(vr_run_open(&run, &options) == VR_OK, path);
    for (uint32_t epoch = 0; epoch < 2; epoch++) {
        const int32_t predictions[4] = {0, 1, epoch ? wrong : -1, epoch ? 1 : 0};
        const double losses[4] = {0.25, 0.5, 2, 0.25}, loss = 0.75;
        vr_run_step(run, epoch);
        vr_record(run, VR_WEIGHT, "fc", "weight", VR_TENSOR(VR_F32, weight, 3), NULL);
        need(vr_record_evaluation(run, &(vr_evaluation){.version = VR_EVALUATION_VERSION,
                                                        .name = "validation",
                                                        .count = 4,
                                                        .classes = 3,
                                                        .ids = ids,
                                                        .labels = labels,
                                                        .predictions = predictions,
                                                        .losses = losses,
                                                        .losses_type = VR_F64,
                                                        .loss = &loss,
                                                        .group_count = 1,
                                                        .group_names = (const char *const[]){"young"},
                                                        .groups = (const int32_t *const[]){young},
                                                        .group_values = all_values,
                                                        .inputs = (const char *const[]){"weight:fc/weight"},
                                                        .input_count = 1}) == VR_OK,
             path);
    }
    need(vr_record_evaluation(run, &(vr_evaluation){.version = VR_EVALUATION_VERSION,
                                                    .name = "test",
                                                    .count = 2,
                                                    .classes = 3,
                                                    .labels = labels,
                                                    .predictions = labels,
                                                    .probabilities = probabilities}) == VR_OK,
         path);
    need(vr_record_evaluation(run, &(vr_evaluation){.version = VR_EVALUATION_VERSION, .name = "nobody"}) == VR_OK,
         path);
    need(vr_record_final(run, "fc", "weight", VR_TENSOR(VR_F32, weight, 3)) == VR_OK, path);
    need(vr_run_close(run) == VR_OK, path);
}

int main(int argc, char **argv)
{
    if (argc != 2 || chdir(argv[1]) != 0) {
        fputs("usage: make_traces FOLDER\n", stderr);
        return 2;
    }
    for (size_t i = 0; i < sizeof traces / sizeof *traces; i++)
        scene_write(traces[i].path, &traces[i].what);
    make_incomplete("incomplete.h5.journal");
    damage_end("cut.h5.journal");
    write_at("newer-journal.h5.journal", offsetof(vr_journal_header, version), &(uint32_t){2}, sizeof(uint32_t));
    make_newer("newer.h5");
    make_evaluations("evaluated-1.h5", 2);
    make_evaluations("evaluated-2.h5", 0);
    make_other_hdf5("model.h5");
    cut_in_half("same-1.h5", "half.h5");
    write_bytes("picture.h5", "\xff\xd8\xff\xe0\0\x10JFIF", 10);
    write_bytes("text.h5", "step,loss\n1,0.5\n", 16);
    write_bytes("empty.h5", "", 0);
    need(mkdir("folder", 0777) == 0, "folder");
    return 0;
}
