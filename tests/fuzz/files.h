/* SPDX-License-Identifier: MIT */
/*
 * For the harnesses that put what is damaged into files: a /dev/shm of their own where that is allowed, otherwise a
 * directory in it, and names with the process's number. And what must be as before when a parser is done.
 */
#ifndef TESTS_FUZZ_FILES_H
#define TESTS_FUZZ_FILES_H

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"

static char files_dir[64];
/* Otherwise others may look at, or clean up, what has a name in /dev/shm itself. */
static bool files_private;

static void files_remove(void)
{
	char command[128];
	snprintf(command, sizeof(command), "rm -rf %s", files_dir);
	if (*files_dir && system(command))
		fprintf(stderr, "cannot remove %s\n", files_dir);
}

static void files_put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		perror(path);
	close(fd);
}

/* Who is not root is in a user namespace of his own. */
static bool files_part(void)
{
	char map[2][40];
	snprintf(map[0], sizeof(map[0]), "%u %u 1", (unsigned)getuid(), (unsigned)getuid());
	snprintf(map[1], sizeof(map[1]), "%u %u 1", (unsigned)getgid(), (unsigned)getgid());
	if (unshare(CLONE_NEWNS)) {
		if (unshare(CLONE_NEWNS | CLONE_NEWUSER))
			return false;
		files_put("/proc/self/setgroups", "deny");
		files_put("/proc/self/uid_map", map[0]);
		files_put("/proc/self/gid_map", map[1]);
	}
	return !mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) &&
	       !mount("fuzz", "/dev/shm", "tmpfs", 0, "size=64m,mode=1777");
}

int LLVMFuzzerInitialize(int *argc, char ***argv);

/* Before there are threads: so the engine calls it, and replay.h. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	files_private = files_part();
	if (!files_private)
		fprintf(stderr, "no /dev/shm of our own can be had\n");
	snprintf(files_dir, sizeof(files_dir), "/dev/shm/fuzz.%d.XXXXXX", (int)getpid());
	if (!mkdtemp(files_dir)) {
		perror("/dev/shm");
		exit(2);
	}
	atexit(files_remove);
	return 0;
}

static void files_write(const char *path, const void *data, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	MUST(fd >= 0 && (!size || write(fd, data, size) == (ssize_t)size));
	close(fd);
}

/* The lowest free descriptors: those that are left open are seen. */
static long files_free_fd(void)
{
	int low = fcntl(0, F_DUPFD, 0);
	int high = fcntl(0, F_DUPFD, 10);
	close(low);
	close(high);
	return (long)low << 32 | high;
}

#endif
