/* vr_trace_open on any bytes but a journal's: it opens, and all that it then claims can be read or fails cleanly; or it
 * fails and names the file. */
#include <fuzz/fuzz_trace.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    const int fd = fuzz_file(path, data, size);
    vr_trace *trace = fuzz_open(path);
    if (trace)
        fuzz_read(trace);
    vr_trace_close(trace);
    close(fd);
    return 0;
}
