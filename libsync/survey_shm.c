/* SPDX-License-Identifier: MIT */
/* Shared memory: System V segments, and the files in /dev/shm that are neither semaphores nor ledgers. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/shm.h>
#include <unistd.h>

#include "jobserver.h"
#include "label.h"
#include "shmfile.h"
#include "survey.h"

#ifndef SHM_STAT_ANY /* Linux 4.17 */
#define SHM_STAT_ANY 15
#endif
#ifndef SHM_DEST
#define SHM_DEST 01000
#endif

/* ---- System V ---- */

static int stat_index(int i, struct shmid_ds *ds)
{
	int id = shmctl(i, SHM_STAT_ANY, ds);
	return id < 0 && errno == EINVAL ? shmctl(i, SHM_STAT, ds) : id;
}

static void add_sysv(struct sync_survey *s, int id, const struct shmid_ds *ds)
{
	char name[256];
	const struct ipc_perm *perm = &ds->shm_perm;
	sync_label_name(name, sizeof(name), (uint32_t)perm->__key, id, perm->cuid);
	struct sync_object *o = sync_survey_add(s, SYNC_TYPE_SHM, "%s", name);
	if (!o)
		return;
	s->maps = true;
	o->uid = perm->uid;
	o->mode = perm->mode & 0777;
	o->value = (int64_t)ds->shm_segsz;
	o->since = ds->shm_ctime;
	o->since = ds->shm_atime > o->since ? ds->shm_atime : o->since;
	o->since = ds->shm_dtime > o->since ? ds->shm_dtime : o->since;
	if (perm->mode & SHM_DEST)
		o->flags |= SYNC_OBJECT_DELETED;
	o->identity[0] = (uint64_t)id;
	o->identity[1] = (uint32_t)perm->__key;
	sync_survey_detail(o, "key", (int64_t)(uint32_t)perm->__key);
	sync_survey_detail(o, "id", id);
	sync_survey_detail(o, "attached", (int64_t)ds->shm_nattch);
	sync_survey_detail(o, "changed", ds->shm_ctime);
	sync_survey_detail(o, "attached_last", ds->shm_atime);
	sync_survey_detail(o, "detached_last", ds->shm_dtime);
	sync_survey_detail(o, "create_pid", ds->shm_cpid);
	sync_survey_detail(o, "last_pid", ds->shm_lpid);
	sync_survey_detail(o, "creator", perm->cuid);
	if (ds->shm_nattch)
		o->use |= SYNC_USE_HELD;
	if (sync_survey_lives(ds->shm_cpid) || sync_survey_lives(ds->shm_lpid))
		o->use |= SYNC_USE_LAST;
	(void)sync_survey_number(s, SYNC_SPACE_SHM, (uint64_t)id, true);
}

static void list_sysv(struct sync_survey *s)
{
	struct shm_info info;
	int last = shmctl(0, SHM_INFO, (struct shmid_ds *)(void *)&info);
	if (last < 0)
		s->blind |= SYNC_BLIND_SYSV;
	for (int i = 0; i <= last; i++) {
		struct shmid_ds ds = {0};
		int id = stat_index(i, &ds);
		if (id >= 0)
			add_sysv(s, id, &ds);
	}
}

/* ---- POSIX ---- */

static void add_posix(struct sync_survey *s, int dir, const char *file)
{
	struct stat st;
	if (fstatat(dir, file, &st, AT_SYMLINK_NOFOLLOW) || !S_ISREG(st.st_mode))
		return;
	struct sync_object *o = sync_survey_add(s, SYNC_TYPE_SHM, "posix:/%s", file);
	struct sync_node *node = sync_survey_file(s, st.st_dev, st.st_ino, true);
	if (!o || !node)
		return;
	node->listed = true;
	s->maps = true;
	o->uid = st.st_uid;
	o->mode = st.st_mode & 07777;
	o->value = st.st_size;
	o->since = st.st_mtime > st.st_ctime ? st.st_mtime : st.st_ctime;
	o->identity[0] = st.st_dev;
	o->identity[1] = st.st_ino;
	sync_survey_detail(o, "inode", (int64_t)st.st_ino);
}

