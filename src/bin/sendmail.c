/*
 * sendmail.c - sendmail(1): a message from standard input to the server
 *
 * The program is an ordinary one: the server asks the kernel who calls. When no server runs, the message waits for it in
 * maildrop/, where that is permitted to who calls (ops/maildrop.h); else nothing is queued, and the exit code is EX_TEMPFAIL.
 *
 * Addresses without a domain get myorigin's. What a message lacks (From, Date, Message-ID) is added here, From
 * with the full name of -F, $NAME or the system's user list.
 */
#include "base/clock.h"
#include "base/rand.h"
#include "bin/full_name.h"
#include "bin/submit.h"
#include "message/address_list.h"
#include "message/header.h"
#include "ops/maildrop.h"

#include <pwd.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

enum {
        RECIPIENTS_MAX = 100000,
        MESSAGE_BYTES_MAX = 1 << 30,
        ADDRESS_BYTES_MAX = 2000,
        NAME_BYTES_MAX = 200,
};

struct sendmail {
        struct config *config;
        char mode; /* of -b: m s p i v */
        const char *directory;
        const char *sender;    /* -f */
        const char *full_name; /* -F */
        const char *flush_id;  /* -qI */
        const char *verp;      /* -XV: delimiters; empty: those of the configuration */
        const char *flush_site;
        bool reads_recipients; /* -t */
        bool dot_is_text;      /* -i */
        bool flushes;          /* -q */
        int verbose;           /* -v */
        struct submission out;
        struct arena arena;
        const char **recipients;
        size_t recipient_count;
        size_t recipient_room;
        struct buf message;
        char user[NAME_BYTES_MAX];
        char own_name[NAME_BYTES_MAX];
};

/* ---- who calls ---- */

static void learn_user(struct sendmail *s)
{
        const struct passwd *entry = getpwuid(getuid());
        if (!entry) {
                snprintf(s->user, sizeof(s->user), "uid%ld", (long)getuid());
                return;
        }
        snprintf(s->user, sizeof(s->user), "%s", entry->pw_name);
        /* the first part of the comment; & is the name of the user */
        size_t at = 0;
        for (const char *p = entry->pw_gecos; p && *p && *p != ',' && at + 1 < NAME_BYTES_MAX;
             p++) {
                if (*p == '&')
                        at += (size_t)snprintf(s->own_name + at, NAME_BYTES_MAX - at, "%.80s",
                                               s->user);
                else if ((unsigned char)*p >= ' ' && *p != 127)
                        s->own_name[at++] = *p;
                if (at >= NAME_BYTES_MAX)
                        at = NAME_BYTES_MAX - 1;
        }
        s->own_name[at] = 0;
}

/* ---- recipients ---- */

/* A line end in an address would be another command. */
static bool is_printable(struct str text)
{
        for (size_t i = 0; i < text.len; i++)
                if ((unsigned char)text.ptr[i] < ' ' || text.ptr[i] == 127)
                        return false;
        return text.len <= ADDRESS_BYTES_MAX;
}

/* With its domain; NULL: it cannot be an address. */
static const char *complete(struct sendmail *s, const struct smtp_address *address)
{
        if (!is_printable(address->text))
                return NULL;
        if (address->domain.len || !s->config->params.append_at_myorigin)
                return arena_str(&s->arena, address->text).ptr;
        return smtp_address_make(address->local, s->config->params.myorigin, &s->arena).text.ptr;
}

static int add_recipient(struct sendmail *s, const struct smtp_address *address)
{
        const char *text = complete(s, address);
        if (!text)
                return name_fatal(EX_USAGE, "bad recipient address: %.80s", address->text.ptr);
        for (size_t i = 0; i < s->recipient_count && s->recipient_count < 1000; i++)
                if (strcmp(s->recipients[i], text) == 0)
                        return EX_OK;
        if (s->recipient_count == RECIPIENTS_MAX)
                return name_fatal(EX_USAGE, "more than %d recipients", RECIPIENTS_MAX);
        if (s->recipient_count == s->recipient_room) {
                s->recipient_room = s->recipient_room ? s->recipient_room * 2 : 16;
                const char **more = realloc(s->recipients, s->recipient_room * sizeof(*more));
                if (!more)
                        return name_fatal(EX_OSERR, "no memory");
                s->recipients = more;
        }
        s->recipients[s->recipient_count++] = text;
        return EX_OK;
}

