/* Faults of a disk and of a clock, put between a program and libc (LD_PRELOAD).
 *
 * SHIM="op=write;path=state/;nth=12;do=eio" makes the 12th write to a file whose path has `state/` in it fail.
 *   op    write, sync, truncate, rename, unlink, read, or change: any of them but read; thread: one begins (no path)
 *   do    eio, enospc, erofs, eagain: it fails; with sticky=1 every later one too
 *         short: half of it is written, and the caller is told so
 *         die: the process ends before it; torn: after half of it
 *         power: the process ends, and what was not synchronised is there, or not, by the sector and at random (seed=)
 *         none: only counts
 * SHIM_COUNT=FILE  the number of matching operations is written there at the end
 * SHIM_CLOCK=FILE  a file with eight bytes: microseconds that are added to the wall clock
 *
 * The model of power=: a sector (512 bytes) that was written after the last successful fsync of its file holds the old
 * or the new content; a file is as long as it was or as it is; a name that was made or changed after the last fsync of
 * its folder is there or not. A failed fsync confirms nothing.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SECTOR 512
#define REAL(name) ((__typeof__(&name))next(#name))

enum { WRITE = 1, SYNC = 2, TRUNCATE = 4, RENAME = 8, UNLINK = 16, READ = 32, CHANGE = 31, THREAD = 64 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int ops, sticky, seed, ready;
static long nth, seen;
static char pattern[256], action[16];
static const char *count_file;
static volatile int64_t *offset;

static void *next(const char *name) { return dlsym(RTLD_NEXT, name); }

static void field(const char *spec, const char *key, char *out, size_t size) {
    const char *at = strstr(spec, key);
    out[0] = 0;
    if (!at) return;
    at += strlen(key);
    size_t n = strcspn(at, ";");
    if (n >= size) n = size - 1;
    memcpy(out, at, n);
    out[n] = 0;
}

static void finish(void) {
    if (!count_file) return;
    int fd = open(count_file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    char text[32];
    int n = snprintf(text, sizeof text, "%ld\n", seen);
    if (fd >= 0 && REAL(write)(fd, text, n) != n) _exit(99);
}

__attribute__((constructor)) static void begin(void) {
    char text[64];
    const char *spec = getenv("SHIM"), *clock = getenv("SHIM_CLOCK");
    count_file = getenv("SHIM_COUNT");
    if (clock) {
        int fd = open(clock, O_RDONLY);
        offset = mmap(0, 8, PROT_READ, MAP_SHARED, fd, 0);
        if (offset == MAP_FAILED) _exit(99);
    }
    if (!spec) return;
    const char *names[] = {"write", "sync", "truncate", "rename", "unlink", "read"};
    field(spec, "op=", text, sizeof text);
    for (int i = 0; i < 6; i++)
        if (!strcmp(text, names[i])) ops = 1 << i;
    if (!strcmp(text, "change")) ops = CHANGE;
    if (!strcmp(text, "thread")) ops = THREAD;
    field(spec, "path=", pattern, sizeof pattern);
    field(spec, "do=", action, sizeof action);
    field(spec, "nth=", text, sizeof text), nth = atol(text);
    field(spec, "sticky=", text, sizeof text), sticky = atoi(text);
    field(spec, "seed=", text, sizeof text), seed = atoi(text);
    ready = 1;
    /* Children, if there are any, are not meant. */
    unsetenv("LD_PRELOAD");
}

__attribute__((destructor)) static void end(void) { if (ready) finish(); }

/* What was not synchronised. */

typedef struct Old { struct Old *next; off_t at; ssize_t size; char bytes[SECTOR]; } Old;
typedef struct Dirty { struct Dirty *next; ino_t inode; int fd; off_t size; Old *old[4096]; } Dirty;
typedef struct Name { struct Name *next; char from[1024], to[1024]; } Name; /* from is empty for a new name */
static Dirty *dirty;
static Name *names;

static int matches(const char *path) {
    size_t n = strlen(path);
    return ready && strstr(path, pattern) && !(n > 4 && !strcmp(path + n - 4, "-shm"));
}

static int path_of(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, 1022);
    if (n < 0) return 0;
    path[n] = 0;
    struct stat s;
    if (!fstat(fd, &s) && S_ISDIR(s.st_mode)) strcpy(path + n, "/");
    return matches(path);
}

static Dirty *dirty_of(int fd) {
    struct stat s;
    if (fstat(fd, &s)) return 0;
    for (Dirty *d = dirty; d; d = d->next)
        if (d->inode == s.st_ino) return d;
    Dirty *d = calloc(1, sizeof *d);
    d->inode = s.st_ino, d->fd = dup(fd), d->size = s.st_size, d->next = dirty;
    return dirty = d;
}

