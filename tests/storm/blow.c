/* SPDX-License-Identifier: MIT */
/* The storm's blows: finds the process of an actor that is meant, signals it, keeps count. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "storm.h"

static const char *const role_names[ROLES] = {"starting", "waiter", "wrapper",
					      "ending",   "job",    "shell"};

static unsigned long kills[ROLES], both, terms, stops;
static char job_comm[16];

void blow_set_up(const char *job)
{
	const char *slash = strrchr(job, '/');
	snprintf(job_comm, sizeof(job_comm), "%s", slash ? slash + 1 : job);
}

/* ---- an actor's processes ---- */

/* Outermost first. The job is the last: what it leaves behind is nobody's concern. */
struct chain {
	struct process p[8];
	enum role role[8];
	int count;
};

static enum role role_of(const struct actor *a, const struct chain *c, int i)
{
	const struct process *p = &c->p[i];
	if (!strcmp(p->comm, job_comm))
		return ROLE_JOB;
	if (!strcmp(p->comm, "sh"))
		return ROLE_SHELL;
	if (i && c->role[i - 1] == ROLE_WRAPPER)
		return ROLE_JOB; /* before its exec */
	if (i + 1 < c->count)
		return ROLE_WRAPPER;
	if (process_awaits_lock(p->pid))
		return ROLE_WAITER;
	return a->began ? ROLE_ENDING : ROLE_STARTING;
}

static struct chain find_chain(const struct actor *a)
{
	struct chain c = {.count = 0};
	pid_t next = a->pid;
	while (c.count < 8 && process_look(next, &c.p[c.count])) {
		const struct process *p = &c.p[c.count];
		/* The number of a child that has ended may be another's by now. */
		if (process_finished(p) || (c.count && p->parent != c.p[c.count - 1].pid))
			break;
		c.count++;
		if (!strcmp(p->comm, job_comm) || !process_children(p->pid, &next, 1))
			break;
	}
	for (int i = 0; i < c.count; i++)
		c.role[i] = role_of(a, &c, i);
	return c;
}

static int find_role(const struct chain *c, enum role low, enum role high)
{
	for (int i = 0; i < c->count; i++)
		if (c->role[i] >= low && c->role[i] <= high)
			return i;
	return -1;
}

/* ---- signals ---- */

static bool hit(struct actor *a, const struct chain *c, int i, int signo)
{
	if (i < 0 || !process_signal(&c->p[i], signo))
		return false;
	a->hit = true;
	if (signo == SIGKILL)
		kills[c->role[i]]++;
	return true;
}

static void plan_second(struct actor *a, const struct chain *c, int i, int signo)
{
	a->victim = c->p[i];
	a->victim_role = c->role[i];
	a->second_signal = signo;
	a->second_due = now_ns() + a->plan.afterwards_usec * 1000ull;
}

static bool hit_wrapper(struct actor *a, const struct chain *c, int wrapper, int job)
{
	if (!hit(a, c, wrapper, SIGKILL))
		return false;
	/* Now and then the orphaned job does not live long either. */
	if (job >= 0 && a->plan.afterwards % 4 == 0)
		plan_second(a, c, job, SIGKILL);
	return true;
}

static bool hit_both(struct actor *a, const struct chain *c, int wrapper, int job)
{
	if (wrapper < 0 || job < 0)
		return false;
	bool job_first = a->plan.afterwards % 2;
	bool one = hit(a, c, job_first ? job : wrapper, SIGKILL);
	bool two = hit(a, c, job_first ? wrapper : job, SIGKILL);
	both += one && two;
	return one || two;
}

static bool hit_stop(struct actor *a, const struct chain *c, int wrapper, int job)
{
	int i = job < 0 || (wrapper >= 0 && a->plan.afterwards % 2) ? wrapper : job;
	if (!hit(a, c, i, SIGSTOP))
		return false;
	stops++;
	plan_second(a, c, i, a->plan.afterwards % 3 ? SIGCONT : SIGKILL);
	return true;
}

bool blow_strike(struct actor *a)
{
	struct chain c = find_chain(a);
	int wrapper = find_role(&c, ROLE_STARTING, ROLE_ENDING);
	int job = find_role(&c, ROLE_JOB, ROLE_JOB);
	switch (a->plan.blow) {
	case BLOW_ANY:
		return c.count && hit(a, &c, (int)a->plan.afterwards % c.count, SIGKILL);
	case BLOW_WRAPPER:
		return hit_wrapper(a, &c, wrapper, job);
	case BLOW_WAITER:
		return hit(a, &c, find_role(&c, ROLE_WAITER, ROLE_WAITER), SIGKILL);
	case BLOW_JOB:
		return hit(a, &c, job, SIGKILL);
	case BLOW_BOTH:
		return hit_both(a, &c, wrapper, job);
	case BLOW_TERM:
		if (!hit(a, &c, wrapper, SIGTERM))
			return false;
		terms++;
		return true;
	case BLOW_STOP:
		return hit_stop(a, &c, wrapper, job);
	default:
		return true;
	}
}

void blow_second(struct actor *a)
{
	if (process_signal(&a->victim, a->second_signal) && a->second_signal == SIGKILL)
		kills[a->victim_role]++;
	a->second_due = 0;
}

/* ---- figures ---- */

unsigned long blow_kills(void)
{
	unsigned long sum = 0;
	for (int i = 0; i < ROLES; i++)
		sum += kills[i];
	return sum;
}

void blow_print(void)
{
	for (int i = 0; i < ROLES; i++)
		printf(" %s=%lu", role_names[i], kills[i]);
	printf(" both=%lu terms=%lu stops=%lu", both, terms, stops);
}