static int add_recipients(struct sendmail *s, struct str list)
{
        struct address_span span;
        size_t at = 0;
        int rc = EX_OK;
        while (rc == EX_OK && address_list_next(list, &at, &s->arena, &span))
                rc = add_recipient(s, &span.address);
        return rc;
}

/* ---- the message ---- */

static bool is_dot(const char *line, size_t len)
{
        return (len == 2 && memcmp(line, ".\n", 2) == 0) ||
               (len == 3 && memcmp(line, ".\r\n", 3) == 0) || (len == 1 && *line == '.');
}

/* Reads to the end, or to a line with a dot alone. A mailbox's separator in front is no header. */
static int read_message(struct sendmail *s)
{
        char *line = NULL;
        size_t room = 0;
        ssize_t len;
        int rc = EX_OK;
        bool is_first = true;
        while (rc == EX_OK && (len = getline(&line, &room, stdin)) > 0) {
                if (!s->dot_is_text && is_dot(line, (size_t)len))
                        break;
                if (is_first && strncmp(line, "From ", 5) == 0)
                        continue;
                is_first = false;
                if (buf_append(&s->message, line, (size_t)len) < 0)
                        rc = name_fatal(EX_DATAERR, "the message is longer than %d MiB",
                                        MESSAGE_BYTES_MAX >> 20);
        }
        if (rc == EX_OK && ferror(stdin))
                rc = name_fatal(EX_IOERR, "standard input cannot be read");
        free(line);
        return rc;
}

static bool is_named(struct str field, const char *name)
{
        size_t len = strlen(name);
        return field.len > len && str_eq_nocase(str_part(field, 0, len), str_from(name)) &&
               (field.ptr[len] == ':' || field.ptr[len] == ' ' || field.ptr[len] == '\t');
}

struct seen {
        bool from, date, message_id, resent;
};

/* The next field with its continuation lines; false at the end of the header. */
static bool next_field(struct str *rest, struct str *field)
{
        size_t end = 0;
        do {
                const char *lf = memchr(rest->ptr + end, '\n', rest->len - end);
                end = lf ? (size_t)(lf - rest->ptr) + 1 : rest->len;
        } while (end < rest->len && (rest->ptr[end] == ' ' || rest->ptr[end] == '\t'));
        *field = str_part(*rest, 0, end);
        struct str text = str_trim(*field);
        ptrdiff_t colon = str_find(text, ':');
        if (text.len == 0 || colon <= 0)
                return false;
        for (ptrdiff_t i = 0; i < colon; i++)
                if (text.ptr[i] <= ' ' &&
                    str_trim(str_part(text, 0, (size_t)colon)).len > (size_t)i)
                        return false; /* words before a colon are no field's name */
        *rest = str_tail(*rest, end);
        return true;
}

static void look_at(struct seen *seen, struct str field)
{
        seen->from |= is_named(field, "From");
        seen->date |= is_named(field, "Date");
        seen->message_id |= is_named(field, "Message-ID");
        seen->resent |= is_named(field, "Resent-From") || is_named(field, "Resent-To") ||
                        is_named(field, "Resent-Cc") || is_named(field, "Resent-Bcc");
}

/* *header is what is in front of the first line that belongs to the body. */
static struct seen read_header(struct str message, struct str *body)
{
        struct seen seen = {0};
        struct str field;
        *body = message;
        while (next_field(body, &field))
                look_at(&seen, field);
        return seen;
}

/* With -t: of a message that was sent on, who it is sent on to. */
static int read_recipients(struct sendmail *s, bool is_resent)
{
        static const char *const names[][3] = {{"To", "Cc", "Bcc"},
                                               {"Resent-To", "Resent-Cc", "Resent-Bcc"}};
        struct str rest = buf_str(&s->message), field;
        int rc = EX_OK;
        while (rc == EX_OK && next_field(&rest, &field)) {
                for (int i = 0; i < 3 && rc == EX_OK; i++) {
                        struct str list = field;
                        if (!is_named(field, names[is_resent][i]))
                                continue;
                        str_cut(&list, ':');
                        rc = add_recipients(s, list);
                }
        }
        return rc;
}

