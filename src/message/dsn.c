/*
 * dsn.c - delivery status notifications
 *
 *      multipart/report; report-type=delivery-status                           (RFC 6522)
 *        text/plain                      for the person
 *        message/delivery-status         for the program                       (RFC 3464)
 *        message/rfc822 or text/rfc822-headers     what came back
 *
 * For mail that needs SMTPUTF8 the last two are message/global-delivery-status and message/global
 * or message/global-headers, and addresses stand there as they are (RFC 6533). In the report of
 * other mail an address beyond ASCII is written with \x{...} in it.
 *
 * What came back is not looked at: it is bytes. The boundary is made of an id that nobody knew when
 * the message was written; it is looked for all the same, and changed when it is there.
 */
#include "message/dsn.h"

#include "message/header.h"
#include "message/put.h"

#include "base/check.h"

#include <errno.h>

enum { BOUNDARY_BYTES_MAX = 70, BOUNDARY_TRIES = 16 };
/* What is longer is cut, so that no line is over 998 characters. */
enum {
        ADDRESS_SHOWN_MAX = 900,
        ADDRESS_IN_TEXT_MAX = 600,
        NAME_SHOWN_MAX = 255,
        TYPE_SHOWN_MAX = 50,
        OWN_NAME_BYTES_MAX = 40,
};

struct dsn_words {
        const char *action; /* RFC 3464 2.3.3 */
        const char *subject;
        const char *text;
        const char *returned; /* Content-Description of the last part, before "Headers" */
        const char *postmaster_subject;
};

/* clang-format off */
static const struct dsn_words dsn_words[] = {
        [DSN_FAILED] = {"failed", "Undelivered Mail Returned to Sender",
                "Your message did not reach the recipients below, and no further attempt\r\n"
                "will be made. Behind each stands the reason. Your message, or its header,\r\n"
                "is attached.\r\n"
                "\r\n"
                "If you ask the postmaster for help, please send this report along.\r\n",
                "Undelivered Message", "Postmaster Copy: Undelivered Mail"},
        [DSN_DELAYED] = {"delayed", "Delayed Mail (still being retried)",
                "This is only a warning: you need not send your message again.\r\n"
                "\r\n"
                "It has not reached the recipients below yet. Delivery will be tried again\r\n"
                "until it succeeds or the message becomes too old.\r\n",
                "Delayed Message", "Postmaster Warning: Delayed Mail"},
        [DSN_DELIVERED] = {"delivered", "Successful Mail Delivery Report",
                "As you asked: your message has reached the recipients below.\r\n",
                "Message", "Postmaster Copy: Delivery Report"},
        [DSN_RELAYED] = {"relayed", "Successful Mail Delivery Report",
                "As you asked: your message was passed on for the recipients below, to a\r\n"
                "system that does not report further. You may not hear of its arrival.\r\n",
                "Message", "Postmaster Copy: Delivery Report"},
        [DSN_EXPANDED] = {"expanded", "Successful Mail Delivery Report",
                "As you asked: your message was accepted for the recipients below, each of\r\n"
                "which stands for several others. You will not hear of their deliveries.\r\n",
                "Message", "Postmaster Copy: Delivery Report"},
        [DSN_DELIVERABLE] = {"deliverable", "", "", "", ""},
        [DSN_UNDELIVERABLE] = {"undeliverable", "", "", "", ""},
};

static const struct dsn_words report_words = {"", "Mail Delivery Status Report",
        "This is the report that you asked for. Behind each recipient stands what came of it.\r\n",
        "Message", ""};
/* clang-format on */

void dsn_own_words(enum dsn_action action, bool is_report, struct dsn_template *out)
{
        const struct dsn_words *w = is_report ? &report_words : &dsn_words[action];
        *out = (struct dsn_template){
                .charset = STR("us-ascii"),
                .from = STR("\"Mail Delivery System\" <MAILER-DAEMON>"),
                .subject = str_from(w->subject),
                .postmaster_subject = str_from(w->postmaster_subject),
                .text = str_from(w->text),
        };
}

struct report {
        const struct dsn *dsn;
        const struct dsn_words *words;
        struct dsn_template template;
        bool is_global;        /* RFC 6533 */
        bool has_8bit_text;    /* the part for the person */
        bool has_8bit_content; /* what comes back */
        char boundary[BOUNDARY_BYTES_MAX + 1];
        char own_name[OWN_NAME_BYTES_MAX + 1]; /* in names of fields that are ours */
        char own_type[OWN_NAME_BYTES_MAX + 5]; /* "X-Forepost; " */
};

