/* SPDX-License-Identifier: MIT */
/*
 * Semaphores. Of System V the kernel tells who used one last and how many wait, not who owns what SEM_UNDO will
 * give back; but kcmp(2) tells whether a process has anything to give back at all. Of POSIX it knows only
 * who has the file mapped; who owns a permit of ours is in the ledger (escrow.h).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sem.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "escrow.h"
#include "glibcsem.h"
#include "shmfile.h"
#include "label.h"
#include "survey.h"

#ifndef SEM_STAT_ANY /* Linux 4.17 */
#define SEM_STAT_ANY 20
#endif
#define KCMP_SYSVSEM 6

/* As sem_sysv.c makes them */
enum { PERMITS, TAG, SIZE, MEMBERS };

union semun {
	int val;
	struct semid_ds *buf;
	struct seminfo *info;
};

/* ---- System V ---- */

static int stat_index(int i, struct semid_ds *ds)
{
	union semun arg = {.buf = ds};
	int id = semctl(i, 0, SEM_STAT_ANY, arg);
	return id < 0 && errno == EINVAL ? semctl(i, 0, SEM_STAT, arg) : id;
}

/* Made by us, under that name? Only then it is known what its members mean. */
static bool is_ours(const char *name, int id, const struct semid_ds *ds)
{
	struct sync_sysv_name a;
	const char *rest = sync_survey_rest(name, "sysv", false);
	return rest && ds->sem_nsems == MEMBERS && !sync_name_sysv(rest, &a) && !a.by_id &&
	       !a.by_key && semctl(id, TAG, GETVAL) == a.tag;
}

/* Waiters of all members; and who used one last that is still there. */
static void look_at_members(struct sync_object *o, int id, unsigned members)
{
	int64_t waiters = 0;
	pid_t last = 0;
	for (unsigned i = 0; i < members && i < 32000; i++) {
		int n = semctl(id, (int)i, GETNCNT);
		int z = semctl(id, (int)i, GETZCNT);
		pid_t pid = semctl(id, (int)i, GETPID);
		if (n < 0)
			break; /* no right to read it */
		waiters += n + (z > 0 ? z : 0);
		if (!i || sync_survey_lives(pid))
			last = pid > 0 ? pid : last;
	}
	sync_survey_detail(o, "waiting", waiters);
	if (last)
		sync_survey_detail(o, "last_pid", last);
	if (sync_survey_lives(last))
		o->use |= SYNC_USE_LAST;
}

static void add_sysv(struct sync_survey *s, int id, const struct semid_ds *ds)
{
	char name[256];
	const struct ipc_perm *perm = &ds->sem_perm;
	sync_label_name(name, sizeof(name), (uint32_t)perm->__key, id, perm->cuid);
	struct sync_object *o = sync_survey_add(s, SYNC_TYPE_SEM, "%s", name);
	if (!o)
		return;
	o->uid = perm->uid;
	o->mode = perm->mode & 0777;
	o->since = ds->sem_ctime;
	o->identity[0] = (uint64_t)id;
	o->identity[1] = (uint32_t)perm->__key;
	o->identity[2] = (uint64_t)ds->sem_otime;
	o->value = semctl(id, PERMITS, GETVAL);
	sync_survey_detail(o, "key", (int64_t)(uint32_t)perm->__key);
	sync_survey_detail(o, "id", id);
	sync_survey_detail(o, "members", (int64_t)ds->sem_nsems);
	sync_survey_detail(o, "used", ds->sem_otime);
	sync_survey_detail(o, "creator", perm->cuid);
	if (o->value >= 0)
		look_at_members(o, id, (unsigned)ds->sem_nsems);
	if (is_ours(name, id, ds))
		o->capacity = semctl(id, SIZE, GETVAL);
	if (o->capacity >= 0 && o->value < o->capacity)
		o->use |= SYNC_USE_OUT;
	(void)sync_survey_number(s, SYNC_SPACE_SEM, (uint64_t)id, true);
}

static void list_sysv(struct sync_survey *s)
{
	struct seminfo info;
	union semun arg = {.info = &info};
	int last = semctl(0, 0, SEM_INFO, arg);
	if (last < 0)
		s->blind |= SYNC_BLIND_SYSV;
	for (int i = 0; i <= last; i++) {
		struct semid_ds ds = {0};
		int id = stat_index(i, &ds);
		if (id >= 0)
			add_sysv(s, id, &ds);
	}
}

/* Has the process something to give back? We have not, so it is not as we are then. 1, 0, -errno. */
static int has_undo(pid_t pid)
{
	long r = syscall(SYS_kcmp, getpid(), pid, KCMP_SYSVSEM, 0, 0);
	return r < 0 ? -errno : r != 0;
}

