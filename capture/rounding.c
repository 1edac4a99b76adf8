/* Names, and the functions of rounding.h for those who call them. */
#define VR_ROUNDING_INLINE
#define VR_ROUNDING_PART static inline __attribute__((unused))
#define VR_ROUNDING_STRICT
#include <varanalyze/rounding.h>

#include <fail.h>
#include <string.h>

static const char *const names[VR_ROUND_MODES] = {
    [VR_ROUND_NEAREST] = "nearest", [VR_ROUND_SR] = "sr",     [VR_ROUND_UD] = "ud",
    [VR_ROUND_UP] = "up",           [VR_ROUND_DOWN] = "down", [VR_ROUND_ZERO] = "zero",
    [VR_ROUND_RR] = "rr",           [VR_ROUND_PB] = "pb",     [VR_ROUND_MCA] = "mca",
};

const char *vr_rounding_name(vr_rounding_mode mode)
{
    return (unsigned)mode < VR_ROUND_MODES ? names[mode] : "?";
}

vr_status vr_rounding_parse(vr_rounding_mode *out, const char *name)
{
    for (int mode = 0; mode < VR_ROUND_MODES; mode++) {
        if (strcmp(name, names[mode]) == 0) {
            *out = (vr_rounding_mode)mode;
            return VR_OK;
        }
    }
    return vr_fail(VR_ERROR_ARGUMENT,
                   "no rounding mode \"%s\"; use one of nearest, sr, ud, up, down, zero, rr, pb, mca", name);
}