/* Where the sender sent it; where an alias took it from there is for reports alone. */
static struct str shown_address(const struct report *r, const struct recipient *to)
{
        return to->original.len && !r->dsn->is_report ? to->original : to->address;
}

/* ---- the boundary ---- */

static bool is_boundary_byte(char c)
{
        return char_is_alnum(c) || (c && strchr("'+_-.", c));
}

/* "ID.TRY/HOST", of the bytes that RFC 2046 5.1.1 allows */
static void boundary_make(struct report *r, int try)
{
        char number[8];
        size_t len = 0;
        snprintf(number, sizeof(number), ".%d/", try);
        struct str parts[3] = {str_part(r->dsn->boundary_id, 0, BOUNDARY_BYTES_MAX / 2),
                               str_from(number), r->dsn->reporting_mta};
        for (int part = 0; part < 3; part++)
                for (size_t i = 0; i < parts[part].len && len < BOUNDARY_BYTES_MAX; i++) {
                        char c = parts[part].ptr[i];
                        r->boundary[len++] = part == 1 || is_boundary_byte(c) ? c : '_';
                }
        r->boundary[len] = '\0';
}

static int boundary_choose(struct report *r)
{
        for (int try = 0; try < BOUNDARY_TRIES; try++) {
                boundary_make(r, try);
                struct str boundary = str_from(r->boundary);
                if (str_find_str(r->dsn->header, boundary) < 0 &&
                    (!r->dsn->returns_body || str_find_str(r->dsn->body, boundary) < 0))
                        return 0;
        }
        return -ENOBUFS;
}

static void put_part(struct put *p, const struct report *r, const char *description,
                     const char *type, bool is_8bit)
{
        put_str(p, STR("--"));
        put_str(p, str_from(r->boundary));
        put_str(p, STR("\r\nContent-Description: "));
        put_str(p, str_from(description));
        put_str(p, STR("\r\nContent-Type: "));
        put_str(p, str_from(type));
        put_str(p, is_8bit ? STR("\r\nContent-Transfer-Encoding: 8bit\r\n\r\n") : STR("\r\n\r\n"));
}

/* ---- the header ---- */

/* The first that is not empty. */
static struct str chosen(struct str one, struct str other)
{
        return one.len ? one : other;
}

/* "Name <address>" or "address (comment)" of a template: an address without a domain gets ours. */
static void put_from(struct put *p, const struct report *r, enum put_charset charset)
{
        struct str daemon = STR("MAILER-DAEMON");
        struct str template = r->template.from;
        struct str from = str_part(r->dsn->from, 0, ADDRESS_SHOWN_MAX);
        if (template.len == 0) {
                put_str(p, STR("Mail Delivery System <"));
                put_clean(p, from, charset, NULL);
                put_char(p, '>');
                return;
        }
        template = str_part(template, 0, ADDRESS_SHOWN_MAX);
        ptrdiff_t at = str_find(template, '@') < 0 ? str_find_str(template, daemon) : -1;
        if (at < 0) {
                put_clean(p, template, PUT_ASCII, NULL);
                return;
        }
        put_clean(p, str_part(template, 0, (size_t)at), PUT_ASCII, NULL);
        put_clean(p, from, charset, NULL);
        put_clean(p, str_tail(template, (size_t)at + daemon.len), PUT_ASCII, NULL);
}

/*
 * "<id>" of the original, without a comment beside it; empty when there is none, or when it would have to be cut or cleaned: it would
 * then name another message.
 */
static struct str original_message_id(const struct dsn *d, enum put_charset charset,
                                      struct arena *arena)
{
        struct str id;
        if (!header_find(d->header, STR("Message-ID"), arena, &id))
                return STR("");
        ptrdiff_t start = str_find(id, '<'), end = str_find(id, '>');
        if (start < 0 || end < start || end - start >= ADDRESS_SHOWN_MAX)
                return STR("");
        id = str_part(id, (size_t)start, (size_t)(end - start) + 1);
        for (size_t i = 0; i < id.len; i++)
                if ((unsigned char)id.ptr[i] <= ' ' || id.ptr[i] == 0x7f)
                        return STR("");
        bool is_clean = charset == PUT_UTF8 ? smtp_utf8_is_valid(id) : smtp_text_is_ascii(id);
        return is_clean ? id : STR("");
}

/* So that the sender's mail program shows it beside the message that it answers (RFC 5322 3.6.4). */
static void put_thread(struct put *p, const struct report *r, enum put_charset charset)
{
        struct arena arena;
        arena_init(&arena, 0);
        struct str id = original_message_id(r->dsn, charset, &arena);
        if (id.len) {
                put_str(p, STR("\r\nReferences: "));
                put_str(p, id);
                put_str(p, STR("\r\nIn-Reply-To: "));
                put_str(p, id);
        }
        arena_done(&arena);
}

