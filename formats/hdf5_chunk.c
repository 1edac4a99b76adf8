#include "hdf5_chunk.h"

#include <libdeflate.h>
#include <stdlib.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define CHECKSUM_BYTES 4

struct vr_h5_decoder {
    struct libdeflate_decompressor *inflate;
    size_t size;
    unsigned char *buffers[2]; /* a checksum more than the chunk: it may stand before the compression */
};

bool vr_h5_pipeline_read(vr_h5_pipeline *out, hid_t plist)
{
    *out = (vr_h5_pipeline){.count = H5Pget_nfilters(plist)};
    if (out->count < 0 || out->count > VR_H5_FILTERS)
        return false;
    int deflates = 0;
    for (int i = 0; i < out->count; i++) {
        unsigned flags, parameters[1] = {0};
        size_t n = 1;
        const H5Z_filter_t id = H5Pget_filter2(plist, (unsigned)i, &flags, &n, parameters, 0, NULL, NULL);
        out->filters[i].id = id;
        out->filters[i].element = parameters[0];
        deflates += id == H5Z_FILTER_DEFLATE;
        if (id != H5Z_FILTER_DEFLATE && id != H5Z_FILTER_SHUFFLE && id != H5Z_FILTER_FLETCHER32)
            return false;
        if (deflates > (id == H5Z_FILTER_DEFLATE) && id != H5Z_FILTER_FLETCHER32)
            return false; /* nothing says how long what it was given is */
    }
    return true;
}

bool vr_h5_pipeline_equal(const vr_h5_pipeline *a, const vr_h5_pipeline *b)
{
    bool equal = a->count == b->count;
    for (int i = 0; equal && i < a->count; i++)
        equal = a->filters[i].id == b->filters[i].id &&
                (a->filters[i].id != H5Z_FILTER_SHUFFLE || a->filters[i].element == b->filters[i].element);
    return equal;
}

vr_h5_decoder *vr_h5_decoder_new(size_t size)
{
    vr_h5_decoder *decoder = calloc(1, sizeof *decoder);
    if (!decoder)
        return NULL;
    decoder->size = size;
    decoder->inflate = libdeflate_alloc_decompressor();
    bool fine = decoder->inflate && size <= SIZE_MAX - VR_H5_FILTERS * CHECKSUM_BYTES;
    for (int i = 0; fine && i < 2; i++)
        fine = (decoder->buffers[i] = malloc(size + VR_H5_FILTERS * CHECKSUM_BYTES)) != NULL;
    if (fine)
        return decoder;
    vr_h5_decoder_free(decoder);
    return NULL;
}

void vr_h5_decoder_free(vr_h5_decoder *decoder)
{
    if (!decoder)
        return;
    if (decoder->inflate)
        libdeflate_free_decompressor(decoder->inflate);
    free(decoder->buffers[0]);
    free(decoder->buffers[1]);
    free(decoder);
}

/* One byte plane an element's byte, put together again; what is left over at the end was not shuffled. */
static void unshuffle(unsigned char *out, const unsigned char *in, size_t bytes, size_t element)
{
    const size_t n = bytes / element;
    size_t i = 0;
#ifdef __SSE2__
    if (element == 4)
        for (; i + 16 <= n; i += 16) {
            __m128i plane[4], pairs[4];
            for (size_t k = 0; k < 4; k++)
                plane[k] = _mm_loadu_si128((const __m128i *)(in + k * n + i));
            for (size_t k = 0; k < 2; k++) {
                pairs[k] = _mm_unpacklo_epi8(plane[2 * k], plane[2 * k + 1]);
                pairs[2 + k] = _mm_unpackhi_epi8(plane[2 * k], plane[2 * k + 1]);
            }
            __m128i *to = (__m128i *)(out + i * 4);
            for (size_t half = 0; half < 2; half++) {
                _mm_storeu_si128(to + 2 * half, _mm_unpacklo_epi16(pairs[2 * half], pairs[2 * half + 1]));
                _mm_storeu_si128(to + 2 * half + 1, _mm_unpackhi_epi16(pairs[2 * half], pairs[2 * half + 1]));
            }
        }
#endif
    if (element == 8)
        for (; i < n; i++)
            for (size_t k = 0; k < 8; k++)
                out[i * 8 + k] = in[k * n + i];
    for (; i < n; i++)
        for (size_t k = 0; k < element; k++)
            out[i * element + k] = in[k * n + i];
    memcpy(out + n * element, in + n * element, bytes - n * element);
}