static void list_posix(struct sync_survey *s)
{
	dev_t dev;
	uint64_t ino;
	DIR *dir = opendir(SYNC_SHM_DIR);
	if (!dir)
		s->blind |= SYNC_BLIND_SHM;
	for (struct dirent *d = dir ? readdir(dir) : NULL; d; d = readdir(dir))
		if (strncmp(d->d_name, "sem.", 4) != 0 && strncmp(d->d_name, "dbt.", 4) != 0 &&
		    !sync_label_is_file(d->d_name) &&
		    !sync_jobserver_is_ledger(d->d_name, &dev, &ino))
			add_posix(s, dirfd(dir), d->d_name);
	if (dir)
		closedir(dir);
}

/* ---- the kind ---- */

static void list_memory(struct sync_survey *s)
{
	list_sysv(s);
	list_posix(s);
}

static void finish_one(struct sync_survey *s, struct sync_object *o)
{
	bool sysv = sync_survey_rest(o->name, "sysv", false);
	struct sync_node *node =
		sysv ? sync_survey_number(s, SYNC_SPACE_SHM, o->identity[0], false)
		     : sync_survey_file(s, (dev_t)o->identity[0], o->identity[1], false);
	if (!node)
		return;
	sync_survey_sort(node);
	/* Locks on it are not what it is for. */
	for (size_t i = 0; i < node->count; i++)
		if (node->sights[i].has)
			sync_survey_add_owner(s, o, &node->sights[i], false);
	if (!sysv && (s->hidden || s->blind & SYNC_BLIND_PROC) && o->mode & 066)
		o->use |= SYNC_USE_UNSEEN;
}

static void finish_memory(struct sync_survey *s)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->objects[i]->type == SYNC_TYPE_SHM)
			finish_one(s, s->objects[i]);
}

static bool shm_matches(const struct sync_object *o, const char *name)
{
	const char *sysv = sync_survey_rest(name, "sysv", false);
	const char *posix = sync_survey_rest(o->name, "posix", false);
	if (sysv || !posix)
		return sysv && !posix && sync_survey_same_sysv(o, sysv);
	name = sync_survey_rest(name, "posix", true);
	return !strcmp(posix + 1, name + (*name == '/'));
}

/* A segment that somebody attaches between our look and the removal lives on until it is detached. */
static int remove_sysv(const struct sync_object *o, bool force)
{
	int id = (int)o->identity[0];
	struct shmid_ds ds = {0};
	if (shmctl(id, IPC_STAT, &ds)) {
		if (errno != EACCES || !force)
			return errno == EINVAL || errno == EIDRM ? -ENOENT : -errno;
	} else if ((uint32_t)ds.shm_perm.__key != o->identity[1]) {
		return -ESTALE;
	} else if (!force && ds.shm_nattch) {
		return -EBUSY;
	}
	return !shmctl(id, IPC_RMID, NULL) ? 0 : errno == EINVAL ? -ENOENT : -errno;
}

static int remove_posix(const struct sync_object *o, bool force)
{
	char path[512];
	struct stat st;
	snprintf(path, sizeof(path), SYNC_SHM_DIR "/%s", o->name + strlen("posix:/"));
	int r = force ? 0 : sync_survey_is_used(o);
	if (r)
		return r;
	if (lstat(path, &st))
		return -errno;
	if (st.st_dev != o->identity[0] || st.st_ino != o->identity[1])
		return -ESTALE;
	return unlink(path) ? -errno : 0;
}

static int remove_memory(const struct sync_object *o, bool force)
{
	return sync_survey_rest(o->name, "sysv", false) ? remove_sysv(o, force)
							: remove_posix(o, force);
}

const struct sync_kind sync_kind_shm = {
	.type = SYNC_TYPE_SHM,
	.list = list_memory,
	.finish = finish_memory,
	.remove = remove_memory,
	.matches = shm_matches,
};
