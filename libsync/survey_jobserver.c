/* SPDX-License-Identifier: MIT */
/*
 * Jobservers, of which there are two traces:
 *
 * - NAME.jobs and NAME.jobs.lock, a pool of jobpool(1): whoever has byte 1 of the second locked uses it;
 * - a ledger (escrow.h) in /dev/shm, if clients of ours use it, whoever serves it: pools, make, others. It tells the
 *   number of the pipe or FIFO; the name is then the oldest process's that has that.
 *
 * Tokens are in a pipe only while somebody has it open, so of one that nobody has there is nothing to lose.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "escrow.h"
#include "jobserver.h"
#include "shmfile.h"
#include "survey.h"

#define FIFO_SUFFIX ".jobs"
#define LOCK_SUFFIX ".jobs.lock"

/* Bytes of the lock file, as in cmd/jobpool/pool.c; and of a ledger, those that make's own slots have. */
enum { MOMENT, USERS };
#define OTHERS ((uint64_t)1 << 40)

static bool ends_in(const char *text, const char *suffix)
{
	size_t n = strlen(text);
	size_t m = strlen(suffix);
	return n > m && !strcmp(text + n - m, suffix);
}

static bool is_pool(const struct sync_object *o)
{
	return o->path && ends_in(o->path, FIFO_SUFFIX);
}

/* ---- what there is ---- */

static void set_times(struct sync_object *o, const struct stat *st)
{
	o->uid = st->st_uid;
	o->mode = st->st_mode & 07777;
	o->since = st->st_mtime > st->st_ctime ? st->st_mtime : st->st_ctime;
}

/* The pipe or FIFO itself: who has it open counts. */
static struct sync_node *watch_server(struct sync_survey *s, struct sync_object *o, dev_t dev,
				      uint64_t ino)
{
	struct sync_node *node = sync_survey_file(s, dev, ino, true);
	o->identity[0] = dev;
	o->identity[1] = ino;
	sync_survey_detail(o, "inode", (int64_t)ino);
	if (node)
		node->listed = true;
	return node;
}

static void claim_ledger(struct sync_survey *s, struct sync_object *o, const struct stat *st)
{
	struct sync_node *node = sync_survey_file(s, st->st_dev, st->st_ino, true);
	if (node)
		node->listed = node->own_locks = node->shown = true;
	o->identity[2] = st->st_ino;
}

static bool ledger_of(const char *path, const struct stat *fifo, char *ledger, size_t size,
		      struct stat *st)
{
	sync_jobserver_ledger(ledger, size, AT_FDCWD, path, fifo);
	return !lstat(ledger, st) && S_ISREG(st->st_mode);
}

static void rename_object(struct sync_survey *s, struct sync_object *o, const char *scheme,
			  const char *path)
{
	char *name;
	if (asprintf(&name, "%s%s", scheme, path) < 0) {
		s->no_memory = true;
		return;
	}
	free((char *)o->name);
	o->name = name;
}

/* It was listed by its ledger, before its lock file was seen. */
static struct sync_object *find_by_ledger(const struct sync_survey *s, const char *ledger)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->objects[i]->type == SYNC_TYPE_JOBSERVER && s->objects[i]->path &&
		    !strcmp(s->objects[i]->path, ledger))
			return s->objects[i];
	return NULL;
}

