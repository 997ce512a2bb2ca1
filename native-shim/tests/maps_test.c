/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looks up in maps that C# wrote, as the preload library will.
 *
 *   maps_test DIR connect ADDRESS PORT PROTOCOL   frontend, slots, their backends, one per line
 *   maps_test DIR node                            the node's entry
 *   maps_test DIR classify ADDRESS                flags of all networks that contain it
 *   maps_test DIR serving ID ID | revision ID | name ID
 *   maps_test DIR check NAME                      opens a file and says why it cannot be used, or "good"
 *   maps_test DIR race COUNT                      looks up keys of the map "test" and verifies each value
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clusterlb_map_reader.h"

static struct clb_map open_map(const char *directory, const char *name, uint32_t key_size, uint32_t value_size)
{
	struct clb_map map;
	const char *problem = clb_map_open(&map, directory, name, key_size, value_size);

	if (problem != NULL) {
		fprintf(stderr, "%s/%s: %s\n", directory, name, problem);
		exit(1);
	}
	return map;
}

static void print_backend4(const struct clb_transport4 *to)
{
	char text[INET_ADDRSTRLEN];

	printf("%s:%u", inet_ntop(AF_INET, &to->be_address, text, sizeof(text)), ntohs(to->be_port));
}

static void print_backend6(const struct clb_transport6 *to)
{
	char text[INET6_ADDRSTRLEN];

	printf("[%s]:%u", inet_ntop(AF_INET6, to->address, text, sizeof(text)), ntohs(to->be_port));
}

static void print_frontend(const struct clb_service *frontend)
{
	printf("count %u rev_nat_id %u service_port_id %u flags 0x%x\n", frontend->count, frontend->rev_nat_id,
	       frontend->service_port_id, frontend->flags);
}

static int connect4(const char *directory, const char *address, int port, int protocol)
{
	struct clb_map services = open_map(directory, "services4", sizeof(struct clb_service_key4), sizeof(struct clb_service));
	struct clb_map backends = open_map(directory, "backends4", 4, sizeof(struct clb_transport4));
	struct clb_service_key4 key = { .be_port = htons((uint16_t)port), .protocol = (uint8_t)protocol };
	struct clb_service frontend, slot;
	struct clb_transport4 backend;

	inet_pton(AF_INET, address, &key.be_address);
	if (!clb_map_lookup(&services, &key, &frontend)) {
		printf("no such frontend\n");
		return 0;
	}
	print_frontend(&frontend);
	for (key.slot = 1; key.slot <= frontend.count; key.slot++) {
		if (!clb_map_lookup(&services, &key, &slot) || !clb_map_lookup(&backends, &slot.backend_id, &backend))
			return 1;
		printf("slot %u backend %u ", key.slot, slot.backend_id);
		print_backend4(&backend);
		printf("\n");
	}
	return 0;
}

static int connect6(const char *directory, const char *address, int port, int protocol)
{
	struct clb_map services = open_map(directory, "services6", sizeof(struct clb_service_key6), sizeof(struct clb_service));
	struct clb_map backends = open_map(directory, "backends6", 4, sizeof(struct clb_transport6));
	struct clb_service_key6 key = { .be_port = htons((uint16_t)port), .protocol = (uint8_t)protocol };
	struct clb_service frontend, slot;
	struct clb_transport6 backend;

	inet_pton(AF_INET6, address, key.address);
	if (!clb_map_lookup(&services, &key, &frontend)) {
		printf("no such frontend\n");
		return 0;
	}
	print_frontend(&frontend);
	for (key.slot = 1; key.slot <= frontend.count; key.slot++) {
		if (!clb_map_lookup(&services, &key, &slot) || !clb_map_lookup(&backends, &slot.backend_id, &backend))
			return 1;
		printf("slot %u backend %u ", key.slot, slot.backend_id);
		print_backend6(&backend);
		printf("\n");
	}
	return 0;
}

