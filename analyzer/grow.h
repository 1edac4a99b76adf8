/* grow.h - arrays that grow one by one. */
#ifndef VA_GROW_H
#define VA_GROW_H

#include <stdlib.h>

/* `array` of `count` elements of `size` bytes with room for one more; NULL without memory, and it is as it was. */
static inline void *va_one_more(void *array, size_t count, size_t *room, size_t size)
{
    if (count < *room)
        return array;
    const size_t more = *room ? *room * 2 : 16;
    void *grown = reallocarray(array, more, size);
    if (grown)
        *room = more;
    return grown;
}

#endif
