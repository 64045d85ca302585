/* SPDX-License-Identifier: MIT */
/*
 * What was surveyed is removed only if it is what it was: for each kind, with and without force, what becomes of an
 * object that has changed, is in use, is another's by now, or is gone.
 */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libsync.h"
#include "tap.h"

static char dir[200];
static struct sync_survey *survey;
static const char *kind;

static void need(bool good, const char *what)
{
	if (good)
		return;
	printf("Bail out! cannot %s: %s\n", what, strerror(errno));
	exit(1);
}

static void is(int got, int wanted, const char *text)
{
	if (!ok(got == wanted, "%s: %s", kind, text))
		printf("# %d, not %d\n", got, wanted);
}

/* The object; until the next look. */
static const struct sync_object *look(enum sync_type type, const char *name)
{
	const char *const names[] = {name, NULL};
	const struct sync_survey_opts opts = {.types = type, .directory = dir, .names = names};
	const struct sync_object *const *list;
	sync_survey_close(survey);
	survey = NULL;
	int r = sync_survey_open(&opts, &survey);
	errno = -r;
	need(!r, "look");
	size_t n = sync_survey_objects(survey, &list);
	for (size_t i = 0; i < n; i++)
		if (sync_object_is(list[i], name))
			return list[i];
	errno = ENOENT;
	need(false, name);
	return NULL;
}

static int attempt(const struct sync_object *o)
{
	return sync_object_remove(o, false);
}

static int force(const struct sync_object *o)
{
	return sync_object_remove(o, true);
}

/* As if its number, or its name, were another's by now. */
static struct sync_object as_another(const struct sync_object *o)
{
	struct sync_object copy = *o;
	copy.identity[1]++;
	return copy;
}

static int detail(const struct sync_object *o, const char *name)
{
	for (const struct sync_detail *d = o->details; d->name; d++)
		if (!strcmp(d->name, name))
			return (int)d->value;
	return -1;
}

static const char *named(const char *format)
{
	static char name[2][64];
	static unsigned n;
	snprintf(name[++n % 2], sizeof(name[0]), format, (int)getpid());
	return name[n % 2];
}

/* ---- shared memory ---- */

static void sysv_memory(void)
{
	char name[40];
	kind = "sysv: memory";
	int id = shmget(IPC_PRIVATE, 4096, 0600);
	if (id < 0) {
		tap_skip("none here", "sysv: memory");
		return;
	}
	snprintf(name, sizeof(name), "sysv:id=%d", id);
	void *at = shmat(id, NULL, 0);
	need(at != (void *)-1, "attach");
	const struct sync_object *o = look(SYNC_TYPE_SHM, name);
	struct sync_object another = as_another(o);
	is(attempt(o), -EBUSY, "attached, it is in use");
	shmdt(at);
	is(force(&another), -ESTALE, "one of another key is not it");
	is(attempt(o), 0, "detached, it is removed");
	is(attempt(o), -ENOENT, "once");
	is(force(o), -ENOENT, "also by force");
	id = shmget(IPC_PRIVATE, 4096, 0600);
	snprintf(name, sizeof(name), "sysv:id=%d", id);
	at = shmat(id, NULL, 0);
	is(force(look(SYNC_TYPE_SHM, name)), 0, "by force, attached");
	ok(look(SYNC_TYPE_SHM, name)->flags & SYNC_OBJECT_DELETED,
	   "%s: then it is there, but removed", kind);
	shmdt(at);
}

static void posix_memory(void)
{
	const char *name = named("posix:/remove.%d");
	const char *path = name + strlen("posix:");
	kind = "posix: memory";
	int fd = shm_open(path, O_CREAT | O_RDWR, 0600);
	need(fd >= 0, "make memory");
	const struct sync_object *o = look(SYNC_TYPE_SHM, name);
	struct sync_object another = as_another(o);
	is(force(&another), -ESTALE, "another file is not it");
	is(attempt(&another), -ENOENT, "and not seen any more");
	is(attempt(o), 0, "it is removed");
	is(attempt(o), -ENOENT, "once");
	is(force(o), -ENOENT, "also by force");
	close(fd);
}

/* ---- queues ---- */

static struct sync_queue *queue(const char *name)
{
	const struct sync_queue_opts opts = {.flags = SYNC_QUEUE_CREATE | SYNC_QUEUE_SEND |
						      SYNC_QUEUE_RECV};
	struct sync_queue *q;
	int r = sync_queue_open(name, &opts, &q);
	errno = -r;
	need(!r, "make a queue");
	return q;
}

