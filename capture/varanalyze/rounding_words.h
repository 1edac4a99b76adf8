/* rounding_words.h - the random words of rounding.h, inlined. Included by it.
 *
 * A 64-bit key is spread over two 32-bit ones, k0 and k1, anew for every 2^32 positions; word i is a hash of i in
 * 32-bit lanes, which every instruction set has: an affine step (in a loop: one addition), then twice a multiplication
 * between shifts (the constants are those of C. Wellons's lowbias32), with k1 in the middle.
 */
#include <varanalyze/rounding.h>

#ifndef VARANALYZE_ROUNDING_WORDS_H
#define VARANALYZE_ROUNDING_WORDS_H

#include <stdint.h>

/* Inlined wherever they are used, and otherwise in the library, which has them all as functions. */
#ifndef VR_ROUNDING_INLINE
#define VR_ROUNDING_INLINE extern __inline__ __attribute__((__gnu_inline__, __always_inline__))
#define VR_ROUNDING_PART   VR_ROUNDING_INLINE
#endif

#define VR_WORD_STEP  UINT32_C(0x9e3779b1)         /* odd, near 2^32 / golden ratio */
#define VR_BLOCK_STEP UINT64_C(0xd1342543de82ef95) /* odd; between the keys of two blocks of 2^32 positions */
#define VR_WORD64_KEY UINT64_C(0x5851f42d4c957f2d) /* the sequence of f64 operations is another one */
#define VR_PAIR_STEP  UINT64_C(0x9e3779b97f4a7c15)

VR_ROUNDING_PART uint32_t vr_bits_f32(float x)
{
    uint32_t bits;
    __builtin_memcpy(&bits, &x, sizeof bits);
    return bits;
}

VR_ROUNDING_PART float vr_value_f32(uint32_t bits)
{
    float x;
    __builtin_memcpy(&x, &bits, sizeof x);
    return x;
}

VR_ROUNDING_PART uint64_t vr_bits_f64(double x)
{
    uint64_t bits;
    __builtin_memcpy(&bits, &x, sizeof bits);
    return bits;
}

VR_ROUNDING_PART double vr_value_f64(uint64_t bits)
{
    double x;
    __builtin_memcpy(&x, &bits, sizeof x);
    return x;
}

