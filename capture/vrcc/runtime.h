/* runtime.h - what a program compiled with vrcc is linked with: how instrumented functions ask what to do.
 *
 * Every instrumented function is a few instructions that look at its record and go on in one of its bodies: the one the
 * compiler made of the source (plain), or the rounded one, whose operations are calls through a table: of functions
 * that round stochastically (sr), up and down (ud), or call the functions below for everything else (calls). See
 * table.h.
 */
#ifndef VRCC_RUNTIME_H
#define VRCC_RUNTIME_H

#include "items.h"

#include <pthread.h>
#include <stdint.h>

enum vrcc_body { VRCC_UNDECIDED, VRCC_PLAIN, VRCC_SR, VRCC_UD, VRCC_CALLS };

#define VRCC_OPERATIONS 6 /* vr_operation */

/* What is counted: operations, then these. */
enum vrcc_count { VRCC_COUNT_CONVERSION = VRCC_OPERATIONS, VRCC_COUNT_COMPARISON, VRCC_COUNTS, VRCC_COUNT_NONE };

/* A line of a function of the source that has operations. places_write.c writes the same structure in LLVM's words. */
typedef struct vrcc_place {
    const vrcc_source *source;
    uint64_t *counts;        /* VRCC_COUNTS, of what was executed */
    struct vrcc_place *next; /* of those that were decided, the latest first */
    uint32_t line;
    uint8_t choice; /* enum vrcc_choice; written once */
} vrcc_place;

enum vrcc_place_choice { VRCC_PLACE_UNDECIDED, VRCC_PLACE_LEFT, VRCC_PLACE_CHOSEN };

/* A function as the compiler made it, with the operations of all that was inlined into it. rewrite.c writes the same
 * structure. */
typedef struct vrcc_function {
    uint8_t body;       /* enum vrcc_body; written once */
    uint32_t count;     /* of its places */
    vrcc_place *places; /* of its module */
    const uint32_t *numbers;
} vrcc_function;

/* vr_operand_keys by vr_operation; constant once any function is decided. */
extern uint64_t vrcc_keys[VRCC_OPERATIONS];

/* Decides which body a function has, by its places and the environment. */
uint8_t vrcc_decide(vrcc_function *function);

/* What the tables of SR and UD hand on, being out of the ordinary: the mode is VR_ROUND_SR or VR_ROUND_UD. */
float vrcc_slow_f32(int mode, int op, float a, float b, float c);
double vrcc_slow_f64(int mode, int op, double a, double b, double c);

/* Any operation in the mode, precision and source of bits that the environment says, if the place is chosen, else to
 * nearest; counted for it. */
float vrcc_call_f32(vrcc_place *place, int op, float a, float b, float c);
double vrcc_call_f64(vrcc_place *place, int op, double a, double b, double c);

/* The same for vectors: all lanes of the first operand, then of the next; the results in the place of the first. */
void vrcc_slow_lanes_f32(int mode, int op, int lanes, float *x);
void vrcc_slow_lanes_f64(int mode, int op, int lanes, double *x);
void vrcc_call_lanes_f32(vrcc_place *place, int op, int lanes, float *x);
void vrcc_call_lanes_f64(vrcc_place *place, int op, int lanes, double *x);

/* The same for numbers of half or bfloat (`type`: a vr_dtype), rounded once to their numbers, subnormal ones too. */
float vrcc_call_narrow(vrcc_place *place, int op, int type, float a, float b, float c);

/* Conversions from f64 or f32 to a type, from 64 bits to a type: what is inexact rounds in the mode, what is exact
 * stays in every mode. A number of the type `to`. */
double vrcc_convert(vrcc_place *place, int from, int to, double x);
double vrcc_convert_integer(vrcc_place *place, int is_unsigned, int to, int64_t x);

/* An operand of a comparison, a number of `type`, at the precision of the environment; `counted` for the first. */
double vrcc_compared(vrcc_place *place, int type, int counted, double x);

/* An operation on what is at an address, atomic, sequentially consistent; what was there before. */
float vrcc_atomic_f32(vrcc_place *place, int op, float *at, float x);
double vrcc_atomic_f64(vrcc_place *place, int op, double *at, double x);

/* pthread_create, in the place of which instrumented code has it: the thread's stream depends on who creates it. */
int vrcc_thread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*routine)(void *), void *argument);

#endif
