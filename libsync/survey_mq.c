/* SPDX-License-Identifier: MIT */
/*
 * Message queues. Those of POSIX are the files of a file system that need not be mounted anywhere: with the right to
 * mount, one is had that is attached to no directory. Who has a queue open is seen as for any file.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/msg.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "label.h"
#include "survey.h"

#ifndef MSG_STAT_ANY /* Linux 4.17 */
#define MSG_STAT_ANY 13
#endif
#define MQUEUE_MAGIC 0x19800202
/* The same on all machines but alpha */
#ifndef SYS_fsopen
#define SYS_fsopen 430
#define SYS_fsconfig 431
#define SYS_fsmount 432
#endif
#define CLOEXEC 1       /* FSOPEN_, FSMOUNT_ */
#define CONFIG_CREATE 6 /* FSCONFIG_CMD_CREATE */

/* ---- POSIX ---- */

static int open_detached(void)
{
	int context = (int)syscall(SYS_fsopen, "mqueue", CLOEXEC);
	if (context < 0)
		return -errno;
	int mount = -1;
	if (!syscall(SYS_fsconfig, context, CONFIG_CREATE, NULL, NULL, 0))
		mount = (int)syscall(SYS_fsmount, context, CLOEXEC, 0);
	int fd = mount >= 0 ? openat(mount, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	int r = fd < 0 ? -errno : fd;
	if (mount >= 0)
		close(mount);
	close(context);
	return r;
}

int sync_mqueue_directory(void)
{
	struct statfs fs;
	int fd = open_detached();
	if (fd >= 0)
		return fd;
	fd = open("/dev/mqueue", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (!fstatfs(fd, &fs) && fs.f_type == MQUEUE_MAGIC)
		return fd;
	close(fd);
	return -ENOENT;
}

/* A queue that is read as a file says "QSIZE:n NOTIFY:n SIGNO:n NOTIFY_PID:n". */
static void read_as_file(struct sync_object *o, int fd)
{
	char text[128];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	if (n <= 0)
		return;
	text[n] = '\0';
	const char *pid = strstr(text, "NOTIFY_PID:");
	if (!strncmp(text, "QSIZE:", 6))
		sync_survey_detail(o, "bytes", (int64_t)strtoull(text + 6, NULL, 10));
	if (pid && strtoull(pid + 11, NULL, 10))
		sync_survey_detail(o, "notify_pid", (int64_t)strtoull(pid + 11, NULL, 10));
}

static void look_into(struct sync_object *o, int fd)
{
	struct mq_attr attr;
	if (mq_getattr(fd, &attr))
		return;
	o->value = attr.mq_curmsgs;
	o->capacity = attr.mq_maxmsg;
	sync_survey_detail(o, "message_size", attr.mq_msgsize);
	read_as_file(o, fd);
	if (o->value > 0)
		o->use |= SYNC_USE_CONTENT;
}

static struct sync_object *add_posix(struct sync_survey *s, struct sync_node *node,
				     const char *name)
{
	struct sync_object *o = sync_survey_add(s, SYNC_TYPE_MQ, "posix:/%s", name);
	if (!o)
		return NULL;
	node->shown = node->own_locks = true;
	o->identity[0] = node->dev;
	o->identity[1] = node->ino;
	sync_survey_detail(o, "inode", (int64_t)node->ino);
	return o;
}

static void set_owner(struct sync_object *o, const struct stat *st)
{
	o->uid = st->st_uid;
	o->mode = st->st_mode & 07777;
	o->since = st->st_mtime; /* not st_ctime: to read it as a file sets that */
}

/* Who cannot list may open, by name. */
static void list_asked(struct sync_survey *s, const char *name)
{
	char path[300];
	struct stat st;
	name = sync_survey_rest(name, "posix", true);
	name += *name == '/';
	if (!*name || strchr(name, '/') ||
	    snprintf(path, sizeof(path), "/%s", name) >= (int)sizeof(path))
		return;
	mqd_t fd = mq_open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return;
	struct sync_node *node =
		fstat(fd, &st) ? NULL : sync_survey_file(s, st.st_dev, st.st_ino, true);
	struct sync_object *o = node && !node->shown ? add_posix(s, node, name) : NULL;
	if (o) {
		node->listed = node->mqueue = true;
		set_owner(o, &st);
		look_into(o, fd);
	}
	mq_close(fd);
}

static void list_posix(struct sync_survey *s)
{
	int fd = sync_mqueue_directory();
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (!dir) {
		if (fd >= 0)
			close(fd);
		s->blind |= SYNC_BLIND_QUEUES;
		for (const char *const *name = s->opts.names; name && *name; name++)
			list_asked(s, *name);
		return;
	}
	for (struct dirent *d = readdir(dir); d; d = readdir(dir)) {
		struct stat st;
		if (fstatat(fd, d->d_name, &st, AT_SYMLINK_NOFOLLOW) || !S_ISREG(st.st_mode))
			continue;
		struct sync_node *node = sync_survey_file(s, st.st_dev, st.st_ino, true);
		if (!node)
			break;
		node->listed = node->mqueue = true;
		struct sync_object *o = add_posix(s, node, d->d_name);
		if (!o)
			break;
		set_owner(o, &st);
		int queue = openat(fd, d->d_name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
		if (queue < 0)
			continue;
		look_into(o, queue);
		close(queue);
	}
	closedir(dir);
}

/* One that was removed, or of another namespace, or that we had no right to list. */
static void add_found(struct sync_survey *s, struct sync_node *node)
{
	char path[64];
	struct stat st;
	const char *name = node->path ? node->path + (*node->path == '/') : "?";
	/* Through a mount it has a path before it. */
	const char *slash = strrchr(name, '/');
	struct sync_object *o = add_posix(s, node, slash ? slash + 1 : name);
	if (!o)
		return;
	o->uid = node->uid;
	o->mode = node->mode & 07777;
	if (node->deleted)
		o->flags |= SYNC_OBJECT_DELETED;
	if (node->foreign)
		o->flags |= SYNC_OBJECT_ELSEWHERE;
	for (size_t i = 0; i < node->count; i++) {
		const struct sync_sight *g = &node->sights[i];
		if (!g->has || g->fd < 0)
			continue;
		/* By a descriptor that has it */
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)sync_proc_thread(g->pid),
			 g->fd);
		int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (!fstat(fd, &st) && st.st_dev == node->dev && st.st_ino == node->ino) {
			set_owner(o, &st);
			look_into(o, fd);
		}
		close(fd);
		break;
	}
}

/* Who attends is known by a lock on it; the lock does not say more than that it has it open. */
static void finish_posix(struct sync_survey *s, struct sync_object *o)
{
	struct sync_node *node = sync_survey_file(s, (dev_t)o->identity[0], o->identity[1], false);
	if (!node)
		return;
	sync_survey_sort(node);
	for (int waiting = 0; waiting < 2; waiting++)
		for (size_t i = 0; i < node->count; i++) {
			struct sync_sight g = node->sights[i];
			bool wanted = waiting ? g.waiting && !g.kind : g.has;
			if (!wanted)
				continue;
			for (size_t k = 0; k < node->count && !waiting; k++)
				if (node->sights[k].pid == g.pid && node->sights[k].kind &&
				    !node->sights[k].waiting)
					g.attends = true;
			sync_survey_add_owner(s, o, &g, false);
		}
	if ((s->hidden || s->blind & SYNC_BLIND_PROC) && o->mode & 066)
		o->use |= SYNC_USE_UNSEEN;
}

/* ---- System V ---- */

static int stat_index(int i, struct msqid_ds *ds)
{
	int id = msgctl(i, MSG_STAT_ANY, ds);
	return id < 0 && errno == EINVAL ? msgctl(i, MSG_STAT, ds) : id;
}

static void add_sysv(struct sync_survey *s, int id, const struct msqid_ds *ds)
{
	char name[256];
	const struct ipc_perm *perm = &ds->msg_perm;
	sync_label_name(name, sizeof(name), (uint32_t)perm->__key, id, perm->cuid);
	struct sync_object *o = sync_survey_add(s, SYNC_TYPE_MQ, "%s", name);
	if (!o)
		return;
	o->uid = perm->uid;
	o->mode = perm->mode & 0777;
	o->value = (int64_t)ds->msg_qnum;
	o->since = ds->msg_ctime;
	o->since = ds->msg_stime > o->since ? ds->msg_stime : o->since;
	o->since = ds->msg_rtime > o->since ? ds->msg_rtime : o->since;
	o->identity[0] = (uint64_t)id;
	o->identity[1] = (uint32_t)perm->__key;
	sync_survey_detail(o, "key", (int64_t)(uint32_t)perm->__key);
	sync_survey_detail(o, "id", id);
	sync_survey_detail(o, "bytes", (int64_t)ds->__msg_cbytes);
	sync_survey_detail(o, "capacity_bytes", (int64_t)ds->msg_qbytes);
	sync_survey_detail(o, "changed", ds->msg_ctime);
	sync_survey_detail(o, "sent", ds->msg_stime);
	sync_survey_detail(o, "received", ds->msg_rtime);
	sync_survey_detail(o, "send_pid", ds->msg_lspid);
	sync_survey_detail(o, "receive_pid", ds->msg_lrpid);
	sync_survey_detail(o, "creator", perm->cuid);
	if (sync_survey_lives(ds->msg_lspid) || sync_survey_lives(ds->msg_lrpid))
		o->use |= SYNC_USE_LAST;
	if (o->value)
		o->use |= SYNC_USE_CONTENT;
	(void)sync_survey_number(s, SYNC_SPACE_MSG, (uint64_t)id, true);
}

static void list_sysv(struct sync_survey *s)
{
	struct msginfo info;
	int last = msgctl(0, MSG_INFO, (struct msqid_ds *)(void *)&info);
	if (last < 0)
		s->blind |= SYNC_BLIND_SYSV;
	for (int i = 0; i <= last; i++) {
		struct msqid_ds ds = {0};
		int id = stat_index(i, &ds);
		if (id >= 0)
			add_sysv(s, id, &ds);
	}
}

static void finish_sysv(struct sync_survey *s, struct sync_object *o)
{
	struct sync_node *node = sync_survey_number(s, SYNC_SPACE_MSG, o->identity[0], false);
	if (node)
		sync_survey_sort(node);
	sync_survey_people(s, o, node, SYNC_USERS_HOLD);
	/* How many wait, the kernel does not tell. */
	if ((s->hidden || s->blind & SYNC_BLIND_PROC) && o->mode & 066)
		o->use |= SYNC_USE_UNSEEN;
}

/* ---- the kind ---- */

static void list_queues(struct sync_survey *s)
{
	list_sysv(s);
	list_posix(s);
}

static void finish_queues(struct sync_survey *s)
{
	for (struct sync_node *n = s->newest; n; n = n->older)
		if (n->mqueue && !n->shown)
			add_found(s, n);
	for (size_t i = 0; i < s->count; i++) {
		struct sync_object *o = s->objects[i];
		if (o->type != SYNC_TYPE_MQ)
			continue;
		if (sync_survey_rest(o->name, "sysv", false))
			finish_sysv(s, o);
		else
			finish_posix(s, o);
	}
}

static bool mq_matches(const struct sync_object *o, const char *name)
{
	const char *sysv = sync_survey_rest(name, "sysv", false);
	const char *posix = sync_survey_rest(o->name, "posix", false);
	if (sysv || !posix)
		return sysv && !posix && sync_survey_same_sysv(o, sysv);
	name = sync_survey_rest(name, "posix", true);
	return !(o->flags & (SYNC_OBJECT_DELETED | SYNC_OBJECT_ELSEWHERE)) &&
	       !strcmp(posix + 1, name + (*name == '/'));
}

/* ---- remove ---- */

static void drop_label(const struct sync_object *o)
{
	sync_label_drop((uint32_t)o->identity[1], (uid_t)sync_survey_find_detail(o, "creator"));
}

static int remove_sysv(const struct sync_object *o, bool force)
{
	int id = (int)o->identity[0];
	struct msqid_ds ds = {0};
	if (msgctl(id, IPC_STAT, &ds)) {
		if (errno != EACCES || !force)
			return errno == EINVAL || errno == EIDRM ? -ENOENT : -errno;
	} else if ((uint32_t)ds.msg_perm.__key != o->identity[1]) {
		return -ESTALE;
	}
	int r = force ? 0 : sync_survey_is_used(o);
	if (r)
		return r;
	if (!force && (msgctl(id, IPC_STAT, &ds) || (int64_t)ds.msg_qnum != o->value ||
		       ds.msg_stime != sync_survey_find_detail(o, "sent") ||
		       ds.msg_rtime != sync_survey_find_detail(o, "received")))
		return -EBUSY;
	if (msgctl(id, IPC_RMID, NULL))
		return errno == EINVAL ? -ENOENT : -errno;
	drop_label(o);
	return 0;
}

/* Nobody attends it, as a sender or a receiver, while we have these locks. */
static int lock_out(int fd)
{
	struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	if (flock(fd, LOCK_EX | LOCK_NB))
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	if (fcntl(fd, F_OFD_SETLK, &all))
		return errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
	return 0;
}

/* The name is unlinked as root may, whatever the file's mode. */
static int remove_posix(const struct sync_object *o, bool force)
{
	const char *name = strchr(o->name, ':') + 1;
	struct mq_attr attr;
	struct stat st;
	if (o->flags & (SYNC_OBJECT_DELETED | SYNC_OBJECT_ELSEWHERE))
		return -EOPNOTSUPP;
	if (force)
		return mq_unlink(name) ? -errno : 0;
	mqd_t fd = mq_open(name, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int r = fstat(fd, &st) ? -errno : 0;
	if (!r && (st.st_dev != o->identity[0] || st.st_ino != o->identity[1]))
		r = -ESTALE;
	if (!r)
		r = lock_out(fd);
	if (!r)
		r = sync_survey_is_used(o);
	if (!r && (mq_getattr(fd, &attr) || attr.mq_curmsgs != o->value))
		r = -EBUSY;
	if (!r && mq_unlink(name))
		r = -errno;
	mq_close(fd);
	return r;
}

static int remove_queue(const struct sync_object *o, bool force)
{
	return sync_survey_rest(o->name, "sysv", false) ? remove_sysv(o, force)
							: remove_posix(o, force);
}

const struct sync_kind sync_kind_mq = {
	.type = SYNC_TYPE_MQ,
	.list = list_queues,
	.finish = finish_queues,
	.remove = remove_queue,
	.matches = mq_matches,
};
