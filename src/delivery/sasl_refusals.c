/*
 * sasl_refusals.c - servers that have refused our name and password (smtp_sasl_auth_cache_name)
 *
 * In the order in which they came, so that the oldest are the first to be forgotten, be it that their time is over or that
 * there are too many.
 */
#include "base/check.h"
#include "base/list.h"
#include "base/map.h"
#include "delivery/sasl.h"

#include <openssl/evp.h>
#include <pthread.h>

enum { DIGEST_BYTES = 32, TEXT_BYTES_MAX = 512 };

struct refusal {
        struct list link;
        struct str key;                     /* cache name, host and user, in lines */
        unsigned char digest[DIGEST_BYTES]; /* of the password */
        int64_t noted_us;
        char dsn[12];
        char text[TEXT_BYTES_MAX];
        size_t text_len;
};

static struct {
        pthread_mutex_t lock;
        struct map map;
        struct list oldest_first;
} all = {.lock = PTHREAD_MUTEX_INITIALIZER, .oldest_first = {&all.oldest_first, &all.oldest_first}};

static void digest_of(const struct sasl_login *login, unsigned char out[DIGEST_BYTES])
{
        check(EVP_Digest(login->password.ptr, login->password.len, out, NULL, EVP_sha256(), NULL) ==
              1);
}

static struct str key_of(const struct params *p, struct str host, const struct sasl_login *login,
                         struct arena *arena)
{
        return arena_printf(arena, "%.*s\n%.*s\n%.*s", STR_ARG(p->smtp_sasl_auth_cache_name),
                            STR_ARG(host), STR_ARG(login->user));
}

static void forget(struct refusal *r)
{
        map_remove(&all.map, r->key);
        list_remove(&r->link);
        free(r);
}

static struct refusal *refusal_new(struct str key)
{
        struct refusal *r = calloc(1, sizeof(*r) + key.len);
        check(r);
        memcpy(r + 1, key.ptr, key.len);
        r->key = str_make((char *)(r + 1), key.len);
        return r;
}

void sasl_refusal_note(const struct params *p, struct str host, const struct sasl_login *login,
                       const struct sasl_refusal *refusal, int64_t now_us)
{
        struct arena arena;
        if (!p->smtp_sasl_auth_cache_name.len)
                return;
        arena_init(&arena, 0);
        struct refusal *r = refusal_new(key_of(p, host, login, &arena));
        arena_done(&arena);
        digest_of(login, r->digest);
        r->noted_us = now_us;
        memcpy(r->dsn, refusal->dsn, sizeof(r->dsn));
        struct str text = str_part(refusal->text, 0, TEXT_BYTES_MAX);
        if (text.len)
                memcpy(r->text, text.ptr, text.len);
        r->text_len = text.len;
        pthread_mutex_lock(&all.lock);
        struct refusal *before = map_find(&all.map, r->key);
        if (before)
                forget(before);
        while (all.map.count >= SASL_REFUSALS_MAX)
                forget(list_of(all.oldest_first.next, struct refusal, link));
        map_put(&all.map, r->key, r);
        list_add_last(&all.oldest_first, &r->link);
        pthread_mutex_unlock(&all.lock);
}

static bool still_counts(const struct refusal *r, const struct params *p,
                         const struct sasl_login *login, int64_t now_us)
{
        unsigned char digest[DIGEST_BYTES];
        int64_t age_us = now_us - r->noted_us;
        digest_of(login, digest);
        return age_us >= 0 && age_us / 1000 <= p->smtp_sasl_auth_cache_time &&
               memcmp(digest, r->digest, sizeof(digest)) == 0;
}

bool sasl_refusal_find(const struct params *p, struct str host, const struct sasl_login *login,
                       int64_t now_us, struct arena *arena, struct sasl_refusal *out)
{
        bool is_found = false;
        if (!p->smtp_sasl_auth_cache_name.len)
                return false;
        struct str key = key_of(p, host, login, arena);
        pthread_mutex_lock(&all.lock);
        struct refusal *r = map_find(&all.map, key);
        if (r && still_counts(r, p, login, now_us)) {
                memcpy(out->dsn, r->dsn, sizeof(out->dsn));
                out->text = arena_str(arena, str_make(r->text, r->text_len));
                is_found = true;
        } else if (r) {
                forget(r);
        }
        pthread_mutex_unlock(&all.lock);
        return is_found;
}
