/* SPDX-License-Identifier: MIT */
/*
 * Which limit of the system stands behind an error: each is run into, and what is told to fit is tried.
 * What counts for a user in all is tried in namespaces of our own, where they are allowed.
 */
#include <sched.h>
#include <sys/mount.h>

#include "queueutil.h"

#define CREATE (SYNC_QUEUE_CREATE | BOTH)

static bool is_limit(const struct sync_queue_limit *l, const char *name, uint64_t value)
{
	if (l->name && !strcmp(l->name, name) && l->value == value)
		return true;
	printf("# %s: expected %s %llu, got %s %llu, asked %llu, fits %llu\n", scheme, name,
	       (unsigned long long)value, l->name ? l->name : "none", (unsigned long long)l->value,
	       (unsigned long long)l->asked, (unsigned long long)l->fits);
	fflush(stdout);
	return false;
}

/* The value of the sysctl of that name. */
static uint64_t sysctl_value(const char *name)
{
	char file[64];
	snprintf(file, sizeof(file), "%s", name);
	for (char *dot = strchr(file, '.'); dot; dot = strchr(dot, '.'))
		*dot = '/';
	return setting(file);
}

/* As sync_queue_limit(); a failure that touches *out is 9999. */
static int limit_for(const char *tag, uint64_t capacity, uint64_t size, int err,
		     struct sync_queue_limit *out)
{
	struct sync_queue_opts opts = {.flags = CREATE, .capacity = capacity, .size = size};
	*out = (struct sync_queue_limit){.asked = 77};
	int r = sync_queue_limit(queue_name(tag), &opts, err, out);
	return r && (out->name || out->asked != 77) ? 9999 : r;
}

static int remove_now(struct sync_queue **q)
{
	int r = sync_queue_unlink(*q);
	sync_queue_close(*q);
	*q = NULL;
	return r;
}

/* ---- geometry ---- */

static const struct over {
	const char *tag;
	uint64_t capacity, size;
	const char *posix, *sysv; /* the limit that is told of first */
} overs[] = {
	{"over-a", UINT32_MAX, 0, "fs.mqueue.msg_max", "kernel.msgmnb"},
	{"over-b", 0, INT32_MAX, "fs.mqueue.msgsize_max", "kernel.msgmax"},
	{"over-c", 100000, 8, "fs.mqueue.msg_max", "kernel.msgmnb"},
	{"over-d", 1, UINT64_MAX, "fs.mqueue.msgsize_max", "kernel.msgmax"},
	{"over-e", UINT64_MAX, UINT64_MAX, "fs.mqueue.msg_max", "kernel.msgmax"},
	{"over-f", UINT64_C(1) << 61, 8, "fs.mqueue.msg_max", "kernel.msgmnb"},
};

/* .mark: which. 0 it is told which limit, and what it says that fits is made in the end. */
QUEUE_JOB(explain)
{
	const struct over *v = &overs[o->mark];
	const char *name = dialect->exact ? v->posix : v->sysv;
	uint64_t capacity = v->capacity;
	uint64_t size = v->size;
	int r = 0;
	for (int round = 0; round < 3; round++) {
		struct sync_queue_limit l;
		/* Others may use up what this user can have in queues for a moment. */
		if (!until((r = open_sized(v->tag, CREATE, capacity, size, q)) != -EMFILE))
			return r;
		if (r == 0)
			break;
		if (limit_for(v->tag, capacity, size, r, &l))
			return 1;
		if (round == 0 && !is_limit(&l, name, sysctl_value(name)))
			return 2;
		if (l.asked <= l.value || !l.fits)
			return 3;
		*(strstr(l.name, "size") || strstr(l.name, "msgmax") ? &size : &capacity) = l.fits;
	}
	return r ? r : remove_now(q);
}

static void geometries(void)
{
	struct kid kid = start_queue_kid();
	need(QUERY(&kid, drop) == 0, "drop privileges");
	for (size_t i = 0; i < LENGTH(overs); i++) {
		note_tag(overs[i].tag);
		is(QUERY(&kid, explain, .mark = (int)i), 0,
		   "the limit is named, and what it says that fits can be made");
	}
	kid_kill(&kid);
}