static void queues(const char *name)
{
	struct sync_queue *q = queue(name);
	const struct sync_object *o = look(SYNC_TYPE_MQ, name);
	is(sync_queue_send(q, "x", 1, 1, SYNC_NOW), 0, "somebody sends");
	is(attempt(o), -EBUSY, "then it is not what it was");
	sync_queue_unlink(q);
	sync_queue_close(q);
	is(attempt(o), -ENOENT, "it is gone");
	is(force(o), -ENOENT, "also by force");
	q = queue(name);
	o = look(SYNC_TYPE_MQ, name);
	is(attempt(o), 0, "it is removed");
	sync_queue_close(q);
	q = queue(name);
	o = look(SYNC_TYPE_MQ, name);
	is(force(o), 0, "by force, too");
	sync_queue_close(q);
}

static void sysv_queues(void)
{
	const char *name = named("sysv:remove.%d");
	kind = "sysv: queues";
	if (msgget(1, 0) < 0 && errno == ENOSYS) {
		tap_skip("none here", "sysv: queues");
		return;
	}
	queues(name);
	struct sync_queue *q = queue(name);
	struct sync_object another = as_another(look(SYNC_TYPE_MQ, name));
	is(attempt(&another), -ESTALE, "one of another key is not it");
	sync_queue_unlink(q);
	sync_queue_close(q);
}

static void posix_queues(void)
{
	const char *name = named("posix:/remove.%d");
	kind = "posix: queues";
	queues(name);
	struct sync_queue *q = queue(name);
	const struct sync_object *o = look(SYNC_TYPE_MQ, name);
	struct sync_object another = as_another(o);
	is(attempt(&another), -ESTALE, "another file is not it");
	int fd = mq_open(strchr(name, '/'), O_RDONLY);
	const struct sigevent silent = {.sigev_notify = SIGEV_NONE};
	need(fd >= 0 && !mq_notify(fd, &silent), "be notified");
	is(detail(look(SYNC_TYPE_MQ, name), "notify_pid"), (int)getpid(),
	   "who is notified is told");
	o = look(SYNC_TYPE_MQ, name);
	need(!flock(fd, LOCK_SH), "send");
	is(attempt(o), -EBUSY, "somebody sends to it");
	need(!flock(fd, LOCK_UN), "unlock");
	need(sync_queue_attend(q, SYNC_NOW) == 0, "attend");
	is(attempt(o), -EBUSY, "somebody attends it");
	close(fd);
	sync_queue_unlink(q);
	sync_queue_close(q);
}

/* ---- semaphores ---- */

static struct sync_sem *sem(const char *name, unsigned permits)
{
	const struct sync_sem_opts opts = {
		.flags = SYNC_SEM_CREATE, .initial = permits, .directory = dir};
	struct sync_sem *s;
	int r = sync_sem_open(name, &opts, &s);
	errno = -r;
	need(!r, "make a semaphore");
	return s;
}

static void sysv_sems(void)
{
	const char *name = named("sysv:remove.%d");
	kind = "sysv: semaphores";
	if (semget(IPC_PRIVATE, 0, 0) < 0 && errno == ENOSYS) {
		tap_skip("none here", "sysv: semaphores");
		return;
	}
	struct sync_sem *s = sem(name, 1);
	const struct sync_object *o = look(SYNC_TYPE_SEM, name);
	struct sync_object another = as_another(o);
	is(attempt(&another), -ESTALE, "one of another key is not it");
	need(sync_sem_wait(s, 1, 0, SYNC_NOW) == 0, "take");
	is(attempt(o), -EBUSY, "somebody has taken a permit");
	is(attempt(look(SYNC_TYPE_SEM, name)), -EBUSY, "and has it");
	need(sync_sem_post(s, 2, 0) == 0, "give");
	o = look(SYNC_TYPE_SEM, name);
	is(attempt(o), 0, "one more than it had is no use");
	is(attempt(o), -ENOENT, "it is gone");
	is(force(o), -ENOENT, "also by force");
	sync_sem_close(s);
	s = sem(name, 0);
	is(attempt(look(SYNC_TYPE_SEM, name)), 0, "one that has no permits, and nobody waits for");
	sync_sem_close(s);
}