static void put_missing(struct sendmail *s, const struct seen *seen, struct buf *out)
{
        char date[DATE_BYTES_MAX];
        int64_t now_us = clock_wall_us();
        const char *name = s->full_name ? s->full_name : getenv("NAME");
        if (!name || !*name)
                name = s->own_name;
        if (!seen->from) {
                const struct smtp_address user =
                        smtp_address_make(str_from(s->user), s->config->params.myorigin, &s->arena);
                const char *address = *s->out.sender ? s->out.sender : user.text.ptr;
                const struct params *p = &s->config->params;
                struct full_name_rules rules = {.is_obsolete = p->header_from_format == 1,
                                                .charset = p->full_name_encoding_charset};
                /* the null sender has no name (Postfix: the same) */
                bool has_name = *s->out.sender;
                full_name_put_from(&rules, str_from(has_name ? name : ""), str_from(address), out);
        }
        if (!seen->date) {
                date_format(now_us, date);
                buf_printf(out, "Date: %s\n", date);
        }
        if (!seen->message_id)
                buf_printf(out, "Message-ID: <%llx.%x.%llx@%.*s>\n", (unsigned long long)now_us,
                           (unsigned)getpid(), (unsigned long long)rand_u64(),
                           STR_ARG(s->config->params.outside_name));
}

/* -bv: what stands for a message, in the report that comes back */
static void make_probe(struct sendmail *s)
{
        buf_printf(&s->message, "From: %s\nSubject: probe\nTo:", s->out.sender);
        for (size_t i = 0; i < s->recipient_count; i++)
                buf_printf(&s->message, "%s\t%s\n", i ? "," : "", s->recipients[i]);
}

/* What is reported, and to whom. More than one -v asks Postfix for its debugging log instead. */
static void announce_report(struct sendmail *s)
{
        if (s->mode == 'v')
                s->out.report = "VERIFY";
        else if (s->verbose == 1)
                s->out.report = "DELIVERY";
        else
                return;
        printf("Mail Delivery Status Report will be mailed to <%s>.\n", s->out.sender);
        fflush(stdout);
}

static int enqueue(struct sendmail *s)
{
        struct buf whole;
        struct str body;
        if (s->mode == 'v' && s->reads_recipients)
                return name_fatal(EX_TEMPFAIL, "-t option cannot be used with -bv");
        if (s->mode == 'v')
                make_probe(s);
        int rc = s->mode == 'v' ? EX_OK : read_message(s);
        if (rc != EX_OK)
                return rc;
        struct seen seen = read_header(buf_str(&s->message), &body);
        if (s->reads_recipients)
                rc = read_recipients(s, seen.resent);
        if (rc != EX_OK)
                return rc;
        if (s->recipient_count == 0)
                return name_fatal(EX_USAGE,
                                  s->reads_recipients
                                          ? "No recipient addresses found in message header"
                                          : "Recipient addresses must be specified on the "
                                            "command line or via the -t option");
        buf_init(&whole, MESSAGE_BYTES_MAX + 65536);
        put_missing(s, &seen, &whole);
        size_t header_len = s->message.len - body.len;
        buf_append_str(&whole, str_part(buf_str(&s->message), 0, header_len));
        if (body.len && body.ptr[0] != '\n' && body.ptr[0] != '\r')
                buf_append_char(&whole, '\n'); /* a body without a header has its empty line */
        buf_append_str(&whole, body);
        s->out.recipients = s->recipients;
        s->out.recipient_count = s->recipient_count;
        s->out.content = buf_str(&whole);
        announce_report(s);
        rc = submit(s->config, &s->out);
        buf_done(&whole);
        return rc;
}

/* ---- options ---- */

static int usage(void)
{
        return name_fatal(EX_USAGE,
                          "usage: sendmail [-it] [-f sender] [-F full_name] [-N dsn] [-R return] "
                          "[-V envid] [recipient...] | -bs | -bp | -bi | -q");
}

