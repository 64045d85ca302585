/* SPDX-License-Identifier: MIT */
/*
 * The names of System V objects, which the kernel knows by key alone. Whoever makes one writes its name into a file
 * of his, /dev/shm/sysv.UID. Nothing but listings ever reads it, and they hash the name again: a label that is
 * wrong, half written, missing or somebody else's costs a listing the name and does no other harm. So nobody locks
 * it.
 *
 * Objects go without our knowledge, by ipcrm or a program's IPC_RMID. Therefore the file is a table of a bounded
 * size, where a label whose object is gone makes room for the next; and who removes an object through us, and
 * finds no label that has one, removes the file.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/msg.h>
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

static int open_table(uid_t uid, int flags)
{
	char path[32];
	struct stat st;
	snprintf(path, sizeof(path), SYNC_SHM_DIR "/sysv.%u", (unsigned)uid);
	int fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0644);
	if (fd < 0)
		return -1;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_uid == uid && st.st_nlink == 1)
		return fd;
	close(fd);
	return -1;
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
	const off_t at = place(key);
	if (strlen(name) >= sizeof(new.name) || sync_file_may_end(SLOTS * sizeof(new)))
		return;
	int fd = open_table(geteuid(), O_RDWR | O_CREAT);
	if (fd < 0)
		return;
	read_slots(fd, at, slots);
	int i = find_slot(slots, key);
	if (i < 0)
		i = find_room(slots);
	memcpy(new.name, name, strlen(name));
	if (i >= 0)
		write_slot(fd, at, i, &new);
	close(fd);
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
	char path[32];
	const off_t at = place(key);
	int fd = open_table(uid, O_RDWR);
	if (fd < 0)
		return;
	read_slots(fd, at, slots);
	int i = find_slot(slots, key);
	/* The other kind may have an object of that key too. */
	if (i >= 0 && !has_object(key)) {
		memset(&slots[i], 0, sizeof(slots[i]));
		write_slot(fd, at, i, &slots[i]);
	}
	snprintf(path, sizeof(path), SYNC_SHM_DIR "/sysv.%u", (unsigned)uid);
	if (all_are_dead(fd))
		(void)!unlink(path);
	close(fd);
}

bool sync_label_is_file(const char *name)
{
	unsigned uid;
	char again[32];
	if (sscanf(name, "sysv.%u", &uid) != 1)
		return false;
	snprintf(again, sizeof(again), "sysv.%u", uid);
	return !strcmp(name, again);
}

static bool find_name(char *buf, size_t size, uint32_t key, uid_t uid)
{
	struct slot slots[PROBED];
	struct sync_sysv_name a;
	int fd = open_table(uid, O_RDONLY);
	if (fd < 0)
		return false;
	read_slots(fd, place(key), slots);
	close(fd);
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
