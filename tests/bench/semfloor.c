/* SPDX-License-Identifier: MIT */
/*
 * The least that semwait and sempost can do: semfloor KEY COMMAND... takes a permit with SEM_UNDO and
 * becomes COMMAND; semfloor KEY gives one.
 */
#include <stdlib.h>
#include <sys/sem.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int set = argc > 1 ? semget((key_t)strtoul(argv[1], NULL, 16), 1, 0) : -1;
	struct sembuf op = {0, argc > 2 ? -1 : 1, argc > 2 ? SEM_UNDO : 0};
	if (set < 0 || semop(set, &op, 1))
		return 71;
	if (argc == 2)
		return 0;
	execv(argv[2], argv + 2);
	return 127;
}
