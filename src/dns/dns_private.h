/*
 * dns_private.h - what the files of this room share: answers that many hold, questions, what answers them
 *
 * questions.c keeps what somebody asked. A question that is new is answered from given text (given.c) or by
 * resolver.c, which looks into the cache of all loops (cache.c) and else asks libunbound. An answer is a
 * struct box: made once, by packet.c or given.c, counted, and shared by the cache and everybody who asked.
 */
#ifndef DNS_DNS_PRIVATE_H
#define DNS_DNS_PRIVATE_H

#include "base/arena.h"
#include "base/list.h"
#include "dns/dns.h"
#include "loop/loop.h"

enum {
        RECORDS_MAX = 100,
        QUESTIONS_MAX = 200,
        PACKET_BYTES_MAX = 65535,
        CHAIN_MAX = 16, /* CNAMEs in a row */
        WIRE_NAME_BYTES_MAX = 255,
};

/* ---- names (name.c) ---- */

/*
 * As we ask and compare: lower case, A-labels, no final dot. False when it is no name. The root is "".
 */
bool name_normalize(struct str name, char out[DNS_NAME_BYTES_MAX], size_t *len);
/* From presentation form; its length, or 0 when it is no name. */
size_t name_to_wire(struct str name, unsigned char out[WIRE_NAME_BYTES_MAX]);

/* Bytes with names in them that may point back into them: a packet, or rdata alone. */
struct wire_bytes {
        const unsigned char *ptr;
        size_t len;
};
/*
 * The name at *at in presentation form, lower case; *at is then behind it. Its length (0: the root);
 * DNS_NAME_BYTES_MAX when it is too long for us; -1 when it is malformed.
 */
int name_read(struct wire_bytes b, size_t *at, char out[DNS_NAME_BYTES_MAX]);

/* ---- answers ---- */

struct box {
        unsigned refs;
        struct dns_answer answer; /* without was_cached and took_us */
        struct box_block *blocks; /* all that it points to */
        size_t bytes;             /* allocated */
        size_t room;              /* for records */
        int64_t until_ms;         /* monotonic: when its ttl is over */
};

struct box *box_new(void);
/* Memory that ends with the box; zeroed. Most answers need a hundred bytes, an arena's block would be 4096. */
void *box_alloc(struct box *b, size_t bytes);
struct str box_str(struct box *b, struct str s);
/* Room for that many records in all, RECORDS_MAX at most; before the first. */
void box_make_room(struct box *b, size_t records);
struct box *box_ref(struct box *b);
void box_unref(struct box **b);
/*
 * The same answer in one piece of memory with no room left over, for a cache: takes the reference, which must be the only
 * one. Not for one that has failed.
 */
struct box *box_seal(struct box **b);
/* One that says DNS_FAILED; the words are copied. */
struct box *box_failed(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * Adds a record from rdata at at..at+len; the answer's records have room for it. False when it is malformed or names
 * what is too long: then nothing is added.
 */
bool record_read(struct box *b, struct wire_bytes bytes, size_t at, size_t len, enum dns_type type);

/*
 * What a message says about name and type; `name` is normalised. Never NULL: what cannot be read is
 * DNS_FAILED. Sets ttl_ms, but neither is_secure nor until_ms.
 */
struct box *packet_read(struct wire_bytes packet, struct str name, enum dns_type type);

/* ---- what is asked ---- */

struct query;

struct question {
        struct dns_questions *owner;
        struct dns_answer answer; /* when it is answered */
        struct box *box;          /* that it points into */
        struct query *query;      /* while it is under way in resolver.c */
        struct list waiters;
        int64_t asked_us;
        enum dns_type type;
        bool is_answered;
        struct str name; /* normalised; behind the struct */
};

/* Takes the reference. Wakes who waits. */
void question_answer(struct question *q, struct box *b, bool was_cached);

/* ---- what answers ---- */

struct given;
struct given *given_new(struct str text, struct why *why);
void given_free(struct given **g);
struct box *given_find(const struct given *g, struct str name, enum dns_type type);

/* Starts it on this thread's loop, or answers it at once. */
void resolver_ask(struct dns *d, struct question *q);
/* The question hears no more of it. */
void resolver_cancel(struct question *q);
/* Frees what this struct dns has on its loops; on whatever thread. */
void resolver_end(struct dns *d);

struct cache;
struct cache *cache_new(int64_t bytes_max);
void cache_free(struct cache **c);
/* A reference, or NULL. */
struct box *cache_find(struct cache *c, struct str name, enum dns_type type);
/* Takes a reference of its own, when the answer is worth keeping. */
void cache_put(struct cache *c, struct str name, enum dns_type type, struct box *b);

struct figures;
struct figures *figures_new(void);
void figures_free(struct figures **f);
/* `zone`: where it counts beside all together. */
void figures_count(struct figures *f, struct str zone, const struct dns_answer *answer,
                   bool has_timed_out);

/* ---- a resolver's settings, taken apart (settings.c) ---- */

struct stub {
        struct str zone;      /* normalised */
        struct str label;     /* for figures: "stub corp.example" */
        const char **servers; /* "192.0.2.1@53" */
        size_t server_count;
};

struct settings {
        bool wants_validation;
        const char **anchors; /* lines of the trust anchor file, else the root's */
        size_t anchor_count;
        const char **insecure_zones;
        size_t insecure_count;
        struct stub forward; /* of everything that no stub has */
        struct stub *stubs;
        size_t stub_count;
        int64_t timeout_ms;
        int64_t cache_bytes_max;
};

/* 0, or -EINVAL or another with *why. What it points to is in `arena`. */
int settings_parse(const struct dns_settings *text, struct arena *arena, struct settings *out,
                   struct why *why);
/* The nearest, or the forwarder, or NULL. */
const struct stub *settings_stub_of(const struct settings *s, struct str name);

/* Are these settings such that libunbound takes them? */
int resolver_try(const struct settings *s, struct why *why);

struct dns {
        unsigned refs;
        struct arena arena;
        struct figures *figures;
        struct given *given; /* NULL: the rest */
        struct list link;    /* in the list of all that are alive */
        struct str key;      /* its settings in one text */
        struct settings settings;
        struct cache *cache;
        struct list resolvers; /* one for each loop that has asked; resolver.c's, with its lock */
};

/* Why a question of ours has no answer, after so long. */
#define DNS_TIMED_OUT "no answer in time"

#endif