/* A bijection with good avalanche (D. Stafford's variant 13 of MurmurHash3's finalizer). */
VR_ROUNDING_PART uint64_t vr_mix64(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

VR_ROUNDING_PART uint32_t vr_mix32(uint32_t x, uint32_t key)
{
    x = (x ^ x >> 16) * UINT32_C(0x7feb352d);
    x = (x ^ key ^ x >> 15) * UINT32_C(0x846ca68b);
    return x ^ x >> 16;
}

/* k0 (lower half) and k1 of the block a position is in. */
VR_ROUNDING_PART uint64_t vr_block_keys(uint64_t key, uint64_t position)
{
    return vr_mix64(key + (position >> 32) * VR_BLOCK_STEP);
}

VR_ROUNDING_INLINE uint32_t vr_stream_word(uint64_t key, uint64_t position)
{
    const uint64_t keys = vr_block_keys(key, position);
    return vr_mix32((uint32_t)position * VR_WORD_STEP + (uint32_t)keys, (uint32_t)(keys >> 32));
}

/* The same in the f64 sequence, whose blocks have 2^31 positions. */
VR_ROUNDING_PART uint64_t vr_block_keys64(uint64_t key, uint64_t position)
{
    return vr_mix64((key ^ VR_WORD64_KEY) + (position >> 31) * VR_BLOCK_STEP);
}

/* Words 2 position (lower half) and 2 position + 1 of the f64 sequence. */
VR_ROUNDING_INLINE uint64_t vr_stream_word64(uint64_t key, uint64_t position)
{
    const uint64_t keys = vr_block_keys64(key, position);
    const uint32_t x = (uint32_t)(position << 1) * VR_WORD_STEP + (uint32_t)keys;
    const uint32_t low = vr_mix32(x, (uint32_t)(keys >> 32)), high = vr_mix32(x + VR_WORD_STEP, (uint32_t)(keys >> 32));
    return low | (uint64_t)high << 32;
}

VR_ROUNDING_INLINE vr_stream vr_stream_at(uint64_t key, uint64_t index)
{
    vr_stream stream;
    stream.key = vr_mix64(vr_mix64(key) + index * VR_PAIR_STEP);
    stream.position = 0;
    return stream;
}

/* k0 (lower half) and k1 of an operation; a subtraction is an addition. */
VR_ROUNDING_PART uint64_t vr_operand_keys(unsigned op, uint64_t key)
{
    return vr_mix64(key ^ ((uint64_t)(op == VR_SUB ? (unsigned)VR_ADD : op) + 1) * VR_PAIR_STEP);
}

VR_ROUNDING_PART uint32_t vr_rotate32(uint32_t x, int by)
{
    return x << by | x >> (32 - by);
}

VR_ROUNDING_PART uint64_t vr_rotate64(uint64_t x, int by)
{
    return x << by | x >> (64 - by);
}

/* An operand's share: what differs between floats are upper bits, which the shift brings down. Of two shares, whichever
 * way round they stand, sum and product tell them apart, and say little of the operands' sum or product. A divisor's
 * share is turned, so that it is no dividend's. */
VR_ROUNDING_PART uint32_t vr_share32(uint32_t x)
{
    x *= UINT32_C(0x21f0aaad);
    return x ^ x >> 15;
}

VR_ROUNDING_PART uint32_t vr_pair32(uint32_t x, uint32_t y)
{
    return x * y + vr_rotate32(x + y, 16);
}

VR_ROUNDING_PART uint32_t vr_operands32(unsigned op, uint32_t a, uint32_t b, uint32_t c)
{
    const uint32_t x = vr_share32(a), y = vr_share32(op == VR_SUB ? b ^ UINT32_C(0x80000000) : b);
    if (op == VR_DIV)
        return vr_pair32(x, vr_rotate32(y, 13));
    if (op == VR_FMA)
        return vr_pair32(vr_pair32(x, y), vr_rotate32(vr_share32(c), 13));
    return op == VR_ADD || op == VR_SUB || op == VR_MUL ? vr_pair32(x, y) : x ^ x >> 16;
}

VR_ROUNDING_PART uint64_t vr_share64(uint64_t x)
{
    x *= UINT64_C(0xe9846af9b1a615d);
    return x ^ x >> 29;
}

VR_ROUNDING_PART uint64_t vr_pair64(uint64_t x, uint64_t y)
{
    return x * y + vr_rotate64(x + y, 32);
}

VR_ROUNDING_PART uint64_t vr_operands64(unsigned op, uint64_t a, uint64_t b, uint64_t c)
{
    const uint64_t x = vr_share64(a), y = vr_share64(op == VR_SUB ? b ^ UINT64_C(0x8000000000000000) : b);
    if (op == VR_DIV)
        return vr_pair64(x, vr_rotate64(y, 27));
    if (op == VR_FMA)
        return vr_pair64(vr_pair64(x, y), vr_rotate64(vr_share64(c), 27));
    return op == VR_ADD || op == VR_SUB || op == VR_MUL ? vr_pair64(x, y) : x ^ x >> 32;
}

VR_ROUNDING_PART uint32_t vr_finish32(uint32_t x, uint64_t keys)
{
    x = (x + (uint32_t)keys) * UINT32_C(0x7feb352d);
    x = (x ^ (uint32_t)(keys >> 32) ^ x >> 15) * UINT32_C(0x846ca68b);
    return x ^ x >> 16;
}

VR_ROUNDING_PART uint64_t vr_finish64(uint64_t x, uint64_t keys)
{
    x = (x + keys) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ vr_rotate64(keys, 32) ^ x >> 29) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 32;
}

VR_ROUNDING_INLINE uint32_t vr_operand_word_f32(vr_operation op, float a, float b, float c, uint64_t key)
{
    const uint32_t x = vr_operands32(op, vr_bits_f32(a), vr_bits_f32(b), vr_bits_f32(c));
    return vr_finish32(x, vr_operand_keys(op, key));
}

VR_ROUNDING_INLINE uint64_t vr_operand_word_f64(vr_operation op, double a, double b, double c, uint64_t key)
{
    const uint64_t x = vr_operands64(op, vr_bits_f64(a), vr_bits_f64(b), vr_bits_f64(c));
    return vr_finish64(x, vr_operand_keys(op, key));
}

#endif
