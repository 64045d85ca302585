/* SPDX-License-Identifier: MIT */
/* A journal whose slots have anything in them: what is no slot is told and left alone, and nothing beyond a file is read. */
#include <errno.h>

#include "../../libsync/libsync.h"

#include "files.h"

enum { HEADER = 1024 };

/* Where things lie: magic, version, byte order, sizeof(long); state, room; ... ; the queue's name; the number. */
enum {
	STATE_AT = 28,
	ROOM_AT = 32,
	LENGTH_AT = 40,
	QUEUE_AT = 64,
	NUMBER_AT = HEADER - (int)sizeof(long)
};

static void put(uint8_t *file, size_t at, const void *value, size_t size)
{
	memcpy(file + at, value, size);
}

/* Laid over a file that is sound: state, length, number, and bytes anywhere. */
static size_t prepare(uint8_t *file, struct input *in)
{
	uint32_t layout[] = {1, 0x01020304, sizeof(long)};
	unsigned bits = take_byte(in);
	size_t data = 1 + take_byte(in) * (bits & 1 ? 16 : 1);
	uint64_t room = data;
	uint64_t length = take_byte(in);
	uint32_t state = bits & 2 ? take_u32(in) : take_byte(in) % 5;
	long number = bits & 4 ? -1 : (long)take_byte(in);
	memset(file, 0, HEADER);
	memset(file + HEADER, 0xff, data);
	memcpy(file, "syncbox journal\n", 16);
	put(file, 16, layout, sizeof(layout));
	put(file, STATE_AT, &state, sizeof(state));
	put(file, ROOM_AT, &room, sizeof(room));
	put(file, LENGTH_AT, &length, sizeof(length));
	put(file, NUMBER_AT, &number, sizeof(number));
	size_t size = HEADER + data;
	if (bits & 8)
		size = take_u32(in) % (HEADER + data + 1);
	while (left(in)) {
		size_t at = take_byte(in) * 8;
		size_t n = 1 + take_byte(in) % 8;
		for (; n && left(in); n--, at++)
			if (at < HEADER + data)
				file[at] = (uint8_t)take_byte(in);
			else
				take_byte(in);
	}
	return size;
}

/* All that it gives is there to be read. */
static void look_into(struct sync_slot *slot, size_t file_size)
{
	size_t len = 0;
	long number = 0;
	unsigned sum = 0;
	const uint8_t *p = sync_slot_data(slot, &len, &number);
	MUST(p && len <= file_size - HEADER);
	for (size_t i = 0; i < len; i++)
		sum += p[i];
	MUST(strlen(sync_slot_queue(slot)) < 512);
	unsigned attempts = sync_slot_attempts(slot);
	MUST(sync_slot_begin(slot) == (attempts < UINT32_MAX ? attempts + 1 : attempts));
	sync_slot_set_mark(slot, sum);
	MUST(sync_slot_mark(slot) == sum);
	(void)sync_slot_is_exact(slot);
}

static bool is_slot(const uint8_t *file, size_t size)
{
	uint32_t layout[] = {1, 0x01020304, sizeof(long)};
	uint32_t state;
	uint64_t room;
	uint64_t length;
	if (size <= HEADER)
		return false;
	memcpy(&state, file + STATE_AT, sizeof(state));
	memcpy(&room, file + ROOM_AT, sizeof(room));
	memcpy(&length, file + LENGTH_AT, sizeof(length));
	return !memcmp(file, "syncbox journal\n", 16) &&
	       !memcmp(file + 16, layout, sizeof(layout)) && state <= 3 && room == size - HEADER &&
	       length <= room;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t file[HEADER + 8192];
	struct sync_journal *j = NULL;
	struct sync_slot *slot = NULL;
	struct input in = {data, data + size};
	char dir[80];
	char path[96];
	bool found = false;
	snprintf(dir, sizeof(dir), "%s/j", files_dir);
	snprintf(path, sizeof(path), "%s/slot.1.1", dir);
	mkdir(dir, 0700);
	size_t n = prepare(file, &in);
	files_write(path, file, n);
	bool sound = is_slot(file, n);
	long before = files_free_fd();
	MUST(!sync_journal_open(dir, &j));
	int r = sync_journal_orphan(j, NULL, &slot);
	MUST(r == 0 || r == -ENOENT || r == -EUCLEAN);
	MUST(sound || r == -EUCLEAN);
	if (!r) {
		found = true;
		look_into(slot, n);
		MUST(sync_journal_orphan(j, NULL, &slot) == -ENOENT);
		sync_slot_done(slot);
		sync_slot_close(slot);
	}
	/* Room for a message is found in any case, and what is no slot stays. */
	MUST(!sync_journal_slot(j, 100, &slot));
	MUST(!sync_slot_data(slot, &n, NULL));
	sync_slot_close(slot);
	sync_journal_close(j);
	MUST(files_free_fd() == before);
	if (found)
		MUST(access(path, F_OK));
	else if (!sound)
		MUST(!access(path, F_OK));
	unlink(path);
	MUST(!rmdir(dir));
	return 0;
}
