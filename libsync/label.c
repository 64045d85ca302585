/* SPDX-License-Identifier: MIT */
/*
 * The names of System V objects, which the kernel knows by key alone. Whoever makes one writes its name into a file
 * of his, /dev/shm/sysv.UID; if a stranger has taken that name (he need not mean it: root of a user namespace has
 * root's), /dev/shm/sysv.UID.RANDOM. Nothing but listings ever reads it, and they hash the name again: a label that
 * is wrong, half written, missing or somebody else's costs a listing the name and does no other harm. So nobody
 * locks it.
 *
 * Objects go without our knowledge, by ipcrm or a program's IPC_RMID. Therefore the file is a table of a bounded
 * size, where a label whose object is gone makes room for the next; and who removes an object through us, and
 * finds no label that has one, removes the file.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/msg.h>
#include <sys/random.h>
#include <sys/sem.h>
#include <unistd.h>

#include "label.h"
#include "shmfile.h"
#include "survey.h"

#define SLOTS 4096
#define PROBED 32 /* slots from the one that the key points to */

struct slot {
	uint32_t key;
	char name[124]; /* "" nothing */
};

struct table {
	int fd;
	char path[48];
};

static void name_table(struct table *t, uid_t uid, const char *rest)
{
	snprintf(t->path, sizeof(t->path), SYNC_SHM_DIR "/sysv.%u%s", (unsigned)uid, rest);
}

/* Is there a file of UID's? errno is ENOENT if there is none at all, or no more. */
static bool open_file(struct table *t, uid_t uid, int flags)
{
	struct stat st = {0};
	t->fd = open(t->path, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0644);
	if (t->fd < 0)
		return false;
	if (!fstat(t->fd, &st) && S_ISREG(st.st_mode) && st.st_uid == uid && st.st_nlink == 1)
		return true;
	close(t->fd);
	errno = st.st_nlink ? EEXIST : ENOENT;
	return false;
}

/* What follows "sysv.UID" in the name of a file of labels; NULL it is none. */
static const char *rest_of_name(const char *name, unsigned *uid)
{
	unsigned random;
	char again[32];
	if (sscanf(name, "sysv.%u", uid) != 1)
		return NULL;
	int n = snprintf(again, sizeof(again), "sysv.%u", *uid);
	if (strncmp(name, again, (size_t)n) != 0)
		return NULL;
	if (sscanf(name + n, ".%8x", &random) == 1)
		snprintf(again + n, sizeof(again) - (size_t)n, ".%08x", random);
	return !strcmp(name, again) ? name + n : NULL;
}

static bool find_other(struct table *t, uid_t uid, int flags)
{
	unsigned whose;
	bool found = false;
	DIR *dir = opendir(SYNC_SHM_DIR);
	for (struct dirent *d = dir ? readdir(dir) : NULL; d && !found; d = readdir(dir)) {
		const char *rest = rest_of_name(d->d_name, &whose);
		if (!rest || !*rest || whose != uid)
			continue;
		name_table(t, uid, rest);
		found = open_file(t, uid, flags);
	}
	if (dir)
		closedir(dir);
	return found;
}

static bool make_other(struct table *t, uid_t uid, int flags)
{
	unsigned random;
	char rest[16];
	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return false;
	snprintf(rest, sizeof(rest), ".%08x", random);
	name_table(t, uid, rest);
	return open_file(t, uid, flags | O_CREAT | O_EXCL);
}

/* Who lists many objects does not search the directory for each. */
static bool open_table(struct table *t, uid_t uid, int flags)
{
	name_table(t, uid, "");
	if (open_file(t, uid, flags & ~O_CREAT))
		return true;
	if (errno == ENOENT && (flags & O_ACCMODE) == O_RDONLY)
		return false;
	if (find_other(t, uid, flags & ~O_CREAT))
		return true;
	if (!(flags & O_CREAT))
		return false;
	name_table(t, uid, "");
	return open_file(t, uid, flags) || (errno != ENOENT && make_other(t, uid, flags));
}

static off_t place(uint32_t key)
{
	return (off_t)(key % (SLOTS - PROBED) * sizeof(struct slot));
}

