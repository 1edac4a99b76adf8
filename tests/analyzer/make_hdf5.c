/* make_hdf5 DIRECTORY - pairs of HDF5 files that golden runs compare: NAME-a.h5 and NAME-b.h5, and a few single ones.
 */
#include <hdf5.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Ends the program where the library fails: an example that was not made is no example. */
static hid_t sure(hid_t id)
{
    if (id < 0) {
        fputs("make_hdf5: the HDF5 library failed\n", stderr);
        exit(EXIT_FAILURE);
    }
    return id;
}

static hid_t begin(const char *name, bool is_b)
{
    char path[64];
    snprintf(path, sizeof path, "%s-%c.h5", name, is_b ? 'b' : 'a');
    return sure(H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT));
}

static void group(hid_t at, const char *name)
{
    H5Gclose(sure(H5Gcreate2(at, name, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT)));
}

/* A simple extent; rank 0 is a scalar, -1 null. */
static hid_t extent(int rank, const hsize_t *dims)
{
    return sure(rank > 0 ? H5Screate_simple(rank, dims, NULL) : H5Screate(rank ? H5S_NULL : H5S_SCALAR));
}

/* A dataset of the file type `type`, its values given as `memory`. */
static void dataset(hid_t at, const char *name, hid_t type, hid_t memory, int rank, const hsize_t *dims,
                    const void *values)
{
    const hid_t space = extent(rank, dims);
    const hid_t set = sure(H5Dcreate2(at, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    if (values)
        sure(H5Dwrite(set, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, values));
    H5Dclose(set);
    H5Sclose(space);
}

static void attribute(hid_t at, const char *object, const char *name, hid_t type, int rank, const hsize_t *dims,
                      const void *values)
{
    const hid_t space = extent(rank, dims);
    const hid_t made = sure(H5Acreate_by_name(at, object, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    if (values)
        sure(H5Awrite(made, type, values));
    H5Aclose(made);
    H5Sclose(space);
}

static hid_t text_type(size_t size)
{
    const hid_t type = sure(H5Tcopy(H5T_C_S1));
    H5Tset_size(type, size);
    return type;
}

static void text_attribute(hid_t at, const char *object, const char *name, const char *text)
{
    const hid_t type = text_type(H5T_VARIABLE);
    attribute(at, object, name, type, 0, NULL, &text);
    H5Tclose(type);
}

/* n floats that no rounding touches. */
static float *numbers(int n, int seed)
{
    float *out = malloc((size_t)n * sizeof *out);
    for (int i = 0; out && i < n; i++)
        out[i] = (float)((i * 37 + seed * 11) % 256 - 128) / 64;
    return out;
}

/* ---- a model as Keras saves it ---- */

static void layer(hid_t file, const char *name, int in, int out, int seed, bool change)
{
    char path[96];
    float *kernel = numbers(in * out, seed), *bias = numbers(out, seed + 1);
    if (change) {
        kernel[out + 2] += 0.25f;
        kernel[in * out - 1] = nextafterf(kernel[in * out - 1], 9);
    }
    snprintf(path, sizeof path, "model_weights/%s", name);
    group(file, path);
    snprintf(path, sizeof path, "model_weights/%s/kernel:0", name);
    dataset(file, path, H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, 2, (const hsize_t[]){(hsize_t)in, (hsize_t)out}, kernel);
    snprintf(path, sizeof path, "model_weights/%s/bias:0", name);
    dataset(file, path, H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, 1, (const hsize_t[]){(hsize_t)out}, bias);
    free(kernel);
    free(bias);
}

static void make_model(bool is_b)
{
    const hid_t file = begin("model", is_b);
    const int64_t iterations = is_b ? 1875 : 1874;
    group(file, "model_weights");
    layer(file, "dense", 8, 4, 1, is_b);
    layer(file, is_b ? "dense_2" : "dense_1", 4, 3, 2, false);
    group(file, "optimizer_weights");
    dataset(file, "optimizer_weights/iterations:0", H5T_STD_I64LE, H5T_NATIVE_INT64, 0, NULL, &iterations);
    text_attribute(file, ".", "keras_version", is_b ? "2.13.1" : "2.12.0");
    text_attribute(file, ".", "backend", "tensorflow");
    text_attribute(file, ".", "model_config",
                   is_b ? "{\"class_name\": \"Sequential\", \"config\": {\"name\": \"sequential\", \"layers\": "
                          "[{\"units\": 64}]}}"
                        : "{\"class_name\": \"Sequential\", \"config\": {\"name\": \"sequential\", \"layers\": "
                          "[{\"units\": 32}]}}");
    H5Fclose(file);
}

/* ---- what can differ apart from values ---- */

static void make_objects(bool b)
{
    static const float values[6] = {1, 2, 3, 4, 5, 6};
    static const hsize_t shape[2] = {2, 3}, turned[2] = {3, 2}, none[2] = {0, 3};
    const hid_t file = begin("objects", b), f32 = H5T_IEEE_F32LE, native = H5T_NATIVE_FLOAT;
    dataset(file, "byte order", b ? H5T_IEEE_F32BE : f32, native, 2, shape, values);
    dataset(file, "empty", f32, native, 2, none, NULL);
    dataset(file, "null", f32, native, b ? 0 : -1, NULL, b ? values : NULL);
    dataset(file, "scalar", f32, native, b ? 1 : 0, (const hsize_t[]){1}, values);
    dataset(file, "shape", f32, native, 2, b ? turned : shape, values);
    dataset(file, "type", b ? H5T_IEEE_F64LE : f32, native, 2, shape, values);
    dataset(file, "type and shape", b ? H5T_STD_I32LE : f32, native, 2, b ? turned : shape, values);
    dataset(file, b ? "only b" : "only a", f32, native, 2, shape, values);
    group(file, "group");
    group(file, b ? "group/only b" : "group/only a");
    if (b)
        group(file, "kind");
    else
        dataset(file, "kind", f32, native, 0, NULL, values);
    text_attribute(file, "group", b ? "only b" : "only a", "x");
    text_attribute(file, "group", "units", b ? "kg" : "m");
    attribute(file, "group", "version", b ? H5T_NATIVE_INT64 : H5T_NATIVE_INT32, 0, NULL, &(int64_t){3});
    const hid_t named = sure(H5Tcopy(b ? H5T_STD_I16LE : H5T_STD_I32LE));
    sure(H5Tcommit2(file, "named type", named, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    H5Tclose(named);
    H5Lcreate_soft(b ? "/type" : "/shape", file, "soft", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_soft("/nowhere", file, "soft, the same", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_external("other.h5", b ? "/y" : "/x", file, "external", H5P_DEFAULT, H5P_DEFAULT);
    H5Fclose(file);
}

/* ---- a dataset of every class ---- */

typedef struct particle {
    double mass;
    float position[3];
    int32_t charge;
} particle;

static void make_compound(hid_t file, bool b)
{
    const hid_t position = sure(H5Tarray_create2(H5T_NATIVE_FLOAT, 1, (const hsize_t[]){3}));
    const hid_t type = sure(H5Tcreate(H5T_COMPOUND, sizeof(particle)));
    if (b) /* the order of members does not matter */
        H5Tinsert(type, "charge", HOFFSET(particle, charge), H5T_NATIVE_INT32);
    H5Tinsert(type, "mass", HOFFSET(particle, mass), H5T_NATIVE_DOUBLE);
    H5Tinsert(type, "position", HOFFSET(particle, position), position);
    if (!b)
        H5Tinsert(type, "charge", HOFFSET(particle, charge), H5T_NATIVE_INT32);
    const particle values[3] = {{1, {0, 0, 1}, 1}, {2, {0, b ? 0.5f : 0, 1}, -1}, {3, {1, 1, 1}, b ? 2 : 0}};
    dataset(file, "compound", type, type, 1, (const hsize_t[]){3}, values);
    H5Tclose(type);
    H5Tclose(position);
}

/* A compound whose member has another type, and one whose member has another name. */
static void make_members(bool b)
{
    const hid_t file = begin("members", b), inner = sure(H5Tcreate(H5T_COMPOUND, 8)),
                type = sure(H5Tcreate(H5T_COMPOUND, 16));
    H5Tinsert(inner, "x", 0, H5T_NATIVE_FLOAT);
    H5Tinsert(inner, "y", 4, b ? H5T_NATIVE_INT32 : H5T_NATIVE_FLOAT);
    H5Tinsert(type, "at", 0, inner);
    H5Tinsert(type, "mass", 8, H5T_NATIVE_DOUBLE);
    dataset(file, "nested", type, type, 1, (const hsize_t[]){2}, NULL);
    H5Tclose(type);
    const hid_t other = sure(H5Tcreate(H5T_COMPOUND, 8));
    H5Tinsert(other, "x", 0, H5T_NATIVE_FLOAT);
    H5Tinsert(other, b ? "z" : "y", 4, H5T_NATIVE_FLOAT);
    dataset(file, "renamed", other, other, 1, (const hsize_t[]){2}, NULL);
    H5Tclose(other);
    H5Tclose(inner);
    H5Fclose(file);
}

/* The same names, other numbers. */
static void make_enum(hid_t file, bool b)
{
    static const char *const names[] = {"RED", "GREEN", "BLUE"};
    const hid_t type = sure(H5Tenum_create(H5T_STD_I8LE));
    for (int8_t i = 0; i < 3; i++)
        sure(H5Tenum_insert(type, names[i], &(int8_t){(int8_t)(b ? 10 * i : i)}));
    const int8_t values[2][4] = {{0, 1, 2, 1}, {0, 10, 20, 20}};
    dataset(file, "enum", type, type, 1, (const hsize_t[]){4}, values[b]);
    H5Tclose(type);
}

static void make_strings(hid_t file, bool b)
{
    const hid_t fixed = text_type(b ? 12 : 8), padded = text_type(6), variable = text_type(H5T_VARIABLE);
    const char values[2][2][12] = {{"one", "two"}, {"one", "three"}};
    const char *const pointers[2] = {"a\n\"b\"", b ? "\xc3\xa9" : "e"};
    char narrow[2][8] = {"one", "two"};
    H5Tset_strpad(padded, b ? H5T_STR_SPACEPAD : H5T_STR_NULLPAD);
    dataset(file, "string, fixed", fixed, fixed, 1, (const hsize_t[]){2}, b ? (const void *)values[1] : narrow);
    dataset(file, "string, padded", padded, padded, 0, NULL, b ? "abc   " : "abc\0\0\0");
    dataset(file, "string, variable", variable, variable, 1, (const hsize_t[]){2}, pointers);
    if (b)
        dataset(file, "string, either", variable, variable, 0, NULL, &(const char *){"text"});
    else
        dataset(file, "string, either", fixed, fixed, 0, NULL, "text\0\0\0");
    H5Tclose(fixed);
    H5Tclose(padded);
    H5Tclose(variable);
}

static void make_sequences(hid_t file, bool b)
{
    int32_t one[] = {1, 2, 3}, two[] = {4, b ? 6 : 5, 7};
    hvl_t values[3] = {{3, one}, {2, two}, {b ? 1 : 0, two}};
    const hid_t type = sure(H5Tvlen_create(H5T_NATIVE_INT32));
    dataset(file, "sequence", type, type, 1, (const hsize_t[]){3}, values);
    H5Tclose(type);
}

static void make_bytes(hid_t file, bool b)
{
    const hid_t opaque = sure(H5Tcreate(H5T_OPAQUE, 4));
    const uint8_t bits = b ? 0x0f : 0x1f;
    H5Tset_tag(opaque, "four bytes");
    dataset(file, "opaque", opaque, opaque, 0, NULL, b ? "\1\2\3\5" : "\1\2\3\4");
    dataset(file, "bitfield", H5T_STD_B8LE, H5T_STD_B8LE, 0, NULL, &bits);
    dataset(file, "time", H5T_UNIX_D32LE, H5T_UNIX_D32LE, 0, NULL, b ? "\1\0\0\0" : "\2\0\0\0");
    H5Tclose(opaque);
}

static void make_references(hid_t file, bool b)
{
    hobj_ref_t objects[3];
    hdset_reg_ref_t region;
    const hid_t space = extent(1, (const hsize_t[]){3});
    memset(objects, 0, sizeof objects);
    sure(H5Rcreate(&objects[0], file, "/compound", H5R_OBJECT, -1));
    sure(H5Rcreate(&objects[1], file, b ? "/enum" : "/opaque", H5R_OBJECT, -1));
    sure(H5Sselect_hyperslab(space, H5S_SELECT_SET, (const hsize_t[]){b}, NULL, (const hsize_t[]){2}, NULL));
    sure(H5Rcreate(&region, file, "/compound", H5R_DATASET_REGION, space));
    dataset(file, "reference to objects", H5T_STD_REF_OBJ, H5T_STD_REF_OBJ, 1, (const hsize_t[]){3}, objects);
    dataset(file, "reference to a region", H5T_STD_REF_DSETREG, H5T_STD_REF_DSETREG, 0, NULL, &region);
    H5Sclose(space);
}

static hid_t float_type(size_t size, size_t sign, size_t exponent_bits, size_t mantissa_bits, size_t bias)
{
    const hid_t type = sure(H5Tcopy(H5T_IEEE_F32LE));
    sure(H5Tset_fields(type, sign, mantissa_bits, exponent_bits, 0, mantissa_bits));
    sure(H5Tset_precision(type, 8 * size));
    sure(H5Tset_size(type, size));
    sure(H5Tset_ebias(type, bias));
    return type;
}

static void make_numbers(hid_t file, bool b)
{
    const uint16_t f16[2][2] = {{0x3c00, 0x7e00}, {0x3c01, 0x3c00}}, bf16[2] = {0x3f80, 0x4000};
    const float f24[2] = {1.5f, 1.75f};
    const int32_t i24[2] = {-8388608, 8388607};
    const long double wide[2] = {1.0L, 1.0L + 0x1p-63L};
    const hid_t half = float_type(2, 15, 5, 10, 15), brain = float_type(2, 15, 8, 7, 127),
                odd = float_type(3, 23, 7, 16, 63), small = sure(H5Tcopy(H5T_STD_I32LE));
    sure(H5Tset_precision(small, 24));
    sure(H5Tset_size(small, 3));
    dataset(file, "number bf16", brain, brain, 0, NULL, &bf16[b]);
    dataset(file, "number f16", half, half, 1, (const hsize_t[]){2}, f16[b]);
    dataset(file, "number f24", odd, H5T_NATIVE_FLOAT, 0, NULL, &f24[b]);
    dataset(file, "number i24", small, H5T_NATIVE_INT32, 0, NULL, &i24[b]);
    dataset(file, "number i64", H5T_STD_I64BE, H5T_NATIVE_INT64, 0, NULL, &(int64_t){INT64_MIN + b});
    dataset(file, "number f80", H5T_NATIVE_LDOUBLE, H5T_NATIVE_LDOUBLE, 0, NULL, &wide[b]);
    H5Tclose(half);
    H5Tclose(brain);
    H5Tclose(odd);
    H5Tclose(small);
}

static void make_classes(bool b)
{
    const hid_t file = begin("classes", b);
    make_compound(file, b);
    make_enum(file, b);
    make_strings(file, b);
    make_sequences(file, b);
    make_bytes(file, b);
    make_references(file, b);
    make_numbers(file, b);
    H5Fclose(file);
}

/* ---- numbers ---- */

static void make_floats(bool b)
{
    const hid_t file = begin("floats", b);
    float close[6] = {1, 2, 0, NAN, INFINITY, 100}, others[6] = {1, 2.0000002f, -0.0f, -NAN, INFINITY, 101};
    const double same[3] = {0.5, 1e300, -3};
    dataset(file, "f32", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, 1, (const hsize_t[]){6}, b ? others : close);
    dataset(file, "f64", H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, 1, (const hsize_t[]){3}, same);
    H5Fclose(file);
}

static void make_types(bool b)
{
    const hid_t file = begin("types", b);
    const float f32[3] = {1, 0.5f, 3};
    const double f64[3] = {1, 0.5, 3.125};
    const int64_t i64[2] = {-1, INT64_MAX};
    const uint64_t u64[2] = {UINT64_MAX, INT64_MAX};
    const double rounded[2] = {9007199254740992.0, 9223372036854775808.0};
    const int64_t whole[2] = {9007199254740993, INT64_MAX};
    if (b) {
        dataset(file, "float", H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, 1, (const hsize_t[]){3}, f64);
        dataset(file, "integer", H5T_STD_U64LE, H5T_NATIVE_UINT64, 1, (const hsize_t[]){2}, u64);
        dataset(file, "rounded", H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, 1, (const hsize_t[]){2}, rounded);
    } else {
        dataset(file, "float", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, 1, (const hsize_t[]){3}, f32);
        dataset(file, "integer", H5T_STD_I64LE, H5T_NATIVE_INT64, 1, (const hsize_t[]){2}, i64);
        dataset(file, "rounded", H5T_STD_I64LE, H5T_NATIVE_INT64, 1, (const hsize_t[]){2}, whole);
    }
    H5Fclose(file);
}

/* ---- graphs that are no trees ---- */

static void make_links(bool b)
{
    const hid_t file = begin("links", b);
    group(file, "group");
    H5Lcreate_hard(file, "/", file, "group/up", H5P_DEFAULT, H5P_DEFAULT);
    dataset(file, "group/data", H5T_STD_I32LE, H5T_NATIVE_INT, 0, NULL, &(int){b});
    H5Lcreate_hard(file, "group/data", file, "again", H5P_DEFAULT, H5P_DEFAULT);
    H5Fclose(file);
}

static void make_deep(void)
{
    const hid_t file = sure(H5Fcreate("deep.h5", H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT));
    hid_t at = sure(H5Gopen2(file, "/", H5P_DEFAULT));
    for (int i = 0; i < 1001; i++) {
        const hid_t next = sure(H5Gcreate2(at, "g", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
        H5Gclose(at);
        at = next;
    }
    H5Gclose(at);
    H5Fclose(file);
}

static void make_many(bool b)
{
    char name[16];
    const hid_t file = begin("many", b);
    for (int i = 0; i < 24; i++) {
        snprintf(name, sizeof name, "d%02d", i);
        dataset(file, name, H5T_STD_I32LE, H5T_NATIVE_INT, 0, NULL, &(int){b ? -i : i});
    }
    H5Fclose(file);
}

int main(int argc, char **argv)
{
    if (argc != 2 || chdir(argv[1]) != 0) {
        fputs("usage: make_hdf5 DIRECTORY\n", stderr);
        return EXIT_FAILURE;
    }
    for (int b = 0; b < 2; b++) {
        make_model(b);
        make_objects(b);
        make_classes(b);
        make_members(b);
        make_floats(b);
        make_types(b);
        make_links(b);
        make_many(b);
    }
    make_deep();
    return EXIT_SUCCESS;
}