/* The checksum of HDF5's filter: Fletcher's, of 16-bit big-endian words, an odd last byte taken as a word's upper half
 * (H5checksum.c of the HDF5 library). */
static uint32_t fletcher32(const unsigned char *data, size_t bytes)
{
    uint32_t low = 0, high = 0;
    size_t words = bytes / 2;
    while (words) {
        size_t block = words > 360 ? 360 : words; /* as many as cannot overflow */
        words -= block;
        for (; block; block--, data += 2) {
            low += (uint32_t)(data[0] << 8 | data[1]);
            high += low;
        }
        low = (low & 0xffff) + (low >> 16);
        high = (high & 0xffff) + (high >> 16);
    }
    if (bytes % 2) {
        low += (uint32_t)*data << 8;
        high += low;
        low = (low & 0xffff) + (low >> 16);
        high = (high & 0xffff) + (high >> 16);
    }
    low = (low & 0xffff) + (low >> 16);
    high = (high & 0xffff) + (high >> 16);
    return high << 16 | low;
}

static uint32_t swap_halves(uint32_t x)
{
    return (x & 0x00ff00ff) << 8 | (x & 0xff00ff00) >> 8;
}

/* Library versions before 1.6.3 wrote the bytes of each half in the order of the machine. */
static bool check(const unsigned char *data, size_t bytes)
{
    const unsigned char *at = data + bytes;
    const uint32_t stored = (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
    const uint32_t sum = fletcher32(data, bytes);
    return stored == sum || stored == swap_halves(sum);
}

/* Bytes that the filter behind `stage` filters was given. */
static size_t bytes_before(const vr_h5_decoder *decoder, const vr_h5_pipeline *pipeline, uint32_t skipped, int stage)
{
    size_t bytes = decoder->size;
    for (int i = 0; i < stage; i++)
        if (pipeline->filters[i].id == H5Z_FILTER_FLETCHER32 && !(skipped >> i & 1))
            bytes += CHECKSUM_BYTES;
    return bytes;
}

const void *vr_h5_decode(vr_h5_decoder *decoder, const vr_h5_pipeline *pipeline, uint32_t skipped, const void *raw,
                         size_t bytes)
{
    const unsigned char *data = raw;
    for (int i = pipeline->count; i-- > 0;) {
        if (skipped >> i & 1)
            continue;
        unsigned char *out = decoder->buffers[data == decoder->buffers[0]];
        const size_t wanted = bytes_before(decoder, pipeline, skipped, i);
        switch (pipeline->filters[i].id) {
        case H5Z_FILTER_FLETCHER32:
            if (bytes < CHECKSUM_BYTES || !check(data, bytes - CHECKSUM_BYTES))
                return NULL;
            bytes -= CHECKSUM_BYTES;
            break;
        case H5Z_FILTER_DEFLATE:
            if (libdeflate_zlib_decompress(decoder->inflate, data, bytes, out, wanted, NULL) != LIBDEFLATE_SUCCESS)
                return NULL;
            data = out;
            bytes = wanted;
            break;
        default:
            if (pipeline->filters[i].element <= 1)
                break;
            if (bytes != wanted)
                return NULL;
            unshuffle(out, data, bytes, pipeline->filters[i].element);
            data = out;
        }
    }
    return bytes == decoder->size ? data : NULL;
}
