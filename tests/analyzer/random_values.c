/* Changes to single elements: see random_hdf5.h. */
#include "random_hdf5.h"

#include <string.h>

/* A part of an element that is of one type. */
typedef struct place {
    hid_t type;
    uint8_t *at;
} place;

typedef struct float_parts {
    size_t sign_at, power_at, power_bits, fraction_at, fraction_bits;
    bool leading; /* the leading bit is stored, above the fraction */
    uint64_t power, fraction, top;
} float_parts;

static float_parts parts_of(place p)
{
    float_parts f = {0};
    rh_turn(p.type, p.at);
    rh_good(H5Tget_fields(p.type, &f.sign_at, &f.power_at, &f.power_bits, &f.fraction_at, &f.fraction_bits));
    f.leading = H5Tget_norm(p.type) == H5T_NORM_NONE;
    f.fraction_bits -= f.leading;
    f.top = (UINT64_C(1) << f.power_bits) - 1;
    f.power = rh_bits(p.at, f.power_at, f.power_bits);
    f.fraction = rh_bits(p.at, f.fraction_at, f.fraction_bits);
    rh_turn(p.type, p.at);
    return f;
}

static void put_parts(place p, const float_parts *f)
{
    rh_turn(p.type, p.at);
    rh_set_bits(p.at, f->power_at, f->power_bits, f->power);
    rh_set_bits(p.at, f->fraction_at, f->fraction_bits, f->fraction);
    if (f->leading)
        rh_set_bits(p.at, f->fraction_at + f->fraction_bits, 1, f->power > 0);
    rh_turn(p.type, p.at);
}

static void flip(place p, size_t bit)
{
    rh_turn(p.type, p.at);
    rh_set_bits(p.at, bit, 1, !rh_bits(p.at, bit, 1));
    rh_turn(p.type, p.at);
}

static bool change_float(rh_tree *tree, place p)
{
    float_parts f = parts_of(p);
    if (f.power == f.top)
        return false;
    f.power = f.power == f.top - 1 ? f.power - 1 : f.power + 1;
    put_parts(p, &f);
    (void)tree;
    return true;
}

static bool change_ulp(rh_tree *tree, place p)
{
    float_parts f = parts_of(p);
    if (f.power == f.top)
        return false;
    f.fraction ^= 1;
    put_parts(p, &f);
    (void)tree;
    return true;
}

static bool change_zero_sign(rh_tree *tree, place p)
{
    const float_parts f = parts_of(p);
    if (f.power != 0 || f.fraction != 0)
        return false;
    flip(p, f.sign_at);
    (void)tree;
    return true;
}

static bool change_nan_payload(rh_tree *tree, place p)
{
    float_parts f = parts_of(p);
    if (f.power != f.top || f.fraction == 0)
        return false;
    f.fraction ^= 1;
    put_parts(p, &f);
    (void)tree;
    return true;
}

static bool change_to_nan(rh_tree *tree, place p)
{
    float_parts f = parts_of(p);
    if (f.power == f.top)
        return false;
    f.power = f.top;
    f.fraction = UINT64_C(1) << (f.fraction_bits - 1);
    put_parts(p, &f);
    (void)tree;
    return true;
}

static bool change_integer(rh_tree *tree, place p)
{
    const size_t bits = H5Tget_precision(p.type);
    flip(p, (size_t)H5Tget_offset(p.type) + (size_t)rh_below(&tree->random, (int)bits));
    return true;
}

static bool change_integer_padding(rh_tree *tree, place p)
{
    const size_t bits = H5Tget_precision(p.type), all = 8 * H5Tget_size(p.type), offset = (size_t)H5Tget_offset(p.type);
    if (bits == all)
        return false;
    flip(p, (offset + bits + (size_t)rh_below(&tree->random, (int)(all - bits))) % all);
    return true;
}

static bool change_string(rh_tree *tree, place p)
{
    char *text = (char *)p.at;
    if (H5Tis_variable_str(p.type) > 0) {
        text = rh_room(tree, 8);
        memcpy(text, rh_one_in(&tree->random, 2) ? "other" : "\xc3\xb6ther", 7);
        memcpy(p.at, &text, sizeof text);
        return true;
    }
    const size_t room = H5Tget_size(p.type) - (H5Tget_strpad(p.type) == H5T_STR_NULLTERM);
    if (room > 0)
        text[0] = text[0] == 'Z' ? 'Y' : 'Z';
    return room > 0;
}

/* What stands behind the end of a string. */
static bool change_string_tail(rh_tree *tree, place p)
{
    const size_t size = H5Tget_size(p.type);
    if (H5Tis_variable_str(p.type) > 0 || H5Tget_strpad(p.type) != H5T_STR_NULLTERM || strlen((char *)p.at) >= size - 1)
        return false;
    p.at[size - 1] = (uint8_t)(1 + rh_below(&tree->random, 127));
    return true;
}

static bool change_enum(rh_tree *tree, place p)
{
    uint8_t value[8];
    const int members = H5Tget_nmembers(p.type), first = rh_below(&tree->random, members);
    rh_good(H5Tget_member_value(p.type, (unsigned)first, value));
    if (memcmp(value, p.at, H5Tget_size(p.type)) == 0)
        rh_good(H5Tget_member_value(p.type, (unsigned)((first + 1) % members), value));
    memcpy(p.at, value, H5Tget_size(p.type));
    return true;
}

