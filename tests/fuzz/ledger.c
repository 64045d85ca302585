/* SPDX-License-Identifier: MIT */
/*
 * A semaphore of glibc's and its ledger, both with anything in them. A model says what the debts of those who are gone
 * come to: permits are neither made nor lost.
 */
#include <errno.h>

#include "../../libsync/escrow.h"
#include "../../libsync/glibcsem.h"

#include "files.h"

static char sem_path[40], ledger_path[40], name[40];

static struct sync_ledger ledger;
static struct glibcsem sem_file;

/* What is in the input, laid over what is sound. */
static void prepare(struct input *in, unsigned bits)
{
	struct stat st;
	char whole[256];
	memset(&sem_file, 0, sizeof(sem_file));
	sem_file.data = take_byte(in);
	sem_file.shared = GLIBCSEM_SHARED;
	if (bits & 1)
		sem_file.data = (uint64_t)take_u32(in) << 32 | take_u32(in);
	if (bits & 2)
		sem_file.shared = take_u32(in);
	memset(whole, 0, sizeof(whole));
	memcpy(whole, &sem_file, sizeof(sem_file));
	files_write(sem_path, whole, bits & 4 ? take_byte(in) : sizeof(sem_file));
	MUST(!stat(sem_path, &st));
	memset(&ledger, 0, sizeof(ledger));
	memcpy(ledger.magic, "syncdbt1", 8);
	ledger.dev = st.st_dev;
	ledger.ino = st.st_ino;
	if (bits & 8)
		for (size_t i = 0; i < 24; i++)
			((uint8_t *)&ledger)[i] ^= (uint8_t)take_byte(in);
	size_t size = sizeof(ledger);
	if (bits & 16)
		size -= take_u32(in) % (sizeof(ledger) + 1);
	while (left(in)) {
		unsigned where = take_byte(in);
		struct sync_debt *d = &ledger.debt[where % 64 * (where & 64 ? 1 : 16)];
		d->state = where & 128 ? take_u32(in) : take_byte(in) % 9;
		d->count = where & 128 ? take_u32(in) : take_byte(in);
		d->note = (unsigned char)(take_byte(in) % 3);
	}
	files_write(ledger_path, &ledger, size);
}

struct outcome {
	int result;
	uint64_t value;
	unsigned returned, doubtful;
};

/* Nobody lives who owes anything. */
static struct outcome settle_all(void)
{
	struct outcome o = {.value = (uint32_t)sem_file.data};
	for (unsigned i = 0; i < SYNC_DEBTS; i++) {
		struct sync_debt *d = &ledger.debt[i];
		uint32_t state = d->state;
		if (state == SYNC_DEBT_TAKING && d->note)
			state = SYNC_DEBT_HOLDING;
		if (state == SYNC_DEBT_HOLDING) {
			if (o.value + d->count > GLIBCSEM_MAX) {
				o.result = -EOVERFLOW;
				return o;
			}
			o.value += d->count;
			o.returned += d->count;
		} else if (state == SYNC_DEBT_LENT) {
			o.value -= !d->note && o.value;
		} else if (state != SYNC_DEBT_FREE && state != SYNC_DEBT_CLAIMED) {
			o.doubtful += d->count;
		}
	}
	return o;
}

static uint64_t value_of(struct sync_sem *sem)
{
	struct sync_sem_state state;
	MUST(!sync_sem_state(sem, &state));
	return state.value;
}

static void repair(struct sync_sem *sem, bool sound)
{
	unsigned returned = 0;
	unsigned doubtful = 0;
	struct outcome o = settle_all();
	int r = sync_sem_repair(sem, &returned, &doubtful);
	if (!sound) {
		/* Another semaphore's is none of ours. */
		MUST(r == 0 || r == -EBADMSG || r == -EPERM);
		MUST(!returned && !doubtful && value_of(sem) == (uint32_t)sem_file.data);
		return;
	}
	MUST(r == o.result && value_of(sem) == o.value);
	MUST(returned == o.returned && doubtful == o.doubtful);
	if (!r) /* there is nothing left */
		MUST(!sync_sem_repair(sem, &returned, &doubtful) && !returned && !doubtful);
}

/* -EUSERS: nothing in it can be settled. */
static void take_and_give(struct sync_sem *sem)
{
	uint64_t value = value_of(sem);
	int r = sync_sem_wait(sem, 1, SYNC_SEM_OWNED, SYNC_NOW);
	if (r) {
		MUST(r == -ETIMEDOUT || r == -EBADMSG || r == -EPERM || r == -EUSERS ||
		     r == -EOVERFLOW);
		return;
	}
	uint64_t less = value_of(sem);
	MUST(!sync_sem_release(sem) && value_of(sem) == less + 1);
	MUST(value_of(sem) >= value || !value);
}

/* Cut off while it is in use. */
static void cut_off(struct sync_sem *sem, const char *path, unsigned size)
{
	unsigned returned;
	unsigned doubtful;
	MUST(!truncate(path, size));
	int r = sync_sem_wait(sem, 1, SYNC_SEM_OWNED, SYNC_NOW);
	MUST(r == 0 || r == -EUCLEAN || r == -ETIMEDOUT || r == -EBADMSG || r == -EPERM ||
	     r == -EUSERS || r == -EOVERFLOW);
	r = sync_sem_release(sem);
	MUST(r == 0 || r == -EUCLEAN || r == -EOVERFLOW);
	r = sync_sem_post(sem, 1, 0);
	MUST(r == 0 || r == -EUCLEAN || r == -EOVERFLOW);
	r = sync_sem_repair(sem, &returned, &doubtful);
	MUST(r <= 0);
}

static void use(struct sync_sem *sem, unsigned bits, bool sound)
{
	if (bits & 32)
		repair(sem, sound);
	take_and_give(sem);
	if (bits & 64)
		cut_off(sem, bits & 128 ? ledger_path : sem_path, bits & 1 ? 0 : 4096);
	int r = sync_sem_unlink(sem);
	MUST(!r);
	MUST(access(sem_path, F_OK));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sync_sem *sem = NULL;
	struct stat st;
	struct input in = {data, data + size};
	unsigned bits = take_byte(&in);
	if (!files_private)
		return 0; /* others settle debts and remove ledgers */
	snprintf(name, sizeof(name), "posix:/fuzz.%d", (int)getpid());
	snprintf(sem_path, sizeof(sem_path), "/dev/shm/sem.fuzz.%d", (int)getpid());
	snprintf(ledger_path, sizeof(ledger_path), "/dev/shm/dbt.fuzz.%d", (int)getpid());
	prepare(&in, bits);
	long before = files_free_fd();
	bool good = !stat(sem_path, &st) && st.st_size == sizeof(sem_file) &&
		    sem_file.shared == GLIBCSEM_SHARED && (uint32_t)sem_file.data <= GLIBCSEM_MAX;
	bool sound = !memcmp(ledger.magic, "syncdbt1", 8) && ledger.dev == st.st_dev &&
		     ledger.ino == st.st_ino && !stat(ledger_path, &st) &&
		     st.st_size == sizeof(ledger);
	int r = sync_sem_open(name, NULL, &sem);
	MUST(r == (good ? 0 : -EUCLEAN) || r == -EOPNOTSUPP);
	if (!r)
		use(sem, bits, sound);
	sync_sem_close(sem);
	MUST(files_free_fd() == before);
	unlink(sem_path);
	unlink(ledger_path);
	return 0;
}