static void remember(int fd, off_t from, off_t to) {
    Dirty *d = dirty_of(fd);
    if (!d) return;
    for (off_t at = from / SECTOR * SECTOR; at < to && at < d->size; at += SECTOR) {
        Old **slot = &d->old[(at / SECTOR) % 4096], *o = *slot;
        while (o && o->at != at) o = o->next;
        if (o) continue;
        o = calloc(1, sizeof *o);
        o->at = at, o->next = *slot, *slot = o;
        o->size = REAL(pread)(d->fd, o->bytes, SECTOR, at);
    }
}

static void forget(int fd, const char *path) {
    struct stat s;
    if (fstat(fd, &s)) return;
    if (S_ISDIR(s.st_mode)) {
        size_t n = strlen(path);
        for (Name **at = &names; *at;) {
            Name *name = *at;
            if (!strncmp(name->to, path, n) && !strchr(name->to + n, '/')) *at = name->next;
            else at = &name->next;
        }
        return;
    }
    for (Dirty **at = &dirty; *at; at = &(*at)->next)
        if ((*at)->inode == s.st_ino) {
            close((*at)->fd); /* The memory is not worth freeing. */
            *at = (*at)->next;
            return;
        }
}

static uint64_t dice(void) {
    static uint64_t state;
    if (!state) state = 88172645463325252ull ^ ((uint64_t)seed * 2654435761u) ^ ((uint64_t)nth << 32);
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return state >> 11;
}

static void power_off(void) {
    for (Dirty *d = dirty; d; d = d->next) {
        int fate = dice() % 3; /* as it was synchronised, as it was written, or a mixture */
        if (fate == 1) continue;
        struct stat s;
        fstat(d->fd, &s);
        off_t size = fate == 0 || dice() % 2 ? d->size : s.st_size;
        for (int i = 0; i < 4096; i++)
            for (Old *o = d->old[i]; o; o = o->next)
                if (o->size > 0 && (fate == 0 || dice() % 2)) REAL(pwrite)(d->fd, o->bytes, o->size, o->at);
        if (fate == 2 && size > d->size) { /* new sectors that did not arrive are zeros */
            static const char zeros[SECTOR];
            for (off_t at = d->size; at + SECTOR <= size; at += SECTOR)
                if (dice() % 2) REAL(pwrite)(d->fd, zeros, SECTOR, at);
        }
        if (REAL(ftruncate)(d->fd, size)) _exit(99);
    }
    for (Name *n = names; n; n = n->next)
        if (dice() % 2) {
            if (n->from[0]) REAL(rename)(n->to, n->from);
            else REAL(unlink)(n->to);
        }
    _exit(137);
}

/* Says what becomes of an operation: 0 it is done, -1 it fails, 1 it is done by half. */
static int fate(int op) {
    if (!(ops & op)) return 0;
    seen++;
    if (sticky ? seen < nth : seen != nth) return 0;
    if (!strcmp(action, "eio")) return errno = EIO, -1;
    if (!strcmp(action, "enospc")) return errno = ENOSPC, -1;
    if (!strcmp(action, "erofs")) return errno = EROFS, -1;
    if (!strcmp(action, "eagain")) return errno = EAGAIN, -1;
    if (!strcmp(action, "power")) power_off();
    if (!strcmp(action, "die") || (!strcmp(action, "torn") && op != WRITE)) _exit(137);
    return !strcmp(action, "short") || !strcmp(action, "torn");
}

static size_t half(size_t n) { return n > 2 * SECTOR ? n / 2 / SECTOR * SECTOR : n > SECTOR ? SECTOR : n; }

static ssize_t written(int fd, const void *bytes, size_t n, off_t at, int positioned) {
    char path[1024];
    if (!ready || !path_of(fd, path))
        return positioned ? REAL(pwrite)(fd, bytes, n, at) : REAL(write)(fd, bytes, n);
    pthread_mutex_lock(&lock);
    ssize_t result = -1;
    int what = fate(WRITE);
    if (what >= 0) {
        size_t part = what ? half(n) : n;
        off_t place = positioned ? at : lseek(fd, 0, SEEK_CUR);
        remember(fd, place, place + part);
        result = positioned ? REAL(pwrite)(fd, bytes, part, at) : REAL(write)(fd, bytes, part);
        if (what && !strcmp(action, "torn")) _exit(137);
    }
    int error = errno;
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}

ssize_t write(int fd, const void *bytes, size_t n) { return written(fd, bytes, n, 0, 0); }
ssize_t pwrite(int fd, const void *bytes, size_t n, off_t at) { return written(fd, bytes, n, at, 1); }
ssize_t pwrite64(int fd, const void *bytes, size_t n, off64_t at) { return written(fd, bytes, n, at, 1); }

int pthread_create(pthread_t *thread, const pthread_attr_t *with, void *(*begin)(void *), void *what) {
    pthread_mutex_lock(&lock);
    int result = ready ? fate(THREAD) : 0;
    pthread_mutex_unlock(&lock);
    return result < 0 ? EAGAIN : REAL(pthread_create)(thread, with, begin, what);
}

