#include "settings.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

vrcc_state vrcc_self = {.version = VRCC_STATE_VERSION};
static pthread_once_t once = PTHREAD_ONCE_INIT;

static const char *const mode_names[VR_ROUND_MODES] = {"nearest", "sr", "ud", "up", "down", "zero", "rr", "pb", "mca"};

const char *vrcc_mode_name(vr_rounding_mode mode)
{
    return mode_names[mode];
}

/* Not by exit(): what that calls may be instrumented, and the program has hardly begun. */
static void refuse(const char *name, const char *value, const char *wanted)
{
    fprintf(stderr, "vrcc: %s=%s: %s\n", name, value, wanted);
    _exit(2);
}

/* A variable's value, NULL when it is empty or not there. */
static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

static void read_mode(void)
{
    const char *name = variable("VR_ROUNDING");
    if (!name)
        return;
    for (int mode = 0; mode < VR_ROUND_MODES; mode++) {
        if (strcmp(name, mode_names[mode]) == 0) {
            vrcc_self.rounding.mode = (vr_rounding_mode)mode;
            return;
        }
    }
    refuse("VR_ROUNDING", name, "use nearest, sr, ud, up, down, zero, rr, pb or mca");
}

static unsigned long long read_number(const char *name, unsigned long long otherwise, unsigned long long most)
{
    const char *text = variable(name);
    if (!text)
        return otherwise;
    char *end;
    const unsigned long long value = strtoull(text, &end, 0);
    if (*end || *text == '-' || value > most)
        refuse(name, text, "not a number in its range");
    return value;
}

static void read_bits(void)
{
    const char *bits = variable("VR_ROUNDING_BITS");
    vrcc_self.rounding.operands = !bits || strcmp(bits, "stream") != 0;
    if (bits && vrcc_self.rounding.operands && strcmp(bits, "operands") != 0)
        refuse("VR_ROUNDING_BITS", bits, "use operands or stream");
}

static bool read_items(vrcc_items *out, const char *name)
{
    const char *text = variable(name), *wrong = text ? vrcc_items_read(out, text) : NULL;
    if (wrong)
        refuse(name, text, wrong);
    return text != NULL;
}

static void read_count(void)
{
    const char *count = variable("VR_ROUNDING_COUNT");
    vrcc_self.counting = count && strcmp(count, "0") != 0;
    vrcc_self.count_path = count && strcmp(count, "1") != 0 ? count : NULL;
}

/* Whether VR_VARY, a list, names rounding. */
static bool is_varied(void)
{
    const char *list = variable("VR_VARY"), *word = "rounding";
    for (const char *at = list; at && (at = strstr(at, word)); at++)
        if ((at == list || strchr(" ,", at[-1])) && (!at[strlen(word)] || strchr(" ,", at[strlen(word)])))
            return true;
    return false;
}

/* vr_run_seed(run, "rounding") of the capture library, as far as the environment says it: another VR_REPLICA changes
 * the rounding, and nothing else that VR_SEED decides. */
static uint64_t read_key(void)
{
    const uint64_t key = XXH3_64bits_withSeed("rounding", strlen("rounding"), read_number("VR_SEED", 1, UINT64_MAX));
    const char *replica = variable("VR_REPLICA");
    if (!is_varied() || !replica)
        return key;
    char purpose[32];
    snprintf(purpose, sizeof purpose, "replica %llu", read_number("VR_REPLICA", 0, UINT64_MAX));
    return XXH3_64bits_withSeed(purpose, strlen(purpose), key);
}

static void read_environment(void)
{
    read_mode();
    read_bits();
    vrcc_self.rounding.precision = (uint8_t)read_number("VR_ROUNDING_PRECISION", 0, 53);
    vrcc_self.rounding.key = read_key();
    for (int op = 0; op < VR_OPERATIONS; op++)
        vrcc_keys[op] = vr_operand_keys((unsigned)op, vrcc_self.rounding.key);
    const uint64_t own = vrcc_self.rounding.operands ? 0 : vrcc_own_number();
    vrcc_self.stream_key = own ? vr_mix64(vrcc_self.rounding.key ^ own) : vrcc_self.rounding.key;
    vrcc_self.has_only = read_items(&vrcc_self.only, "VR_ROUNDING_ONLY");
    read_items(&vrcc_self.exclude, "VR_ROUNDING_EXCLUDE");
    read_count();
    vrcc_first_thread();
    if (vrcc_self.counting || !vrcc_self.rounding.operands)
        vrcc_watch_forks();
    if (vrcc_self.counting || vrcc_self.has_only)
        vrcc_keep_loaded();
}

/* Before the program's own constructors; those of a library that is loaded earlier may still be before this. Never
 * first in a signal's handler, where waiting for another reader would last for ever. */
__attribute__((constructor(101))) void vrcc_settings_read(void)
{
    pthread_once(&once, read_environment);
}

/* Behind all that the program or the library does when it ends. */
__attribute__((destructor(101))) static void end(void)
{
    vrcc_self.is_ended = true;
    vrcc_end();
}