static void hard_limits(void)
{
	struct sync_queue_limit l;
	struct sync_queue *q = NULL;
	if (geteuid() || !dialect->exact) {
		skip("who may pass the limits, or what cannot", "hard limits");
		return;
	}
	need(open_sized("hard", CREATE, 65537, 1, &q) == -EINVAL, "ask for too much");
	is(limit_for("hard", 65537, 1, -EINVAL, &l), 0, "over all limits: a limit is named");
	uint64_t most = sysctl_value("fs.mqueue.msg_max");
	claim(is_limit(&l, "fs.mqueue.msg_max", l.value == most ? most : 65536) && l.asked == 65537,
	      "the one that counts for who asks");
	is(limit_for("hard", 1, (16 << 20) + 1, -EINVAL, &l), 0, "also on the size");
	most = sysctl_value("fs.mqueue.msgsize_max");
	claim(is_limit(&l, "fs.mqueue.msgsize_max", l.value == most ? most : 16 << 20),
	      "the one that counts");
}

/* ---- what counts for a process or a user in all ---- */

QUEUE_JOB(explain_files)
{
	const struct rlimit ten = {10, 10};
	struct sync_queue_limit l;
	int r = setrlimit(RLIMIT_NOFILE, &ten) ? -errno : open_sized(o->tag, CREATE, 1, 1, q);
	if (r == 0)
		return 0; /* it needs no descriptor */
	if (r != -EMFILE || limit_for(o->tag, 1, 1, r, &l))
		return 1;
	return is_limit(&l, "RLIMIT_NOFILE", 10) ? 0 : 2;
}

QUEUE_JOB(explain_none)
{
	const struct rlimit none = {0, 0};
	struct sync_queue_limit l;
	int r = setrlimit(RLIMIT_MSGQUEUE, &none) ? -errno : open_sized(o->tag, CREATE, 3, 50, q);
	if (r == 0)
		return 0;
	if (r != -EMFILE || limit_for(o->tag, 3, 50, r, &l))
		return 1;
	return is_limit(&l, "RLIMIT_MSGQUEUE", 0) && l.asked == 3 * (50 + 96) && !l.fits ? 0 : 2;
}

static void processes(void)
{
	struct kid kid = start_queue_kid();
	is(QUERY(&kid, explain_files, .tag = "files"), 0, "no descriptor is RLIMIT_NOFILE");
	kid_kill(&kid);
	kid = start_queue_kid();
	is(QUERY(&kid, explain_none, .tag = "bytes"), 0, "no bytes are RLIMIT_MSGQUEUE");
	kid_kill(&kid);
}

static bool put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool good = fd >= 0 && write(fd, text, strlen(text)) > 0;
	if (fd >= 0)
		close(fd);
	return good;
}

/* In there we are root, but may pass no limit; and labels go with the queues that they name. */
QUEUE_JOB(isolate)
{
	char uids[32];
	char gids[32];
	snprintf(uids, sizeof(uids), "0 %d 1", (int)geteuid());
	snprintf(gids, sizeof(gids), "0 %d 1", (int)getegid());
	return unshare(CLONE_NEWUSER | CLONE_NEWIPC | CLONE_NEWNS) ||
	       !put("/proc/self/uid_map", uids) || !put("/proc/self/setgroups", "deny") ||
	       !put("/proc/self/gid_map", gids) || mount("none", "/dev/shm", "tmpfs", 0, NULL);
}

/* .mark bytes are all that can be had, .number the messages of 1000 bytes that are asked for. */
QUEUE_JOB(make_within)
{
	struct rlimit all = {(rlim_t)o->mark, (rlim_t)o->mark};
	if (prlimit(0, RLIMIT_MSGQUEUE, &all, NULL))
		return -errno;
	int r = open_sized("within", CREATE, (uint64_t)o->number, 1000, q);
	return r ? r : remove_now(q);
}

/* As before; what would fit. */
QUEUE_JOB(fits_within)
{
	struct sync_queue_limit l;
	int r = limit_for("within", (uint64_t)o->number, 1000, -EMFILE, &l);
	if (r || !is_limit(&l, "RLIMIT_MSGQUEUE", (uint64_t)o->mark))
		return -1;
	return l.asked == (uint64_t)o->number * 1096 ? (int)l.fits : -2;
}

