/*
 * received.c - the lines that we put in front: dates (RFC 5322 3.3) and Received (RFC 5321 4.4)
 *
 *      Received: from HELO (NAME [ADDRESS])
 *              (using TLS)
 *              (TLS_CLIENT)
 *              by BY (MAIL_NAME) with WITH id QUEUE_ID
 *              for <RCPT>; DATE
 *
 * HELO is the client's own word. Beside control characters it loses what could end its place in the
 * line and begin another ("x (trusted [192.0.2.1])").
 */
#include "message/header.h"
#include "message/put.h"

#include "base/check.h"

/* The line stays under 998 characters (RFC 5322 2.1.1), whatever the client said. */
enum { NAME_SHOWN_MAX = 255, RECIPIENT_SHOWN_MAX = 900 };

static const char helo_avoid[] = " <>()[]\\\";@";

void date_format(int64_t wall_us, char out[DATE_BYTES_MAX])
{
        static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
        static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                           "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
        struct tm tm;
        time_t seconds = (time_t)(wall_us / 1000000 - (wall_us % 1000000 < 0));
        check(localtime_r(&seconds, &tm));
        long minutes = tm.tm_gmtoff / 60;
        long distance = minutes < 0 ? -minutes : minutes;
        int len = snprintf(out, DATE_BYTES_MAX, "%s, %d %s %d %02d:%02d:%02d %c%02ld%02ld",
                           days[tm.tm_wday], tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900,
                           tm.tm_hour, tm.tm_min, tm.tm_sec, minutes < 0 ? '-' : '+', distance / 60,
                           distance % 60);
        check(len > 0 && len < DATE_BYTES_MAX);
}

static void put_from(struct put *p, const struct envelope *e, enum put_charset charset)
{
        struct str name = str_part(e->client_name, 0, NAME_SHOWN_MAX);
        if (name.len == 0)
                name = STR("unknown");
        struct str helo = str_part(e->helo, 0, NAME_SHOWN_MAX);
        bool is_literal = smtp_domain_is_literal(helo);
        put_str(p, STR("Received: from "));
        put_clean(p, helo.len ? helo : name, charset, is_literal ? NULL : helo_avoid);
        put_str(p, STR(" ("));
        put_clean(p, name, charset, helo_avoid);
        put_str(p, str_find(e->client_address, ':') >= 0 ? STR(" [IPv6:") : STR(" ["));
        put_clean(p, str_part(e->client_address, 0, NAME_SHOWN_MAX), PUT_ASCII, helo_avoid);
        put_str(p, STR("])\r\n\t"));
}

static void put_by(struct put *p, const struct received_line *line)
{
        put_str(p, STR("by "));
        put_clean(p, line->by, PUT_ASCII, NULL);
        put_str(p, STR(" ("));
        put_clean(p, line->mail_name, PUT_ASCII, "()\\");
        put_str(p, STR(")"));
}

/* Names in a certificate are its maker's word: no parenthesis or quote may end its place in the line. */
static void put_tls_client(struct put *p, struct str text)
{
        if (text.len == 0)
                return;
        put_char(p, '(');
        put_clean(p, str_part(text, 0, 2 * NAME_SHOWN_MAX), PUT_ASCII, NULL);
        put_str(p, STR(")\r\n\t"));
}

int received_format(const struct envelope *e, const struct received_line *line, struct buf *out)
{
        enum put_charset charset = e->smtputf8 ? PUT_UTF8 : PUT_ASCII;
        struct put p = put_begin(out);
        if (e->client_address.len == 0) {
                put_str(&p, STR("Received: "));
                put_by(&p, line);
                put_str(&p, STR("\r\n\t"));
        } else {
                put_from(&p, e, charset);
                if (line->tls.len) {
                        put_str(&p, STR("(using "));
                        put_clean(&p, str_part(line->tls, 0, NAME_SHOWN_MAX), PUT_ASCII, NULL);
                        put_str(&p, STR(")\r\n\t"));
                        put_tls_client(&p, line->tls_client);
                }
                put_by(&p, line);
                if (line->with.len) {
                        put_str(&p, STR(" with "));
                        put_clean(&p, line->with, PUT_ASCII, NULL);
                }
                if (line->queue_id.len)
                        put_char(&p, ' ');
        }
        if (line->queue_id.len) { /* a message of somebody else's has none */
                put_str(&p, STR("id "));
                put_clean(&p, line->queue_id, PUT_ASCII, NULL);
        }
        bool shows_recipient = line->for_one.len && line->for_one.len <= RECIPIENT_SHOWN_MAX &&
                               (e->smtputf8 || smtp_text_is_ascii(line->for_one));
        if (shows_recipient) {
                put_str(&p, STR("\r\n\tfor <"));
                put_clean(&p, line->for_one, charset, NULL);
                put_str(&p, STR(">; "));
        } else {
                put_str(&p, e->client_address.len ? STR(";\r\n\t") : STR("; "));
        }
        put_date(&p, e->arrival_us);
        put_str(&p, STR("\r\n"));
        return put_end(&p);
}
