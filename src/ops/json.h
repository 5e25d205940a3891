/*
 * json.h - JSON into a buf (RFC 8259), for people's scripts
 *
 * What the caller opens it closes. Text that is not UTF-8 is written byte by byte as \u00XX, so that the
 * result is always valid. Over the buf's ceiling the rest is dropped and json_is_cut() says so.
 */
#ifndef OPS_JSON_H
#define OPS_JSON_H

#include "base/buf.h"

struct json {
        struct buf *out;
        bool needs_comma;
        bool is_cut;
};

void json_init(struct json *j, struct buf *out);

/* `key` is NULL inside an array and for the outermost value. */
void json_open(struct json *j, const char *key, char bracket); /* '{' or '[' */
void json_close(struct json *j, char bracket);                 /* '}' or ']' */
void json_str(struct json *j, const char *key, struct str value);
void json_int(struct json *j, const char *key, int64_t value);
void json_bool(struct json *j, const char *key, bool value);
/* Ends the outermost value with a line feed; the next may follow. */
void json_end(struct json *j);

static inline bool json_is_cut(const struct json *j)
{
        return j->is_cut;
}

#endif