static void put_header(struct put *p, const struct report *r)
{
        const struct dsn *d = r->dsn;
        enum put_charset charset = r->is_global ? PUT_UTF8 : PUT_ASCII;
        bool is_copy = d->postmaster.len > 0;
        struct str to = is_copy ? d->postmaster : d->original->sender;
        struct str subject = is_copy ? chosen(r->template.postmaster_subject,
                                              str_from(r->words->postmaster_subject))
                                     : chosen(r->template.subject, str_from(r->words->subject));
        put_str(p, STR("Date: "));
        put_date(p, d->now_us);
        put_str(p, STR("\r\nFrom: "));
        put_from(p, r, charset);
        put_str(p, STR("\r\nSubject: "));
        put_clean(p, str_part(subject, 0, ADDRESS_SHOWN_MAX), PUT_ASCII, NULL);
        put_str(p, STR("\r\nTo: "));
        if (to.len <= ADDRESS_SHOWN_MAX)
                put_clean(p, to, charset, NULL);
        else
                put_str(p, STR("undisclosed-recipients:;"));
        if (d->is_threaded)
                put_thread(p, r, charset);
        put_str(p, STR("\r\nAuto-Submitted: "));
        put_str(p, is_copy ? STR("auto-generated") : STR("auto-replied")); /* RFC 3834 5.2 */
        put_str(p, STR("\r\nMessage-Id: <"));
        put_clean(p, d->boundary_id, PUT_ASCII, NULL);
        put_char(p, '@');
        put_clean(p, d->reporting_mta, PUT_ASCII, NULL);
        put_str(p, STR(">\r\nMIME-Version: 1.0\r\n"
                       "Content-Type: multipart/report; report-type=delivery-status;\r\n"
                       "\tboundary=\""));
        put_str(p, str_from(r->boundary));
        put_str(p, STR("\"\r\n"));
        if (r->is_global || r->has_8bit_text || r->has_8bit_content)
                put_str(p, STR("Content-Transfer-Encoding: 8bit\r\n"));
        put_str(p, STR("\r\nThis is a report in several parts (MIME).\r\n\r\n"));
}

/* ---- the part for the person ---- */

static void put_address_in_text(struct put *p, struct str address)
{
        put_char(p, '<');
        put_clean(p, str_part(address, 0, ADDRESS_IN_TEXT_MAX), PUT_UTF8, NULL);
        put_char(p, '>');
}

static void put_who_said(struct put *p, const struct dsn_recipient *one)
{
        if (one->is_smtp && one->remote_mta.len == 0) {
                put_str(p, STR("the destination's mail system said: "));
        } else if (one->is_smtp) {
                put_str(p, STR("host "));
                put_clean(p, str_part(one->remote_mta, 0, NAME_SHOWN_MAX), PUT_ASCII, NULL);
                put_str(p, STR(" said: "));
        }
}

static void put_text_recipient(struct put *p, const struct report *r,
                               const struct dsn_recipient *one)
{
        const struct recipient *to = one->recipient;
        put_str(p, STR("\r\n"));
        size_t start = p->out->len;
        put_address_in_text(p, shown_address(r, to));
        if (r->dsn->is_report && to->original.len && !str_eq_nocase(to->original, to->address)) {
                put_str(p, STR(" (expanded from "));
                put_address_in_text(p, to->original);
                put_char(p, ')');
        }
        if (one->words.len) {
                put_str(p, STR(": "));
                put_wrapped(p, one->words, p->out->len - start, PUT_UTF8);
        } else if (one->diagnostic.len) {
                put_str(p, STR(": "));
                put_who_said(p, one);
                put_wrapped(p, one->diagnostic, p->out->len - start, PUT_UTF8);
        }
        put_str(p, STR("\r\n"));
}

static void put_text(struct put *p, const struct report *r)
{
        const struct dsn *d = r->dsn;
        struct str charset = r->has_8bit_text ? STR("utf-8") : STR("us-ascii");
        if (r->template.text.len)
                charset = chosen(r->template.charset, charset);
        char type[100];
        snprintf(type, sizeof(type), "text/plain; charset=%.*s",
                 STR_ARG(str_part(charset, 0, TYPE_SHOWN_MAX)));
        put_part(p, r, "Notification", type, r->has_8bit_text);
        if (r->template.text.len) {
                put_str(p, r->template.text);
        } else {
                put_str(p, STR(DSN_OPENING));
                put_clean(p, d->reporting_mta, PUT_ASCII, NULL);
                put_str(p, STR(".\r\n\r\n"));
                put_str(p, str_from(r->words->text));
        }
        for (size_t i = 0; i < d->recipient_count; i++)
                put_text_recipient(p, r, &d->recipients[i]);
        if (d->mail_name.len) {
                put_str(p, STR("\r\n                   "));
                put_clean(p, d->mail_name, PUT_ASCII, NULL);
                put_str(p, STR("\r\n"));
        }
        put_str(p, STR("\r\n"));
}

