/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layouts of ClusterLb's maps, for readers in C: the preload library, BPF
 * programs, tests. docs/maps.md is the description of these bytes; the numbers
 * here and in src/ClusterLb.Dataplane/Maps are checked against each other by
 * tests (static_assert below, MapLayoutTests.cs, and a C program that reads
 * what C# wrote).
 *
 * Integers are little endian. Fields whose name begins with be_ are in network
 * byte order. Every file is: header (4096 bytes), index (buckets of 64 bytes),
 * places (place 0 is never used).
 */
#ifndef CLUSTERLB_MAPS_H
#define CLUSTERLB_MAPS_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define CLB_MAGIC UINT64_C(0xff5350414d424c43) /* "CLBMAPS\xff" */
#define CLB_HEADER_VERSION 1u
#define CLB_HEADER_SIZE 4096u
#define CLB_HEADER_CHECKED 112u /* bytes that the checksum covers */
#define CLB_NAME_LENGTH 24u
#define CLB_BUCKET_SIZE 64u
#define CLB_BUCKET_WORDS 8u
#define CLB_STATE_LIVE 1u
#define CLB_STATE_RETIRED 2u
#define CLB_HASH_ODD UINT64_C(0x9e3779b97f4a7c15)
#define CLB_LAYOUT_VERSION 1u /* of every map below */

struct clb_header {
	uint64_t magic;
	uint32_t version;
	uint32_t layout_version;
	char name[CLB_NAME_LENGTH]; /* NUL-padded */
	uint32_t capacity;          /* entries */
	uint32_t buckets;           /* a power of two; 0: no index */
	uint32_t places;            /* place 0 included */
	uint32_t place_size;        /* bytes from one place to the next */
	uint32_t key_size;
	uint32_t value_size;
	uint64_t length; /* of the file */
	uint8_t boot_id[16];
	uint64_t netns_cookie;
	uint64_t seed0;
	uint64_t seed1;
	uint64_t checksum; /* FNV-1a 64 of all bytes before */
	uint8_t pad0[8];
	uint32_t state; /* live or retired */
	uint8_t pad1[60];
	uint64_t last_number; /* ids and revisions handed out so far */
	uint64_t count;       /* entries in use, for people */
	uint8_t pad2[48];
	uint64_t words[8]; /* by kind: prefix lengths in use, epoch, ... */
	uint8_t pad3[3776];
};

static_assert(sizeof(struct clb_header) == CLB_HEADER_SIZE, "header");
static_assert(offsetof(struct clb_header, capacity) == 40, "capacity");
static_assert(offsetof(struct clb_header, length) == 64, "length");
static_assert(offsetof(struct clb_header, boot_id) == 72, "boot_id");
static_assert(offsetof(struct clb_header, netns_cookie) == 88, "netns_cookie");
static_assert(offsetof(struct clb_header, seed0) == 96, "seed0");
static_assert(offsetof(struct clb_header, checksum) == CLB_HEADER_CHECKED, "checksum");
static_assert(offsetof(struct clb_header, state) == 128, "state");
static_assert(offsetof(struct clb_header, last_number) == 192, "last_number");
static_assert(offsetof(struct clb_header, count) == 200, "count");
static_assert(offsetof(struct clb_header, words) == 256, "words");

/* An index word: place number in the low half, tag (upper half of the hash) in the high half; 0 is free. */
#define CLB_WORD_PLACE(word) ((uint32_t)(word))
#define CLB_WORD_TAG(word) ((uint32_t)((word) >> 32))

/* A place: generation (odd while it is being written), key, value. */
#define CLB_PLACE_KEY 4u

/* ---- services4, services6: frontends (slot 0) and their slots (1 to count) ---- */

struct clb_service_key4 {
	uint32_t be_address;
	uint16_t be_port;
	uint8_t protocol; /* IANA; 0 = any */
	uint8_t scope;    /* 0 external, 1 internal; with CLB_SERVICE_SPLIT: 2, 3 the canary's slots beside them */
	uint32_t slot;
};

struct clb_service_key6 {
	uint8_t address[16];
	uint16_t be_port;
	uint8_t protocol;
	uint8_t scope;
	uint32_t slot;
};

struct clb_service {
	uint32_t backend_id;      /* slot 0: affinity seconds (24 bits), algorithm (high 8 bits) */
	uint32_t count;           /* slot 0 */
	uint32_t rev_nat_id;      /* names the frontend */
	uint32_t service_port_id; /* shared by all frontends of a service port */
	uint32_t flags;           /* slot 0: CLB_SERVICE_... */
	uint32_t share_percent;   /* slot 0 with CLB_SERVICE_SPLIT: of the new flows, for the canary scope */
};

#define CLB_SERVICE_EXTERNAL_IP (1u << 0)
#define CLB_SERVICE_NODE_PORT (1u << 1)
#define CLB_SERVICE_EXTERNAL_LOCAL_SCOPE (1u << 2)
#define CLB_SERVICE_HOST_PORT (1u << 3)
#define CLB_SERVICE_AFFINITY (1u << 4)
#define CLB_SERVICE_LOAD_BALANCER (1u << 5)
#define CLB_SERVICE_ROUTABLE (1u << 6)
#define CLB_SERVICE_SOURCE_RANGE (1u << 7)
#define CLB_SERVICE_INTERNAL_LOCAL_SCOPE (1u << 12)
#define CLB_SERVICE_TWO_SCOPES (1u << 13)
#define CLB_SERVICE_ENDPOINTS_EXIST (1u << 16)
#define CLB_SERVICE_ACTIVE_ADDRESS (1u << 17)
#define CLB_SERVICE_SPLIT (1u << 18)
#define CLB_SERVICE_RESET_IF_GONE (1u << 19)
#define CLB_SERVICE_KEEP_IF_GONE (1u << 20)

/* high 8 bits of slot 0's backend_id; 0 is as random, 3 is Cilium's "first" */
#define CLB_ALGORITHM_RANDOM 1u
#define CLB_ALGORITHM_MAGLEV 2u
#define CLB_ALGORITHM_ROUND_ROBIN 4u
#define CLB_ALGORITHM_LEAST_CONNECTIONS 5u
#define CLB_ALGORITHM_SOURCE_HASH 6u
#define CLB_ALGORITHM_DESTINATION_HASH 7u
#define CLB_ALGORITHM_SHORTEST_EXPECTED_DELAY 8u

static_assert(sizeof(struct clb_service_key4) == 12, "services4 key");
static_assert(offsetof(struct clb_service_key4, slot) == 8, "services4 slot");
static_assert(sizeof(struct clb_service_key6) == 24, "services6 key");
static_assert(offsetof(struct clb_service_key6, slot) == 20, "services6 slot");
static_assert(sizeof(struct clb_service) == 24, "services value");
static_assert(offsetof(struct clb_service, share_percent) == 20, "services share");

/* ---- backends4/6 and reverse_nat4/6: key is a uint32_t id ---- */

struct clb_transport4 {
	uint32_t be_address;
	uint16_t be_port;
	uint8_t protocol;
	uint8_t state; /* backends: 0 active, 1 terminating; reverse_nat: 0 */
};

struct clb_transport6 {
	uint8_t address[16];
	uint16_t be_port;
	uint8_t protocol;
	uint8_t state;
};

static_assert(sizeof(struct clb_transport4) == 8, "backends4 value");
static_assert(sizeof(struct clb_transport6) == 20, "backends6 value");

/* ---- serving, eligible: sets, no value ---- */

struct clb_serving_key {
	uint32_t service_port_id;
	uint32_t backend_id;
};

struct clb_eligible_key {
	uint32_t rev_nat_id;
	uint32_t backend_id;
	uint32_t scope;
};

static_assert(sizeof(struct clb_serving_key) == 8, "serving key");
static_assert(sizeof(struct clb_eligible_key) == 12, "eligible key");

/* ---- service_ports, service_names: key is a uint32_t service port id ---- */

struct clb_service_port {
	uint32_t revision_low; /* two halves: the value lies at offset 8 of a place, but */
	uint32_t revision_high; /* nothing here asks for 8-byte alignment */
};

struct clb_service_name {
	uint8_t length;
	char text[247]; /* UTF-8, not terminated */
};

static_assert(sizeof(struct clb_service_port) == 8, "service_ports value");
static_assert(sizeof(struct clb_service_name) == 248, "service_names value");

/* ---- networks4/6: header words 0 to 2 have a bit per prefix length in use ---- */

struct clb_network_key4 {
	uint32_t prefix_length;
	uint32_t be_address;
};

struct clb_network_key6 {
	uint32_t prefix_length;
	uint8_t address[16];
};

#define CLB_NETWORK_SERVICE_RANGE (1u << 0)
#define CLB_NETWORK_POD_RANGE (1u << 1)
#define CLB_NETWORK_NODE_ADDRESS (1u << 2)
#define CLB_NETWORK_NODE_PORT_ADDRESS (1u << 3)
#define CLB_NETWORK_BRIDGED_PODS (1u << 4)

static_assert(sizeof(struct clb_network_key4) == 8, "networks4 key");
static_assert(sizeof(struct clb_network_key6) == 20, "networks6 key");

/* ---- node: one entry, key 0 ---- */

struct clb_node {
	uint32_t be_primary_ipv4; /* 0: the node has none */
	uint8_t primary_ipv6[16]; /* zeros: the node has none */
	uint32_t flags;
	uint32_t tcp_syn_timeout_s;
	uint32_t tcp_established_timeout_s;
	uint32_t tcp_closing_timeout_s;
	uint32_t udp_timeout_s;
	uint32_t udp_stream_timeout_s;
	uint32_t generic_timeout_s;
	uint16_t snat_first; /* source ports of masqueraded flows; all four zero: the usual ones */
	uint16_t snat_last;
	uint16_t snat_second_first; /* zero: there is one range only */
	uint16_t snat_second_last;
};

#define CLB_NODE_SYNCED (1u << 0)
#define CLB_NODE_MASQUERADE_ALL (1u << 1)
#define CLB_NODE_NO_LOCAL_DETECTION (1u << 2)
#define CLB_NODE_ECHO_REPLY (1u << 3) /* not used yet, never set */
#define CLB_NODE_LOCALHOST_NODE_PORTS (1u << 4)

static_assert(sizeof(struct clb_node) == 56, "node value");
static_assert(offsetof(struct clb_node, flags) == 20, "node flags");

/* ---- source_ranges4/6: value is a uint32_t, 1 = allow; header words as for networks ---- */

struct clb_source_range_key4 {
	uint32_t service_port_id;
	uint32_t prefix_length;
	uint32_t be_address;
};

struct clb_source_range_key6 {
	uint32_t service_port_id;
	uint32_t prefix_length;
	uint8_t address[16];
};

static_assert(sizeof(struct clb_source_range_key4) == 12, "source_ranges4 key");
static_assert(sizeof(struct clb_source_range_key6) == 24, "source_ranges6 key");

/* ---- maglev: value_size / 4 backend ids; header words 0 and 1: the seed of the cluster ---- */

struct clb_maglev_key {
	uint32_t service_port_id;
	uint32_t set; /* CLB_SET_... */
};

#define CLB_SET_CLUSTER 0u
#define CLB_SET_LOCAL 1u
#define CLB_SET_CANARY 2u      /* a bit */
#define CLB_MAGLEV_TABLE 12u /* offset in a place */

static_assert(sizeof(struct clb_maglev_key) == 8, "maglev key");
static_assert(CLB_PLACE_KEY + sizeof(struct clb_maglev_key) == CLB_MAGLEV_TABLE, "maglev table");

/* ---- affinity4, affinity6: whole places; flow tables, written by the dataplane ---- */

#define CLB_AFFINITY_ADDRESS 0u
#define CLB_AFFINITY_NETNS_COOKIE 1u

struct clb_affinity4 {
	uint32_t generation;
	uint32_t service_port_id;
	uint32_t be_client_address; /* with the next field: a cookie */
	uint32_t client_rest;
	uint32_t client_kind;
	uint32_t backend_id;
	uint64_t last_use; /* CLOCK_MONOTONIC ms << 20 | timeout in seconds */
};

struct clb_affinity6 {
	uint32_t generation;
	uint32_t service_port_id;
	uint8_t client_address[16];
	uint32_t client_kind;
	uint32_t backend_id;
	uint64_t last_use;
	uint8_t pad[24];
};

static_assert(sizeof(struct clb_affinity4) == 32, "affinity4 place");
static_assert(offsetof(struct clb_affinity4, last_use) == 24, "affinity4 last use");
static_assert(sizeof(struct clb_affinity6) == 64, "affinity6 place");
static_assert(offsetof(struct clb_affinity6, last_use) == 32, "affinity6 last use");

/* ---- workers: places of 64 bytes without index, two banks of 128; written by the dataplane ---- */

struct clb_worker {
	uint64_t epoch; /* 0: offline */
	uint64_t incarnation;
	uint64_t heartbeat_ns; /* CLOCK_MONOTONIC */
	uint8_t pad[40];
};

static_assert(sizeof(struct clb_worker) == 64, "worker slot");

#endif
