/* SPDX-License-Identifier: Apache-2.0 */
#include "clusterlb_map_reader.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOST_RETRIES 100
#define MOST_KEY 40
#define MOST_VALUE 256

static uint64_t fold(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)(product >> 64) ^ (uint64_t)product;
}

/* The key as 64-bit words, the last padded with zeros; both factors of every product are mixed with the seed. */
static uint64_t hash_of(const struct clb_map *map, const void *key)
{
	uint64_t words[MOST_KEY / 8 + 1] = { 0 };
	uint64_t hash;

	memcpy(words, key, map->key_size);
	hash = fold(words[0] ^ map->seed0, words[1] ^ map->seed1);
	if (map->key_size > 16)
		hash = fold(words[2] ^ hash, words[3] ^ map->seed1);
	if (map->key_size > 32)
		hash = fold(words[4] ^ hash, words[5] ^ map->seed1);
	return fold(hash ^ map->seed1, CLB_HASH_ODD);
}

static const char *problem_of(const struct clb_header *header, const char *name, size_t length)
{
	uint64_t checksum = UINT64_C(0xcbf29ce484222325);
	const uint8_t *bytes = (const uint8_t *)header;

	if (header->magic != CLB_MAGIC)
		return "not a ClusterLb map";
	for (size_t i = 0; i < CLB_HEADER_CHECKED; i++)
		checksum = (checksum ^ bytes[i]) * UINT64_C(0x100000001b3);
	if (checksum != header->checksum)
		return "the header is damaged";
	if (header->version != CLB_HEADER_VERSION || header->layout_version != CLB_LAYOUT_VERSION)
		return "another layout";
	if (strncmp(header->name, name, CLB_NAME_LENGTH) != 0)
		return "another map";
	if (header->length != length || header->buckets < 2 || (header->buckets & (header->buckets - 1)) != 0 ||
	    CLB_HEADER_SIZE + (uint64_t)header->buckets * CLB_BUCKET_SIZE + (uint64_t)header->places * header->place_size != length)
		return "the sizes contradict each other";
	return NULL;
}

const char *clb_map_open(struct clb_map *map, const char *directory, const char *name, uint32_t key_size, uint32_t value_size)
{
	char path[4096];
	struct stat status;
	const struct clb_header *header;
	const char *problem;
	void *base;
	int fd;

	if (snprintf(path, sizeof(path), "%s/%s", directory, name) >= (int)sizeof(path))
		return "the path is too long";
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return "cannot be opened";
	if (fstat(fd, &status) != 0 || status.st_size < (off_t)CLB_HEADER_SIZE) {
		close(fd);
		return "shorter than a header";
	}

	base = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (base == MAP_FAILED)
		return "cannot be mapped";

	header = base;
	problem = problem_of(header, name, (size_t)status.st_size);
	if (problem == NULL && (header->key_size != key_size || key_size > MOST_KEY ||
				(value_size != 0 && header->value_size != value_size)))
		problem = "other keys or values";
	if (problem != NULL) {
		munmap(base, (size_t)status.st_size);
		return problem;
	}

	*map = (struct clb_map) {
		.base = base,
		.length = (size_t)status.st_size,
		.index = (const uint8_t *)base + CLB_HEADER_SIZE,
		.places = (const uint8_t *)base + CLB_HEADER_SIZE + (size_t)header->buckets * CLB_BUCKET_SIZE,
		.bucket_mask = header->buckets - 1,
		.place_count = header->places,
		.place_size = header->place_size,
		.key_size = key_size,
		.value_size = header->value_size,
		.seed0 = header->seed0,
		.seed1 = header->seed1,
	};
	return NULL;
}

void clb_map_close(struct clb_map *map)
{
	munmap((void *)map->base, map->length);
	map->base = NULL;
}

bool clb_map_is_retired(const struct clb_map *map)
{
	return __atomic_load_n(&((const struct clb_header *)map->base)->state, __ATOMIC_ACQUIRE) != CLB_STATE_LIVE;
}

enum copy_result { COPY_WHOLE, COPY_NOTHING, COPY_CHANGED };

/* docs/maps.md, "Readers outside": the copy counts only if generation and word are after it what they were before. */
static enum copy_result copy_entry(const struct clb_map *map, const uint64_t *word, uint64_t seen, uint8_t *key, uint8_t *value)
{
	uint32_t place = CLB_WORD_PLACE(seen);
	const uint8_t *start;
	uint32_t generation;

	if (place == 0 || place >= map->place_count)
		return COPY_NOTHING;
	start = map->places + (size_t)place * map->place_size;
	generation = __atomic_load_n((const uint32_t *)start, __ATOMIC_ACQUIRE);
	memcpy(key, start + CLB_PLACE_KEY, map->key_size);
	memcpy(value, start + CLB_PLACE_KEY + map->key_size, map->value_size);

	/* Orders the copy before the two loads below. */
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return (generation & 1) == 0 && __atomic_load_n((const uint32_t *)start, __ATOMIC_RELAXED) == generation &&
			       __atomic_load_n(word, __ATOMIC_RELAXED) == seen
		       ? COPY_WHOLE
		       : COPY_CHANGED;
}

bool clb_map_lookup(const struct clb_map *map, const void *key, void *value)
{
	uint64_t hash = hash_of(map, key);
	uint32_t tag = (uint32_t)(hash >> 32);
	uint32_t first = (uint32_t)hash & map->bucket_mask;
	uint32_t buckets[2] = { first, first ^ ((tag | 1) & map->bucket_mask) };
	uint8_t found_key[MOST_KEY];
	uint8_t found_value[MOST_VALUE];

	if (map->value_size > MOST_VALUE)
		return false;
	for (int retry = 0; retry < MOST_RETRIES; retry++) {
		bool changed = false;

		for (unsigned int i = 0; i < 2 * CLB_BUCKET_WORDS; i++) {
			const uint64_t *words = (const uint64_t *)(map->index + (size_t)buckets[i / CLB_BUCKET_WORDS] * CLB_BUCKET_SIZE);
			const uint64_t *word = &words[i % CLB_BUCKET_WORDS];
			uint64_t seen = __atomic_load_n(word, __ATOMIC_ACQUIRE);
			enum copy_result result;

			if (seen == 0 || CLB_WORD_TAG(seen) != tag)
				continue;
			result = copy_entry(map, word, seen, found_key, found_value);
			if (result == COPY_CHANGED)
				changed = true;
			if (result == COPY_WHOLE && memcmp(found_key, key, map->key_size) == 0) {
				memcpy(value, found_value, map->value_size);
				return true;
			}
		}
		if (!changed)
			return false;
	}
	return false;
}

void clb_map_each(const struct clb_map *map, void (*see)(void *context, const void *key, const void *value), void *context)
{
	uint8_t key[MOST_KEY];
	uint8_t value[MOST_VALUE];

	if (map->value_size > MOST_VALUE)
		return;
	for (uint64_t i = 0; i < ((uint64_t)map->bucket_mask + 1) * CLB_BUCKET_WORDS; i++) {
		const uint64_t *word = (const uint64_t *)map->index + i;
		enum copy_result result = COPY_CHANGED;

		for (int retry = 0; retry < MOST_RETRIES && result == COPY_CHANGED; retry++)
			result = copy_entry(map, word, __atomic_load_n(word, __ATOMIC_ACQUIRE), key, value);
		if (result == COPY_WHOLE)
			see(context, key, value);
	}
}
