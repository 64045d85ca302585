/* SPDX-License-Identifier: MIT */
/* Lines of /proc/locks and of fdinfo: any text is survived, and what the kernel writes is understood. */
#include "../../libsync/internal.h"

#include "fuzz.h"

static void any_text(const char *s)
{
	struct sync_proc_lock line;
	if (!sync_proc_lock_parse(s, &line))
		return;
	MUST(!strcmp(line.kind, "flock") || !strcmp(line.kind, "ofd") ||
	     !strcmp(line.kind, "fcntl"));
	MUST(line.mode == SYNC_SHARED || line.mode == SYNC_EXCLUSIVE);
}

/* As fs/locks.c prints it. */
static void kernels_own(struct input *in)
{
	static const char *const kinds[][2] = {
		{"FLOCK ", "flock"}, {"OFDLCK", "ofd"}, {"POSIX ", "fcntl"}};
	struct sync_proc_lock line;
	char text[256];
	char end[24] = "EOF";
	unsigned bits = take_byte(in);
	unsigned kind = bits % 3;
	int pid = (int)take_u32(in);
	unsigned major = take_byte(in);
	unsigned minor = take_u32(in) & 0xfffff;
	unsigned long long ino = (unsigned long long)take_u32(in) << 32 | take_u32(in);
	unsigned long long first = ((unsigned long long)take_u32(in) << 32 | take_u32(in)) >> 1;
	unsigned long long last = first | take_u32(in);
	if (bits & 64)
		snprintf(end, sizeof(end), "%llu", last);
	else
		last = SYNC_RANGE_END;
	snprintf(text, sizeof(text), "%u: %s%s %s %s %d %02x:%02x:%llu %llu %s\n",
		 1 + take_byte(in), bits & 128 ? "-> " : "", kinds[kind][0], "ADVISORY ",
		 bits & 32 ? "READ " : "WRITE", pid, major, minor, ino, first, end);
	MUST(sync_proc_lock_parse(text, &line));
	MUST(!strcmp(line.kind, kinds[kind][1]) && line.waiting == !!(bits & 128));
	MUST(line.mode == (bits & 32 ? SYNC_SHARED : SYNC_EXCLUSIVE) && line.pid == pid);
	MUST(line.major == major && line.minor == minor && line.ino == ino);
	MUST(line.range.first == first && line.range.last == last);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, data + size};
	char *s = take_string(&in, left(&in));
	any_text(s);
	free(s);
	in.p = data;
	kernels_own(&in);
	return 0;
}