/* -N failure,delay */
static int read_notify(struct sendmail *s, const char *text)
{
        struct str rest = str_from(text), word;
        char out[64];
        size_t len = 0;
        while (str_next_word(&rest, ", ", &word)) {
                static const char *const known[] = {"never", "success", "failure", "delay"};
                bool is_known = false;
                for (size_t i = 0; i < 4; i++)
                        is_known = is_known || str_eq_nocase(word, str_from(known[i]));
                if (!is_known || len + word.len + 2 > sizeof(out))
                        return name_fatal(EX_USAGE, "invalid DSN notification: %s", text);
                len += (size_t)snprintf(out + len, sizeof(out) - len, "%s%.*s", len ? "," : "",
                                        STR_ARG(word));
        }
        if (len == 0)
                return name_fatal(EX_USAGE, "invalid DSN notification: %s", text);
        s->out.notify = arena_str(&s->arena, str_from(out)).ptr;
        return EX_OK;
}

/* RFC 3461 4: what is no plain character is +XX */
static void read_envid(struct sendmail *s, const char *text)
{
        struct buf out;
        buf_init(&out, 3 * ADDRESS_BYTES_MAX);
        for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
                if (*p < 33 || *p > 126 || *p == '+' || *p == '=')
                        buf_printf(&out, "+%02X", *p);
                else
                        buf_append_char(&out, (char)*p);
        }
        s->out.envid = arena_str(&s->arena, buf_str(&out)).ptr;
        buf_done(&out);
}

static int read_mode(struct sendmail *s, const char *value)
{
        if (value[0] && !value[1] && strchr("mspiv", value[0])) {
                s->mode = value[0];
                return EX_OK;
        }
        if (strcmp(value, "h") == 0 || strcmp(value, "H") == 0)
                return EX_OK;
        return name_fatal(EX_USAGE, "-b%s is not here%s", value,
                          *value == 'd' || *value == 'l' ? ": forepost serve runs the server" : "");
}

static int read_queue_option(struct sendmail *s, const char *value)
{
        s->flushes = true;
        if (value && *value == 'I')
                s->flush_id = value + 1;
        else if (value && *value == 'R')
                s->flush_site = value + 1;
        else if (value && *value == 'S')
                return name_fatal(EX_USAGE, "-qS%s is not here: use -q", value + 1);
        else if (value && char_is_digit(*value))
                s->flushes = false; /* how often is queue_run_delay's business */
        return EX_OK;
}

static int read_option(struct sendmail *s, int option, const char *value)
{
        switch (option) {
        case 't':
                s->reads_recipients = true;
                return EX_OK;
        case 'i':
                s->dot_is_text = true;
                return EX_OK;
        case 'o': /* of sendmail's options that have a name of one letter, -oi alone matters */
                s->dot_is_text = s->dot_is_text || strcmp(value, "i") == 0;
                return EX_OK;
        case 'f':
        case 'r':
                s->sender = value;
                return EX_OK;
        case 'F':
                s->full_name = value;
                return EX_OK;
        case 'C':
                s->directory = value;
                return EX_OK;
        case 'B':
                s->out.is_8bit = strcasecmp(value, "8BITMIME") == 0;
                return EX_OK;
        case 'N':
                return read_notify(s, value);
        case 'R':
                if (strcasecmp(value, "hdrs") != 0 && strcasecmp(value, "full") != 0)
                        return name_fatal(EX_USAGE, "-R wants hdrs or full, not %s", value);
                s->out.ret = strcasecmp(value, "hdrs") == 0 ? "HDRS" : "FULL";
                return EX_OK;
        case 'V':
                if (strlen(value) > 100)
                        return name_fatal(EX_USAGE,
                                          "the envelope id is longer than 100 characters");
                read_envid(s, value);
                return EX_OK;
        case 'b':
                return read_mode(s, value);
        case 'v':
                s->verbose++;
                return EX_OK;
        case 'I':
                s->mode = 'i';
                return EX_OK;
        case 'q':
                return read_queue_option(s, value);
        case 'X':
                if (*value != 'V')
                        return name_fatal(EX_USAGE, "unsupported: -X%c", *value);
                s->verp = value + 1;
                return EX_OK;
        case '?':
                return usage();
        default:
                return EX_OK; /* known to sendmail, and without a meaning here, as in Postfix */
        }
}

/* -f '<a@b>', -f '' and -f '<>' */
static int set_sender(struct sendmail *s)
{
        struct str text = str_from(s->sender ? s->sender : s->user);
        struct address_span span;
        size_t at = 0;
        s->out.sender = "";
        if (is_printable(text) && address_list_next(text, &at, &s->arena, &span))
                s->out.sender = complete(s, &span.address);
        else if (!is_printable(text))
                s->out.sender = NULL;
        return s->out.sender ? EX_OK : name_fatal(EX_USAGE, "bad sender address");
}