/* Is there any such process in our IPC namespace, or one that cannot be asked? */
static bool anybody_has_undo(const struct sync_survey *s)
{
	DIR *dir = opendir("/proc");
	bool found = !dir || s->blind & SYNC_BLIND_PROC;
	for (struct dirent *d = dir ? readdir(dir) : NULL; d && !found; d = readdir(dir)) {
		uint64_t pid;
		if (sync_name_number(d->d_name, strlen(d->d_name), INT32_MAX, &pid))
			continue;
		int r = has_undo((pid_t)pid);
		found = r > 0 || (r < 0 && r != -ESRCH);
	}
	if (dir)
		closedir(dir);
	return found;
}

static void finish_sysv(struct sync_survey *s, struct sync_object *o, int *undo)
{
	struct sync_node *node = sync_survey_number(s, SYNC_SPACE_SEM, o->identity[0], false);
	pid_t last = (pid_t)sync_survey_find_detail(o, "last_pid");
	int64_t waiting = sync_survey_find_detail(o, "waiting");
	/* Who used it last, is there and has something to give back, has a permit of it that is out. */
	bool out = o->capacity >= 0 ? o->value < o->capacity : !o->value;
	if (out && last > 0 && has_undo(last) > 0) {
		const struct sync_sight g = {.pid = last, .fd = -1, .range.last = SYNC_RANGE_END};
		sync_survey_add_owner(s, o, &g, false);
	}
	size_t holders = o->owner_count;
	if (node)
		sync_survey_sort(node);
	sync_survey_people(s, o, node, SYNC_USERS_HOLD);
	if (waiting > (int64_t)(o->owner_count - holders))
		sync_survey_add_unseen(s, o,
				       (unsigned)waiting - (unsigned)(o->owner_count - holders));
	/* What its members mean we do not know, so anybody's undo may be of it. */
	if (o->capacity < 0 && *undo < 0)
		*undo = anybody_has_undo(s);
	if (o->capacity < 0 && *undo)
		o->use |= SYNC_USE_UNSEEN;
}

/* ---- POSIX ---- */

static int ledger_path(char *buf, size_t size, const char *name)
{
	return snprintf(buf, size, SYNC_SHM_DIR "/dbt.%s", name);
}

/* Debts of those who are gone, which repair would give back. */
static void count_owed(struct sync_object *o, const struct sync_node *node, const char *path)
{
	struct sync_ledger *copy = malloc(sizeof(*copy));
	int64_t owed = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	ssize_t n = copy && fd >= 0 ? pread(fd, copy, sizeof(*copy), 0) : -1;
	if (fd >= 0)
		close(fd);
	for (unsigned i = 0; n == sizeof(*copy) && i < SYNC_DEBTS; i++) {
		bool held = copy->debt[i].state <= SYNC_DEBT_CLAIMED;
		for (size_t k = 0; k < node->count && !held; k++) {
			const struct sync_range *r = &node->sights[k].range;
			held = !node->sights[k].waiting && !node->sights[k].has &&
			       r->first <= SYNC_SLOTS + i && r->last >= SYNC_SLOTS + i;
		}
		owed += !held;
	}
	free(copy);
	sync_survey_detail(o, "owed", owed);
}

static void add_posix(struct sync_survey *s, int dir, const char *file)
{
	char path[512];
	struct stat st;
	struct glibcsem sem;
	const char *name = file + 4;
	if (fstatat(dir, file, &st, AT_SYMLINK_NOFOLLOW) || !S_ISREG(st.st_mode))
		return;
	struct sync_object *o = sync_survey_add(s, SYNC_TYPE_SEM, "posix:/%s", name);
	struct sync_node *node = sync_survey_file(s, st.st_dev, st.st_ino, true);
	if (!o || !node)
		return;
	node->listed = true;
	s->maps = true;
	o->uid = st.st_uid;
	o->mode = st.st_mode & 07777;
	o->since = st.st_mtime > st.st_ctime ? st.st_mtime : st.st_ctime;
	o->identity[0] = st.st_dev;
	o->identity[1] = st.st_ino;
	sync_survey_detail(o, "inode", (int64_t)st.st_ino);
	int fd = openat(dir, file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd >= 0 && pread(fd, &sem, sizeof(sem), 0) == sizeof(sem) &&
	    !sync_glibcsem_check(&sem)) {
		o->value = sync_glibcsem_value(&sem);
		/* Those who were killed are counted for ever. */
		sync_survey_detail(o, "counted_waiters", sync_glibcsem_waiters(&sem));
	}
	if (fd >= 0)
		close(fd);
	ledger_path(path, sizeof(path), name);
	if (lstat(path, &st) || !S_ISREG(st.st_mode))
		return;
	node = sync_survey_file(s, st.st_dev, st.st_ino, true);
	if (node)
		node->listed = node->own_locks = true;
	o->identity[2] = st.st_ino;
}

