/* Preloaded into a process: the n-th call that concerns a directory or a file in it fails, or does half of its work.
   arm(directory, n, errno): n counts from 1; errno > 0 fails with it, -1 writes half, 0 only counts. calls(): how many. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char place[4096];
static int count, at, how;

void arm(const char* directory, int n, int code) {
  strncpy(place, directory, sizeof place - 1);
  count = 0, at = n, how = code;
}

int calls(void) { return count; }

/* 0: go on; else the errno to fail with, or -1. */
static int hit(const char* path) {
  if (place[0] == 0 || path == NULL || strncmp(path, place, strlen(place)) != 0) return 0;
  return ++count == at ? how : 0;
}

static int hit_fd(int fd) {
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t n = readlink(link, path, sizeof path - 1);
  if (n < 0) return 0;
  path[n] = 0;
  return hit(path);
}

#define REAL(name) ((__typeof__(name)*)dlsym(RTLD_NEXT, #name))
#define FAIL_IF(code)      \
  do {                     \
    int code_ = (code);    \
    if (code_ > 0) {       \
      errno = code_;       \
      return -1;           \
    }                      \
  } while (0)

ssize_t write(int fd, const void* data, size_t size) {
  int code = hit_fd(fd);
  if (code == -1) return REAL(write)(fd, data, size > 1 ? size / 2 : size);
  FAIL_IF(code);
  return REAL(write)(fd, data, size);
}

static int opened(const char* path, int flags) {
  return (flags & (O_WRONLY | O_RDWR | O_DIRECTORY)) || strcmp(path, place) == 0 ? hit(path) : 0;
}

int open(const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  mode_t mode = flags & O_CREAT ? va_arg(more, mode_t) : 0;
  va_end(more);
  FAIL_IF(opened(path, flags));
  return REAL(open)(path, flags, mode);
}

int open64(const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  mode_t mode = flags & O_CREAT ? va_arg(more, mode_t) : 0;
  va_end(more);
  FAIL_IF(opened(path, flags));
  return REAL(open64)(path, flags, mode);
}

int fsync(int fd) {
  FAIL_IF(hit_fd(fd));
  return REAL(fsync)(fd);
}

int close(int fd) { /* closed all the same, as Linux does */
  int code = hit_fd(fd), done = REAL(close)(fd);
  FAIL_IF(code);
  return done;
}

int rename(const char* from, const char* to) {
  FAIL_IF(hit(from));
  return REAL(rename)(from, to);
}

int chmod(const char* path, mode_t mode) {
  FAIL_IF(hit(path));
  return REAL(chmod)(path, mode);
}

int ftruncate64(int fd, off64_t size) {
  FAIL_IF(hit_fd(fd));
  return REAL(ftruncate64)(fd, size);
}
