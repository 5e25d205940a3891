/* queue_print.c - messages of the queue as people and scripts see them */
#include "ops/queue_print.h"

#include "ops/json.h"

/* under the column of senders; reasons begin where Postfix's do */
#define REASON_INDENT    "    "
#define RECIPIENT_INDENT "                                               "

static const char *const queue_names[] = {"active", "deferred", "hold", "maildrop"};
static const char *const queue_marks[] = {"*", "", "!", ""};
static const char *const state_names[] = {"waiting", "delivered", "bounced", "discarded"};

static struct str sender_name(const struct envelope *e)
{
        return e->sender.len ? e->sender : STR("MAILER-DAEMON");
}

static bool is_waiting(const struct spool_info *info, size_t recipient)
{
        if (info->envelope.recipients[recipient].is_expanded)
                return false;
        return info->queue == SPOOL_QUEUE_MAILDROP ||
               spool_message_state(info->message, recipient) == SPOOL_WAITING;
}

/* In maildrop/ there is a file and no message. */
static struct str said_of(const struct spool_info *info, size_t recipient)
{
        return info->queue == SPOOL_QUEUE_MAILDROP ? STR("")
                                                   : spool_message_reason(info->message, recipient);
}

/* Nobody has said yet why it waits: the queue does. */
static struct str reason_of(const struct spool_info *info, size_t recipient)
{
        static const char *const words[] = {
                "being delivered for the first time", "waiting for its first attempt",
                "put on hold before its first attempt", "waiting for the server to start"};
        struct str reason = said_of(info, recipient);
        return reason.len ? reason : str_from(words[info->queue]);
}

/* "Sun Nov 22 10:53:01", as mailq has it; with the year for details */
static void format_time(int64_t wall_us, bool wants_year, char out[32])
{
        time_t second = (time_t)(wall_us / 1000000);
        struct tm tm;
        localtime_r(&second, &tm);
        strftime(out, 32, wants_year ? "%a %b %e %H:%M:%S %Y %z" : "%a %b %e %H:%M:%S", &tm);
}

/* What a stranger wrote must not move a terminal's cursor. */
static void put_clean(struct buf *out, struct str text)
{
        size_t from = out->len;
        if (buf_append_str(out, text) < 0)
                return;
        for (size_t i = from; i < out->len; i++)
                if ((unsigned char)out->ptr[i] < 0x20 || out->ptr[i] == 0x7f)
                        out->ptr[i] = out->ptr[i] == '\n' ? ' ' : '?';
}

static void put_line(struct buf *out, const char *before, struct str text, const char *after)
{
        buf_printf(out, "%s", before);
        put_clean(out, text);
        buf_printf(out, "%s\n", after);
}

static bool is_expired(const struct spool_info *info)
{
        return info->message && spool_message_is_expired(info->message);
}

void queue_print_begin(struct queue_print *p, bool as_json, struct buf *out)
{
        *p = (struct queue_print){.as_json = as_json, .out = out};
}

static void print_json(struct queue_print *p, const struct spool_info *info)
{
        const struct envelope *e = &info->envelope;
        struct json j;
        json_init(&j, p->out);
        json_open(&j, NULL, '{');
        json_str(&j, "queue_name", str_from(queue_names[info->queue]));
        json_str(&j, "queue_id", str_from(info->id));
        json_int(&j, "arrival_time", info->arrival_us / 1000000);
        json_int(&j, "message_size", info->bytes);
        json_bool(&j, "forced_expire", is_expired(info));
        json_str(&j, "sender", sender_name(e));
        if (e->verp.len)
                json_str(&j, "verp_delimiters", e->verp);
        json_int(&j, "attempts", info->attempts);
        /* 0: now, or (on hold) when it is released */
        json_int(&j, "next_attempt", info->next_attempt_us / 1000000);
        json_open(&j, "recipients", '[');
        for (size_t i = 0; i < e->recipient_count; i++) {
                if (!is_waiting(info, i))
                        continue;
                json_open(&j, NULL, '{');
                json_str(&j, "address", e->recipients[i].address);
                json_str(&j, "delay_reason", reason_of(info, i));
                json_close(&j, '}');
        }
        json_close(&j, ']');
        json_close(&j, '}');
        json_end(&j);
}

static void format_next(const struct spool_info *info, char out[64])
{
        char when[32];
        format_time(info->next_attempt_us, false, when);
        snprintf(out, 64, "%s",
                 info->queue == SPOOL_QUEUE_HOLD ? "when it is released from hold"
                 : !info->next_attempt_us        ? "now"
                                                 : when);
}

