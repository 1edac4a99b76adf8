/* queue.h - the bounded queue between a training program and the thread that writes its trace; see libtrace/journal.h.
 *
 * Frames are put by one caller at a time (under the run's lock). What has been put survives the process.
 */
#ifndef VR_QUEUE_H
#define VR_QUEUE_H

#include <libtrace/journal.h>

typedef struct vr_queue vr_queue;

/* Creates the journal `path` with a queue of about `bytes` (less where the disk or a limit on file sizes asks for it)
 * and starts the writer. A journal left by a killed run is kept, as PATH.old. Fails with VR_ERROR_IO, also when another
 * run is writing that journal, or VR_ERROR_MEMORY. */
vr_status vr_queue_open(vr_queue **out, const char *path, size_t bytes);

/* Puts a frame whose payload is `head`, then `body`; at most vr_queue_limit bytes together. Waits while the queue is
 * full. False when the frame was dropped: the writer has failed, or this is a forked child. */
bool vr_queue_put(vr_queue *queue, uint32_t type, const void *head, size_t head_size, const void *body,
                  size_t body_size);

size_t vr_queue_limit(const vr_queue *queue);

/* Notes in the journal that frames were dropped, from `step` on. */
void vr_queue_set_incomplete(vr_queue *queue, uint64_t step);

/* Whether this is a forked child, which has the queue but not its writer. */
bool vr_queue_is_forked(const vr_queue *queue);

/* errno of the writer's failure, 0 while there is none. */
int vr_queue_error(const vr_queue *queue);

/* Waits until everything is written and ends the writer. Frames put afterwards are dropped. */
void vr_queue_drain(vr_queue *queue);

/* Drains, and frees. The journal stays. NULL is fine. */
void vr_queue_close(vr_queue *queue);

/* Writing past the limit on file sizes raises SIGXFSZ, which would end the program: held back between these two. */
typedef struct vr_signal_hold {
    int was_blocked;
} vr_signal_hold;

vr_signal_hold vr_signal_hold_begin(void);
void vr_signal_hold_end(vr_signal_hold hold);

#endif
