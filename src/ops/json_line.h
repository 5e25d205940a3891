/*
 * json_line.h - one flat JSON object from a line of text (RFC 8259): what scripts give to a command
 *
 * Pure. Objects and arrays inside it are an error: nothing here wants them.
 */
#ifndef OPS_JSON_LINE_H
#define OPS_JSON_LINE_H

#include "base/arena.h"
#include "base/why.h"

enum { JSON_MEMBERS_MAX = 64 };

struct json_line {
        struct {
                struct str key;
                struct str
                        value; /* of a string: its text, UTF-8; else as it is written: 25, true, null */
                bool is_text;
        } members[JSON_MEMBERS_MAX];
        size_t count;
};

/* 0, or -EINVAL with *why: what is wrong, and at which byte. Texts are in the arena or in `line`. */
int json_line_read(struct str line, struct arena *arena, struct json_line *out, struct why *why);
/* The text of the last member with this key; false when there is none, or it is no text. */
bool json_line_text(const struct json_line *line, const char *key, struct str *value);

#endif
