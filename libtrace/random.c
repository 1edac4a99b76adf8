#include <varanalyze/random.h>

#include <Random123/philox.h>
#include <string.h>
#include <xxhash.h>

#define BLOCK_WORDS 4

uint64_t vr_derive_seed(uint64_t seed, const char *purpose)
{
    return XXH3_64bits_withSeed(purpose, strlen(purpose), seed);
}

vr_random vr_random_stream(uint64_t key, uint64_t index)
{
    return (vr_random){.key = key, .index = index};
}

static void next_block(vr_random *random)
{
    const philox4x32_ctr_t counter = {{(uint32_t)random->block, (uint32_t)(random->block >> 32),
                                       (uint32_t)random->index, (uint32_t)(random->index >> 32)}};
    const philox4x32_key_t key = {{(uint32_t)random->key, (uint32_t)(random->key >> 32)}};
    const philox4x32_ctr_t words = philox4x32(counter, key);
    memcpy(random->words, words.v, sizeof random->words);
    random->left = BLOCK_WORDS;
    random->block++;
}

uint32_t vr_random_u32(vr_random *random)
{
    if (random->left == 0)
        next_block(random);
    return random->words[BLOCK_WORDS - random->left--];
}

uint64_t vr_random_u64(vr_random *random)
{
    const uint64_t low = vr_random_u32(random);
    return low | (uint64_t)vr_random_u32(random) << 32;
}

double vr_random_uniform(vr_random *random)
{
    return (double)(vr_random_u64(random) >> 11) * 0x1p-53;
}

/* The upper half of x n is the draw; x n whose lower half is below 2^64 mod n would be one too many for it. */
uint64_t vr_random_below(vr_random *random, uint64_t n)
{
    unsigned __int128 product = (unsigned __int128)vr_random_u64(random) * n;
    if ((uint64_t)product < n) {
        const uint64_t excess = -n % n;
        while ((uint64_t)product < excess)
            product = (unsigned __int128)vr_random_u64(random) * n;
    }
    return (uint64_t)(product >> 64);
}

void vr_random_permutation(vr_random *random, uint32_t *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (uint32_t)i;
    for (size_t i = n; i-- > 1;) {
        const size_t j = vr_random_below(random, i + 1);
        const uint32_t kept = out[i];
        out[i] = out[j];
        out[j] = kept;
    }
}
