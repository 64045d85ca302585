/* SPDX-License-Identifier: MIT */
/* The file of a pool with anything in it: it is a pool exactly if its header is one, and then it works as one. */
#include <errno.h>
#include <limits.h>

#include "../../libsync/libsync.h"

#include "files.h"

enum { HEADER = 64 };

/* -1: it is none; otherwise its size. */
static int size_of(const uint8_t *p, size_t n)
{
	char line[HEADER + 1];
	unsigned size = 0;
	if (n < HEADER)
		return -1;
	for (int i = 0; i < 4; i++) {
		if (p[20 + i] < '0' || p[20 + i] > '9')
			return -1;
		size = size * 10 + (p[20 + i] - '0');
	}
	for (int i = 37; i < 53; i++)
		if (!memchr("0123456789abcdef", p[i], 16))
			return -1;
	snprintf(line, sizeof(line), "syncbox pool v1\nN = %04u (%04u)\nwake %.16s semwait(1\n",
		 size, size, (const char *)p + 37);
	return size <= 4096 && !memcmp(p, line, HEADER) ? (int)size : -1;
}

static void check_state(struct sync_sem *sem, unsigned size, unsigned taken)
{
	struct sync_sem_state state;
	MUST(!sync_sem_state(sem, &state));
	MUST(state.capacity == size && state.value == size - taken);
}

/* Nobody but us has it, so we know what each call returns. */
static void use(struct sync_sem *sem, unsigned size, struct input *in)
{
	const unsigned *slots;
	unsigned count = 1 + take_byte(in) % 20;
	unsigned other = take_byte(in) % 8 ? take_byte(in) : 4097 + take_byte(in);
	check_state(sem, size, 0);
	int r = sync_sem_wait(sem, count, SYNC_SEM_OWNED, SYNC_NOW);
	MUST(r == (!size ? -ETIMEDOUT : count > size ? -E2BIG : 0));
	size_t n = sync_sem_slots(sem, &slots);
	MUST(n == (r ? 0 : count));
	for (size_t i = 0; i < n; i++)
		MUST(slots[i] == i);
	check_state(sem, size, (unsigned)n);
	MUST(!sync_sem_release(sem));
	check_state(sem, size, 0);
	r = sync_sem_resize(sem, other);
	MUST(r == 0 || (other > 4096 ? r == -ERANGE || r == -EINVAL : r == -EXDEV));
	if (!r)
		check_state(sem, other, 0);
	if (in->p < in->end && *in->p & 1)
		MUST(!sync_sem_drain(sem, SYNC_NOW));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sync_sem *sem = NULL;
	const struct sync_sem_opts opts = {.label = "fuzz\n\x01"};
	char path[96];
	char name[128];
	struct stat st;
	struct input in = {data, data + size};
	snprintf(path, sizeof(path), "%s/p", files_dir);
	snprintf(name, sizeof(name), "pool:%s", path);
	/* What follows the file's first bytes says what is done with it, too. */
	files_write(path, data, size);
	long before = files_free_fd();
	int pool = size_of(data, size);
	int r = sync_sem_open(name, &opts, &sem);
	MUST(r == (pool < 0 ? -EUCLEAN : 0));
	if (!r) {
		in.p += HEADER;
		use(sem, (unsigned)pool, &in);
		MUST(!sync_sem_unlink(sem));
		sync_sem_close(sem);
		strcat(path, ".wake");
		MUST(stat(path, &st) && errno == ENOENT);
	}
	MUST(files_free_fd() == before);
	return 0;
}
