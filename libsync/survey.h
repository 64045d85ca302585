/* SPDX-License-Identifier: MIT */
/*
 * One pass over /proc, and what it has seen of the objects that processes hold, wait for or have.
 *
 * A node is what processes can have in common: a file (also a queue of POSIX), the number of a System V
 * object, an eventfd. A sight is one process at a node. The kinds of object (survey_KIND.c) make nodes for
 * what they list before the pass, and objects of the nodes after it.
 */
#ifndef LIBSYNC_SURVEY_H
#define LIBSYNC_SURVEY_H

#include <sys/stat.h>

#include "internal.h"

enum sync_space {
	SYNC_SPACE_FILE,
	SYNC_SPACE_SEM, /* of these the number is what counts */
	SYNC_SPACE_MSG,
	SYNC_SPACE_SHM,
	SYNC_SPACE_EVENT,
};

struct sync_sight {
	pid_t pid; /* 0: cannot be seen from here */
	bool waiting;
	bool seen; /* by a descriptor, or a thread that is blocked */
	bool has;  /* it has it open, or mapped, which is neither to hold nor to wait */
	bool told; /* of by a line of /proc/locks */
	bool inherited;
	bool attends;     /* a queue, as one that sends or receives */
	bool exact;       /* mode and range of a waiter are what it has asked for */
	int fd;           /* -1 not known */
	const char *kind; /* of a lock: a scheme; else NULL */
	const char *call; /* that it is blocked in */
	enum sync_mode mode;
	struct sync_range range;
	pid_t asker;    /* of a holder: the pid in its "lock:" line */
	uint64_t began; /* the process, clock ticks after boot */
};

struct sync_node {
	struct sync_node *next;  /* of the same hash */
	struct sync_node *older; /* of all */
	enum sync_space space;
	dev_t dev; /* of a file */
	uint64_t ino;
	unsigned major,
		minor;  /* of a file, as the kernel's lock lists name it: on btrfs not st_dev */
	bool listed;    /* an object shows it: who has it counts, too */
	bool mqueue;    /* a file of a queue file system */
	bool foreign;   /* of another IPC namespace */
	bool deleted;   /* it has no name any more */
	bool shown;     /* there is an object of it */
	bool own_locks; /* and what is locked there is its business: it is no lock file */
	bool fresh;     /* the last line about it was new */
	unsigned
		asked_for; /* list it as a lock, by the schemes of these bits, even if nobody has it */
	mode_t mode;
	uid_t uid;
	char *path;     /* of a file, as a process that has it calls it; NULL not known */
	uint64_t value; /* of an eventfd */
	int semaphore;
	struct sync_sight *sights;
	size_t count, room;
};

struct sync_survey {
	struct sync_survey_opts opts;
	const struct sync_node *only; /* look for this file alone */
	struct sync_node *newest;     /* of all nodes; those made during a walk are not met by it */
	struct sync_node **hash;
	size_t hash_size, nodes;
	struct sync_object **objects;
	size_t count, room;
	size_t hidden;
	bool maps; /* somebody wants to know who has it mapped */
	bool no_memory;
	unsigned blind; /* SYNC_BLIND_ bits */
	size_t queue_file_systems;
	struct {
		dev_t dev;
		bool mqueue;
	} devices[64]; /* seen */
	size_t device_count;
	pid_t self;   /* is not told of */
	uint64_t ipc; /* inode of our IPC namespace */
	struct sync_person *people[1024];
	char *text; /* of a file in /proc, while it is read */
	size_t text_size;
};

/* The node; NULL if there is none and MAKE is false, or no memory. */
struct sync_node *sync_survey_file(struct sync_survey *s, dev_t dev, uint64_t ino, bool make);
struct sync_node *sync_survey_number(struct sync_survey *s, enum sync_space space, uint64_t number,
				     bool make);
/* As the kernel's lock lists name it. */
struct sync_node *sync_survey_locked(struct sync_survey *s, unsigned major, unsigned minor,
				     uint64_t ino, bool make);

