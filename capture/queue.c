#include "queue.h"

#include <errno.h>
#include <fcntl.h>
#include <formats/fail.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct vr_queue {
    vr_journal_header *header; /* mapped, with the ring behind it */
    uint8_t *ring;
    uint64_t ring_bytes, mapped;
    int fd;
    _Atomic int error; /* errno of the writer */
    _Atomic bool forked;
    bool ended; /* under `lock`, as the waiting */
    bool running;
    pthread_t writer;
    pthread_mutex_t lock;
    pthread_cond_t work, space;
    vr_queue *next; /* in the list of open queues */
};

static pthread_mutex_t open_lock = PTHREAD_MUTEX_INITIALIZER;
static vr_queue *open_queues;

/* A forked child shares the ring and the lock on the journal but has no writer: it lets go of both. */
static void leave_to_parent(void)
{
    for (vr_queue *queue = open_queues; queue; queue = queue->next) {
        queue->forked = true;
        close(queue->fd);
    }
    pthread_mutex_init(&open_lock, NULL);
}

static void hold_list(void)
{
    pthread_mutex_lock(&open_lock);
}

static void release_list(void)
{
    pthread_mutex_unlock(&open_lock);
}

static void watch_forks(void)
{
    pthread_atfork(hold_list, release_list, leave_to_parent);
}

static void enlist(vr_queue *queue)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, watch_forks);
    pthread_mutex_lock(&open_lock);
    queue->next = open_queues;
    open_queues = queue;
    pthread_mutex_unlock(&open_lock);
}

static void delist(vr_queue *queue)
{
    pthread_mutex_lock(&open_lock);
    vr_queue **at = &open_queues;
    while (*at && *at != queue)
        at = &(*at)->next;
    if (*at)
        *at = queue->next;
    pthread_mutex_unlock(&open_lock);
}

vr_signal_hold vr_signal_hold_begin(void)
{
    sigset_t xfsz, before;
    sigemptyset(&xfsz);
    sigaddset(&xfsz, SIGXFSZ);
    pthread_sigmask(SIG_BLOCK, &xfsz, &before);
    return (vr_signal_hold){sigismember(&before, SIGXFSZ)};
}

void vr_signal_hold_end(vr_signal_hold hold)
{
    if (hold.was_blocked)
        return;
    sigset_t xfsz;
    sigemptyset(&xfsz);
    sigaddset(&xfsz, SIGXFSZ);
    const struct timespec now = {0};
    while (sigtimedwait(&xfsz, NULL, &now) > 0)
        ;
    pthread_sigmask(SIG_UNBLOCK, &xfsz, NULL);
}

static int write_all(int fd, const uint8_t *bytes, uint64_t size, uint64_t offset)
{
    while (size > 0) {
        const ssize_t n = pwrite(fd, bytes, size, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? errno : EIO;
        bytes += n;
        offset += (uint64_t)n;
        size -= (uint64_t)n;
    }
    return 0;
}

/* Moves what the ring holds, up to its wrap, to the log. */
static int write_some(vr_queue *queue, uint64_t tail, uint64_t head)
{
    const uint64_t start = tail % queue->ring_bytes, room = queue->ring_bytes - start;
    const uint64_t size = head - tail < room ? head - tail : room;
    const int error = write_all(queue->fd, queue->ring + start, size, VR_JOURNAL_PAGE + queue->ring_bytes + tail);
    if (error == 0)
        atomic_store_explicit(&queue->header->tail, tail + size, memory_order_release);
    return error;
}

static uint64_t pending(const vr_queue *queue)
{
    return atomic_load_explicit(&queue->header->head, memory_order_acquire) -
           atomic_load_explicit(&queue->header->tail, memory_order_acquire);
}

/* The writer. A quarter of the ring is worth a write; until then what the ring holds is safe where it is. */
static void *write_log(void *argument)
{
    vr_queue *queue = argument;
    pthread_mutex_lock(&queue->lock);
    while (!queue->error && (!queue->ended || pending(queue) > 0)) {
        if (pending(queue) < queue->ring_bytes / 4 && !queue->ended) {
            pthread_cond_wait(&queue->work, &queue->lock);
            continue;
        }
        pthread_mutex_unlock(&queue->lock);
        const int error = write_some(queue, queue->header->tail, queue->header->head);
        pthread_mutex_lock(&queue->lock);
        if (error)
            queue->error = error;
        pthread_cond_broadcast(&queue->space);
    }
    pthread_mutex_unlock(&queue->lock);
    return NULL;
}

static vr_status start_writer(vr_queue *queue, const char *path)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int error = pthread_create(&queue->writer, NULL, write_log, queue);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    queue->running = error == 0;
    return error ? vr_fail_errno(error, "%s: cannot start the writer's thread", path) : VR_OK;
}

