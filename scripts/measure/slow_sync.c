// A disk that takes as long to confirm as a server's: fsync and fdatasync last SLOW_SYNC_US microseconds at least.
// scripts/measure/decide.sh loads it before the daemon where SYNC_MS is set.
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int slowly(long call, int file) {
  struct timespec began, now;
  clock_gettime(CLOCK_MONOTONIC, &began);
  int result = (int)syscall(call, file);
  const char *said = getenv("SLOW_SYNC_US");
  clock_gettime(CLOCK_MONOTONIC, &now);
  long left = (said ? atol(said) : 0) * 1000 - (now.tv_sec - began.tv_sec) * 1000000000L - (now.tv_nsec - began.tv_nsec);
  if (left > 0) {
    struct timespec wait = {left / 1000000000L, left % 1000000000L};
    nanosleep(&wait, 0);
  }
  return result;
}

int fsync(int file) { return slowly(SYS_fsync, file); }
int fdatasync(int file) { return slowly(SYS_fdatasync, file); }