static void list_posix(struct sync_survey *s)
{
	DIR *dir = opendir(SYNC_SHM_DIR);
	if (!dir)
		s->blind |= SYNC_BLIND_SHM;
	for (struct dirent *d = dir ? readdir(dir) : NULL; d; d = readdir(dir))
		if (!strncmp(d->d_name, "sem.", 4) && d->d_name[4])
			add_posix(s, dirfd(dir), d->d_name);
	if (dir)
		closedir(dir);
}

static bool has_person(const struct sync_owner *list, size_t count, pid_t pid, bool waiting)
{
	for (size_t i = 0; i < count; i++)
		if (list[i].pid == pid && list[i].waiting == waiting)
			return true;
	return false;
}

/* Holders are in the ledger; waiters at its byte 0, of which the first has the lock, and at the semaphore. */
static void add_debtors(struct sync_survey *s, struct sync_object *o, const struct sync_node *node)
{
	for (size_t i = 0; i < node->count; i++) {
		struct sync_sight g = node->sights[i];
		if (g.has || g.waiting || g.range.first < SYNC_SLOTS)
			continue;
		g.range.first -= SYNC_SLOTS;
		g.range.last -= SYNC_SLOTS;
		sync_survey_add_owner(s, o, &g, false);
	}
}

static void add_waiters(struct sync_survey *s, struct sync_object *o, const struct sync_node *node,
			bool ledger)
{
	for (size_t i = 0; i < node->count; i++) {
		struct sync_sight g = node->sights[i];
		if (ledger ? g.has || g.range.first : !g.waiting)
			continue;
		g.waiting = true;
		if (!has_person(o->owners, o->owner_count, g.pid, true))
			sync_survey_add_owner(s, o, &g, false);
	}
}

static void finish_posix(struct sync_survey *s, struct sync_object *o)
{
	char path[512];
	struct sync_node *node = sync_survey_file(s, (dev_t)o->identity[0], o->identity[1], false);
	struct sync_node *ledger =
		o->identity[2] ? sync_survey_file(s, (dev_t)o->identity[0], o->identity[2], false)
			       : NULL;
	if (!node)
		return;
	sync_survey_sort(node);
	if (ledger) {
		sync_survey_sort(ledger);
		add_debtors(s, o, ledger);
		ledger_path(path, sizeof(path), o->name + strlen("posix:/"));
		count_owed(o, ledger, path);
	}
	add_waiters(s, o, node, false);
	if (ledger)
		add_waiters(s, o, ledger, true);
	for (size_t i = 0; i < node->count; i++) {
		const struct sync_sight *g = &node->sights[i];
		if (g->has && !has_person(o->owners, o->owner_count, g->pid, false) &&
		    !has_person(o->owners, o->owner_count, g->pid, true))
			sync_survey_add_owner(s, o, g, true);
	}
	if ((s->hidden || s->blind & SYNC_BLIND_PROC) && o->mode & 066)
		o->use |= SYNC_USE_UNSEEN;
}

/* ---- the kind ---- */

static void list_sems(struct sync_survey *s)
{
	list_sysv(s);
	list_posix(s);
}

static void finish_sems(struct sync_survey *s)
{
	int undo = -1;
	for (size_t i = 0; i < s->count; i++) {
		struct sync_object *o = s->objects[i];
		if (o->type != SYNC_TYPE_SEM)
			continue;
		if (sync_survey_rest(o->name, "sysv", false))
			finish_sysv(s, o, &undo);
		else
			finish_posix(s, o);
	}
}

static bool sem_matches(const struct sync_object *o, const char *name)
{
	const char *rest = sync_survey_rest(o->name, "posix", false);
	const char *asked = sync_survey_rest(name, "posix", false);
	if (rest || asked)
		return rest && asked && !strcmp(rest + 1, asked + (*asked == '/'));
	return sync_survey_same_sysv(o, sync_survey_rest(name, "sysv", true));
}

/* ---- remove ---- */

static void drop_label(const struct sync_object *o)
{
	sync_label_drop((uint32_t)o->identity[1], (uid_t)sync_survey_find_detail(o, "creator"));
}

/*
 * One of ours: take all its permits first, in one step, as whoever uses it would; then nobody has one, and who comes
 * now can only wait, until the set is gone. If we are killed, SEM_UNDO gives them back.
 */
static int take_all(const struct sync_object *o, int id)
{
	struct sembuf op = {PERMITS, (short)-o->value, IPC_NOWAIT | SEM_UNDO};
	if (o->value < o->capacity)
		return -EBUSY;
	if (!o->value)
		op.sem_flg = IPC_NOWAIT; /* then this asks whether it is 0 */
	if (!semop(id, &op, 1))
		return 0;
	return errno == EAGAIN || errno == ERANGE ? -EBUSY : errno == EINVAL ? -ENOENT : -errno;
}

