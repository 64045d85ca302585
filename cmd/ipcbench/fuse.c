/* SPDX-License-Identifier: MIT */
/*
 * Writes to a file of a file system that the receiver serves through /dev/fuse. Each is a request that it reads and
 * answers, so the sender waits for it. No libfuse: of the protocol little is needed.
 *
 * The root of the file system is the file itself, and it is mounted nowhere: fsmount(2) gives a descriptor, and
 * with the last one of that the mount is gone. Only the receiver may have /dev/fuse open: if it dies, the kernel
 * ends all requests, for which the sender would otherwise wait beyond SIGKILL.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "transport.h"

#if __has_include(<linux/fuse.h>) && __has_include(<linux/mount.h>)
#include <linux/fuse.h>
#include <linux/mount.h>

enum { DEVICE = RECEIVER, MOUNT = 2, MOST = 128 << 10, ROOM = MOST + 4096 };

static int configure(int fs, const char *key, const char *value)
{
	return (int)syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, key, value, 0);
}

static int mount_nowhere(struct channel *c, int fs)
{
	char device[16];
	char user[16];
	char group[16];
	snprintf(device, sizeof(device), "%d", c->fd[DEVICE]);
	snprintf(user, sizeof(user), "%u", (unsigned)geteuid());
	snprintf(group, sizeof(group), "%u", (unsigned)getegid());
	if (configure(fs, "fd", device) || configure(fs, "rootmode", "100600") ||
	    configure(fs, "user_id", user) || configure(fs, "group_id", group) ||
	    syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		return -1;
	return (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, 0);
}

static int open_fuse(struct channel *c)
{
	c->fd[DEVICE] = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (c->fd[DEVICE] < 0)
		return refuse_errno(c, "open /dev/fuse",
				    errno == ENOENT ? "this machine has none: modprobe fuse"
						    : NULL);
	int fs = (int)syscall(SYS_fsopen, "fuse", FSOPEN_CLOEXEC);
	if (fs < 0)
		return refuse_errno(c, "make a file system",
				    errno == EPERM ? "that needs root" : "Linux 5.2 can");
	c->fd[MOUNT] = mount_nowhere(c, fs);
	int err = errno;
	close(fs);
	errno = err;
	return c->fd[MOUNT] < 0 ? refuse_errno(c, "mount a file system", NULL) : 0;
}

static int answer(struct channel *c, const struct fuse_in_header *in, int error, const void *body,
		  size_t n)
{
	char out[256];
	const struct fuse_out_header head = {
		.len = (uint32_t)(sizeof(head) + n), .error = -error, .unique = in->unique};
	memcpy(out, &head, sizeof(head));
	if (n)
		memcpy(out + sizeof(head), body, n);
	return write(c->fd[DEVICE], out, sizeof(head) + n) < 0 ? -errno : 0;
}

static int tell_attributes(struct channel *c, const struct fuse_in_header *in)
{
	const struct fuse_attr_out out = {
		.attr_valid = 3600,
		.attr = {.ino = 1, .mode = S_IFREG | 0600, .nlink = 1, .uid = geteuid()}};
	return answer(c, in, 0, &out, sizeof(out));
}

/* What is not asked for again if the answer is that there is no such thing. */
static int serve(struct channel *c, const struct fuse_in_header *in)
{
	const struct fuse_init_out init = {.major = FUSE_KERNEL_VERSION,
					   .minor = 31,
					   .flags = FUSE_BIG_WRITES,
					   .max_write = MOST};
	const struct fuse_open_out opened = {.open_flags = FOPEN_DIRECT_IO};
	switch (in->opcode) {
	case FUSE_INIT:
		return answer(c, in, 0, &init, sizeof(init));
	case FUSE_OPEN:
		return answer(c, in, 0, &opened, sizeof(opened));
	case FUSE_GETATTR:
		return tell_attributes(c, in);
	case FUSE_FORGET:
	case FUSE_INTERRUPT:
		return 0; /* no answer */
	default:
		return answer(c, in, ENOSYS, NULL, 0);
	}
}

/* Read and answer requests up to one of this kind, which is left to be answered. */
static int serve_until(struct channel *c, uint32_t opcode)
{
	struct fuse_in_header *in = c->extra;
	for (;;) {
		if (read(c->fd[DEVICE], in, ROOM) < 0)
			return -errno;
		if (in->opcode == opcode)
			return 0;
		int r = serve(c, in);
		if (r)
			return r;
	}
}

/*
 * Each close asks for a FLUSH and waits for the answer. The first one here is told that there is none, or the
 * end of the sender would wait for a receiver that has ended.
 */
static int join(struct channel *c, enum side side)
{
	char path[64];
	if (side == RECEIVER) {
		c->extra = malloc(ROOM);
		int r = c->extra ? serve_until(c, FUSE_FLUSH) : -ENOMEM;
		return r ? r : answer(c, c->extra, ENOSYS, NULL, 0);
	}
	close(c->fd[DEVICE]);
	c->fd[DEVICE] = -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", c->fd[MOUNT]);
	c->fd[SENDER] = open(path, O_WRONLY | O_CLOEXEC);
	if (c->fd[SENDER] < 0)
		return -errno;
	close(dup(c->fd[SENDER]));
	return 0;
}

static void leave(struct channel *c)
{
	close(c->fd[DEVICE]);
	c->fd[DEVICE] = -1;
}

static int send_fuse(struct channel *c, char *block, size_t n)
{
	while (n) {
		ssize_t k = pwrite(c->fd[SENDER], block, n, 0);
		if (k <= 0)
			return k ? -errno : -EIO;
		block += k;
		n -= (size_t)k;
	}
	return 0;
}

static int recv_fuse(struct channel *c, char *block, size_t n)
{
	const struct fuse_in_header *in = c->extra;
	const char *data = (char *)c->extra + sizeof(*in) + sizeof(struct fuse_write_in);
	while (n) {
		struct fuse_write_in write_in;
		int r = serve_until(c, FUSE_WRITE);
		if (r)
			return r;
		memcpy(&write_in, in + 1, sizeof(write_in));
		if (write_in.size > n)
			return -EBADMSG;
		memcpy(block, data, write_in.size);
		block += write_in.size;
		n -= write_in.size;
		const struct fuse_write_out done = {.size = write_in.size};
		r = answer(c, in, 0, &done, sizeof(done));
		if (r)
			return r;
	}
	return 0;
}

const struct transport transport_fuse = {
	.about = "writes to a file that the receiver serves, /dev/fuse",
	.caps = CARRIES,
	.open = open_fuse,
	.join = join,
	.leave = leave,
	.send = send_fuse,
	.recv = recv_fuse,
};

#else

static int open_fuse(struct channel *c)
{
	return refuse(c, "this build has no FUSE: it was made without <linux/fuse.h>");
}

const struct transport transport_fuse = {
	.about = "writes to a file that the receiver serves: not in this build",
	.caps = CARRIES,
	.open = open_fuse,
};

#endif
