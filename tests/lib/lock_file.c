/* SPDX-License-Identifier: MIT */
/* The contract of opening: names, ranges, kinds of file, modes, descriptors, and what may go wrong. */
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/un.h>

#include "lockutil.h"

/* sync_lock_open() of a whole name, closed at once; a failure that touches *out is 9999. */
static int open_name(const char *name, unsigned flags)
{
	struct sync_lock_opts opts = {.flags = flags};
	struct sync_lock *const untouched = (struct sync_lock *)&opts;
	struct sync_lock *l = untouched;
	int r = sync_lock_open(name, &opts, SYNC_NOW, &l);
	if (r)
		return l == untouched ? r : 9999;
	sync_lock_close(l);
	return 0;
}

static int open_path(const char *path, unsigned flags)
{
	return open_name(named(path), flags);
}

/* ---- names ---- */

static void names(void)
{
	is(open_name("", 0), -EINVAL, "an empty name is -EINVAL");
	is(open_path("", 0), -EINVAL, "an empty path behind a scheme is -EINVAL");
	is(open_path("a:b", 0), 0, "a path may have a colon");
	claim(exists("a:b"), "and is taken as it is");
	is(open_name("nosuch:b", 0), 0, "a word before a colon that is no scheme is no error");
	claim(exists("nosuch:b"), "but part of the path");
	is(open_path("no/such/dir", 0), -ENOENT, "a missing directory is -ENOENT");
	is(open_path("a:b/c", 0), -ENOTDIR, "a file in place of a directory is -ENOTDIR");
	char path[160];
	snprintf(path, sizeof(path), "%s/absolute", scratch);
	is(open_path(path, 0), 0, "a path may be absolute");
	claim(exists("absolute"), "and leads there");
}

static void at_signs_with_ranges(void)
{
	is(open_path("at@5+10", 0), 0, "a range is parsed");
	claim(exists("at") && !exists("at@5+10"), "and is no part of the path");
	is(open_path("at@x", 0), 0, "an '@' before something else is no error");
	claim(exists("at@x"), "but part of the path");
	is(open_path("@5+10", 0), -EINVAL, "a range without a path is -EINVAL");
	is(open_path("at@9223372036854775807+2", 0), -EOVERFLOW,
	   "a range past the end: -EOVERFLOW");
	is(open_path("at@9223372036854775808", 0), -EOVERFLOW, "a start past the end: -EOVERFLOW");
	is(open_path("at@0+99999999999999999999", 0), -EOVERFLOW, "a length past it: -EOVERFLOW");
	is(open_path("at@9223372036854775807+1", 0), 0, "the last byte of all is legal");
}

static void at_signs(void)
{
	if (caps & SYNC_CAP_RANGE) {
		at_signs_with_ranges();
		return;
	}
	is(open_path("at@5+10", 0), 0, "what would be a range elsewhere is no error");
	claim(exists("at@5+10") && !exists("at"), "but part of the path");
	is(open_path("at@9223372036854775808", 0), 0, "nor is a number too large");
}

/* ---- ranges ---- */

static const struct {
	const char *held, *tried;
	bool conflict;
	const char *text;
} ranges[] = {
	{"r@0+10", "r@10+10", false, "ranges that touch do not conflict"},
	{"r@10+10", "r@0+10", false, "nor the other way round"},
	{"r@0+10", "r@100+1", false, "ranges far apart do not conflict"},
	{"r@0+10", "r@9+1", true, "one byte in common is a conflict"},
	{"r@5+1", "r@0+100", true, "a range within another is a conflict"},
	{"r@0+100", "r@5+1", true, "a range around another is a conflict"},
	{"r@7+3", "r@7+3", true, "equal ranges are a conflict"},
	{"r@10", "r@9223372036854775807+1", true, "a range without length goes to the end"},
	{"r@10", "r@0+10", false, "but does not begin before its start"},
	{"r@10+0", "r@1000000+1", true, "length 0 goes to the end, too"},
	{"r", "r@5+1", true, "a name without range means the whole file"},
	{"r@5+1", "r", true, "and so the other way round"},
	{"r@9223372036854775807+1", "r@9223372036854775806+1", false, "the last two bytes are two"},
};

static void range_conflicts(void)
{
	for (size_t i = 0; i < LENGTH(ranges); i++) {
		if (!(caps & SYNC_CAP_RANGE)) {
			skip("no byte ranges", ranges[i].text);
			continue;
		}
		struct kid holder = kid_holding(ranges[i].held, SYNC_EXCLUSIVE);
		is(attempt(ranges[i].tried, SYNC_EXCLUSIVE), ranges[i].conflict ? -ETIMEDOUT : 0,
		   ranges[i].text);
		kid_kill(&holder);
	}
}