/* One more sight, zeros but for pid and fd; NULL no memory. */
struct sync_sight *sync_survey_see(struct sync_survey *s, struct sync_node *node, pid_t pid);
/* PID has it open or mapped; once for each process. BEGAN as in the sight. */
void sync_survey_see_user(struct sync_survey *s, struct sync_node *node, pid_t pid, int fd,
			  uint64_t began);

/* Unless one is known already. */
void sync_survey_set_path(struct sync_node *node, const char *path);

/* The pass over /proc: survey_proc.c. */
MUST_CHECK int sync_survey_look(struct sync_survey *s);
/* Read NAME below the directory into s->text; its length or -errno. */
ssize_t sync_survey_read(struct sync_survey *s, int dir, const char *name);

/* /proc/locks, and what follows from it, for all nodes that are files: survey_lock.c. */
MUST_CHECK int sync_survey_merge_locks(struct sync_survey *s);
/* Holders before waiters, each by age; and who inherited. */
void sync_survey_sort(struct sync_node *node);

/* Free everything but S itself. */
void sync_survey_wipe(struct sync_survey *s);

/* ---- for the kinds ---- */

/* A new object, on the list; its name as by printf(3). NULL no memory. It has nobody, and -1 for what is not known. */
__attribute__((format(printf, 3, 4))) struct sync_object *
sync_survey_add(struct sync_survey *s, enum sync_type type, const char *format, ...);
void sync_survey_detail(struct sync_object *o, const char *name, int64_t value);
/* The file of the object, instead of the one before; a copy. */
void sync_survey_set_file(struct sync_object *o, const char *path);
/* A sight as others are told of it. */
void sync_survey_owner(struct sync_survey *s, const struct sync_sight *sight,
		       struct sync_owner *out);
/* Everybody at the node goes to the object: holders, waiters, and who has it as USERS: holders, or users. */
enum sync_users { SYNC_USERS_HOLD, SYNC_USERS_USE };
void sync_survey_people(struct sync_survey *s, struct sync_object *o, const struct sync_node *node,
			enum sync_users users);
/* One more of the object's holders and waiters (or, if OPEN, of those who have it). */
void sync_survey_add_owner(struct sync_survey *s, struct sync_object *o,
			   const struct sync_sight *sight, bool open);
/* COUNT more that wait but could not be seen. */
void sync_survey_add_unseen(struct sync_survey *s, struct sync_object *o, unsigned count);
/* Is there a process of that number, if we can know? */
bool sync_survey_lives(pid_t pid);

struct sync_kind {
	enum sync_type type;
	/* Before the pass: what there is, and nodes for it. */
	void (*list)(struct sync_survey *s);
	/* After it: who holds, who waits. */
	void (*finish)(struct sync_survey *s);
	/* Remove O if it is still that, and unless FORCE, if it is still true that nobody has to do with it. */
	int (*remove)(const struct sync_object *o, bool force);
	/* Is NAME, a name with or without a scheme, another spelling of O's? */
	bool (*matches)(const struct sync_object *o, const char *name);
};
extern const struct sync_kind sync_kind_lock, sync_kind_sem, sync_kind_mq, sync_kind_shm,
	sync_kind_event, sync_kind_pool, sync_kind_jobserver;

/* What a System V object is called: by its key's name if that can be found, by key, or by number. */
void sync_label_name(char *buf, size_t size, uint32_t key, int id, uid_t creator);
/* NAME without the scheme, or NULL if it has another. */
const char *sync_survey_rest(const char *name, const char *scheme, bool bare);
/* Do the System V name REST and the object mean the same? */
bool sync_survey_same_sysv(const struct sync_object *o, const char *rest);
/* Look again, for this object alone: -EBUSY there is somebody now, or something in it that was not. */
MUST_CHECK int sync_survey_is_used(const struct sync_object *o);
int64_t sync_survey_find_detail(const struct sync_object *o, const char *name);

/* The directory of all queues of this IPC namespace, without which none could be listed; or -errno. */
int sync_mqueue_directory(void);

#endif
