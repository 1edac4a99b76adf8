/* Random types of every class, and values to go with them: see random_hdf5.h. */
#include "random_hdf5.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_MEMBERS 4
#define MOST_BYTES   16 /* of a number, a string, an opaque */

typedef struct float_format {
    size_t size, precision, sign, exponent, exponent_bits, mantissa, mantissa_bits, bias;
    H5T_norm_t norm;
} float_format;

static const float_format float_formats[] = {
    {1, 8, 7, 2, 5, 0, 2, 15, H5T_NORM_IMPLIED},       {2, 16, 15, 10, 5, 0, 10, 15, H5T_NORM_IMPLIED},
    {2, 16, 15, 7, 8, 0, 7, 127, H5T_NORM_IMPLIED},    {4, 32, 31, 23, 8, 0, 23, 127, H5T_NORM_IMPLIED},
    {4, 32, 31, 23, 8, 0, 23, 127, H5T_NORM_IMPLIED},  {8, 64, 63, 52, 11, 0, 52, 1023, H5T_NORM_IMPLIED},
    {16, 80, 79, 64, 15, 0, 64, 16383, H5T_NORM_NONE},
};

static const char *const words[] = {"", "a", "loss", "conv1", "na\xc3\xafve", "\xce\xa9mega", "a b", "-0.5", "tail "};

#define COUNT(array) (int)(sizeof(array) / sizeof *(array))