/* Until no more can be had; in namespaces that go with us. */
QUEUE_JOB(make_many)
{
	int r = 0;
	char name[64];
	for (int i = 0; r == 0; i++) {
		struct sync_queue_opts opts = {.flags = CREATE, .capacity = 1, .size = 1};
		struct sync_queue *one;
		snprintf(name, sizeof(name), "%s:many%d", scheme, i);
		r = sync_queue_open(name, &opts, &one);
		if (!r)
			sync_queue_close(one);
	}
	return r;
}

QUEUE_JOB(explain_many)
{
	struct sync_queue_limit l;
	const char *name = dialect->exact ? "fs.mqueue.queues_max" : "kernel.msgmni";
	int r = limit_for("many", 1, 1, -ENOSPC, &l);
	return r ? r : is_limit(&l, name, sysctl_value(name)) ? 0 : 1;
}

static void users(void)
{
	struct kid kid = start_queue_kid();
	int r = QUERY(&kid, isolate);
	if (r) {
		skip("no namespaces of our own", "limits that count for a user in all");
		kid_kill(&kid);
		return;
	}
	is(QUERY(&kid, make_many), -ENOSPC, "too many queues are -ENOSPC");
	is(QUERY(&kid, explain_many), 0, "whose limit is named");
	kid_kill(&kid);
	if (!dialect->exact)
		return;
	kid = start_queue_kid();
	need(QUERY(&kid, isolate) == 0, "isolate");
	is(QUERY(&kid, make_within, .number = 10, .mark = 10960), 0, "a queue that just fits");
	is(QUERY(&kid, make_within, .number = 10, .mark = 10959), -EMFILE, "one byte is missing");
	is(QUERY(&kid, fits_within, .number = 10, .mark = 10959), 9, "so many would fit");
	is(QUERY(&kid, make_within, .number = 9, .mark = 10959), 0, "and they do");
	kid_kill(&kid);
}

/* ---- no limit ---- */

static void sends(void)
{
	char text[1] = {0};
	struct sync_queue_limit l;
	struct sync_queue *q = make_queue("send");
	need(sync_queue_send(q, text, SIZE_MAX / 2, 1, SYNC_NOW) == -EMSGSIZE, "send too much");
	is(limit_for("send", FEW, SMALL, -EMSGSIZE, &l), -ENOENT,
	   "the size of a queue is no limit of the system");
	sync_queue_close(q);
	if (dialect->exact)
		return;
	need(open_sized("send2", CREATE, 0, 0, &q) == 0, "make a queue of the normal size");
	uint64_t longest = sysctl_value("kernel.msgmax");
	is(limit_for("send3", UINT64_MAX, 2, -EINVAL, &l), 0, "a queue beyond all numbers:");
	claim(!strcmp(l.name, "kernel.msgmnb") && l.asked == UINT64_MAX, "so much was asked for");
	is(limit_for("send2", 0, 0, -EMSGSIZE, &l), 0, "but if it is larger than any message:");
	claim(is_limit(&l, "kernel.msgmax", longest) && l.fits == longest, "kernel.msgmax");
	sync_queue_close(q);
}

static void no_limits(void)
{
	static const int errors[] = {0, -EACCES, -EEXIST, -ENOENT, -EIDRM, -ETIMEDOUT, -EINVAL, 1};
	struct sync_queue_limit l;
	struct sync_queue_opts opts = {.capacity = UINT64_MAX, .size = UINT64_MAX};
	for (size_t i = 0; i < LENGTH(errors); i++)
		is(limit_for("none", 1, 1, errors[i], &l), -ENOENT, "no limit is behind that");
	is(sync_queue_limit(queue_name("none"), &opts, -EINVAL, &l), -ENOENT,
	   "nor when nothing is to be made");
	is(sync_queue_limit(queue_name("none"), NULL, -EINVAL, &l), -ENOENT, "nor without options");
	opts.flags = CREATE;
	is(sync_queue_limit(spell("x/y%d", ""), &opts, -EINVAL, &l), -ENOENT,
	   "a bad name is nothing else");
}

int main(void)
{
	static void (*const tests[])(void) = {
		no_limits, geometries, hard_limits, processes, users, sends,
	};
	return run_queue_suite(tests, LENGTH(tests));
}
