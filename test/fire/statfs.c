/* Tells a program that its files are on NFS. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/vfs.h>

#define NFS 0x6969

int statfs(const char *path, struct statfs *buffer) {
  int (*real)(const char *, struct statfs *) = dlsym(RTLD_NEXT, "statfs");
  int result = real(path, buffer);
  if (result == 0) buffer->f_type = NFS;
  return result;
}

int statfs64(const char *path, struct statfs64 *buffer) {
  int (*real)(const char *, struct statfs64 *) = dlsym(RTLD_NEXT, "statfs64");
  int result = real(path, buffer);
  if (result == 0) buffer->f_type = NFS;
  return result;
}
