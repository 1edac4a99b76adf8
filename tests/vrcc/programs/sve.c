/* Arithmetic of one processor that is not this one: compiled only. */
#include <arm_sve.h>

svfloat32_t by_lane(svfloat32_t a, svfloat32_t b)
{
    return svmul_lane_f32(a, b, 1);
}

svfloat64_t added_by_lane(svfloat64_t a, svfloat64_t b, svfloat64_t c)
{
    return svmla_lane_f64(a, b, c, 1);
}
