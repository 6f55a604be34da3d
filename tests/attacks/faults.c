/* A preload library that makes one system call fail: the n-th of a kind on a path that contains a text.

   FAULT_CALL=write FAULT_PATH=/out/ FAULT_NTH=3 FAULT_ERRNO=28 LD_PRELOAD=faults.so COMMAND
   FAULT_FOREVER=1 makes every later one fail as well. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static int calls = 0;

static int fails(const char *call, const char *path) {
    const char *wanted = getenv("FAULT_CALL"), *part = getenv("FAULT_PATH"), *nth = getenv("FAULT_NTH");
    if (!wanted || !part || !nth || strcmp(wanted, call) || !path || !strstr(path, part)) return 0;
    int number = __sync_add_and_fetch(&calls, 1), chosen = atoi(nth);
    if (number != chosen && !(number > chosen && getenv("FAULT_FOREVER"))) return 0;
    errno = atoi(getenv("FAULT_ERRNO"));
    return 1;
}

static int fails_on(const char *call, int descriptor) {
    char link[64], path[PATH_MAX + 1];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, PATH_MAX);
    if (length < 0) return 0;
    path[length] = 0;
    return fails(call, path);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int descriptor, const void *data, size_t size) {
    return fails_on("write", descriptor) ? -1 : REAL(write)(descriptor, data, size);
}
ssize_t read(int descriptor, void *data, size_t size) {
    return fails_on("read", descriptor) ? -1 : REAL(read)(descriptor, data, size);
}
int fsync(int descriptor) { return fails_on("fsync", descriptor) ? -1 : REAL(fsync)(descriptor); }
int rename(const char *from, const char *to) { return fails("rename", to) ? -1 : REAL(rename)(from, to); }
int unlink(const char *path) { return fails("unlink", path) ? -1 : REAL(unlink)(path); }
int mkdir(const char *path, mode_t mode) { return fails("mkdir", path) ? -1 : REAL(mkdir)(path, mode); }
static int opened(const char *name, const char *path, int flags, mode_t mode) {
    if (fails("open", path)) return -1;
    return ((int (*)(const char *, int, mode_t))dlsym(RTLD_NEXT, name))(path, flags, mode);
}
int open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = va_arg(rest, mode_t);
    va_end(rest);
    return opened("open", path, flags, mode);
}
int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = va_arg(rest, mode_t);
    va_end(rest);
    return opened("open64", path, flags, mode);
}