/* Whether the open file still has that name: the run that wrote it may have ended and removed it before this one had
 * its lock. */
static bool is_named(int fd, const char *path)
{
    struct stat file, named;
    return fstat(fd, &file) == 0 && stat(path, &named) == 0 && file.st_dev == named.st_dev &&
           file.st_ino == named.st_ino;
}

/* Opens and locks the journal, made if it is not there. */
static vr_status lock_journal(vr_queue *queue, const char *path)
{
    for (;;) {
        queue->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (queue->fd < 0)
            return vr_fail_errno(errno, "%s: cannot create", path);
        struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        const int error = fcntl(queue->fd, F_OFD_SETLK, &lock) == 0 ? 0 : errno;
        if (error == EAGAIN || error == EACCES)
            return vr_fail(VR_ERROR_IO,
                           "%s: another run is writing this trace; give each its own: %%p becomes the process id",
                           path);
        if (error)
            return vr_fail_errno(error, "%s: cannot lock", path);
        if (is_named(queue->fd, path))
            return VR_OK;
        close(queue->fd);
    }
}

/* A journal that a killed run left is the only copy of its trace: it is kept, as PATH.old. */
static vr_status keep_old_journal(vr_queue *queue, const char *path)
{
    struct stat file;
    char *old = NULL;
    if (fstat(queue->fd, &file) == 0 && file.st_size == 0)
        return VR_OK;
    if (asprintf(&old, "%s.old", path) < 0)
        return vr_fail(VR_ERROR_MEMORY, "%s: out of memory", path);
    const vr_status status =
        rename(path, old) == 0 ? VR_OK : vr_fail_errno(errno, "%s: cannot keep it as %s", path, old);
    free(old);
    close(queue->fd);
    queue->fd = -1;
    return status == VR_OK ? lock_journal(queue, path) : status;
}

static vr_status create_journal(vr_queue *queue, const char *path)
{
    const vr_status status = lock_journal(queue, path);
    return status == VR_OK ? keep_old_journal(queue, path) : status;
}

/* Reserves header and ring on the disk, so that writing to the mapping cannot fail; with less room, a smaller ring. */
static vr_status reserve_ring(vr_queue *queue, const char *path, size_t bytes)
{
    struct rlimit limit;
    const uint64_t most = getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY ? limit.rlim_cur / 4
                                                                                                  : VR_JOURNAL_MAX_RING;
    uint64_t ring = (bytes + VR_JOURNAL_PAGE - 1) / VR_JOURNAL_PAGE * VR_JOURNAL_PAGE;
    ring = ring < VR_JOURNAL_MIN_RING ? VR_JOURNAL_MIN_RING : ring > VR_JOURNAL_MAX_RING ? VR_JOURNAL_MAX_RING : ring;
    while (ring > most && ring / 2 >= VR_JOURNAL_MIN_RING)
        ring = ring / 2 / VR_JOURNAL_PAGE * VR_JOURNAL_PAGE;
    int error;
    while ((error = posix_fallocate(queue->fd, 0, (off_t)(VR_JOURNAL_PAGE + ring))) != 0) {
        if (ring / 2 < VR_JOURNAL_MIN_RING || ftruncate(queue->fd, 0) != 0)
            return vr_fail_errno(error, "%s: no room for the trace", path);
        ring = ring / 2 / VR_JOURNAL_PAGE * VR_JOURNAL_PAGE;
    }
    queue->ring_bytes = ring;
    queue->mapped = VR_JOURNAL_PAGE + ring;
    return VR_OK;
}

static vr_status map_ring(vr_queue *queue, const char *path)
{
    void *mapping = mmap(NULL, queue->mapped, PROT_READ | PROT_WRITE, MAP_SHARED, queue->fd, 0);
    if (mapping == MAP_FAILED)
        return vr_fail_errno(errno, "%s: cannot map", path);
    queue->header = mapping;
    queue->ring = (uint8_t *)mapping + VR_JOURNAL_PAGE;
    queue->header->version = VR_JOURNAL_VERSION;
    queue->header->ring_bytes = queue->ring_bytes;
    memcpy(queue->header->magic, VR_JOURNAL_MAGIC, sizeof queue->header->magic);
    return VR_OK;
}

