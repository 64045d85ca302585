/* SPDX-License-Identifier: MIT */
/* stamp INDEX: append a line with INDEX to the file "order". What a served waiter runs. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	char line[32] = {0};
	size_t n = argc > 1 ? strlen(argv[1]) : 0;
	int fd = open("order", O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (fd < 0 || n > sizeof(line) - 2)
		return 1;
	memcpy(line, argv[1], n);
	line[n] = '\n';
	return write(fd, line, n + 1) != (ssize_t)n + 1;
}
