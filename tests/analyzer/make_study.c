/* make_study - writes the runs that the transcripts of `study` read into the folder it is given. */
#include "study_run.h"

#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    if (argc != 2 || chdir(argv[1]) != 0) {
        fputs("usage: make_study FOLDER\n", stderr);
        return 2;
    }
    study_runs_write();
    return 0;
}