/* ---- what is no lock file ---- */

static void links(void)
{
	make_file("target");
	need(!symlink("target", "link") && !symlink("nowhere", "dangling"), "make links");
	is(open_path("link", 0), -ELOOP, "a symbolic link is -ELOOP");
	is(open_path("link", SYNC_LOCK_FOLLOW), 0, "and is accepted with SYNC_LOCK_FOLLOW");
	struct kid holder = kid_holding("target", SYNC_EXCLUSIVE);
	struct sync_lock *l = open_flags("link", SYNC_LOCK_FOLLOW);
	is(sync_lock_acquire(l, SYNC_SHARED, SYNC_NOW), -ETIMEDOUT, "then the target is locked");
	kid_kill(&holder);
	is(sync_lock_acquire(l, SYNC_EXCLUSIVE, SYNC_NOW), 0, "if it is free");
	claim(!(sync_lock_caps(l) & SYNC_CAP_UNLINK), "a handle on a link cannot unlink");
	is(sync_lock_unlink(l), -EOPNOTSUPP, "and gives -EOPNOTSUPP if asked");
	let_go(l);
	is(open_path("dangling", 0), -ELOOP, "a dangling link is -ELOOP");
	is(open_path("dangling", SYNC_LOCK_FOLLOW), -ELOOP, "with SYNC_LOCK_FOLLOW, too");
	claim(!exists("nowhere"), "and its target is not made");
	need(!symlink("loop", "loop"), "make a link to itself");
	is(open_path("loop", SYNC_LOCK_FOLLOW), -ELOOP, "a link to itself is -ELOOP");
}

static void make_socket(const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	need(!bind(fd, (struct sockaddr *)&addr, sizeof(addr)), "make a socket");
	close(fd);
}

static void other_kinds(void)
{
	struct inotify_event event;
	need(!mkfifo("fifo", 0600), "make a FIFO");
	make_socket("socket");
	need(!symlink("fifo", "to-fifo"), "make a link");
	int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	need(watch >= 0 && inotify_add_watch(watch, "fifo", IN_OPEN) >= 0, "watch");
	is(open_path("fifo", 0), -EMEDIUMTYPE, "a FIFO is -EMEDIUMTYPE");
	is(open_path("to-fifo", SYNC_LOCK_FOLLOW), -EMEDIUMTYPE, "a link to a FIFO, too");
	is(open_path("to-fifo", 0), -ELOOP, "but -ELOOP where links are not followed");
	claim(read(watch, &event, sizeof(event)) < 0 && errno == EAGAIN, "it was never opened");
	close(watch);
	is(open_path("socket", 0), -EMEDIUMTYPE, "a socket is -EMEDIUMTYPE");
	is(open_path("/dev/null", 0), -EMEDIUMTYPE, "a character device is -EMEDIUMTYPE");
}

/* ---- making files ---- */

static int mode_of(const char *path)
{
	struct stat st;
	return lstat(path, &st) ? -errno : (int)(st.st_mode & 07777);
}

static int make_with(const char *path, mode_t mode, mode_t mask)
{
	struct sync_lock_opts opts = {.mode = mode};
	struct sync_lock *l = NULL;
	mode_t old = umask(mask);
	int r = sync_lock_open(named(path), &opts, SYNC_NOW, &l);
	mode_t after = umask(old);
	if (!r)
		sync_lock_close(l);
	return r ? r : after != mask ? -1 : mode_of(path);
}

static void modes(void)
{
	is(make_with("mode0777", 0, 0777), 0600, "a file is made with mode 0600, under umask 0777");
	is(make_with("mode0", 0, 0), 0600, "and under umask 0");
	is(make_with("exact", 0664, 0777), 0664, "opts.mode is exact, under umask 0777");
	is(make_with("exact2", 0640, 0), 0640, "and under umask 0");
	is(make_with("exact", 0600, 0), 0664, "the mode of an existing file is not changed");
	is(open_path("missing", SYNC_LOCK_NO_CREATE), -ENOENT,
	   "a missing file is -ENOENT with SYNC_LOCK_NO_CREATE");
	claim(!exists("missing"), "and is not made");
	is(open_path("exact", SYNC_LOCK_NO_CREATE), 0, "an existing one is opened even so");
}