static int classify4(const char *directory, const char *address)
{
	struct clb_map networks = open_map(directory, "networks4", sizeof(struct clb_network_key4), 4);
	const uint64_t *lengths = ((const struct clb_header *)networks.base)->words;
	struct clb_network_key4 key;
	uint32_t whole, found, flags = 0;

	inet_pton(AF_INET, address, &whole);
	for (uint32_t length = 0; length <= 32; length++) {
		if (!(__atomic_load_n(&lengths[0], __ATOMIC_ACQUIRE) >> length & 1))
			continue;
		key.prefix_length = length;
		key.be_address = whole & htonl(length == 0 ? 0 : UINT32_MAX << (32 - length));
		if (clb_map_lookup(&networks, &key, &found))
			flags |= found;
	}
	printf("0x%x\n", flags);
	return 0;
}

static int print_node(const char *directory)
{
	struct clb_map node = open_map(directory, "node", 4, sizeof(struct clb_node));
	char v4[INET_ADDRSTRLEN], v6[INET6_ADDRSTRLEN];
	struct clb_node entry;
	uint32_t key = 0;

	if (!clb_map_lookup(&node, &key, &entry))
		return 1;
	printf("%s %s flags 0x%x tcp %u %u %u udp %u %u generic %u\n",
	       inet_ntop(AF_INET, &entry.be_primary_ipv4, v4, sizeof(v4)),
	       inet_ntop(AF_INET6, entry.primary_ipv6, v6, sizeof(v6)), entry.flags, entry.tcp_syn_timeout_s,
	       entry.tcp_established_timeout_s, entry.tcp_closing_timeout_s, entry.udp_timeout_s, entry.udp_stream_timeout_s,
	       entry.generic_timeout_s);
	return 0;
}

static int print_ids(const char *directory, const char *what, uint32_t id, uint32_t other)
{
	if (strcmp(what, "serving") == 0) {
		struct clb_map map = open_map(directory, "serving", sizeof(struct clb_serving_key), 0);
		struct clb_serving_key key = { .service_port_id = id, .backend_id = other };
		uint8_t nothing;

		printf("%s\n", clb_map_lookup(&map, &key, &nothing) ? "yes" : "no");
	} else if (strcmp(what, "revision") == 0) {
		struct clb_map map = open_map(directory, "service_ports", 4, sizeof(struct clb_service_port));
		struct clb_service_port port = { 0 };

		clb_map_lookup(&map, &id, &port);
		printf("%" PRIu64 "\n", (uint64_t)port.revision_high << 32 | port.revision_low);
	} else {
		struct clb_map map = open_map(directory, "service_names", 4, sizeof(struct clb_service_name));
		struct clb_service_name name = { 0 };

		clb_map_lookup(&map, &id, &name);
		printf("%.*s\n", name.length, name.text);
	}
	return 0;
}

/* Values of the map "test": six words that are version, then version + key * 1, * 2, ... * 5. */
static int race(const char *directory, uint64_t lookups)
{
	struct clb_map map = open_map(directory, "test", 8, 48);
	uint64_t hits = 0, wrong = 0, value[6];

	for (uint64_t i = 0; i < lookups; i++) {
		uint64_t key = i * CLB_HASH_ODD >> 55; /* 0 to 511 */

		if (!clb_map_lookup(&map, &key, value))
			continue;
		hits++;
		for (uint64_t n = 1; n <= 5; n++) {
			if (value[n] != value[0] + key * n) {
				wrong++;
				break;
			}
		}
	}
	printf("hits %s wrong %" PRIu64 "\n", hits > lookups / 4 ? "many" : "few", wrong);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc >= 6 && strcmp(argv[2], "connect") == 0)
		return (strchr(argv[3], ':') ? connect6 : connect4)(argv[1], argv[3], atoi(argv[4]), atoi(argv[5]));
	if (argc == 3 && strcmp(argv[2], "node") == 0)
		return print_node(argv[1]);
	if (argc == 4 && strcmp(argv[2], "classify") == 0)
		return classify4(argv[1], argv[3]);
	if (argc == 4 && strcmp(argv[2], "race") == 0)
		return race(argv[1], strtoull(argv[3], NULL, 10));
	if (argc == 4 && strcmp(argv[2], "check") == 0) {
		struct clb_map map;
		const char *problem = clb_map_open(&map, argv[1], argv[3], 12, 24);

		printf("%s\n", problem ? problem : "good");
		return 0;
	}
	if (argc >= 4)
		return print_ids(argv[1], argv[2], (uint32_t)atoi(argv[3]), argc > 4 ? (uint32_t)atoi(argv[4]) : 0);
	fprintf(stderr, "usage: see the top of maps_test.c\n");
	return 2;
}
