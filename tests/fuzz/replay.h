/* SPDX-License-Identifier: MIT */
/*
 * A main() for a harness where there is no engine: HARNESS [-m CHANGES] [-s SEED] FILE|DIRECTORY...
 * Each file as it is, then CHANGES inputs that are made of them: bytes flipped, left out, doubled, two files spliced.
 * The same seed gives the same inputs.
 */
#ifndef TESTS_FUZZ_REPLAY_H
#define TESTS_FUZZ_REPLAY_H

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

/* Not the engine's business, and ours only if there is one. */
__attribute__((weak)) int LLVMFuzzerInitialize(int *argc, char ***argv);

enum { REPLAY_LONGEST = 1 << 16, REPLAY_FILES = 4096 };

static struct {
	uint8_t *data;
	size_t size;
} replay_file[REPLAY_FILES];
static size_t replay_files;

static uint64_t replay_state;

static uint64_t replay_random(uint64_t below)
{
	replay_state ^= replay_state << 13;
	replay_state ^= replay_state >> 7;
	replay_state ^= replay_state << 17;
	return replay_state % below;
}

/* In memory of exactly its size. */
static void replay_one(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);
	if (!copy)
		abort();
	if (size)
		memcpy(copy, data, size);
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
}

static void replay_read(const char *path)
{
	static uint8_t buf[REPLAY_LONGEST];
	FILE *f = fopen(path, "rb");
	if (!f || replay_files == REPLAY_FILES) {
		fprintf(stderr, "cannot read %s\n", path);
		exit(2);
	}
	size_t size = fread(buf, 1, sizeof(buf), f);
	fclose(f);
	replay_file[replay_files].data = malloc(size + 1);
	if (!replay_file[replay_files].data)
		abort();
	memcpy(replay_file[replay_files].data, buf, size);
	replay_file[replay_files++].size = size;
}

static int replay_shown(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

static void replay_find(const char *path)
{
	struct dirent **names;
	struct stat st;
	if (stat(path, &st) || !S_ISDIR(st.st_mode)) {
		replay_read(path);
		return;
	}
	/* In the same order everywhere. */
	int n = scandir(path, &names, replay_shown, alphasort);
	for (int i = 0; i < n; i++) {
		char file[4096];
		snprintf(file, sizeof(file), "%s/%s", path, names[i]->d_name);
		replay_read(file);
		free(names[i]);
	}
	if (n >= 0)
		free(names);
}

static size_t replay_change(uint8_t *buf, size_t size)
{
	size_t at = size ? replay_random(size) : 0;
	size_t n = size ? 1 + replay_random(size - at) : 0;
	switch (replay_random(7)) {
	case 0: /* a bit */
		if (size)
			buf[at] ^= (uint8_t)(1U << replay_random(8));
		return size;
	case 1: /* a byte that often means something */
		if (size)
			buf[at] = (uint8_t) "\0\n\t ,:\\\"=-@+/{}[]0919.\x7f\x80\xff\x89"
				[replay_random(26)];
		return size;
	case 2: /* some bytes less */
		memmove(buf + at, buf + at + n, size - at - n);
		return size - n;
	case 3: /* some twice */
		if (size + n > REPLAY_LONGEST)
			return size;
		memmove(buf + at + n, buf + at, size - at);
		return size + n;
	case 4: /* the end is missing */
		return at;
	case 5: { /* the end of another */
		size_t which = replay_random(replay_files);
		size_t from = replay_random(replay_file[which].size + 1);
		size_t more = replay_file[which].size - from;
		if (at + more > REPLAY_LONGEST)
			return size;
		memcpy(buf + at, replay_file[which].data + from, more);
		return at + more;
	}
	default: /* any byte */
		if (size)
			buf[at] = (uint8_t)replay_random(256);
		return size;
	}
}

static void replay_changed(void)
{
	static uint8_t buf[REPLAY_LONGEST];
	size_t which = replay_random(replay_files);
	size_t size = replay_file[which].size;
	memcpy(buf, replay_file[which].data, size);
	for (uint64_t n = 1 + replay_random(4); n; n--)
		size = replay_change(buf, size);
	replay_one(buf, size);
}

int main(int argc, char **argv)
{
	unsigned long changes = 0;
	int option;
	replay_state = 1;
	while ((option = getopt(argc, argv, "m:s:")) != -1) {
		if (option == 'm')
			changes = strtoul(optarg, NULL, 10);
		else if (option == 's')
			replay_state = strtoul(optarg, NULL, 10) * 2 + 1;
		else
			return 2;
	}
	if (LLVMFuzzerInitialize)
		LLVMFuzzerInitialize(&argc, &argv);
	for (int i = optind; i < argc; i++)
		replay_find(argv[i]);
	for (size_t i = 0; i < replay_files; i++)
		replay_one(replay_file[i].data, replay_file[i].size);
	for (unsigned long i = 0; i < changes && replay_files; i++)
		replay_changed();
	printf("files=%zu executions=%zu\n", replay_files,
	       replay_files + (replay_files ? changes : 0));
	for (size_t i = 0; i < replay_files; i++)
		free(replay_file[i].data);
	return 0;
}

#endif
