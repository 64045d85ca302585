/* SPDX-License-Identifier: MIT */
/*
 * The names of System V objects, which the kernel knows by key alone. Whoever makes one leaves a label: a symbolic
 * link /dev/shm/key.KEY.UID that leads to the name. Nothing but listings ever reads it, and they hash the name
 * again: a label that is wrong, or missing, or somebody else's, costs a listing the name and does no other harm.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "label.h"
#include "shmfile.h"
#include "survey.h"

static void label_path(char *buf, size_t size, uint32_t key, uid_t uid)
{
	snprintf(buf, size, SYNC_SHM_DIR "/key.%08x.%u", key, (unsigned)uid);
}

void sync_label_set(const char *name, uint32_t key)
{
	char path[64];
	label_path(path, sizeof(path), key, geteuid());
	if (symlink(name, path))
		return; /* it is there, or cannot be */
}

void sync_label_drop(uint32_t key, uid_t uid)
{
	char path[64];
	char target[4];
	label_path(path, sizeof(path), key, uid);
	if (readlink(path, target, sizeof(target)) >= 0 && unlink(path))
		return; /* not ours to remove */
}

static bool find_name(char *buf, size_t size, uint32_t key, uid_t uid)
{
	char path[64];
	struct sync_sysv_name a;
	label_path(path, sizeof(path), key, uid);
	ssize_t n = readlink(path, buf, size - 1);
	if (n <= 0)
		return false;
	buf[n] = '\0';
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
