/* A quota: no file in QUOTA_FOLDER grows once all of them have as many bytes as the file `limit` in it says. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* How many bytes are left, where the file belongs to the folder; -1 where it does not. */
static off_t left(int fd) {
    const char *folder = getenv("QUOTA_FOLDER");
    char link[64], path[4096], limit[32] = "";
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (!folder || length < 0) return -1;
    path[length] = 0;
    if (strncmp(path, folder, strlen(folder)) != 0) return -1;
    snprintf(path, sizeof path, "%s/limit", folder);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return -1;
    if (read(file, limit, sizeof limit - 1) < 0) limit[0] = 0;
    close(file);
    DIR *all = opendir(folder);
    if (!all) return -1;
    off_t used = 0;
    struct stat one;
    for (struct dirent *entry; (entry = readdir(all));)
        if (fstatat(dirfd(all), entry->d_name, &one, 0) == 0 && S_ISREG(one.st_mode)) used += one.st_size;
    closedir(all);
    return atoll(limit) > used ? atoll(limit) - used : 0;
}

/* Whether the file may have this end. */
static int may_end(int fd, off_t end) {
    struct stat now;
    if (fstat(fd, &now) != 0 || end <= now.st_size) return 1;
    off_t room = left(fd);
    if (room < 0 || end - now.st_size <= room) return 1;
    errno = EDQUOT;
    return 0;
}

ssize_t write(int fd, const void *from, size_t many) {
    static ssize_t (*real)(int, const void *, size_t);
    if (!real) real = (ssize_t (*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
    off_t at = lseek(fd, 0, SEEK_CUR);
    if (at >= 0 && !may_end(fd, at + (off_t)many)) return -1;
    return real(fd, from, many);
}

#define PWRITE(name)                                                                                       \
    ssize_t name(int fd, const void *from, size_t many, off_t at) {                                        \
        static ssize_t (*real)(int, const void *, size_t, off_t);                                          \
        if (!real) real = (ssize_t (*)(int, const void *, size_t, off_t))dlsym(RTLD_NEXT, #name);          \
        return may_end(fd, at + (off_t)many) ? real(fd, from, many, at) : -1;                              \
    }
PWRITE(pwrite)
PWRITE(pwrite64)
