/* grammar.h - private to smtp/: what the parsers of commands share */
#ifndef SMTP_GRAMMAR_H
#define SMTP_GRAMMAR_H

#include "smtp/command.h"

#include <errno.h>

/* Fills in the refusal, for return smtp_refuse(...). */
static inline int smtp_refuse(struct smtp_reply *refusal, int code, const char *enhanced,
                              struct str text)
{
        *refusal = smtp_reply_make(code, enhanced, text);
        return -EBADMSG;
}

static inline bool char_is_blank(char c)
{
        return c == ' ' || c == '\t';
}

static inline bool char_is_control(char c)
{
        return (unsigned char)c < 0x20 || c == 0x7f;
}

/* Control characters of UTF-8 (U+0080..U+009F) included: a terminal acts on them as well. */
bool smtp_text_has_control(struct str text);

/*
 * What stands in front of the path: "FROM:" or "TO:" (RFC 5321 4.1.1.2, 4.1.1.3), then blanks,
 * which the RFC does not allow and everybody takes. False when it is not there or when nothing
 * follows.
 */
bool smtp_take_path_keyword(struct str *args, struct str keyword);

/* One parameter of MAIL or RCPT, as views into the line. */
struct smtp_parameter {
        struct str whole;
        struct str name;
        struct str value;
        bool has_value;
};

/*
 * Does what a parameter says; *bit is one of its own, where it must not come twice: the loop sees to that. 0, or -EBADMSG
 * with *refusal.
 */
typedef int smtp_parameter_apply(void *context, const struct smtp_parameter *p, unsigned *bit,
                                 struct smtp_reply *refusal);
int smtp_parameters_parse(struct str text, smtp_parameter_apply *apply, void *context,
                          struct smtp_reply *refusal);

/* True for the name alone, without "=". */
bool smtp_parameter_is_flag(const struct smtp_parameter *p, struct str name);
/* True for the name with a value. */
bool smtp_parameter_has(const struct smtp_parameter *p, struct str name);

/* 555 5.5.4, with the parameter named in the text. */
int smtp_parameter_refuse(const struct smtp_parameter *p, struct arena *arena,
                          struct smtp_reply *refusal);

/* xtext whose meaning is printable too (RFC 3461 4.2, 4.4), of 1..bytes_max bytes; "=" passes. */
bool smtp_xtext_is_printable(struct str text, size_t bytes_max);
/* A copy of such text, with "=" armoured, and the digits of all armour in upper case. */
struct str smtp_xtext_keep(struct str text, struct arena *arena);

#endif
