/* SPDX-License-Identifier: MIT */
/* A file of metrics that is added to, whatever was in it: what comes out is a file of metrics, and nobody's number is lost. */
#include "../../cmd/json.c"
#include "../../cmd/metrics.c"

#include "fuzz.h"

/* Every line is whole: a comment, or one of ours, with a label and a value. */
static size_t check_lines(const char *text, size_t len, const struct metric *m, const char *key)
{
	size_t of_others = 0;
	bool last_is_ours = false;
	while (len) {
		const char *end = memchr(text, '\n', len);
		MUST(end);
		if (*text != '#') {
			MUST(begins(text, m->name, "{"));
			last_is_ours = begins(text, m->name, key);
			of_others += !last_is_ours;
		}
		len -= (size_t)(end + 1 - text);
		text = end + 1;
	}
	MUST(last_is_ours);
	return of_others;
}

/* The value on the last line. */
static double value_in(const char *text, size_t len, size_t skip)
{
	const char *line = text + len - 1;
	while (line > text && line[-1] != '\n')
		line--;
	return strtod(line + skip, NULL);
}

static char *add(const char *old, const char *key, const struct metric *m, size_t *len)
{
	char *text = NULL;
	FILE *f = open_memstream(&text, len);
	if (!f)
		abort();
	put_sum(f, old, key, m);
	fclose(f);
	return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, data + size};
	struct metric m = {.name = "m_total", .type = "counter", .help = "x", .value = 2};
	size_t len;
	size_t again_len;
	if (take_byte(&in) & 1)
		m.type = "gauge";
	char *label = take_string(&in, take_byte(&in));
	char *key = label_text("lock", label);
	char *old = take_string(&in, left(&in));
	MUST(key && !strchr(key, '\n'));
	size_t skip = strlen(m.name) + strlen(key);
	char *text = add(old, key, &m, &len);
	size_t others = check_lines(text, len, &m, key);
	double value = value_in(text, len, skip);
	MUST(value >= m.value);
	/* What we have written ourselves is kept, and added to. */
	char *again = add(text, key, &m, &again_len);
	MUST(check_lines(again, again_len, &m, key) == others);
	double sum = value_in(again, again_len, skip);
	MUST(sum == (*m.type == 'c' ? value + m.value : value));
	free(again);
	free(text);
	free(old);
	free(key);
	free(label);
	return 0;
}
