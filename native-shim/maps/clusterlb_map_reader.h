/* SPDX-License-Identifier: Apache-2.0 */
/* A reader of ClusterLb's maps that needs nobody's permission but the file's, and never waits. */
#ifndef CLUSTERLB_MAP_READER_H
#define CLUSTERLB_MAP_READER_H

#include <stdbool.h>
#include <stddef.h>

#include "clusterlb_maps.h"

struct clb_map {
	const uint8_t *base;
	size_t length;
	const uint8_t *index;
	const uint8_t *places;
	uint32_t bucket_mask;
	uint32_t place_count;
	uint32_t place_size;
	uint32_t key_size;
	uint32_t value_size;
	uint64_t seed0;
	uint64_t seed1;
};

/*
 * Maps a file read-only. Returns NULL, or why the file is not the map `name`
 * with these sizes; value_size 0 takes any. The map is valid until clb_map_close.
 */
const char *clb_map_open(struct clb_map *map, const char *directory, const char *name, uint32_t key_size, uint32_t value_size);

void clb_map_close(struct clb_map *map);

/* True once another file has taken over: open the name again. */
bool clb_map_is_retired(const struct clb_map *map);

/*
 * Copies the value of a key out; false if there is none. Safe against a writer
 * that changes or reuses everything meanwhile, and against one that was killed.
 */
bool clb_map_lookup(const struct clb_map *map, const void *key, void *value);

/* Calls `see` for every entry, each of them whole; not a snapshot of one moment. */
void clb_map_each(const struct clb_map *map, void (*see)(void *context, const void *key, const void *value), void *context);

#endif
