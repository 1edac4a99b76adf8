/* io.h - whole reads at an offset. */
#ifndef VR_IO_H
#define VR_IO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <varanalyze/status.h>

/* Reads `size` bytes at `offset`, however many system calls that takes: fewer where the file ends; -1, and errno, on
 * failure. */
VR_API ssize_t vr_read_whole(int fd, void *out, size_t size, uint64_t offset);

#endif
