#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static void *checked(void *memory)
{
    if (!memory) {
        fputs("vrcc: out of memory\n", stderr);
        _exit(1);
    }
    return memory;
}

void vrcc_command_insert(vrcc_command *command, size_t at, const char *word)
{
    const size_t room = command->count + 1; /* with the NULL; doubled whenever a power of two is full */
    if ((room & (room - 1)) == 0)
        command->words = checked(realloc(command->words, 2 * room * sizeof *command->words));
    memmove(command->words + at + 1, command->words + at, (command->count - at) * sizeof *command->words);
    command->words[at] = checked(strdup(word));
    command->words[++command->count] = NULL;
}

void vrcc_command_add(vrcc_command *command, const char *word)
{
    vrcc_command_insert(command, command->count, word);
}

void vrcc_command_remove(vrcc_command *command, size_t at, size_t count)
{
    count = count < command->count - at ? count : command->count - at;
    for (size_t i = at; i < at + count; i++)
        free(command->words[i]);
    memmove(command->words + at, command->words + at + count, (command->count - at - count + 1) * sizeof(char *));
    command->count -= count;
}

void vrcc_command_set(vrcc_command *command, size_t at, const char *word)
{
    char *copy = checked(strdup(word));
    free(command->words[at]);
    command->words[at] = copy;
}

vrcc_command vrcc_command_copy(const vrcc_command *command)
{
    vrcc_command copy = {0};
    for (size_t i = 0; i < command->count; i++)
        vrcc_command_add(&copy, command->words[i]);
    return copy;
}

void vrcc_command_free(vrcc_command *command)
{
    for (size_t i = 0; i < command->count; i++)
        free(command->words[i]);
    free(command->words);
    *command = (vrcc_command){0};
}

size_t vrcc_command_find(const vrcc_command *command, const char *word)
{
    for (size_t i = command->count; i-- > 0;)
        if (strcmp(command->words[i], word) == 0)
            return i;
    return command->count;
}

bool vrcc_command_has(const vrcc_command *command, const char *word)
{
    return vrcc_command_find(command, word) < command->count;
}

bool vrcc_command_begins(const vrcc_command *command, const char *with)
{
    for (size_t i = 1; i < command->count; i++)
        if (strncmp(command->words[i], with, strlen(with)) == 0)
            return true;
    return false;
}

const char *vrcc_command_value(const vrcc_command *command, const char *option)
{
    const size_t at = vrcc_command_find(command, option);
    return at + 1 < command->count ? command->words[at + 1] : NULL;
}

static volatile pid_t running;
static volatile sig_atomic_t signaled;

void vrcc_command_signal(int number)
{
    signaled = number;
    if (running > 0)
        kill(running, number);
}

static int wait_for(pid_t pid)
{
    int status;
    pid_t ended;
    running = pid;
    while ((ended = waitpid(pid, &status, 0)) < 0 && errno == EINTR)
        ;
    running = 0;
    if (ended < 0)
        return VRCC_NOT_STARTED;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* The words behind the first in a file, as clang and ld read them from one: quoted. */
static bool write_response(const vrcc_command *command, const char *path)
{
    FILE *file = fopen(path, "w");
    if (!file)
        return false;
    for (size_t i = 1; i < command->count; i++) {
        putc('"', file);
        for (const char *at = command->words[i]; *at; at++) {
            if (*at == '"' || *at == '\\')
                putc('\\', file);
            putc(*at, file);
        }
        fputs("\"\n", file);
    }
    const bool failed = ferror(file);
    return fclose(file) == 0 && !failed;
}

/* For more words than the system takes: they came from such a file, too. In TMPDIR, which is the program's own. */
static int start_from_file(const vrcc_command *command, posix_spawn_file_actions_t *actions, pid_t *pid)
{
    char word[PATH_MAX];
    const char *directory = getenv("TMPDIR");
    if (!directory || snprintf(word, sizeof word, "@%s/arguments", directory) >= (int)sizeof word ||
        !write_response(command, word + 1))
        return E2BIG;
    char *words[] = {command->words[0], word, NULL};
    return posix_spawnp(pid, words[0], actions, NULL, words, environ);
}

static int start(const vrcc_command *command, posix_spawn_file_actions_t *actions, pid_t *pid)
{
    int error = posix_spawnp(pid, command->words[0], actions, NULL, command->words, environ);
    if (error == E2BIG)
        error = start_from_file(command, actions, pid);
    if (error)
        fprintf(stderr, "vrcc: %s: %s\n", command->words[0], strerror(error));
    return error;
}

int vrcc_command_run(const vrcc_command *command)
{
    pid_t pid;
    if (signaled)
        return 128 + signaled;
    return start(command, NULL, &pid) ? VRCC_NOT_STARTED : wait_for(pid);
}

static char *read_all(int file)
{
    size_t size = 0, room = 1 << 16;
    char *text = checked(malloc(room));
    for (;;) {
        const ssize_t got = read(file, text + size, room - size - 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        size += (size_t)got;
        if (room - size < 2)
            text = checked(realloc(text, room *= 2));
    }
    text[size] = '\0';
    return text;
}

int vrcc_command_capture(const vrcc_command *command, char **text)
{
    int ends[2];
    pid_t pid;
    posix_spawn_file_actions_t actions;
    *text = NULL;
    if (pipe(ends) != 0 || posix_spawn_file_actions_init(&actions) != 0) {
        perror("vrcc");
        return VRCC_NOT_STARTED;
    }
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addclose(&actions, ends[0]);
    posix_spawn_file_actions_addclose(&actions, ends[1]);
    const int error = start(command, &actions, &pid);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    *text = read_all(ends[0]);
    close(ends[0]);
    return error ? VRCC_NOT_STARTED : wait_for(pid);
}