static void contents(void)
{
	static const char text[] = "precious";
	struct stat old;
	struct stat now;
	char buf[64] = "";
	make_file("content");
	int fd = open("content", O_WRONLY | O_CLOEXEC);
	need(write(fd, text, sizeof(text)) == sizeof(text), "write");
	close(fd);
	need(!stat("content", &old), "stat");
	struct sync_lock *l = hold("content", SYNC_EXCLUSIVE);
	need(sync_lock_acquire(l, SYNC_SHARED, SYNC_NOW) == 0, "convert");
	let_go(l);
	need(!stat("content", &now), "stat");
	claim(slurp("content", buf, sizeof(buf)) == sizeof(text) && !strcmp(buf, text),
	      "the content of a lock file is not changed");
	claim(now.st_mtim.tv_sec == old.st_mtim.tv_sec &&
		      now.st_mtim.tv_nsec == old.st_mtim.tv_nsec && now.st_ino == old.st_ino,
	      "nor is its time, nor is it replaced");
}

static void rights(void)
{
	static const char shared[] = "a file that may only be read can be locked shared";
	static const char exclusive[] = "exclusively, or -EACCES where that takes writing";
	if (!geteuid()) {
		skip("root may do everything", shared);
		skip("root may do everything", exclusive);
		skip("root may do everything", "a file without any rights is -EACCES");
		return;
	}
	need(make_with("readonly", 0444, 0) == 0444, "make a file");
	struct sync_lock *l = open_lock("readonly");
	is(sync_lock_acquire(l, SYNC_SHARED, SYNC_NOW), 0, shared);
	int r = sync_lock_acquire(l, SYNC_EXCLUSIVE, SYNC_NOW);
	claim(r == 0 || r == -EACCES, exclusive);
	let_go(l);
	make_file("norights");
	need(!chmod("norights", 0), "chmod");
	is(open_path("norights", 0), -EACCES, "a file without any rights is -EACCES");
}

/* ---- descriptors ---- */

static void descriptors(void)
{
	struct sync_lock *one = open_lock("fd1");
	struct sync_lock *two = open_lock("fd2");
	claim(sync_lock_fd(one) >= 10 && sync_lock_fd(two) >= 10, "descriptors are 10 or above");
	claim(fcntl(sync_lock_fd(one), F_GETFD) & FD_CLOEXEC, "and close-on-exec");
	errno = EXDEV;
	sync_lock_close(one);
	sync_lock_close(NULL);
	claim(errno == EXDEV, "close preserves errno, and NULL is fine");
	sync_lock_close(two);
}

static int job_few_fds(struct sync_lock **l, const struct order *o, const struct timespec *deadline)
{
	struct rlimit few = {8, 8};
	(void)l;
	(void)deadline;
	if (setrlimit(RLIMIT_NOFILE, &few))
		return -1;
	int fds = count_fds();
	int r = open_path(o->path, 0);
	return count_fds() != fds ? 9998 : r;
}

static void few_descriptors(void)
{
	struct kid kid = kid_start();
	is(ask(&kid, job_few_fds, .path = "few"), -EMFILE,
	   "a limit of 8 descriptors gives -EMFILE, and leaks none");
	kid_kill(&kid);
}

static void failures_leak_nothing(void)
{
	int fds = count_fds();
	bool untouched = true;
	static const char *const bad[] = {"link", "dangling", "fifo", "socket", "", "no/such"};
	for (size_t i = 0; i < LENGTH(bad); i++)
		untouched = untouched && open_path(bad[i], 0) < 0;
	claim(untouched, "*out is untouched on failure");
	is(count_fds(), fds, "and no descriptor leaks");
}

/* ---- borrowed descriptors ---- */

static struct sync_lock *borrow(int fd)
{
	char number[16];
	snprintf(number, sizeof(number), "%d", fd);
	return open_flags(number, SYNC_LOCK_BY_FD);
}