static void posix_sems(void)
{
	const char *name = named("posix:/remove.%d");
	char path[64];
	kind = "posix: semaphores";
	if (sync_sem_caps_of("posix:") == 0) {
		tap_skip("none here", "posix: semaphores");
		return;
	}
	snprintf(path, sizeof(path), "/dev/shm/sem.%s", name + strlen("posix:/"));
	struct sync_sem *s = sem(name, 100);
	const struct sync_object *o = look(SYNC_TYPE_SEM, name);
	struct sync_object another = as_another(o);
	is(force(&another), -ESTALE, "another file is not it");
	is(attempt(o), 0, "so many permits are not taken, but it is removed");
	is(attempt(o), -ENOENT, "once");
	sync_sem_close(s);
	int fd = open(path, O_CREAT | O_RDWR, 0600);
	need(fd >= 0 && write(fd, "x", 1) == 1, "damage");
	o = look(SYNC_TYPE_SEM, name);
	is(attempt(o), 0, "one that is damaged");
	is(force(o), -ENOENT, "once");
	close(fd);
}

/* ---- files ---- */

static void locks(void)
{
	kind = "locks";
	int fd = open("lock", O_CREAT | O_RDWR, 0600);
	need(fd >= 0, "make a file");
	const struct sync_object *o = look(SYNC_TYPE_LOCK, "flock:lock");
	struct sync_object another = as_another(o);
	is(attempt(&another), -ESTALE, "another file is not it");
	need(!flock(fd, LOCK_SH), "lock");
	is(attempt(o), -EBUSY, "somebody has it locked");
	close(fd);
	is(attempt(o), 0, "it is removed");
	is(attempt(o), -ENOENT, "once");
}

static void pools(void)
{
	kind = "pools";
	struct sync_sem *s = sem("pool:p", 1);
	const struct sync_object *o = look(SYNC_TYPE_POOL, "pool:p");
	struct sync_object another = as_another(o);
	is(attempt(&another), -ESTALE, "another file is not it");
	ok(sync_object_is(o, named("pool:./p.pool")) && !sync_object_is(o, "pool:./q.pool"),
	   "pools: by its path");
	is(attempt(o), 0, "it is removed");
	is(attempt(o), -ENOENT, "once");
	sync_sem_close(s);
}

static void jobservers(void)
{
	struct flock users = {.l_type = F_WRLCK, .l_start = 1, .l_len = 1};
	kind = "jobservers";
	need(!mkfifo("j.jobs", 0600), "make a FIFO");
	int fd = open("j.jobs.lock", O_CREAT | O_RDWR, 0600);
	need(fd >= 0, "make a lock file");
	const struct sync_object *o = look(SYNC_TYPE_JOBSERVER, "jobserver:j");
	struct sync_object another = as_another(o);
	is(attempt(&another), -ESTALE, "another FIFO is not it");
	need(!fcntl(fd, F_OFD_SETLK, &users), "lock");
	is(attempt(o), -EBUSY, "somebody uses it");
	need(!unlink("j.jobs.lock"), "remove");
	is(attempt(o), -ENOENT, "it has no lock file any more");
	is(force(o), 0, "by force it is removed");
	is(force(o), -ENOENT, "once");
	close(fd);
}

static void events(void)
{
	struct sync_event *ev;
	kind = "events";
	need(sync_event_make(NULL, &ev) == 0, "make an event");
	const struct sync_object *const *list;
	const struct sync_survey_opts opts = {.types = SYNC_TYPE_EVENT};
	sync_survey_close(survey);
	need(sync_survey_open(&opts, &survey) == 0, "look");
	size_t n = sync_survey_objects(survey, &list);
	char own[32];
	snprintf(own, sizeof(own), "pid:%d:", (int)getpid());
	bool seen = false;
	for (size_t i = 0; i < n; i++)
		seen = seen || !strncmp(list[i]->name, own, strlen(own));
	ok(!seen, "events: what only we have is not listed");
	sync_event_close(ev);
}

int main(void)
{
	char command[sizeof(dir) + 16];
	alarm(120);
	snprintf(dir, sizeof(dir), "%s/remove.XXXXXX", tap_place());
	need(mkdtemp(dir) && !chdir(dir), "make a directory");
	sysv_memory();
	posix_memory();
	sysv_queues();
	posix_queues();
	sysv_sems();
	posix_sems();
	locks();
	pools();
	jobservers();
	events();
	sync_survey_close(survey);
	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	ok(!chdir("/") && !system(command), "nothing is left");
	return tap_end();
}