/* ---- the part for the program ---- */

static void put_name(struct put *p, const char *name)
{
        put_str(p, str_from(name));
        put_str(p, STR(": "));
}

/* A field that only ASCII can stand in; nothing when it is empty. */
static void put_field(struct put *p, const char *name, const char *type, struct str value)
{
        if (value.len == 0)
                return;
        put_name(p, name);
        put_str(p, str_from(type));
        put_wrapped(p, value, strlen(name) + 2 + strlen(type), PUT_ASCII);
        put_str(p, STR("\r\n"));
}

static void put_date_field(struct put *p, const char *name, int64_t wall_us)
{
        put_name(p, name);
        put_date(p, wall_us);
        put_str(p, STR("\r\n"));
}

/* utf-8-addr-xtext (RFC 6533 3): \x{HEX} for what is beyond ASCII. The text is valid UTF-8. */
static void put_escaped(struct put *p, struct str text)
{
        size_t end = p->out->len + ADDRESS_SHOWN_MAX;
        for (size_t i = 0; i < text.len && p->out->len < end;) {
                unsigned char first = (unsigned char)text.ptr[i];
                if (first < 0x80) {
                        put_clean(p, str_part(text, i++, 1), PUT_ASCII, NULL);
                        continue;
                }
                size_t bytes = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
                unsigned point = first & (0x7fu >> bytes);
                for (size_t n = 1; n < bytes; n++)
                        point = point << 6 | ((unsigned char)text.ptr[i + n] & 0x3f);
                char escape[16];
                snprintf(escape, sizeof(escape), "\\x{%X}", point);
                put_str(p, str_from(escape));
                i += bytes;
        }
}

static void put_address_text(struct put *p, struct str address, bool is_global)
{
        if (!is_global && !smtp_text_is_ascii(address) && smtp_utf8_is_valid(address))
                put_escaped(p, address);
        else
                put_clean(p, str_part(address, 0, ADDRESS_SHOWN_MAX),
                          is_global ? PUT_UTF8 : PUT_ASCII, NULL);
        put_str(p, STR("\r\n"));
}

/* "rfc822;xtext", as the client said it in ORCPT */
static void put_original_recipient(struct put *p, const struct report *r, struct str orcpt)
{
        struct arena arena;
        if (orcpt.len == 0)
                return;
        struct str type = str_cut(&orcpt, ';');
        arena_init(&arena, 0);
        put_name(p, "Original-Recipient");
        put_clean(p, str_part(type, 0, TYPE_SHOWN_MAX), PUT_ASCII, NULL);
        put_str(p, STR("; "));
        put_address_text(p, smtp_xtext_decode(orcpt, &arena), r->is_global);
        arena_done(&arena);
}

static void put_status_recipient(struct put *p, const struct report *r,
                                 const struct dsn_recipient *one)
{
        struct str address = shown_address(r, one->recipient);
        put_str(p, STR("\r\n"));
        put_original_recipient(p, r, one->recipient->orcpt);
        put_name(p, "Final-Recipient");
        put_str(p, smtp_text_is_ascii(address) ? STR("rfc822; ") : STR("utf-8; "));
        put_address_text(p, address, r->is_global);
        put_field(p, "Action", "", str_from(dsn_words[one->action].action));
        put_field(p, "Status", "", one->status);
        put_field(p, "Remote-MTA", "dns; ", one->remote_mta);
        put_field(p, "Diagnostic-Code", one->is_smtp ? "smtp; " : r->own_type, one->diagnostic);
        if (one->action == DSN_DELAYED && one->will_retry_until_us)
                put_date_field(p, "Will-Retry-Until", one->will_retry_until_us);
}

/* "X-Forepost-Queue-ID: " */
static void put_own_name(struct put *p, const struct report *r, const char *name)
{
        put_str(p, STR("X-"));
        put_str(p, str_from(r->own_name));
        put_char(p, '-');
        put_name(p, name);
}

static void put_own_field(struct put *p, const struct report *r, const char *name, struct str value)
{
        put_own_name(p, r, name);
        put_clean(p, value, PUT_ASCII, NULL);
        put_str(p, STR("\r\n"));
}