static int synced(int fd, int data) {
    char path[1024];
    if (!ready || !path_of(fd, path)) return data ? REAL(fdatasync)(fd) : REAL(fsync)(fd);
    pthread_mutex_lock(&lock);
    int result = fate(SYNC);
    /* The model keeps what is durable, so the disk need not. */
    if (result == 0) forget(fd, path);
    int error = errno;
    pthread_mutex_unlock(&lock);
    errno = error;
    return result > 0 ? 0 : result;
}

int fsync(int fd) { return synced(fd, 0); }
int fdatasync(int fd) { return synced(fd, 1); }

static int truncated(int fd, off_t size) {
    char path[1024];
    if (!ready || !path_of(fd, path)) return REAL(ftruncate)(fd, size);
    pthread_mutex_lock(&lock);
    int result = fate(TRUNCATE);
    if (result >= 0) {
        struct stat s;
        if (!fstat(fd, &s)) remember(fd, size, s.st_size);
        result = REAL(ftruncate)(fd, size);
    }
    int error = errno;
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}

int ftruncate(int fd, off_t size) { return truncated(fd, size); }
int ftruncate64(int fd, off64_t size) { return truncated(fd, size); }

static void named(const char *from, const char *to) {
    Name *n = calloc(1, sizeof *n);
    snprintf(n->from, sizeof n->from, "%s", from);
    snprintf(n->to, sizeof n->to, "%s", to);
    n->next = names, names = n;
}

int rename(const char *from, const char *to) {
    char path[1024];
    if (!matches(to) || !realpath(from, path)) return REAL(rename)(from, to);
    pthread_mutex_lock(&lock);
    int result = fate(RENAME);
    if (result >= 0) {
        result = REAL(rename)(from, to);
        char now[1024];
        if (result == 0 && realpath(to, now)) named(path, now);
    }
    int error = errno;
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}

int unlink(const char *path) {
    if (!matches(path)) return REAL(unlink)(path);
    pthread_mutex_lock(&lock);
    int result = fate(UNLINK);
    if (result >= 0) {
        char full[1024];
        if (realpath(path, full))
            for (Name **at = &names; *at;) {
                if (!strcmp((*at)->to, full)) *at = (*at)->next;
                else at = &(*at)->next;
            }
        result = REAL(unlink)(path);
    }
    int error = errno;
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}

static int opened(int folder, const char *path, int flags, mode_t mode) {
    int (*real)(int, const char *, int, ...) = next("openat");
    if (!(flags & O_CREAT) || !matches(path)) return real(folder, path, flags, mode);
    pthread_mutex_lock(&lock);
    int new = faccessat(folder, path, F_OK, 0) != 0;
    int fd = real(folder, path, flags, mode);
    char full[1024];
    if (fd >= 0 && new && path_of(fd, full)) named("", full);
    int error = errno;
    pthread_mutex_unlock(&lock);
    errno = error;
    return fd;
}

#define OPEN(name)                                                                                    \
    int name(const char *path, int flags, ...) {                                                      \
        va_list more;                                                                                 \
        va_start(more, flags);                                                                        \
        mode_t mode = flags & O_CREAT ? va_arg(more, mode_t) : 0;                                     \
        va_end(more);                                                                                 \
        return opened(AT_FDCWD, path, flags, mode);                                                   \
    }
OPEN(open)
OPEN(open64)

static ssize_t got(int fd, void *bytes, size_t n, off_t at, int positioned) {
    char path[1024];
    int what = 0;
    if (ready && (ops & READ) && path_of(fd, path)) {
        pthread_mutex_lock(&lock);
        what = fate(READ);
        pthread_mutex_unlock(&lock);
    }
    if (what < 0) return errno = EIO, -1;
    if (what) n = half(n);
    return positioned ? REAL(pread)(fd, bytes, n, at) : REAL(read)(fd, bytes, n);
}

ssize_t read(int fd, void *bytes, size_t n) { return got(fd, bytes, n, 0, 0); }
ssize_t pread(int fd, void *bytes, size_t n, off_t at) { return got(fd, bytes, n, at, 1); }
ssize_t pread64(int fd, void *bytes, size_t n, off64_t at) { return got(fd, bytes, n, at, 1); }

int clock_gettime(clockid_t id, struct timespec *time) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = next("clock_gettime");
    int result = real(id, time);
    if (result == 0 && offset && id == CLOCK_REALTIME) {
        int64_t by = *offset;
        time->tv_sec += by / 1000000;
        time->tv_nsec += by % 1000000 * 1000;
        if (time->tv_nsec < 0) time->tv_nsec += 1000000000, time->tv_sec--;
        if (time->tv_nsec >= 1000000000) time->tv_nsec -= 1000000000, time->tv_sec++;
    }
    return result;
}
