/*
 * command.c - from a line to its verb
 *
 *      command = verb [ 1*blank arguments ]            (RFC 5321 4.1.1; verbs in any case)
 *
 * Blanks in front and at the end are dropped, as everybody does.
 */
#include "smtp/grammar.h"

static const struct str verb_names[SMTP_UNKNOWN] = {
        [SMTP_HELO] = STR_INIT("HELO"),         [SMTP_EHLO] = STR_INIT("EHLO"),
        [SMTP_MAIL] = STR_INIT("MAIL"),         [SMTP_RCPT] = STR_INIT("RCPT"),
        [SMTP_DATA] = STR_INIT("DATA"),         [SMTP_BDAT] = STR_INIT("BDAT"),
        [SMTP_RSET] = STR_INIT("RSET"),         [SMTP_NOOP] = STR_INIT("NOOP"),
        [SMTP_VRFY] = STR_INIT("VRFY"),         [SMTP_HELP] = STR_INIT("HELP"),
        [SMTP_QUIT] = STR_INIT("QUIT"),         [SMTP_STARTTLS] = STR_INIT("STARTTLS"),
        [SMTP_AUTH] = STR_INIT("AUTH"),         [SMTP_ETRN] = STR_INIT("ETRN"),
        [SMTP_EXPN] = STR_INIT("EXPN"),         [SMTP_XCLIENT] = STR_INIT("XCLIENT"),
        [SMTP_XFORWARD] = STR_INIT("XFORWARD"),
};

const char *smtp_verb_name(enum smtp_verb verb)
{
        return verb < SMTP_UNKNOWN ? verb_names[verb].ptr : "UNKNOWN";
}

static enum smtp_verb verb_find(struct str word)
{
        for (int verb = 0; verb < SMTP_UNKNOWN; verb++)
                if (str_eq_nocase(word, verb_names[verb]))
                        return (enum smtp_verb)verb;
        return SMTP_UNKNOWN;
}

struct smtp_command smtp_command_parse(struct str line)
{
        line = str_trim(line);
        size_t end = 0;
        while (end < line.len && !char_is_blank(line.ptr[end]))
                end++;
        struct str word = str_part(line, 0, end);
        return (struct smtp_command){verb_find(word), word, str_trim(str_tail(line, end))};
}

/* field-name *blank ":" (RFC 5322 2.2; the blanks are obsolete syntax) */
static bool is_header_line(struct str line)
{
        size_t i = 0;
        while (i < line.len && line.ptr[i] > ' ' && line.ptr[i] <= '~' && line.ptr[i] != ':')
                i++;
        size_t name_bytes = i;
        while (i < line.len && char_is_blank(line.ptr[i]))
                i++;
        return name_bytes > 0 && i < line.len && line.ptr[i] == ':';
}

/* Postfix: smtpd_forbidden_commands, and what it takes for a header */
bool smtp_command_is_foreign(struct str line)
{
        static const struct str methods[] = {
                STR_INIT("CONNECT"), STR_INIT("GET"),    STR_INIT("POST"), STR_INIT("HEAD"),
                STR_INIT("PUT"),     STR_INIT("DELETE"), STR_INIT("PRI"),  STR_INIT("OPTIONS"),
        };
        struct smtp_command c = smtp_command_parse(line);
        if (c.verb != SMTP_UNKNOWN || c.word.len == 0)
                return false;
        for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
                if (str_eq_nocase(c.word, methods[i]))
                        return true;
        char first = char_lower(c.word.ptr[0]);
        return first < 'a' || first > 'z' || is_header_line(line);
}