static void put_sender(struct put *p, const struct report *r)
{
        struct str sender = chosen(r->dsn->original->sender, r->dsn->from);
        put_own_name(p, r, "Sender");
        put_str(p, smtp_text_is_ascii(sender) ? STR("rfc822; ") : STR("utf-8; "));
        put_address_text(p, sender, r->is_global);
}

static void put_status(struct put *p, const struct report *r)
{
        const struct dsn *d = r->dsn;
        struct arena arena;
        arena_init(&arena, 0);
        put_part(p, r, "Delivery report",
                 r->is_global ? "message/global-delivery-status" : "message/delivery-status",
                 r->is_global);
        put_field(p, "Original-Envelope-Id", "", smtp_xtext_decode(d->original->envid, &arena));
        put_field(p, "Reporting-MTA", "dns; ", d->reporting_mta);
        put_own_field(p, r, "Queue-ID", d->original_id);
        put_sender(p, r);
        put_date_field(p, "Arrival-Date", d->original->arrival_us);
        for (size_t i = 0; i < d->recipient_count; i++)
                put_status_recipient(p, r, &d->recipients[i]);
        put_str(p, STR("\r\n"));
        arena_done(&arena);
}

/* ---- what came back ---- */

/* Text, and a line end if it has none. */
static void put_lines(struct put *p, struct str text)
{
        put_str(p, text);
        if (text.len && !str_ends(text, STR("\n")))
                put_str(p, STR("\r\n"));
}

static void put_returned(struct put *p, const struct report *r)
{
        const struct dsn *d = r->dsn;
        char description[64];
        const char *type = d->returns_body ? (r->is_global ? "message/global" : "message/rfc822")
                           : r->is_global  ? "message/global-headers"
                                           : "text/rfc822-headers";
        snprintf(description, sizeof(description), "%s%s", r->words->returned,
                 d->returns_body ? "" : " Headers");
        put_part(p, r, description, type, r->is_global || r->has_8bit_content);
        struct str header = d->header;
        if (str_ends(header, STR("\r\n\r\n")) || str_eq(header, STR("\r\n")))
                header.len -= 2;
        put_lines(p, header);
        if (d->returns_body) {
                put_str(p, STR("\r\n"));
                put_lines(p, d->body);
        }
        put_str(p, STR("\r\n--"));
        put_str(p, str_from(r->boundary));
        put_str(p, STR("--\r\n"));
}

/* mail_name, as Postfix has it there; what a field's name cannot have is left out. */
static void name_ourselves(struct report *r)
{
        size_t len = 0;
        for (size_t i = 0; i < r->dsn->mail_name.len && len < OWN_NAME_BYTES_MAX; i++) {
                char c = r->dsn->mail_name.ptr[i];
                if (char_is_alnum(c) || c == '-')
                        r->own_name[len++] = c;
        }
        if (len == 0)
                snprintf(r->own_name, sizeof(r->own_name), "Forepost");
        snprintf(r->own_type, sizeof(r->own_type), "X-%s; ", r->own_name);
}

static void report_init(struct report *r, const struct dsn *d)
{
        *r = (struct report){
                .dsn = d,
                .words = d->is_report ? &report_words : &dsn_words[d->recipients[0].action],
                .is_global = d->original->smtputf8 || !smtp_text_is_ascii(d->original->sender),
                .has_8bit_content = !smtp_text_is_ascii(d->header) ||
                                    (d->returns_body && !smtp_text_is_ascii(d->body)),
        };
        if (d->template)
                r->template = *d->template;
        r->has_8bit_text = !smtp_text_is_ascii(r->template.text);
        name_ourselves(r);
        for (size_t i = 0; i < d->recipient_count; i++) {
                const struct dsn_recipient *one = &d->recipients[i];
                check(d->is_report || one->action == d->recipients[0].action);
                if (!smtp_text_is_ascii(shown_address(r, one->recipient)) ||
                    !smtp_text_is_ascii(one->recipient->original) ||
                    !smtp_text_is_ascii(one->diagnostic))
                        r->has_8bit_text = true;
        }
}

int dsn_format(const struct dsn *d, struct buf *out)
{
        struct report r;
        check(d->recipient_count > 0);
        check(d->original->sender.len > 0 || d->postmaster.len > 0);
        report_init(&r, d);
        if (boundary_choose(&r))
                return -ENOBUFS;
        struct put p = put_begin(out);
        put_header(&p, &r);
        put_text(&p, &r);
        put_status(&p, &r);
        put_returned(&p, &r);
        return put_end(&p);
}
