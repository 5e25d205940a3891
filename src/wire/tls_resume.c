/*
 * tls_resume.c - sessions that go on: tickets of our server, and a store of sessions as a client
 *
 * Server: nothing is kept; the client keeps an encrypted ticket (RFC 5077, RFC 8446 4.6.1). The keys are the
 * process's, so a ticket of one loop, service or configuration is good on all others (what must not mix has another
 * session id context). A key encrypts for one lifetime and decrypts for one more.
 *
 * Client: the last session with each place is kept, as many as SESSIONS_MAX; the oldest makes room. A TLS 1.3
 * ticket is used once.
 */
#include "base/check.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/map.h"
#include "wire/tls_private.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <pthread.h>

enum { NAME_BYTES = 16, AES_BYTES = 32, MAC_BYTES = 32, SESSIONS_MAX = 2000, KEY_BYTES_MAX = 2048 };

static int64_t lifetime_ms = 3600 * 1000;

void tls_set_session_lifetime(int64_t ms)
{
        __atomic_store_n(&lifetime_ms, ms > 0 ? ms : 1, __ATOMIC_RELAXED);
}

/* ---- tickets ---- */

struct ticket_key {
        unsigned char name[NAME_BYTES];
        unsigned char aes[AES_BYTES];
        unsigned char mac[MAC_BYTES];
        int64_t made_ms; /* 0: there is none */
};

static struct {
        pthread_mutex_t lock;
        struct ticket_key now, before;
} tickets = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void renew(int64_t now_ms)
{
        int64_t age = now_ms - tickets.now.made_ms;
        int64_t lifetime = __atomic_load_n(&lifetime_ms, __ATOMIC_RELAXED);
        if (tickets.now.made_ms && age < lifetime)
                return;
        tickets.before =
                tickets.now.made_ms && age < 2 * lifetime ? tickets.now : (struct ticket_key){0};
        check(RAND_bytes(tickets.now.name, NAME_BYTES) == 1);
        check(RAND_bytes(tickets.now.aes, AES_BYTES) == 1);
        check(RAND_bytes(tickets.now.mac, MAC_BYTES) == 1);
        tickets.now.made_ms = now_ms > 0 ? now_ms : 1;
}

/* The key to encrypt with, or the one that `name` was encrypted with; false: it is too old. */
static bool key_take(const unsigned char *name, struct ticket_key *out, bool *is_old)
{
        bool is_found = true;
        pthread_mutex_lock(&tickets.lock);
        renew(clock_mono_ms());
        *is_old = false;
        if (!name || memcmp(name, tickets.now.name, NAME_BYTES) == 0) {
                *out = tickets.now;
        } else if (tickets.before.made_ms && memcmp(name, tickets.before.name, NAME_BYTES) == 0) {
                *out = tickets.before;
                *is_old = true;
        } else {
                is_found = false;
        }
        pthread_mutex_unlock(&tickets.lock);
        return is_found;
}

/* As OpenSSL's SSL_CTX_set_tlsext_ticket_key_evp_cb(3) wants it: 1 good, 2 good but make a new one, 0 no such key. */
static int ticket_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                      EVP_MAC_CTX *mac, int encrypts)
{
        struct ticket_key key;
        bool is_old;
        if (!key_take(encrypts ? NULL : name, &key, &is_old))
                return 0;
        OSSL_PARAM params[] = {
                OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key.mac, MAC_BYTES),
                OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char[]){"sha256"}, 0),
                OSSL_PARAM_construct_end(),
        };
        int is_good = EVP_MAC_CTX_set_params(mac, params);
        if (encrypts) {
                memcpy(name, key.name, NAME_BYTES);
                is_good = is_good &&
                          RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) == 1 &&
                          EVP_EncryptInit_ex2(cipher, EVP_aes_256_cbc(), key.aes, iv, NULL);
        } else {
                is_good = is_good &&
                          EVP_DecryptInit_ex2(cipher, EVP_aes_256_cbc(), key.aes, iv, NULL);
        }
        OPENSSL_cleanse(&key, sizeof(key));
        if (!is_good)
                return -1;
        /* TLS 1.3 makes new tickets anyway */
        return is_old && SSL_version(ssl) < TLS1_3_VERSION ? 2 : 1;
}

void tls_resume_server(SSL_CTX *ssl)
{
        SSL_CTX_set_tlsext_ticket_key_evp_cb(ssl, ticket_key);
        SSL_CTX_set_num_tickets(ssl, 1);
        SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
        SSL_CTX_set_timeout(ssl, (long)(__atomic_load_n(&lifetime_ms, __ATOMIC_RELAXED) / 1000));
}

/* ---- sessions as a client ---- */

struct kept {
        struct list link; /* the oldest first */
        SSL_SESSION *session;
        int64_t until_ms;
        size_t key_len;
        char key[];
};

static struct {
        pthread_mutex_t lock;
        struct map map; /* key -> struct kept */
        struct list by_age;
        bool is_ready;
        int key_index; /* of an SSL: its key, strdup()ed */
} store = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void key_free(void *parent, void *key, CRYPTO_EX_DATA *data, int index, long argl,
                     void *argp)
{
        free(key);
}

static void kept_drop(struct kept *k)
{
        map_remove(&store.map, str_make(k->key, k->key_len));
        list_remove(&k->link);
        SSL_SESSION_free(k->session);
        free(k);
}

/* OpenSSL has a new session: it is ours when we return 1. */
static int session_new(SSL *ssl, SSL_SESSION *session)
{
        const char *key = SSL_get_ex_data(ssl, store.key_index);
        if (!key || !SSL_SESSION_is_resumable(session))
                return 0;
        size_t len = strlen(key);
        struct kept *k = malloc(sizeof(*k) + len + 1);
        check(k);
        *k = (struct kept){.session = session, .key_len = len};
        memcpy(k->key, key, len + 1);
        pthread_mutex_lock(&store.lock);
        k->until_ms = clock_mono_ms() + __atomic_load_n(&lifetime_ms, __ATOMIC_RELAXED);
        struct kept *before = map_find(&store.map, str_make(key, len));
        if (before)
                kept_drop(before);
        if (store.map.count >= SESSIONS_MAX)
                kept_drop(list_of(store.by_age.next, struct kept, link));
        map_put(&store.map, str_make(k->key, len), k);
        list_add_last(&store.by_age, &k->link);
        pthread_mutex_unlock(&store.lock);
        return 1;
}

static void store_init(void)
{
        pthread_mutex_lock(&store.lock);
        if (!store.is_ready) {
                map_init(&store.map);
                list_init(&store.by_age);
                store.key_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, key_free);
                check(store.key_index >= 0);
                store.is_ready = true;
        }
        pthread_mutex_unlock(&store.lock);
}

void tls_resume_client(SSL_CTX *ssl)
{
        store_init();
        SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(ssl, session_new);
}

void tls_resume_begin(SSL *ssl, struct str key)
{
        if (key.len == 0 || key.len > KEY_BYTES_MAX)
                return;
        char *text = strndup(key.ptr, key.len);
        check(text);
        SSL_set_ex_data(ssl, store.key_index, text);
        pthread_mutex_lock(&store.lock);
        struct kept *k = map_find(&store.map, key);
        if (k) {
                if (clock_mono_ms() < k->until_ms)
                        SSL_set_session(ssl, k->session);
                kept_drop(k); /* a ticket of TLS 1.3 is for one use; a new one comes */
        }
        pthread_mutex_unlock(&store.lock);
}