uint64_t rh_draw(rh_random *random) /* splitmix64 */
{
    uint64_t z = random->state += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

int rh_below(rh_random *random, int n)
{
    return (int)(rh_draw(random) % (uint64_t)n);
}

bool rh_one_in(rh_random *random, int n)
{
    return rh_below(random, n) == 0;
}

hid_t rh_good(hid_t id)
{
    if (id < 0) {
        fprintf(stderr, "random_hdf5: a call of the HDF5 library failed\n");
        abort();
    }
    return id;
}

static hid_t any_order(rh_tree *tree, hid_t type)
{
    rh_good(H5Tset_order(type, rh_one_in(&tree->random, 2) ? H5T_ORDER_LE : H5T_ORDER_BE));
    return type;
}

static hid_t random_integer(rh_tree *tree)
{
    static const size_t sizes[] = {1, 2, 4, 8, 4, 8, 3, 6};
    rh_random *random = &tree->random;
    const size_t size = sizes[rh_below(random, COUNT(sizes))];
    hid_t type = rh_good(H5Tcopy(H5T_STD_I64LE));
    rh_good(H5Tset_size(type, size));
    rh_good(H5Tset_sign(type, rh_one_in(random, 2) ? H5T_SGN_2 : H5T_SGN_NONE));
    if (rh_one_in(random, 4)) {
        const size_t precision = 2 + (size_t)rh_below(random, (int)size * 8 - 2);
        rh_good(H5Tset_precision(type, precision));
        rh_good(H5Tset_offset(type, (size_t)rh_below(random, (int)(size * 8 - precision) + 1)));
    }
    return any_order(tree, type);
}

static hid_t random_float(rh_tree *tree)
{
    const float_format *format = &float_formats[rh_below(&tree->random, COUNT(float_formats))];
    hid_t type = rh_good(H5Tcopy(format->size == 16 ? H5T_NATIVE_LDOUBLE : H5T_IEEE_F64LE));
    if (format->size == 16)
        return any_order(tree, type);
    rh_good(H5Tset_fields(type, format->sign, format->exponent, format->exponent_bits, format->mantissa,
                          format->mantissa_bits));
    rh_good(H5Tset_precision(type, format->precision));
    rh_good(H5Tset_size(type, format->size));
    rh_good(H5Tset_ebias(type, format->bias));
    return any_order(tree, type);
}

static hid_t random_string(rh_tree *tree, bool variable)
{
    static const H5T_str_t paddings[] = {H5T_STR_NULLTERM, H5T_STR_NULLPAD, H5T_STR_SPACEPAD};
    hid_t type = rh_good(H5Tcopy(H5T_C_S1));
    rh_good(H5Tset_size(type, variable ? H5T_VARIABLE : 1 + (size_t)rh_below(&tree->random, MOST_BYTES)));
    rh_good(H5Tset_strpad(type, variable ? H5T_STR_NULLTERM : paddings[rh_below(&tree->random, 3)]));
    rh_good(H5Tset_cset(type, rh_one_in(&tree->random, 2) ? H5T_CSET_UTF8 : H5T_CSET_ASCII));
    return type;
}

static hid_t random_bytes_type(rh_tree *tree, H5T_class_t class)
{
    if (class == H5T_BITFIELD) {
        static const size_t sizes[] = {1, 2, 4, 8};
        hid_t type = rh_good(H5Tcopy(H5T_STD_B64LE));
        rh_good(H5Tset_size(type, sizes[rh_below(&tree->random, COUNT(sizes))]));
        return any_order(tree, type);
    }
    hid_t type = rh_good(H5Tcreate(H5T_OPAQUE, 1 + (size_t)rh_below(&tree->random, MOST_BYTES)));
    rh_good(H5Tset_tag(type, rh_one_in(&tree->random, 2) ? "raw" : "key"));
    return type;
}

static hid_t random_enum(rh_tree *tree)
{
    static const char *const names[] = {"RED", "GREEN", "BLUE", "gr\xc3\xbcn"};
    static const size_t sizes[] = {1, 2, 4};
    uint8_t value[8] = {0};
    hid_t base = rh_good(H5Tcopy(H5T_STD_I32LE));
    rh_good(H5Tset_size(base, sizes[rh_below(&tree->random, COUNT(sizes))]));
    any_order(tree, base);
    hid_t type = rh_good(H5Tenum_create(base));
    const int members = 2 + rh_below(&tree->random, 3), first = rh_below(&tree->random, 9);
    for (int i = 0; i < members; i++) {
        memset(value, 0, sizeof value);
        value[0] = (uint8_t)(first + 3 * i);
        rh_turn(base, value);
        rh_good(H5Tenum_insert(type, names[i], value));
    }
    return type;
}

static hid_t random_compound(rh_tree *tree, int depth)
{
    static const char *const names[] = {"x", "y", "pos", "\xce\xb1"};
    hid_t member[MOST_MEMBERS];
    size_t offset[MOST_MEMBERS], size = 0;
    const int members = 1 + rh_below(&tree->random, MOST_MEMBERS);
    for (int i = 0; i < members; i++) {
        member[i] = rh_random_type(tree, depth + 1);
        offset[i] = size + (rh_one_in(&tree->random, 3) ? 1 + (size_t)rh_below(&tree->random, 5) : 0);
        size = offset[i] + H5Tget_size(member[i]);
    }
    hid_t type = rh_good(H5Tcreate(H5T_COMPOUND, size + (rh_one_in(&tree->random, 4) ? 3 : 0)));
    for (int i = 0; i < members; i++)
        rh_good(H5Tinsert(type, names[i], offset[i], member[i]));
    return type;
}

static hid_t random_array(rh_tree *tree, int depth)
{
    hsize_t shape[2];
    const unsigned rank = 1 + (unsigned)rh_below(&tree->random, 2);
    for (unsigned i = 0; i < rank; i++)
        shape[i] = 1 + (hsize_t)rh_below(&tree->random, 3);
    return rh_good(H5Tarray_create2(rh_random_type(tree, depth + 1), rank, shape));
}

/* References inside a sequence would have to be looked for there when a tree is written. */
static hid_t random_sequence(rh_tree *tree, int depth)
{
    hid_t base = rh_random_type(tree, depth + 1);
    while (rh_type_has(base, H5T_REFERENCE))
        base = rh_random_type(tree, depth + 1);
    return rh_good(H5Tvlen_create(base));
}

hid_t rh_random_type(rh_tree *tree, int depth)
{
    const int deepest = 12, kind = rh_below(&tree->random, depth < 3 ? 17 : deepest);
    switch (kind) {
    case 0:
    case 1:
    case 2:
        return random_integer(tree);
    case 3:
    case 4:
    case 5:
        return random_float(tree);
    case 6:
    case 7:
        return random_string(tree, kind == 6);
    case 8:
    case 9:
        return random_bytes_type(tree, kind == 8 ? H5T_BITFIELD : H5T_OPAQUE);
    case 10:
        return random_enum(tree);
    case 11:
        return rh_good(H5Tcopy(rh_one_in(&tree->random, 2) ? H5T_STD_REF_OBJ : H5T_STD_REF_DSETREG));
    case 12:
    case 13:
        return random_compound(tree, depth);
    case 14:
        return random_array(tree, depth);
    default:
        return random_sequence(tree, depth);
    }
}

bool rh_type_has(hid_t type, H5T_class_t class)
{
    return H5Tdetect_class(type, class) > 0;
}

bool rh_is_variable(hid_t type)
{
    /* H5Tdetect_class takes strings of variable length for strings. */
    const H5T_class_t class = H5Tget_class(type);
    if (class == H5T_STRING)
        return H5Tis_variable_str(type) > 0;
    if (class == H5T_ARRAY)
        return rh_is_variable(H5Tget_super(type));
    for (int i = 0; class == H5T_COMPOUND && i < H5Tget_nmembers(type); i++)
        if (rh_is_variable(H5Tget_member_type(type, (unsigned)i)))
            return true;
    return class == H5T_VLEN;
}

const char *rh_class_name(hid_t type)
{
    static const char *const names[] = {"integer",  "float",     "time", "string", "bitfield", "opaque",
                                        "compound", "reference", "enum", "vlen",   "array"};
    const H5T_class_t class = H5Tget_class(type);
    if (class == H5T_STRING && H5Tis_variable_str(type) > 0)
        return "vstring";
    if (class == H5T_REFERENCE && H5Tequal(type, H5T_STD_REF_DSETREG) > 0)
        return "region";
    return names[class];
}

void rh_turn(hid_t type, uint8_t *element)
{
    if (H5Tget_order(type) != H5T_ORDER_BE)
        return;
    for (size_t i = 0, j = H5Tget_size(type) - 1; i < j; i++, j--) {
        const uint8_t byte = element[i];
        element[i] = element[j];
        element[j] = byte;
    }
}

uint64_t rh_bits(const uint8_t *bytes, size_t at, size_t n)
{
    uint64_t value = 0;
    for (size_t i = 0; i < n; i++)
        value |= (uint64_t)((bytes[(at + i) / 8] >> ((at + i) % 8)) & 1) << i;
    return value;
}

void rh_set_bits(uint8_t *bytes, size_t at, size_t n, uint64_t value)
{
    for (size_t i = 0; i < n; i++) {
        const int bit = 1 << ((at + i) % 8);
        bytes[(at + i) / 8] = (uint8_t)((bytes[(at + i) / 8] & ~bit) | ((value >> i) & 1 ? bit : 0));
    }
}

static void fill_integer(rh_tree *tree, hid_t type, uint8_t *out)
{
    uint64_t value = rh_draw(&tree->random);
    if (rh_one_in(&tree->random, 2))
        value %= 5;
    rh_set_bits(out, (size_t)H5Tget_offset(type), H5Tget_precision(type), value);
    rh_turn(type, out);
}

/* Zeros, subnormals, infinities and NaN of both signs are as frequent as plain numbers. */
static void fill_float(rh_tree *tree, hid_t type, uint8_t *out)
{
    size_t sign, exponent, exponent_bits, mantissa, mantissa_bits;
    rh_good(H5Tget_fields(type, &sign, &exponent, &exponent_bits, &mantissa, &mantissa_bits));
    const bool leading = H5Tget_norm(type) == H5T_NORM_NONE; /* the leading bit is stored */
    const size_t fraction_bits = mantissa_bits - leading;
    const int kind = rh_below(&tree->random, 10);
    const uint64_t top = (UINT64_C(1) << exponent_bits) - 1, random = rh_draw(&tree->random);
    uint64_t power = (UINT64_C(1) << (exponent_bits - 1)) - 2 + random % 3, fraction = rh_draw(&tree->random);
    if (kind <= 1) /* zero, subnormal */
        power = 0;
    if (kind == 2 || kind == 3) /* infinite, NaN */
        power = top;
    if (kind == 0 || kind == 2)
        fraction = 0;
    rh_set_bits(out, sign, 1, random >> 32);
    rh_set_bits(out, exponent, exponent_bits, power);
    rh_set_bits(out, mantissa, fraction_bits, fraction);
    if (leading)
        rh_set_bits(out, mantissa + fraction_bits, 1, power > 0);
    if (kind == 3) /* quiet: conversion may make any NaN so */
        rh_set_bits(out, mantissa + fraction_bits - 1, 1, 1);
    rh_turn(type, out);
}

static const char *random_word(rh_tree *tree)
{
    return words[rh_below(&tree->random, COUNT(words))];
}

static void fill_string(rh_tree *tree, hid_t type, uint8_t *out)
{
    if (H5Tis_variable_str(type) > 0) {
        const char *word = random_word(tree);
        char *copy = rh_room(tree, strlen(word) + 1);
        strcpy(copy, word);
        memcpy(out, &copy, sizeof copy);
        return;
    }
    const H5T_str_t padding = H5Tget_strpad(type);
    const size_t size = H5Tget_size(type), room = size - (padding == H5T_STR_NULLTERM);
    const char *word = random_word(tree);
    const size_t length = strlen(word) < room ? strlen(word) : room;
    memset(out, padding == H5T_STR_SPACEPAD ? ' ' : 0, size);
    memcpy(out, word, length);
}

static void fill_sequence(rh_tree *tree, hid_t type, uint8_t *out)
{
    hid_t base = rh_good(H5Tget_super(type));
    const size_t size = H5Tget_size(base);
    hvl_t sequence = {.len = (size_t)rh_below(&tree->random, 5)};
    if (sequence.len > 0)
        sequence.p = rh_room(tree, sequence.len * size);
    for (size_t i = 0; i < sequence.len; i++)
        rh_random_element(tree, base, (uint8_t *)sequence.p + i * size);
    memcpy(out, &sequence, sizeof sequence);
}

static void fill_parts(rh_tree *tree, hid_t type, uint8_t *out)
{
    if (H5Tget_class(type) == H5T_COMPOUND) {
        for (unsigned i = 0; i < (unsigned)H5Tget_nmembers(type); i++)
            rh_random_element(tree, H5Tget_member_type(type, i), out + H5Tget_member_offset(type, i));
        return;
    }
    hid_t base = rh_good(H5Tget_super(type));
    const size_t size = H5Tget_size(base);
    for (size_t at = 0; at < H5Tget_size(type); at += size)
        rh_random_element(tree, base, out + at);
}

/* An index of a node, 0: the root; and for a region, a number that says which. -1: no reference. */
static void fill_reference(rh_tree *tree, hid_t type, uint8_t *out)
{
    const int64_t node = rh_one_in(&tree->random, 8) ? -1 : rh_below(&tree->random, tree->nodes + 1);
    memcpy(out, &node, sizeof node);
    if (H5Tequal(type, H5T_STD_REF_DSETREG) > 0)
        out[sizeof node] = (uint8_t)rh_below(&tree->random, 16);
}

void rh_random_element(rh_tree *tree, hid_t type, void *out)
{
    uint8_t *bytes = out;
    memset(bytes, 0, H5Tget_size(type));
    switch (H5Tget_class(type)) {
    case H5T_INTEGER:
        fill_integer(tree, type, bytes);
        break;
    case H5T_FLOAT:
        fill_float(tree, type, bytes);
        break;
    case H5T_STRING:
        fill_string(tree, type, bytes);
        break;
    case H5T_ENUM:
        rh_good(H5Tget_member_value(type, (unsigned)rh_below(&tree->random, H5Tget_nmembers(type)), bytes));
        break;
    case H5T_VLEN:
        fill_sequence(tree, type, bytes);
        break;
    case H5T_COMPOUND:
    case H5T_ARRAY:
        fill_parts(tree, type, bytes);
        break;
    case H5T_REFERENCE:
        fill_reference(tree, type, bytes);
        break;
    default:
        for (size_t i = 0; i < H5Tget_size(type); i++)
            bytes[i] = (uint8_t)rh_draw(&tree->random);
    }
}
