/* stable_json - reads one JSON value from standard input, which must be all there is there, and prints it without what
 * differs from machine to machine and run to run: of a run, its program, host, libraries, clock and environment; sizes
 * and times. */
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const char *const unstable[] = {"program",    "host",        "libraries", "clock", "environment",
                                       "file_bytes", "duration_ns", "load",      "memory"};

static bool is_unstable(const char *key)
{
    for (size_t i = 0; i < sizeof unstable / sizeof *unstable; i++)
        if (strcmp(key, unstable[i]) == 0)
            return true;
    return false;
}

static void strip(json_t *value)
{
    const char *key;
    json_t *inner;
    void *next;
    size_t i;
    json_array_foreach (value, i, inner)
        strip(inner);
    json_object_foreach_safe(value, next, key, inner) if (is_unstable(key)) json_object_del(value, key);
    else strip(inner);
}

int main(void)
{
    json_error_t error;
    json_t *value = json_loadf(stdin, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (!value) {
        printf("no JSON: line %d: %s\n", error.line, error.text);
        return 3;
    }
    strip(value);
    json_dumpf(value, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
    putchar('\n');
    json_decref(value);
    return 0;
}
