/* check_narrow.h - holds half arithmetic, conversions and comparisons against MPFR: rounding.h has no functions for
 * them. */
#ifndef VRCC_TEST_CHECK_NARROW_H
#define VRCC_TEST_CHECK_NARROW_H

#include <stddef.h>
#include <varanalyze/rounding.h>

/* The number of functions that are wrong, which are told. */
unsigned check_halves(const vr_rounding *rounding, size_t count);
unsigned check_conversions(const vr_rounding *rounding, size_t count);

#endif