/* Recipients that wait for the same reason stand together below it. */
static void print_text(struct queue_print *p, const struct spool_info *info)
{
        const struct envelope *e = &info->envelope;
        if (p->count == 0)
                buf_printf(p->out, "%-17s %8s %-19s %s\n", "----Queue ID-----", "--Size--",
                           "---Arrival Time----", "--Sender/Recipient------");
        char id[40];
        snprintf(id, sizeof(id), "%s%s%s", info->id, queue_marks[info->queue],
                 is_expired(info) ? "#" : "");
        char arrival[32];
        format_time(info->arrival_us, false, arrival);
        buf_printf(p->out, "%-17s %8lld %-19s ", id, (long long)info->bytes, arrival);
        put_line(p->out, "", sender_name(e), "");
        char when[64];
        format_next(info, when);
        if (!p->is_plain)
                buf_printf(p->out, REASON_INDENT "(next attempt: %s)\n", when);
        struct str before = STR("");
        for (size_t i = 0; i < e->recipient_count; i++) {
                if (!is_waiting(info, i))
                        continue;
                struct str reason = p->is_plain ? said_of(info, i) : reason_of(info, i);
                if (reason.len && !str_eq(reason, before)) {
                        int indent = !p->is_plain      ? 4
                                     : reason.len < 76 ? 76 - (int)reason.len
                                                       : 0; /* it ends in the same column */
                        buf_printf(p->out, "%*s", indent, "");
                        put_line(p->out, "(", reason, ")");
                }
                before = reason;
                put_line(p->out, RECIPIENT_INDENT, e->recipients[i].address, "");
        }
        buf_append_char(p->out, '\n');
}

void queue_print_message(struct queue_print *p, const struct spool_info *info)
{
        if (p->as_json)
                print_json(p, info);
        else
                print_text(p, info);
        p->count++;
        p->bytes += info->bytes;
}

void queue_print_end(struct queue_print *p)
{
        if (p->as_json)
                return;
        if (p->count == 0)
                buf_printf(p->out, "Mail queue is empty\n");
        else
                buf_printf(p->out, "-- %lld Kbytes in %zu Request%s.\n",
                           (long long)((p->bytes + (p->is_plain ? 0 : 1023)) / 1024), p->count,
                           p->count == 1 ? "" : "s");
}

static void print_field(struct buf *out, const char *name, struct str value)
{
        if (value.len == 0)
                return;
        buf_printf(out, "%s: ", name);
        put_line(out, "", value, "");
}

static void print_recipient(struct buf *out, const struct spool_info *info, size_t i)
{
        const struct recipient *r = &info->envelope.recipients[i];
        bool waits = is_waiting(info, i);
        struct str reason = waits ? reason_of(info, i) : spool_message_reason(info->message, i);
        print_field(out, "recipient", r->address);
        if (r->original.len && !str_eq(r->original, r->address))
                print_field(out, "  original", r->original);
        print_field(out, "  orcpt", r->orcpt);
        buf_printf(out, "  state: %s\n", state_names[spool_message_state(info->message, i)]);
        print_field(out, "  reason", reason);
}

void queue_print_details(struct buf *out, const struct spool_info *info)
{
        const struct envelope *e = &info->envelope;
        char when[32];
        buf_printf(out, "queue_id: %s\nqueue_name: %s\n", info->id, queue_names[info->queue]);
        format_time(info->arrival_us, true, when);
        buf_printf(out, "arrival_time: %s\nmessage_size: %lld\nattempts: %u\n", when,
                   (long long)info->bytes, info->attempts);
        if (info->next_attempt_us) {
                format_time(info->next_attempt_us, true, when);
                buf_printf(out, "next_attempt: %s\n", when);
        } else {
                char next[64];
                format_next(info, next);
                buf_printf(out, "next_attempt: %s\n", next);
        }
        put_line(out, "sender: <", e->sender, ">");
        print_field(out, "forced_expire", is_expired(info) ? STR("yes") : STR(""));
        print_field(out, "client_name", e->client_name);
        print_field(out, "client_address", e->client_address);
        print_field(out, "helo", e->helo);
        print_field(out, "protocol", e->protocol);
        print_field(out, "envid", e->envid);
        print_field(out, "verp_delimiters", e->verp);
        for (size_t i = 0; i < e->recipient_count; i++)
                print_recipient(out, info, i);
}