/* A file in maildrop/ is heard later: who submits is to be told now. */
static int set_verp(struct sendmail *s)
{
        const struct params *p = &s->config->params;
        if (!s->verp)
                return EX_OK;
        struct str delimiters = *s->verp ? str_from(s->verp) : p->default_verp_delimiters;
        if (!smtp_verp_is_valid(delimiters, p->verp_delimiter_filter))
                return name_fatal(EX_USAGE, "-V requires two characters from %.*s",
                                  STR_ARG(p->verp_delimiter_filter));
        if (!*s->out.sender)
                return name_fatal(EX_USAGE, "-V option requires non-null sender address");
        s->out.verp = arena_str(&s->arena, delimiters).ptr;
        return EX_OK;
}

static int run(struct sendmail *s, char *const *words)
{
        int rc = EX_OK;
        if (s->mode == 'p')
                return name_list_queue(s->directory);
        if (s->mode == 'i')
                return name_make_aliases(s->directory);
        if (s->flushes)
                return name_flush_queue(s->directory, s->flush_id ? s->flush_id : "",
                                        s->flush_site ? s->flush_site : "");
        s->config = name_config(s->directory, NULL, NULL);
        if (!s->config)
                return EX_CONFIG;
        if (s->mode == 's')
                return submit_pass_on(s->config);
        learn_user(s);
        rc = set_sender(s);
        if (rc == EX_OK)
                rc = set_verp(s);
        for (; rc == EX_OK && *words; words++)
                rc = is_printable(str_from(*words))
                             ? add_recipients(s, str_from(*words))
                             : name_fatal(EX_USAGE, "bad recipient address: %.80s", *words);
        return rc == EX_OK ? enqueue(s) : rc;
}

/*
 * VERP's older option -V, which is the envelope id now, as Postfix tells them apart: "-V+=", and "-V" in front of a word of two
 * characters, as of another option. -XV has its delimiters in the same word, or none. True: this word was taken.
 */
static bool take_verp_word(struct sendmail *s, char **argv)
{
        const char *word = argv[optind];
        if (!word)
                return false;
        const char *next = argv[optind + 1];
        if (strcmp(word, "-V") == 0 && next && strlen(next) == 2) {
                name_warning("option -V is deprecated; specify -XV instead");
                s->verp = "";
        } else if (strcmp(word, "-XV") == 0) {
                s->verp = "";
        } else if (strncmp(word, "-V", 2) == 0 && strlen(word) == 4) {
                name_warning("option %s is deprecated; specify -X%s instead", word, word + 1);
                s->verp = word + 2;
        } else {
                return false;
        }
        optind++;
        return true;
}

int name_sendmail(int argc, char **argv)
{
        static struct sendmail s;
        static char directory[4200];
        int option = 0, rc = EX_OK;
        s.mode = strcmp(name_program, "mailq") == 0        ? 'p'
                 : strcmp(name_program, "newaliases") == 0 ? 'i'
                                                           : 'm';
        arena_init(&s.arena, 0);
        buf_init(&s.message, MESSAGE_BYTES_MAX);
        while (rc == EX_OK &&
               (take_verp_word(&s, argv) ||
                (option = getopt(argc, argv, "+A:B:C:F:GIL:N:O:R:UV:X:b:ce:f:h:imno:p:q::r:tvx")) >=
                        0)) {
                rc = option ? read_option(&s, option, optarg) : EX_OK;
                option = 0;
        }
        if (s.directory || getenv("MAIL_CONFIG"))
                maildrop_give_rights_up();
        if (rc == EX_OK) {
                s.directory = name_directory(s.directory);
                size_t len = strlen(s.directory);
                if (len > 8 && strcmp(s.directory + len - 8, "/main.cf") == 0) {
                        snprintf(directory, sizeof(directory), "%.*s", (int)len - 8, s.directory);
                        s.directory = directory;
                }
                rc = run(&s, argv + optind);
        }
        config_unref(&s.config);
        buf_done(&s.message);
        arena_done(&s.arena);
        free(s.recipients);
        return rc;
}