vr_status vr_queue_open(vr_queue **out, const char *path, size_t bytes)
{
    vr_queue *queue = calloc(1, sizeof *queue);
    if (!queue)
        return vr_fail(VR_ERROR_MEMORY, "%s: out of memory", path);
    queue->fd = -1;
    pthread_mutex_init(&queue->lock, NULL);
    pthread_cond_init(&queue->work, NULL);
    pthread_cond_init(&queue->space, NULL);
    const vr_signal_hold hold = vr_signal_hold_begin();
    vr_status status = create_journal(queue, path);
    const bool created = status == VR_OK;
    if (status == VR_OK)
        status = reserve_ring(queue, path, bytes);
    if (status == VR_OK)
        status = map_ring(queue, path);
    if (status == VR_OK)
        status = start_writer(queue, path);
    vr_signal_hold_end(hold);
    if (status != VR_OK) {
        if (created)
            unlink(path);
        vr_queue_close(queue);
        return status;
    }
    enlist(queue);
    *out = queue;
    return VR_OK;
}

static void copy_in(vr_queue *queue, uint64_t position, const void *bytes, size_t size)
{
    const uint64_t start = position % queue->ring_bytes, room = queue->ring_bytes - start;
    const size_t first = size < room ? size : room;
    if (size > 0)
        memcpy(queue->ring + start, bytes, first);
    if (size > first)
        memcpy(queue->ring, (const uint8_t *)bytes + first, size - first);
}

/* Waits until `size` more bytes fit. False when the writer has failed. */
static bool wait_for_space(vr_queue *queue, uint64_t size)
{
    if (pending(queue) + size <= queue->ring_bytes)
        return true;
    pthread_mutex_lock(&queue->lock);
    while (!queue->error && pending(queue) + size > queue->ring_bytes) {
        pthread_cond_signal(&queue->work);
        pthread_cond_wait(&queue->space, &queue->lock);
    }
    pthread_mutex_unlock(&queue->lock);
    return !queue->error;
}

bool vr_queue_put(vr_queue *queue, uint32_t type, const void *head, size_t head_size, const void *body,
                  size_t body_size)
{
    static const uint8_t zeros[8];
    const size_t size = head_size + body_size, padding = (8 - size % 8) % 8, whole = sizeof(vr_frame) + size + padding;
    if (queue->error || queue->forked || queue->ended || !wait_for_space(queue, whole))
        return false;
    const uint64_t position = atomic_load_explicit(&queue->header->head, memory_order_relaxed);
    const vr_frame frame = {(uint32_t)size, type, vr_frame_check(type, position, head, head_size, body, body_size)};
    copy_in(queue, position, &frame, sizeof frame);
    copy_in(queue, position + sizeof frame, head, head_size);
    copy_in(queue, position + sizeof frame + head_size, body, body_size);
    copy_in(queue, position + sizeof frame + size, zeros, padding);
    const uint64_t before = pending(queue);
    atomic_store_explicit(&queue->header->head, position + whole, memory_order_release);
    if (before < queue->ring_bytes / 4 && before + whole >= queue->ring_bytes / 4) {
        pthread_mutex_lock(&queue->lock);
        pthread_cond_signal(&queue->work);
        pthread_mutex_unlock(&queue->lock);
    }
    return true;
}

size_t vr_queue_limit(const vr_queue *queue)
{
    return vr_frame_limit(queue->ring_bytes);
}

void vr_queue_set_incomplete(vr_queue *queue, uint64_t step)
{
    if (queue->forked)
        return;
    queue->header->incomplete_step = step;
    queue->header->error = queue->error;
    atomic_store_explicit(&queue->header->incomplete, 1, memory_order_release);
}

bool vr_queue_is_forked(const vr_queue *queue)
{
    return queue->forked;
}

int vr_queue_error(const vr_queue *queue)
{
    return queue->error;
}

void vr_queue_drain(vr_queue *queue)
{
    if (!queue->running || queue->forked)
        return;
    pthread_mutex_lock(&queue->lock);
    queue->ended = true;
    pthread_cond_signal(&queue->work);
    pthread_mutex_unlock(&queue->lock);
    pthread_join(queue->writer, NULL);
    queue->running = false;
}

void vr_queue_close(vr_queue *queue)
{
    if (!queue)
        return;
    vr_queue_drain(queue);
    delist(queue);
    if (queue->header)
        munmap(queue->header, queue->mapped);
    if (queue->fd >= 0 && !queue->forked)
        close(queue->fd);
    free(queue);
}