static void borrowed(void)
{
	int fd = open("borrowed", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct sync_lock *l = borrow(fd);
	is(sync_lock_fd(l), fd, "a borrowed descriptor keeps its number");
	is(sync_lock_acquire(l, SYNC_EXCLUSIVE, SYNC_NOW), 0, "and can be locked");
	is(attempt("borrowed", SYNC_SHARED), -ETIMEDOUT, "which keeps others out");
	is(sync_lock_check(l), 0, "check has nothing to say of it");
	claim(!(sync_lock_caps(l) & SYNC_CAP_UNLINK), "it has no name to unlink");
	is(sync_lock_unlink(l), -EOPNOTSUPP, "and gives -EOPNOTSUPP if asked");
	sync_lock_close(l);
	claim(fcntl(fd, F_GETFD) >= 0, "it stays open when its handle is closed");
	is(attempt("borrowed", SYNC_SHARED), -ETIMEDOUT, "and locked");
	l = borrow(fd);
	need(sync_lock_release(l) == 0, "release");
	is(attempt("borrowed", SYNC_SHARED), 0, "until it is released");
	need(!unlink("borrowed"), "unlink");
	is(sync_lock_acquire(l, SYNC_EXCLUSIVE, SYNC_NOW), -EIDRM, "a removed file is -EIDRM");
	is(sync_lock_mode(l), SYNC_UNLOCKED, "and nothing is held");
	is(sync_lock_held_at(l, 0, fd, NULL), SYNC_UNLOCKED, "the kernel says so, too");
	sync_lock_close(l);
	close(fd);
}

static void bad_numbers(void)
{
	int fd = fcntl(0, F_DUPFD_CLOEXEC, 10);
	char number[16];
	snprintf(number, sizeof(number), "%d", fd);
	close(fd);
	is(open_path(number, SYNC_LOCK_BY_FD), -EBADF, "a closed descriptor is -EBADF");
	is(open_path("x", SYNC_LOCK_BY_FD), -EINVAL, "a word is no descriptor");
	is(open_path("-1", SYNC_LOCK_BY_FD), -EINVAL, "nor is a negative number");
	is(open_path("99999999999", SYNC_LOCK_BY_FD), -EINVAL, "nor one too large");
	is(open_path("", SYNC_LOCK_BY_FD), -EINVAL, "nor nothing");
	is(open_path("010", SYNC_LOCK_BY_FD), -EINVAL, "nor one with a leading zero");
	fd = open("ranged", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	snprintf(number, sizeof(number), "%d@5+10", fd);
	is(open_path(number, SYNC_LOCK_BY_FD), caps & SYNC_CAP_RANGE ? 0 : -EINVAL,
	   "a range may follow the number where there are ranges, and nowhere else");
	close(fd);
	unlink("ranged");
}

static int attempt_as_is(int fd)
{
	char number[16];
	snprintf(number, sizeof(number), "%d", fd);
	struct sync_lock *l = open_flags(number, SYNC_LOCK_BY_FD | SYNC_LOCK_AS_IS);
	int r = sync_lock_acquire(l, SYNC_EXCLUSIVE, SYNC_NOW);
	sync_lock_close(l);
	return r;
}

static void as_is(void)
{
	need(mkfifo("as-is-fifo", 0600) == 0, "mkfifo");
	int fd = open("as-is-fifo", O_RDWR | O_CLOEXEC);
	char number[16];
	snprintf(number, sizeof(number), "%d", fd);
	is(open_path(number, SYNC_LOCK_BY_FD), -EMEDIUMTYPE, "a descriptor of a FIFO is refused");
	is(attempt_as_is(fd), 0, "but can be locked as it is");
	close(fd);
	fd = open("as-is", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	unlink("as-is");
	is(attempt_as_is(fd), 0, "so can a file that was removed");
	close(fd);
}

static void read_only_descriptor(void)
{
	make_file("rdonly");
	int fd = open("rdonly", O_RDONLY | O_CLOEXEC);
	struct sync_lock *l = borrow(fd);
	is(sync_lock_acquire(l, SYNC_SHARED, SYNC_NOW), 0, "a read-only descriptor locks shared");
	need(sync_lock_release(l) == 0, "release");
	int r = sync_lock_acquire(l, SYNC_EXCLUSIVE, SYNC_NOW);
	claim(r == 0 || r == -EBADF, "exclusively, or -EBADF where that takes writing");
	sync_lock_close(l);
	close(fd);
}

/* ---- directories ---- */

static void directories(void)
{
	need(!mkdir("dir", 0700), "mkdir");
	struct sync_lock *l = open_lock("dir");
	is(sync_lock_acquire(l, SYNC_SHARED, SYNC_NOW), 0, "a directory can be locked shared");
	is(attempt("dir", SYNC_SHARED), 0, "by several");
	need(sync_lock_release(l) == 0, "release");
	int r = sync_lock_acquire(l, SYNC_EXCLUSIVE, SYNC_NOW);
	claim(r == 0 || r == -EISDIR, "exclusively, or -EISDIR where that takes writing");
	is(attempt("dir", SYNC_SHARED), r ? 0 : -ETIMEDOUT, "and what it says is true");
	claim(!(sync_lock_caps(l) & SYNC_CAP_UNLINK), "a directory cannot be unlinked");
	is(sync_lock_unlink(l), -EOPNOTSUPP, "and gives -EOPNOTSUPP if asked");
	let_go(l);
}

int main(void)
{
	static void (*const tests[])(void) = {
		names,           at_signs,
		range_conflicts, links,
		other_kinds,     modes,
		contents,        rights,
		descriptors,     few_descriptors,
		borrowed,        bad_numbers,
		directories,     read_only_descriptor,
		as_is,           failures_leak_nothing,
	};
	return run_suite(tests, LENGTH(tests));
}
