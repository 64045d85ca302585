/* SPDX-License-Identifier: MIT */
/*
 * The COMMAND of the scenarios of fault injection: fault-mark [FILE|-]
 * Leaves a mark in the working directory, the file "ran", a line each time: "ran", or if nobody has FILE locked
 * meanwhile, "unlocked". With - it only ends well.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static int is_locked(const char *file)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB);
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "-"))
		return 0;
	const char *mark = argc == 1 || is_locked(argv[1]) ? "ran\n" : "unlocked\n";
	int fd = open("ran", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	return fd < 0 || write(fd, mark, strlen(mark)) < 0;
}
