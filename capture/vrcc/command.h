/* command.h - command lines, as lists of words that own their text. */
#ifndef VRCC_COMMAND_H
#define VRCC_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

typedef struct vrcc_command {
    char **words; /* NULL behind the last */
    size_t count;
} vrcc_command;

/* Out of memory ends the program, here and below: a compiler has nothing to save. */
void vrcc_command_add(vrcc_command *command, const char *word);
void vrcc_command_insert(vrcc_command *command, size_t at, const char *word);
void vrcc_command_remove(vrcc_command *command, size_t at, size_t count);
void vrcc_command_set(vrcc_command *command, size_t at, const char *word);
vrcc_command vrcc_command_copy(const vrcc_command *command);
void vrcc_command_free(vrcc_command *command);

/* Where a word stands for the last time; command->count when it does not. */
size_t vrcc_command_find(const vrcc_command *command, const char *word);
bool vrcc_command_has(const vrcc_command *command, const char *word);

/* Whether a word begins so, the program's name apart. */
bool vrcc_command_begins(const vrcc_command *command, const char *with);

/* The word behind the last `option`, NULL without. */
const char *vrcc_command_value(const vrcc_command *command, const char *option);

#define VRCC_NOT_STARTED 127 /* as the shell has it */

/* Runs the command to its end. Its exit code, or 128 + the signal that ended it; VRCC_NOT_STARTED, with a
 * message, when it cannot be started. */
int vrcc_command_run(const vrcc_command *command);

/* The same, and all that it writes to standard error, NUL-terminated, in *text, which is the caller's. What it
 * writes to standard output is dropped. */
int vrcc_command_capture(const vrcc_command *command, char **text);

/* Sends a signal to the command that runs, if one does, and lets none be run any more; may be called from a handler. */
void vrcc_command_signal(int number);

#endif
