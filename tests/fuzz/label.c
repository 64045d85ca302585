/* SPDX-License-Identifier: MIT */
/* The file of labels, with anything in it, in memory: whatever it says, a listing names the object and no other. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../libsync/internal.h"

#include "fuzz.h"

/* The product's system calls, on this. */
static struct {
	char bytes[8192]; /* from BASE on; zeros before it */
	size_t base;
	size_t size; /* of the file */
	bool exists;
	unsigned objects; /* bits: whose keys end so have an object */
	int opened;
} table;

static int fuzz_open(const char *path, int flags, ...)
{
	MUST(!strncmp(path, "/dev/shm/sysv.", 14));
	if (!table.exists && !(flags & O_CREAT)) {
		errno = ENOENT;
		return -1;
	}
	table.exists = true;
	table.opened++;
	return 100;
}

static int fuzz_close(int fd)
{
	MUST(fd == 100 && table.opened--);
	return 0;
}

static int fuzz_fstat(int fd, struct stat *st)
{
	(void)fd;
	*st = (struct stat){.st_mode = S_IFREG | 0644, .st_uid = geteuid(), .st_nlink = 1};
	return 0;
}

static ssize_t fuzz_pread(int fd, void *buf, size_t size, off_t at)
{
	MUST(fd == 100 && table.opened == 1 && at >= 0);
	if ((size_t)at >= table.size)
		return 0;
	if (size > table.size - (size_t)at)
		size = table.size - (size_t)at;
	size_t zeros = (size_t)at < table.base ? table.base - (size_t)at : 0;
	if (zeros > size)
		zeros = size;
	memset(buf, 0, zeros);
	if (size > zeros)
		memcpy((char *)buf + zeros, table.bytes + (at + (off_t)zeros - (off_t)table.base),
		       size - zeros);
	return (ssize_t)size;
}

static ssize_t fuzz_pwrite(int fd, const void *data, size_t size, off_t at)
{
	MUST(fd == 100 && table.opened == 1 && at >= 0);
	MUST((size_t)at >= table.base && (size_t)at + size <= table.base + 32 * 128);
	memcpy(table.bytes + (at - (off_t)table.base), data, size);
	if ((size_t)at + size > table.size)
		table.size = (size_t)at + size;
	return (ssize_t)size;
}

static int fuzz_unlink(const char *path)
{
	MUST(!strncmp(path, "/dev/shm/sysv.", 14));
	table.exists = false;
	table.size = 0;
	return 0;
}

static int fuzz_get(unsigned key)
{
	errno = ENOENT;
	return table.objects >> key % 32 & 1 ? 7 : -1;
}

static int fuzz_semget(key_t key, int n, int flags)
{
	MUST(!n && !flags);
	return fuzz_get((unsigned)key);
}

static int fuzz_msgget(key_t key, int flags)
{
	MUST(!flags);
	return fuzz_get((unsigned)key * 5 + 1);
}

#define open fuzz_open
#define close fuzz_close
#define fstat fuzz_fstat
#define pread fuzz_pread
#define pwrite fuzz_pwrite
#define unlink fuzz_unlink
#define semget fuzz_semget
#define msgget fuzz_msgget
#include "../../libsync/label.c"

/* A name that stands there is told only if it is that of the key. */
static bool told(const char *expected, uint32_t key)
{
	char buf[256];
	struct sync_sysv_name a;
	sync_label_name(buf, sizeof(buf), key, 5, geteuid());
	MUST(!table.opened);
	if (!key) {
		MUST(!strcmp(buf, "sysv:id=5"));
		return false;
	}
	MUST(!strncmp(buf, "sysv:", 5) && !sync_name_sysv(buf + 5, &a) && a.key == key);
	return expected && !strcmp(buf + 5, expected);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, data + size};
	struct sync_sysv_name a;
	char name[160];
	table.size = 0;
	table.exists = take_byte(&in) & 1;
	table.objects = take_u32(&in);
	char *s = take_string(&in, take_byte(&in));
	snprintf(name, sizeof(name), "%s", s);
	free(s);
	bool legal = !sync_name_sysv(name, &a) && !a.by_id && !a.by_key;
	uint32_t key = legal ? a.key : take_u32(&in);
	/* What is left lies where the label of that key is looked for. */
	uint32_t other = take_u32(&in);
	size_t n = left(&in) < sizeof(table.bytes) ? left(&in) : sizeof(table.bytes);
	memset(table.bytes, 0, sizeof(table.bytes));
	table.base = (size_t)place(key);
	table.size = table.base + n;
	if (n)
		memcpy(table.bytes, in.p, n);
	told(NULL, key);
	told(NULL, other);
	if (legal && strlen(name) < 124) {
		struct slot slots[PROBED];
		fuzz_open("/dev/shm/sysv.", O_CREAT);
		read_slots(100, place(key), slots);
		bool room = find_slot(slots, key) >= 0 || find_room(slots) >= 0;
		fuzz_close(100);
		sync_label_set(name, key);
		MUST(!table.opened && told(name, key) == room);
		table.objects = 0;
		sync_label_drop(key, geteuid());
		MUST(!table.opened && !table.exists);
	}
	return 0;
}
