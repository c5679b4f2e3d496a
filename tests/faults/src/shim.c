/*
 * Put in front of the C library of the program under test, this makes its disk and its clock misbehave on demand. What to
 * do stands in a small file that the suite writes and this maps: numbers of 64 bits, in the order of `struct control`.
 *
 * Only files whose path contains FAULTS_PATH are hurt, so that logs and sockets work.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

struct control {
    volatile int64_t sync_errno;     /* a sync fails with this, or 0 */
    volatile int64_t sync_left;      /* how many syncs go well before one fails */
    volatile int64_t sync_millis;    /* how long a sync takes */
    volatile int64_t write_errno;    /* a write fails with this, or 0 */
    volatile int64_t torn_left;      /* after so many writes one is cut in half and the process ends; -1: never */
    volatile int64_t clock_seconds;  /* how far the wall clock is ahead */
    volatile int64_t syncs;          /* how many syncs were asked for */
};

static struct control *control;
static const char *hurt;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("FAULTS_CONTROL");
    hurt = getenv("FAULTS_PATH");
    if (!path) return;
    int file = open(path, O_RDWR | O_CLOEXEC);
    if (file < 0) return;
    void *at = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (at != MAP_FAILED) control = at;
}

/* Whether this descriptor is one of the files to be hurt. */
static int hits(int file) {
    char link[64], path[4096];
    if (!control || !hurt) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    return strstr(path, hurt) != NULL;
}

static int sync_fault(int file) {
    if (!hits(file)) return 0;
    __atomic_add_fetch(&control->syncs, 1, __ATOMIC_SEQ_CST);
    if (control->sync_millis > 0) {
        struct timespec rest = {control->sync_millis / 1000, (control->sync_millis % 1000) * 1000000};
        nanosleep(&rest, NULL);
    }
    if (control->sync_errno == 0) return 0;
    if (control->sync_left > 0 && __atomic_sub_fetch(&control->sync_left, 1, __ATOMIC_SEQ_CST) >= 0) return 0;
    return (int)control->sync_errno;
}

#define NEXT(type, name, ...) ((type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name))

int fsync(int file) {
    static int (*real)(int);
    if (!real) real = NEXT(int, "fsync", int);
    int fault = sync_fault(file);
    if (fault) { errno = fault; return -1; }
    return real(file);
}

int fdatasync(int file) {
    static int (*real)(int);
    if (!real) real = NEXT(int, "fdatasync", int);
    int fault = sync_fault(file);
    if (fault) { errno = fault; return -1; }
    return real(file);
}

/* How many bytes of a write may go through: all, half of them (and then the process ends), or none (-1). */
static ssize_t write_fault(int file, size_t bytes, int *torn) {
    *torn = 0;
    if (!control || (control->write_errno == 0 && control->torn_left < 0) || !hits(file)) return (ssize_t)bytes;
    if (control->write_errno) { errno = (int)control->write_errno; return -1; }
    if (__atomic_sub_fetch(&control->torn_left, 1, __ATOMIC_SEQ_CST) < 0) { *torn = 1; return (ssize_t)(bytes / 2); }
    return (ssize_t)bytes;
}

/* What each of the three does around the real one, which `CALL` calls. */
#define HURT(CALL)                                     \
    int torn;                                          \
    ssize_t go = write_fault(file, bytes, &torn);      \
    if (go < 0) return -1;                             \
    ssize_t done = CALL;                               \
    if (torn) _exit(137);                              \
    return done

ssize_t write(int file, const void *from, size_t bytes) {
    static ssize_t (*real)(int, const void *, size_t);
    if (!real) real = NEXT(ssize_t, "write", int, const void *, size_t);
    HURT(real(file, from, (size_t)go));
}

ssize_t pwrite(int file, const void *from, size_t bytes, off_t at) {
    static ssize_t (*real)(int, const void *, size_t, off_t);
    if (!real) real = NEXT(ssize_t, "pwrite", int, const void *, size_t, off_t);
    HURT(real(file, from, (size_t)go, at));
}

ssize_t pwrite64(int file, const void *from, size_t bytes, off64_t at) {
    static ssize_t (*real)(int, const void *, size_t, off64_t);
    if (!real) real = NEXT(ssize_t, "pwrite64", int, const void *, size_t, off64_t);
    HURT(real(file, from, (size_t)go, at));
}

int clock_gettime(clockid_t clock, struct timespec *out) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = NEXT(int, "clock_gettime", clockid_t, struct timespec *);
    int result = real(clock, out);
    if (result == 0 && control && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        out->tv_sec += control->clock_seconds;
    return result;
}

int gettimeofday(struct timeval *restrict out, void *restrict zone) {
    (void)zone;
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now)) return -1;
    out->tv_sec = now.tv_sec;
    out->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *out) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out) *out = now.tv_sec;
    return now.tv_sec;
}
