/* vr_idx_parse: whatever the bytes, it either gives an array that agrees with itself or fails and gives nothing; and
 * the same bytes inside gzip fare the same. */
#include <varanalyze/idx.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int condition)
{
    if (!condition)
        abort();
}

static void check(const vr_idx *array, vr_status status)
{
    if (status != VR_OK) {
        require(!array->data && array->rank == 0 && array->count == 0);
        require(strncmp(vr_error(), "input: ", 7) == 0);
        return;
    }
    require(array->rank >= 1 && array->rank <= VR_IDX_MAX_RANK && array->data);
    uint64_t count = 1; /* modulo 2^64: beside a size of 0, the others may be any */
    for (int i = 0; i < array->rank; i++)
        count *= (uint64_t)array->shape[i];
    require((uint64_t)array->count == count);
}

/* The bytes as a gzip stream of stored blocks: fast, and zlib's own matching is not what is tested. */
static uint8_t *store(const uint8_t *data, size_t size, size_t *stored)
{
    z_stream stream = {0};
    require(deflateInit2(&stream, 0, Z_DEFLATED, 16 + 9, 1, Z_DEFAULT_STRATEGY) == Z_OK);
    *stored = deflateBound(&stream, size);
    uint8_t *out = malloc(*stored);
    require(out != NULL);
    stream.next_in = (Bytef *)data;
    stream.avail_in = (uInt)size;
    stream.next_out = out;
    stream.avail_out = (uInt)*stored;
    require(deflate(&stream, Z_FINISH) == Z_STREAM_END);
    *stored = stream.total_out;
    deflateEnd(&stream);
    return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    vr_idx plain, inflated;
    const vr_status status = vr_idx_parse(&plain, data, size, "input");
    check(&plain, status);

    const int is_gzip = size >= 2 && data[0] == 0x1f && data[1] == 0x8b;
    size_t stored_size;
    uint8_t *stored = store(data, size, &stored_size);
    const vr_status stored_status = vr_idx_parse(&inflated, stored, stored_size, "input");
    check(&inflated, stored_status);
    require(stored_status == (is_gzip ? VR_ERROR_FORMAT : status));
    if (status == VR_OK && !is_gzip) {
        require(inflated.dtype == plain.dtype && inflated.rank == plain.rank);
        require(memcmp(inflated.shape, plain.shape, sizeof plain.shape) == 0);
        require(memcmp(inflated.data, plain.data, (size_t)plain.count * vr_dtype_size(plain.dtype)) == 0);
    }
    free(stored);
    vr_idx_free(&plain);
    vr_idx_free(&inflated);
    return 0;
}
