/* objects.h - which of a linker's inputs were not compiled by vrcc. */
#ifndef VRCC_OBJECTS_H
#define VRCC_OBJECTS_H

#include <stdbool.h>
#include <stddef.h>

/* Called with "file" or "archive(member)" for each object with code that lacks the section .vrcc. */
typedef void vrcc_object_seen(void *context, const char *name);

/* Looks through an object, a shared library or an archive, thin ones included. What is neither ELF nor bitcode, and
 * damaged files, are not looked at: the linker will have its own words for them. */
void vrcc_objects_check(const char *path, vrcc_object_seen *seen, void *context);

/* The machine and class of an ELF file, or of the first such member of an archive; 0 for anything else. Equal for what
 * can be linked together. */
unsigned vrcc_objects_machine(const char *path);

#endif
