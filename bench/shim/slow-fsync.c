/* Makes every fsync and fdatasync of a process take SLOW_FSYNC_MS longer: preloaded (LD_PRELOAD), it turns a fast disk into a slow one. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

static int slowly(const char *name, int file) {
  const char *given = getenv("SLOW_FSYNC_MS");
  const long ms = given == NULL ? 0 : atol(given);
  const struct timespec longer = {ms / 1000, ms % 1000 * 1000000};
  nanosleep(&longer, NULL);
  return ((int (*)(int))dlsym(RTLD_NEXT, name))(file);
}

int fsync(int file) { return slowly("fsync", file); }
int fdatasync(int file) { return slowly("fdatasync", file); }
