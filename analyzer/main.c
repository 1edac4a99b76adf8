#include "command.h"
#include "guard.h"

#include <string.h>

static const va_command *const commands[] = {&va_cmd_diff,  &va_cmd_sigbits, &va_cmd_localize,
                                             &va_cmd_study, &va_cmd_cost,    &va_cmd_run,
                                             &va_cmd_info,  &va_cmd_archive, &va_cmd_recover};
#define COMMANDS (sizeof commands / sizeof *commands)

static void print_help(FILE *out)
{
    fputs("usage: varanalyze COMMAND [options] ...\n"
          "\n"
          "Says how far apart two runs of a training program are, where they parted and why,\n"
          "from the traces that the capture library writes.\n"
          "\n"
          "commands:\n",
          out);
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(out, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
    fputs("  help CMD   what a command does, its options and examples\n"
          "\n"
          "exit status: 0 the same, 1 different, 2 trouble\n"
          "\n"
          "examples:\n"
          "  varanalyze diff run1.h5 run2.h5\n"
          "  varanalyze info run1.h5\n",
          out);
}

static const va_command *find(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

static int unknown(const char *name)
{
    fprintf(stderr, "varanalyze: no command is called '%s'; 'varanalyze help' lists them\n", name);
    return VA_TROUBLE;
}

static int help(const char *name)
{
    const va_command *command = name ? find(name) : NULL;
    if (name && !command)
        return unknown(name);
    if (command)
        return va_help(command);
    print_help(stdout);
    return va_finish(VA_SAME);
}

static int run(const va_command *command, int argc, char **argv)
{
    char name[64];
    snprintf(name, sizeof name, "varanalyze %s", command->name);
    argv[0] = name;
    /* Programs that they start do not get the guard's limits. */
    if (command == &va_cmd_run || command == &va_cmd_localize || command == &va_cmd_cost)
        return command->run(argc, argv);
    return va_guard_run(command->run, argc, argv);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return VA_TROUBLE;
    }
    if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return help(argc > 2 ? argv[2] : NULL);
    if (strcmp(argv[1], "--version") == 0) {
        puts("varanalyze " VR_VERSION);
        return va_finish(VA_SAME);
    }
    const va_command *command = find(argv[1]);
    return command ? run(command, argc - 1, argv + 1) : unknown(argv[1]);
}