static int64_t read_size(const char *lock_path)
{
	char text[16] = "";
	unsigned size = 0;
	int fd = open(lock_path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	return n > 0 && sscanf(text, "%u", &size) == 1 && size ? (int64_t)size : -1;
}

/* PATH is the FIFO's, LOCK its lock file. */
static void add_pool(struct sync_survey *s, const char *path, const char *lock_path,
		     const struct stat *lock)
{
	char ledger[SYNC_JOBSERVER_LEDGER];
	struct stat fifo;
	struct stat st;
	struct sync_node *node = sync_survey_file(s, lock->st_dev, lock->st_ino, true);
	if (!node || node->shown || lstat(path, &fifo) || !S_ISFIFO(fifo.st_mode))
		return;
	bool has_ledger = ledger_of(path, &fifo, ledger, sizeof(ledger), &st);
	struct sync_object *o = has_ledger ? find_by_ledger(s, ledger) : NULL;
	if (o)
		rename_object(s, o, "jobserver:fifo:", path);
	else if ((o = sync_survey_add(s, SYNC_TYPE_JOBSERVER, "jobserver:fifo:%s", path)) != NULL)
		watch_server(s, o, fifo.st_dev, fifo.st_ino);
	if (!o)
		return;
	node->listed = node->own_locks = node->shown = true;
	set_times(o, &fifo);
	if (has_ledger)
		claim_ledger(s, o, &st);
	o->capacity = read_size(lock_path);
	sync_survey_set_file(o, path);
}

static void list_pools(struct sync_survey *s)
{
	DIR *dir = s->opts.directory ? opendir(s->opts.directory) : NULL;
	if (!dir && s->opts.directory && errno != ENOENT)
		s->blind |= SYNC_BLIND_POOLS;
	for (struct dirent *d = dir ? readdir(dir) : NULL; d; d = readdir(dir)) {
		char path[4096];
		char lock_path[4096 + sizeof(".lock")];
		struct stat st;
		if (!ends_in(d->d_name, FIFO_SUFFIX) ||
		    snprintf(path, sizeof(path), "%s/%s", s->opts.directory, d->d_name) >=
			    (int)sizeof(path))
			continue;
		snprintf(lock_path, sizeof(lock_path), "%s.lock", path);
		if (!lstat(lock_path, &st) && S_ISREG(st.st_mode))
			add_pool(s, path, lock_path, &st);
	}
	if (dir)
		closedir(dir);
}

static void add_ledger(struct sync_survey *s, int dir, const char *file)
{
	struct stat st;
	dev_t dev;
	uint64_t ino;
	if (!sync_jobserver_is_ledger(file, &dev, &ino) ||
	    fstatat(dir, file, &st, AT_SYMLINK_NOFOLLOW) || !S_ISREG(st.st_mode))
		return;
	const struct sync_node *known = sync_survey_file(s, st.st_dev, st.st_ino, false);
	struct sync_object *o = known && known->shown
					? NULL
					: sync_survey_add(s, SYNC_TYPE_JOBSERVER,
							  "jobserver:" SYNC_SHM_DIR "/%s", file);
	if (!o)
		return;
	sync_survey_set_file(o, o->name + strlen("jobserver:"));
	watch_server(s, o, dev, ino);
	claim_ledger(s, o, &st);
	set_times(o, &st); /* it was made like the jobserver */
}

static void list_jobservers(struct sync_survey *s)
{
	list_pools(s);
	DIR *dir = opendir(SYNC_SHM_DIR);
	if (!dir)
		s->blind |= SYNC_BLIND_SHM;
	for (struct dirent *d = dir ? readdir(dir) : NULL; d; d = readdir(dir))
		add_ledger(s, dirfd(dir), d->d_name);
	if (dir)
		closedir(dir);
}

static bool could_be_pool(const struct sync_node *n, struct stat *st)
{
	return n->space == SYNC_SPACE_FILE && !n->shown && !n->deleted && n->path &&
	       ends_in(n->path, LOCK_SUFFIX) && !lstat(n->path, st) && S_ISREG(st->st_mode) &&
	       st->st_dev == n->dev && st->st_ino == n->ino;
}

static void add_found(struct sync_survey *s, const struct sync_node *n)
{
	struct stat st;
	if (!could_be_pool(n, &st))
		return;
	char *path = strndup(n->path, strlen(n->path) - strlen(".lock"));
	if (path)
		add_pool(s, path, n->path, &st);
	else
		s->no_memory = true;
	free(path);
}

/* Pools elsewhere are found by who has their lock file locked. */
static void find_more(struct sync_survey *s)
{
	for (struct sync_node *n = s->newest; n; n = n->older)
		add_found(s, n);
}

/* ---- who ---- */

static bool has_person(const struct sync_owner *list, size_t count, pid_t pid)
{
	for (size_t i = 0; i < count; i++)
		if (list[i].pid == pid)
			return true;
	return false;
}

static bool is_locked(const struct sync_sight *g, uint64_t byte)
{
	return !g->has && !g->waiting && g->kind && g->range.first <= byte && g->range.last >= byte;
}

/* Has an ancestor it, too? Then it was merely started in the pool. */
static bool is_heir(const struct sync_node *node, const struct sync_sight *g)
{
	struct sync_proc p;
	pid_t pid = g->pid;
	for (int depth = 0; depth < 64 && pid > 1 && !sync_proc_stat(pid, &p); depth++) {
		pid = p.parent;
		for (size_t i = 0; i < node->count; i++)
			if (node->sights[i].pid == pid && is_locked(&node->sights[i], USERS))
				return true;
	}
	return false;
}

/* Who serves it, with whoever goes on with it for one that was killed. */
static void add_servers(struct sync_survey *s, struct sync_object *o, const struct sync_node *node)
{
	for (size_t i = 0; i < node->count; i++) {
		struct sync_sight g = node->sights[i];
		if (!is_locked(&g, USERS) || (g.pid && is_heir(node, &g)))
			continue;
		g.kind = NULL;
		g.range = (struct sync_range){0, SYNC_RANGE_END};
		sync_survey_add_owner(s, o, &g, false);
	}
}

static struct sync_ledger *read_ledger(const char *path)
{
	struct sync_ledger *copy = malloc(sizeof(*copy));
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	ssize_t n = copy && fd >= 0 ? pread(fd, copy, sizeof(*copy), 0) : -1;
	if (fd >= 0)
		close(fd);
	if (n == sizeof(*copy))
		return copy;
	free(copy);
	return NULL;
}

/* A permit that was lent, or never taken, is not held. */
static bool is_held(const struct sync_ledger *ledger, uint64_t slot)
{
	if (!ledger || slot >= SYNC_DEBTS)
		return true;
	uint32_t state = ledger->debt[slot].state;
	return state == SYNC_DEBT_TAKING || state == SYNC_DEBT_HOLDING || state == SYNC_DEBT_GIVING;
}

static bool has_lent(const struct sync_node *node, const struct sync_ledger *ledger, pid_t pid)
{
	for (size_t i = 0; ledger && i < node->count; i++) {
		const struct sync_sight *g = &node->sights[i];
		uint64_t slot = g->range.first - SYNC_SLOTS;
		if (g->pid == pid && is_locked(g, g->range.first) && g->range.first >= SYNC_SLOTS &&
		    slot < SYNC_DEBTS &&
		    (ledger->debt[slot].state == SYNC_DEBT_LENT ||
		     ledger->debt[slot].state == SYNC_DEBT_LENDING))
			return true;
	}
	return false;
}

/* Each token taken is a slot of the ledger; the one that make had given the job is a byte far behind. */
static void add_debtors(struct sync_survey *s, struct sync_object *o, const struct sync_node *node,
			const struct sync_ledger *ledger)
{
	for (size_t i = 0; i < node->count; i++) {
		struct sync_sight g = node->sights[i];
		if (g.has || g.waiting || !g.kind || g.range.first < SYNC_SLOTS)
			continue;
		if (g.range.first >= OTHERS) {
			if (has_lent(node, ledger, g.pid))
				continue;
			g.kind = NULL;
			g.range = (struct sync_range){0, SYNC_RANGE_END};
		} else {
			g.range.first -= SYNC_SLOTS;
			g.range.last -= SYNC_SLOTS;
			if (!is_held(ledger, g.range.first))
				continue;
		}
		sync_survey_add_owner(s, o, &g, false);
	}
}

/* At byte 0, of which the first has the lock. */
static void add_waiters(struct sync_survey *s, struct sync_object *o, const struct sync_node *node)
{
	size_t holders = o->owner_count;
	for (size_t i = 0; i < node->count; i++) {
		struct sync_sight g = node->sights[i];
		if (g.has || !g.kind || g.range.first ||
		    (g.pid && has_person(o->owners + holders, o->owner_count - holders, g.pid)))
			continue;
		g.waiting = true;
		sync_survey_add_owner(s, o, &g, false);
	}
}

static void add_users(struct sync_survey *s, struct sync_object *o, const struct sync_node *node)
{
	for (size_t i = 0; node && i < node->count; i++) {
		struct sync_sight g = node->sights[i];
		if (g.waiting || (g.pid && (has_person(o->owners, o->owner_count, g.pid) ||
					    has_person(o->users, o->user_count, g.pid))))
			continue;
		if (!g.has) {
			g.kind = NULL;
			g.range = (struct sync_range){0, SYNC_RANGE_END};
		}
		sync_survey_add_owner(s, o, &g, true);
	}
}

static void count_owed(struct sync_object *o, const struct sync_node *node,
		       const struct sync_ledger *ledger)
{
	int64_t owed = 0;
	for (unsigned i = 0; i < SYNC_DEBTS; i++) {
		bool held = ledger->debt[i].state <= SYNC_DEBT_CLAIMED;
		for (size_t k = 0; k < node->count && !held; k++)
			held = is_locked(&node->sights[k], SYNC_SLOTS + i);
		owed += !held;
	}
	sync_survey_detail(o, "owed", owed);
}

static void finish_ledger(struct sync_survey *s, struct sync_object *o, const char *path)
{
	struct stat st;
	struct sync_node *node = !lstat(path, &st) && st.st_ino == o->identity[2]
					 ? sync_survey_file(s, st.st_dev, st.st_ino, false)
					 : NULL;
	if (!node)
		return;
	struct sync_ledger *ledger = read_ledger(path);
	sync_survey_sort(node);
	add_debtors(s, o, node, ledger);
	add_waiters(s, o, node);
	add_users(s, o, node);
	if (ledger)
		count_owed(o, node, ledger);
	free(ledger);
}

/* ---- its name, and what is in it ---- */

/*
 * The oldest process that can be looked into, and has it; "/proc/PID/fd/N" in PATH. False if what it has is of another
 * ledger: a later FIFO, of the same number.
 */
static bool find_server(const struct sync_object *o, const struct sync_node *node, char *path,
			size_t size)
{
	char ledger[SYNC_JOBSERVER_LEDGER];
	struct stat st;
	path[0] = '\0';
	for (size_t i = 0; node && i < node->count; i++) {
		const struct sync_sight *g = &node->sights[i];
		if (!g->has || g->fd < 0)
			continue;
		snprintf(path, size, "/proc/%d/fd/%d", (int)sync_proc_thread(g->pid), g->fd);
		if (!stat(path, &st) && st.st_dev == o->identity[0] &&
		    st.st_ino == o->identity[1]) {
			sync_jobserver_ledger(ledger, sizeof(ledger), AT_FDCWD, path, &st);
			return is_pool(o) || (o->path && !strcmp(ledger, o->path));
		}
		path[0] = '\0';
	}
	return true;
}

/* Somebody has both ends open, so that our open wakes nobody who waits for an end. */
static void set_value(struct sync_object *o, const char *path)
{
	int n;
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (fd >= 0 && !ioctl(fd, FIONREAD, &n) && n >= 0)
		o->value = n;
	if (fd >= 0)
		close(fd);
}

/* A FIFO is named by its path, if that leads there from here; a pipe by who has it. */
static void set_name(struct sync_survey *s, struct sync_object *o, const char *path)
{
	char target[4096];
	struct stat st;
	ssize_t n = readlink(path, target, sizeof(target) - 1);
	if (n > 0)
		target[n] = '\0';
	bool named = n > 0 && target[0] == '/' && !lstat(target, &st) &&
		     st.st_dev == o->identity[0] && st.st_ino == o->identity[1];
	rename_object(s, o, "jobserver:fifo:", named ? target : path);
}

/* ---- the kind ---- */

static void finish_pool(struct sync_survey *s, struct sync_object *o)
{
	char path[4096 + sizeof(".lock")];
	char ledger[SYNC_JOBSERVER_LEDGER];
	struct stat st;
	struct sync_node *node = NULL;
	snprintf(path, sizeof(path), "%s.lock", o->path);
	if (!lstat(path, &st))
		node = sync_survey_file(s, st.st_dev, st.st_ino, false);
	if (node) {
		sync_survey_sort(node);
		add_servers(s, o, node);
	}
	if (!lstat(o->path, &st) && ledger_of(o->path, &st, ledger, sizeof(ledger), &st))
		finish_ledger(s, o, ledger);
	if (node)
		add_users(s, o, node);
}

static void finish_one(struct sync_survey *s, struct sync_object *o)
{
	char path[64];
	struct sync_node *node = sync_survey_file(s, (dev_t)o->identity[0], o->identity[1], false);
	if (node)
		sync_survey_sort(node);
	bool mine = find_server(o, node, path, sizeof(path));
	if (is_pool(o))
		finish_pool(s, o);
	else if (o->path)
		finish_ledger(s, o, o->path);
	if (mine)
		add_users(s, o, node);
	if (mine && *path) {
		set_value(o, path);
		if (!is_pool(o))
			set_name(s, o, path);
	} else if (is_pool(o) && !o->use)
		o->value = 0;
	if ((s->hidden || s->blind & SYNC_BLIND_PROC) && o->mode & 066)
		o->use |= SYNC_USE_UNSEEN;
}

static void finish_jobservers(struct sync_survey *s)
{
	find_more(s);
	for (size_t i = 0; i < s->count; i++)
		if (s->objects[i]->type == SYNC_TYPE_JOBSERVER)
			finish_one(s, s->objects[i]);
}

/* fifo:PATH, PATH, or the bare name of a pool. */
static bool jobserver_matches(const struct sync_object *o, const char *name)
{
	struct stat st;
	const char *rest = sync_survey_rest(name, "jobserver", true);
	rest = sync_survey_rest(rest, "fifo", true);
	if (strchr(rest, '/'))
		return (o->path && !strcmp(o->path, rest)) ||
		       (!stat(rest, &st) && st.st_dev == o->identity[0] &&
			st.st_ino == o->identity[1]);
	const char *base = is_pool(o) ? strrchr(o->path, '/') : NULL;
	return base && strlen(base + 1) == strlen(rest) + strlen(FIFO_SUFFIX) &&
	       !strncmp(base + 1, rest, strlen(rest));
}

/* ---- remove ---- */

/* Who joins has MOMENT locked, who uses it has USERS; and who waits for them finds another file by then. */
static int lock_out(const char *lock_path, struct stat *st)
{
	struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = MOMENT, .l_len = 2};
	int fd = open(lock_path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -errno;
	int r = fcntl(fd, F_OFD_SETLK, &all) ? -errno : 0;
	if (!r && fstat(fd, st))
		r = -errno;
	if (!r && !sync_shm_is(lock_path, st))
		r = -ESTALE;
	if (!r)
		return fd;
	close(fd);
	return r == -EAGAIN || r == -EACCES ? -EBUSY : r;
}

/* The FIFO first: a lock file alone is what the next pool of this name begins with. */
static int remove_files(const struct sync_object *o, const char *lock_path)
{
	struct stat st;
	if (lstat(o->path, &st))
		return -errno;
	if (st.st_dev != o->identity[0] || st.st_ino != o->identity[1])
		return -ESTALE;
	if (unlink(o->path))
		return -errno;
	return unlink(lock_path) && errno != ENOENT ? -errno : 0;
}

static int drop_ledger(const char *path, uint64_t ino, bool force)
{
	int r = ino ? sync_escrow_discard(path, ino, force) : 0;
	return r == -ENOENT ? 0 : r;
}

static int remove_pool(const struct sync_object *o, bool force)
{
	char lock_path[4096 + sizeof(".lock")];
	char ledger[SYNC_JOBSERVER_LEDGER];
	struct stat fifo;
	struct stat st;
	int fd = -1;
	int r = 0;
	snprintf(lock_path, sizeof(lock_path), "%s.lock", o->path);
	if (lstat(o->path, &fifo))
		return -errno;
	if (!force)
		r = fd = lock_out(lock_path, &st);
	if (r < 0)
		return r;
	r = 0;
	if (ledger_of(o->path, &fifo, ledger, sizeof(ledger), &st))
		r = drop_ledger(ledger, st.st_ino, force);
	if (!r)
		r = remove_files(o, lock_path);
	if (fd >= 0)
		close(fd);
	return r;
}

static int remove_jobserver(const struct sync_object *o, bool force)
{
	if (!o->path)
		return -ENOMEM;
	return is_pool(o) ? remove_pool(o, force)
			  : sync_escrow_discard(o->path, o->identity[2], force);
}

const struct sync_kind sync_kind_jobserver = {
	.type = SYNC_TYPE_JOBSERVER,
	.list = list_jobservers,
	.finish = finish_jobservers,
	.remove = remove_jobserver,
	.matches = jobserver_matches,
};