static void give_all(const struct sync_object *o, int id)
{
	struct sembuf op = {PERMITS, (short)o->value, IPC_NOWAIT | SEM_UNDO};
	if (o->value && semop(id, &op, 1))
		return; /* it is gone */
}

static int count_waiters(int id, unsigned members)
{
	int sum = 0;
	for (unsigned i = 0; i < members; i++) {
		int n = semctl(id, (int)i, GETNCNT);
		int z = semctl(id, (int)i, GETZCNT);
		sum += (n > 0 ? n : 0) + (z > 0 ? z : 0);
	}
	return sum;
}

static int remove_unused(const struct sync_object *o, int id, const struct semid_ds *ds)
{
	/* Used since we looked? */
	if ((uint64_t)ds->sem_otime != o->identity[2] ||
	    (o->value >= 0 && semctl(id, PERMITS, GETVAL) != o->value))
		return -EBUSY;
	int r = o->capacity >= 0 ? take_all(o, id) : 0;
	if (r)
		return r;
	/* Or somebody has posted, or waits. */
	if ((o->capacity >= 0 && semctl(id, PERMITS, GETVAL) != 0) ||
	    count_waiters(id, (unsigned)ds->sem_nsems)) {
		if (o->capacity >= 0)
			give_all(o, id);
		return -EBUSY;
	}
	if (semctl(id, 0, IPC_RMID))
		return -errno;
	drop_label(o);
	return 0;
}

static int remove_sysv(const struct sync_object *o, bool force)
{
	int id = (int)o->identity[0];
	struct semid_ds ds = {0};
	union semun arg = {.buf = &ds};
	if (semctl(id, 0, IPC_STAT, arg)) {
		/* Who owns it may remove it, even without the right to read. */
		if (errno != EACCES || !force)
			return errno == EINVAL || errno == EIDRM ? -ENOENT : -errno;
	} else if ((uint32_t)ds.sem_perm.__key != o->identity[1]) {
		return -ESTALE;
	} else if (!force) {
		return remove_unused(o, id, &ds);
	}
	if (semctl(id, 0, IPC_RMID))
		return errno == EINVAL ? -ENOENT : -errno;
	drop_label(o);
	return 0;
}

/* More are not taken, but then somebody may come to have one in the moment of the removal. */
#define MOST_TAKEN 64

/*
 * Take all permits that are there, so that who comes from now on can only wait, for which it has to have the file
 * mapped. They are owned: if we are killed, the next waiter gives them back.
 */
static int take_posix(struct sync_sem *sem)
{
	struct sync_sem_state state;
	int r = sync_sem_state(sem, &state);
	if (!r && state.value > MOST_TAKEN)
		return 0;
	while (!r)
		r = sync_sem_wait(sem, 1, SYNC_SEM_OWNED, SYNC_NOW);
	return r == -ETIMEDOUT ? 0 : r;
}

static int remove_opened(const struct sync_object *o, struct sync_sem *sem, bool force)
{
	/* Look once more who has it, as the last thing before. */
	int r = force ? 0 : take_posix(sem);
	if (!r && !force)
		r = sync_survey_is_used(o);
	if (!r)
		return sync_sem_unlink(sem);
	if (!force && sync_sem_release(sem))
		return r; /* the next waiter does it */
	return r;
}

static int remove_posix(const struct sync_object *o, bool force)
{
	struct sync_sem *sem;
	struct stat st;
	char path[512];
	const char *name = o->name + strlen("posix:/");
	int r = sync_sem_open(o->name, NULL, &sem);
	if (r == -ENOENT)
		return r;
	snprintf(path, sizeof(path), SYNC_SHM_DIR "/sem.%s", name);
	if (lstat(path, &st))
		r = -errno;
	else if (st.st_dev != o->identity[0] || st.st_ino != o->identity[1])
		r = -ESTALE;
	else if (!r)
		r = remove_opened(o, sem, force);
	else if (!force && sync_survey_is_used(o))
		return -EBUSY;
	else /* it is none, or damaged, or may not be opened */
		return unlink(path) ? -errno : 0;
	sync_sem_close(sem);
	return r == -EIDRM ? -ESTALE : r;
}

static int remove_sem(const struct sync_object *o, bool force)
{
	return sync_survey_rest(o->name, "sysv", false) ? remove_sysv(o, force)
							: remove_posix(o, force);
}

const struct sync_kind sync_kind_sem = {
	.type = SYNC_TYPE_SEM,
	.list = list_sems,
	.finish = finish_sems,
	.remove = remove_sem,
	.matches = sem_matches,
};
