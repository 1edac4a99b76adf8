/* guard.h - a hostile file may crash or hang the HDF5 library; varanalyze outlives it.
 *
 * Commands, but for 'run', run in a child process. What it is reading stands in a page that the parent shares; when the
 * child dies of a signal, or spends too long in one step of the library, the parent says which file and object it was,
 * removes what the child had begun to write, and exits with 2. VR_GUARD=off in the environment runs the command without
 * all that, for debuggers; VR_GUARD=SECONDS is the processor time that a step may take, 30 by default.
 */
#ifndef VA_GUARD_H
#define VA_GUARD_H

/* Runs `command(argc, argv)` in a child; its exit code, or VA_TROUBLE. */
int va_guard_run(int (*command)(int argc, char **argv), int argc, char **argv);

/* What the HDF5 library reads from here on, step by step: `object` may be NULL. A step that takes too much processor
 * time counts as hung; `file` NULL: what follows is no step of the library. Long names are cut. May be called in a
 * process without a guard, and does nothing there. */
void va_guard_reading(const char *file, const char *object);

/* A file that is read from here on in no particular steps: it is named should the child die. */
void va_guard_file(const char *file);

/* A file to be removed should the child die; NULL: none any more. */
void va_guard_temporary(const char *path);

#endif
