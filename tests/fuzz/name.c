/* SPDX-License-Identifier: MIT */
/* Names of objects, their ranges, keys and numbers: what is accepted means the same when it is printed again. */
#include <errno.h>
#include <limits.h>

#include "../../libsync/eventhold.h"
#include "../../libsync/internal.h"

#include "fuzz.h"

static bool known(const char *s, size_t len)
{
	return (len == 5 && !memcmp(s, "flock", 5)) || (len == 3 && !memcmp(s, "ofd", 3)) ||
	       (len == 5 && !memcmp(s, "fcntl", 5));
}

static bool ranges(const char *s, size_t len)
{
	return (len == 3 && !memcmp(s, "ofd", 3)) || (len == 5 && !memcmp(s, "fcntl", 5));
}

static void lock_name(const char *s)
{
	struct sync_name n;
	struct sync_name again;
	char range[64] = "";
	int r = sync_name_parse(s, known, ranges, &n);
	MUST(r == 0 || r == -EINVAL || r == -EOVERFLOW);
	if (r)
		return;
	MUST(n.path_len && n.path >= s && n.path + n.path_len <= s + strlen(s));
	MUST(n.range.first <= n.range.last && n.range.last <= SYNC_RANGE_END);
	MUST(n.has_range || (!n.range.first && n.range.last == SYNC_RANGE_END));
	if (n.has_range && n.range.last == SYNC_RANGE_END)
		snprintf(range, sizeof(range), "@%llu", (unsigned long long)n.range.first);
	else if (n.has_range)
		snprintf(range, sizeof(range), "@%llu+%llu", (unsigned long long)n.range.first,
			 (unsigned long long)(n.range.last - n.range.first + 1));
	size_t size = strlen(s) + sizeof(range);
	char *text = fuzz_alloc(size);
	snprintf(text, size, "%.*s%s%.*s%s", (int)n.scheme_len, s, n.scheme_len ? ":" : "",
		 (int)n.path_len, n.path, range);
	MUST(!sync_name_parse(text, known, ranges, &again));
	MUST(again.scheme_len == n.scheme_len && again.path_len == n.path_len);
	MUST(!memcmp(again.path, n.path, n.path_len) && again.has_range == n.has_range);
	MUST(again.range.first == n.range.first && again.range.last == n.range.last);
	free(text);
}

static void plain_name(const char *s)
{
	static const char letters[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
	char all[sizeof(letters) + 2];
	snprintf(all, sizeof(all), "%s.-", letters);
	bool legal = *s && strchr(letters, *s) && strspn(s, all) == strlen(s);
	int r = sync_name_check(s);
	MUST(r == (!legal ? -EINVAL : strlen(s) > 200 ? -ENAMETOOLONG : 0));
}

static void sysv_name(const char *s)
{
	struct sync_sysv_name a;
	struct sync_sysv_name b;
	char text[32];
	int r = sync_name_sysv(s, &a);
	MUST(r == 0 || r == -EINVAL || r == -ENAMETOOLONG);
	if (r)
		return;
	MUST(a.key && a.tag >= 1 && a.tag <= 32767 && a.id >= 0 && !(a.by_id && a.by_key));
	if (a.by_id)
		snprintf(text, sizeof(text), "id=%d", a.id);
	else
		snprintf(text, sizeof(text), "0x%08x", a.key);
	MUST(!sync_name_sysv(text, &b));
	MUST(a.by_id ? b.by_id && b.id == a.id : b.by_key && b.key == a.key);
	if (!a.by_id && !a.by_key)
		MUST(!sync_name_check(s));
}

/* The same, by arithmetic that cannot overflow. */
static void number(const char *s, size_t len, uint64_t max)
{
	unsigned __int128 n = 0;
	uint64_t out = 0;
	bool digits = len > 0;
	for (size_t i = 0; i < len; i++) {
		digits = digits && s[i] >= '0' && s[i] <= '9';
		if (digits && n <= UINT64_MAX)
			n = n * 10 + (unsigned)(s[i] - '0');
	}
	int r = sync_name_number(s, len, max, &out);
	MUST(r == (!digits ? -EINVAL : n > max ? -EOVERFLOW : 0));
	MUST(r || out == n);
}

static void event_name(const char *s)
{
	struct sync_hold_address a;
	struct sync_hold_address b;
	char text[128];
	int r = sync_hold_address(s, &a);
	MUST(r == 0 || r == -EINVAL || r == -ENAMETOOLONG);
	if (r)
		return;
	MUST(a.len <= sizeof(a.sun) && a.sun.sun_path[0] == '\0');
	const char *slash = strchr(s, '/');
	snprintf(text, sizeof(text), "%u/%s", (unsigned)a.uid, slash ? slash + 1 : s);
	MUST(!sync_hold_address(text, &b));
	MUST(a.uid == b.uid && a.len == b.len && !memcmp(&a.sun, &b.sun, a.len));
}

static void queue_names(const char *a, const char *b)
{
	bool same = sync_queue_is_same_name(a, b);
	MUST(sync_queue_is_same_name(a, a) && sync_queue_is_same_name(b, b));
	MUST(same == sync_queue_is_same_name(b, a));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, data + size};
	uint64_t max = (uint64_t)take_u32(&in) << 32 | take_u32(&in);
	char *s = take_string(&in, left(&in));
	char *other = take_string(&in, left(&in));
	lock_name(s);
	plain_name(s);
	sysv_name(s);
	number(s, strlen(s), max);
	number(s, strlen(s), INT_MAX);
	event_name(s);
	queue_names(s, other);
	free(s);
	free(other);
	return 0;
}