/* The slots where the label of KEY may be. What is beyond the file's end is empty. */
static void read_slots(int fd, off_t at, struct slot slots[PROBED])
{
	memset(slots, 0, sizeof(*slots) * PROBED);
	if (pread(fd, slots, sizeof(*slots) * PROBED, at) < 0)
		return;
	for (int i = 0; i < PROBED; i++)
		slots[i].name[sizeof(slots[i].name) - 1] = '\0';
}

/* Without memory there is no label. */
static void write_slot(int fd, off_t at, int i, const struct slot *slot)
{
	(void)!pwrite(fd, slot, sizeof(*slot), at + i * (off_t)sizeof(*slot));
}

static bool has_object(uint32_t key)
{
	return semget((key_t)key, 0, 0) >= 0 || errno != ENOENT || msgget((key_t)key, 0) >= 0 ||
	       errno != ENOENT;
}

static int find_slot(const struct slot slots[PROBED], uint32_t key)
{
	for (int i = 0; i < PROBED; i++)
		if (*slots[i].name && slots[i].key == key)
			return i;
	return -1;
}

static int find_room(const struct slot slots[PROBED])
{
	for (int i = 0; i < PROBED; i++)
		if (!*slots[i].name)
			return i;
	for (int i = 0; i < PROBED; i++)
		if (!has_object(slots[i].key))
			return i;
	return -1;
}

void sync_label_set(const char *name, uint32_t key)
{
	struct slot slots[PROBED];
	struct slot new = {.key = key};
	struct table t = {.fd = -1};
	const off_t at = place(key);
	if (strlen(name) >= sizeof(new.name) || sync_file_may_end(SLOTS * sizeof(new)))
		return;
	if (!open_table(&t, geteuid(), O_RDWR | O_CREAT))
		return;
	read_slots(t.fd, at, slots);
	int i = find_slot(slots, key);
	if (i < 0)
		i = find_room(slots);
	memcpy(new.name, name, strlen(name));
	if (i >= 0)
		write_slot(t.fd, at, i, &new);
	close(t.fd);
}

static bool all_are_dead(int fd)
{
	struct slot slots[PROBED];
	for (off_t at = 0; at < (off_t)(SLOTS * sizeof(struct slot)); at += sizeof(slots)) {
		read_slots(fd, at, slots);
		for (int i = 0; i < PROBED; i++)
			if (*slots[i].name && has_object(slots[i].key))
				return false;
	}
	return true;
}

/* Who writes a label just now loses it. */
void sync_label_drop(uint32_t key, uid_t uid)
{
	struct slot slots[PROBED];
	struct table t = {.fd = -1};
	const off_t at = place(key);
	if (!open_table(&t, uid, O_RDWR))
		return;
	read_slots(t.fd, at, slots);
	int i = find_slot(slots, key);
	/* The other kind may have an object of that key too. */
	if (i >= 0 && !has_object(key)) {
		memset(&slots[i], 0, sizeof(slots[i]));
		write_slot(t.fd, at, i, &slots[i]);
	}
	if (all_are_dead(t.fd))
		(void)!unlink(t.path);
	close(t.fd);
}

bool sync_label_is_file(const char *name)
{
	unsigned uid;
	return rest_of_name(name, &uid) != NULL;
}

static bool find_name(char *buf, size_t size, uint32_t key, uid_t uid)
{
	struct slot slots[PROBED];
	struct sync_sysv_name a;
	struct table t = {.fd = -1};
	if (!open_table(&t, uid, O_RDONLY))
		return false;
	read_slots(t.fd, place(key), slots);
	close(t.fd);
	int i = find_slot(slots, key);
	if (i < 0)
		return false;
	snprintf(buf, size, "%s", slots[i].name);
	return !sync_name_check(buf) && !sync_name_sysv(buf, &a) && !a.by_id && !a.by_key &&
	       a.key == key;
}

void sync_label_name(char *buf, size_t size, uint32_t key, int id, uid_t creator)
{
	char name[256];
	if (!key)
		snprintf(buf, size, "sysv:id=%d", id);
	else if (find_name(name, sizeof(name), key, creator))
		snprintf(buf, size, "sysv:%s", name);
	else
		snprintf(buf, size, "sysv:0x%08x", key);
}
