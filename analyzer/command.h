/* command.h - what the subcommands share: their table, exit codes, output and its formats. */
#ifndef VA_COMMAND_H
#define VA_COMMAND_H

#include <jansson.h>
#include <stdio.h>
#include <varanalyze/trace.h>

/* Exit codes, as of diff(1). */
enum { VA_SAME = 0, VA_DIFFERENT = 1, VA_TROUBLE = 2 };

typedef struct va_command {
    const char *name, *summary, *usage;
    int (*run)(int argc, char **argv); /* argv[0] is "varanalyze NAME" */
} va_command;

extern const va_command va_cmd_archive, va_cmd_cost, va_cmd_info, va_cmd_diff, va_cmd_localize, va_cmd_recover,
    va_cmd_run, va_cmd_sigbits, va_cmd_study;

/* Prints vr_error() on stderr; VA_TROUBLE. */
int va_trouble(void);

/* Prints what is wrong with the command line and where help is; VA_TROUBLE. A NULL format: getopt has said it. */
int va_misuse(const va_command *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Prints the command's usage; its exit code. */
int va_help(const va_command *command);

/* Flushes standard output: `result`, or VA_TROUBLE when what was printed could not be written. */
int va_finish(int result);

typedef enum va_format { VA_TEXT, VA_JSON, VA_CSV } va_format;

vr_status va_format_parse(va_format *out, const char *name);

/* A decimal number from `least` to `most`, of an option without its dashes. Fails with VR_ERROR_ARGUMENT. */
vr_status va_number_parse(uint64_t *out, const char *option, const char *text, uint64_t least, uint64_t most);

/* "N", "N:M", "N:" or ":M" as the first and the last step. Fails with VR_ERROR_ARGUMENT. */
vr_status va_steps_parse(uint64_t *first, uint64_t *last, const char *text);

/* Where results go: stdout, or a file that appears when it is complete. */
typedef struct va_output {
    FILE *stream;
    const char *path; /* NULL: stdout */
    char *aside;
    bool color; /* stdout is a terminal that wants it */
} va_output;

/* `path` NULL or "-": stdout. */
vr_status va_output_open(va_output *out, const char *path);

/* Flushes and puts the file in place, unless it is not to be kept; fails when anything could not be written, and leaves
 * no file then. */
vr_status va_output_close(va_output *out, bool keep);

/* Text that a file may have chosen, up to `most` bytes of it: what would spoil a line or command a terminal is escaped
 * as "\x1b". Returns how many bytes were printed. */
size_t va_print_text(FILE *out, const char *text, size_t most);

/* Text as one CSV field. */
void va_csv_text(FILE *out, const char *text);

/* "[64,16,8,8]", "[]" for a scalar. */
#define VA_SHAPE_TEXT 192
const char *va_shape_text(char out[VA_SHAPE_TEXT], const vr_site *site);

/* 1234567 as "1,234,567". */
#define VA_COUNT_TEXT 32
const char *va_count_text(char out[VA_COUNT_TEXT], uint64_t count);

/* The place of an element in the tensor, "[1,0,2]"; `index` is row-major. */
const char *va_index_text(char out[VA_SHAPE_TEXT], const vr_site *site, int64_t index);

/* "1 record", "1,234 records": the count and its noun. */
void va_print_count(FILE *out, uint64_t count, const char *noun);

/* A line on a trace that does not hold all that it should; nothing of one that does. */
void va_print_broken(FILE *out, const vr_trace_info *info);

/* A path as a JSON string; bytes that are not UTF-8 become '?'. */
json_t *va_json_path(const char *path);

/* Prints a JSON value, which is taken over, and a newline. */
void va_print_json(FILE *out, json_t *value);

#endif