static bool change_bytes(rh_tree *tree, place p)
{
    p.at[rh_below(&tree->random, (int)H5Tget_size(p.type))] ^= (uint8_t)(1 << rh_below(&tree->random, 8));
    return true;
}

static bool has_region(const rh_tree *tree, int64_t to)
{
    return to >= 0 && to < tree->nodes && tree->node[to].kind == RH_DATASET && tree->node[to].values.rank > 0 &&
           rh_count(&tree->node[to].values) > 0;
}

/* To another object: what leads nowhere in both trees would be no change. */
static bool change_reference(rh_tree *tree, place p)
{
    int64_t to, next = rh_below(&tree->random, tree->nodes);
    const bool is_region = H5Tequal(p.type, H5T_STD_REF_DSETREG) > 0;
    memcpy(&to, p.at, sizeof to);
    if (next == to || tree->node[next].kind > RH_TYPE || (is_region && !has_region(tree, next)))
        return false;
    memcpy(p.at, &next, sizeof next);
    return true;
}

static bool change_length(rh_tree *tree, place p)
{
    hvl_t sequence;
    hid_t base = rh_good(H5Tget_super(p.type));
    const size_t size = H5Tget_size(base);
    memcpy(&sequence, p.at, sizeof sequence);
    if (sequence.len > 0 && rh_one_in(&tree->random, 2)) {
        sequence.len--;
    } else {
        uint8_t *longer = rh_room(tree, (sequence.len + 1) * size);
        if (sequence.len > 0)
            memcpy(longer, sequence.p, sequence.len * size);
        rh_random_element(tree, base, longer + sequence.len * size);
        sequence.p = longer;
        sequence.len++;
    }
    memcpy(p.at, &sequence, sizeof sequence);
    return true;
}

/* A byte of a compound that is no member's. */
static bool change_gap(rh_tree *tree, place p)
{
    uint8_t used[4096] = {0};
    const size_t size = H5Tget_size(p.type);
    if (size > sizeof used || rh_is_variable(p.type))
        return false;
    for (unsigned i = 0; i < (unsigned)H5Tget_nmembers(p.type); i++)
        memset(used + H5Tget_member_offset(p.type, i), 1, H5Tget_size(H5Tget_member_type(p.type, i)));
    const size_t first = (size_t)rh_below(&tree->random, (int)size);
    for (size_t i = 0; i < size; i++) {
        const size_t at = (first + i) % size;
        if (!used[at]) {
            p.at[at] ^= 0x5a;
            return true;
        }
    }
    return false;
}

static const struct {
    const char *name;
    H5T_class_t class;
    bool (*apply)(rh_tree *tree, place p);
} changes[] = {
    {"float", H5T_FLOAT, change_float},
    {"ulp", H5T_FLOAT, change_ulp},
    {"zero-sign", H5T_FLOAT, change_zero_sign},
    {"nan-payload", H5T_FLOAT, change_nan_payload},
    {"nan", H5T_FLOAT, change_to_nan},
    {"integer", H5T_INTEGER, change_integer},
    {"integer-padding", H5T_INTEGER, change_integer_padding},
    {"string", H5T_STRING, change_string},
    {"string-tail", H5T_STRING, change_string_tail},
    {"enum", H5T_ENUM, change_enum},
    {"opaque", H5T_OPAQUE, change_bytes},
    {"bit", H5T_BITFIELD, change_bytes},
    {"reference", H5T_REFERENCE, change_reference},
    {"length", H5T_VLEN, change_length},
    {"gap", H5T_COMPOUND, change_gap},
};

/* A random part of an element, as deep as it goes, or of class `wanted`. */
static place descend(rh_tree *tree, place p, H5T_class_t wanted)
{
    const H5T_class_t class = H5Tget_class(p.type);
    hvl_t sequence;
    if (class == wanted && rh_one_in(&tree->random, 2))
        return p;
    if (class == H5T_COMPOUND) {
        const unsigned i = (unsigned)rh_below(&tree->random, H5Tget_nmembers(p.type));
        return descend(tree, (place){H5Tget_member_type(p.type, i), p.at + H5Tget_member_offset(p.type, i)}, wanted);
    }
    if (class == H5T_ARRAY) {
        hid_t base = rh_good(H5Tget_super(p.type));
        const size_t size = H5Tget_size(base), n = H5Tget_size(p.type) / size;
        return descend(tree, (place){base, p.at + size * (size_t)rh_below(&tree->random, (int)n)}, wanted);
    }
    if (class != H5T_VLEN)
        return p;
    memcpy(&sequence, p.at, sizeof sequence);
    if (sequence.len == 0)
        return p;
    hid_t base = rh_good(H5Tget_super(p.type));
    uint8_t *at = (uint8_t *)sequence.p + H5Tget_size(base) * (size_t)rh_below(&tree->random, (int)sequence.len);
    return descend(tree, (place){base, at}, wanted);
}

bool rh_change_values(rh_tree *tree, const char *name, rh_values *values, const char **leaf)
{
    size_t i = 0;
    while (strcmp(changes[i].name, name) != 0)
        i++;
    const hsize_t count = rh_count(values);
    if (count == 0)
        return false;
    const hsize_t element = (hsize_t)rh_below(&tree->random, (int)count);
    const place whole = {values->type, values->data + element * H5Tget_size(values->type)};
    const place p = descend(tree, whole, changes[i].class);
    if (H5Tget_class(p.type) != changes[i].class || !changes[i].apply(tree, p))
        return false;
    *leaf = rh_class_name(p.type);
    if (values->rank > 0)
        values->written = values->shape[0];
    return true;
}
