/* SPDX-License-Identifier: MIT */
/* The least a lock runner can do: open, lock, exec. What lockrun's start is measured against. */
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int fd = argc > 2 ? open(argv[1], O_RDONLY | O_CREAT, 0600) : -1;
	if (fd < 0 || flock(fd, LOCK_EX))
		return 71;
	execvp(argv[2], argv + 2);
	return 127;
}
