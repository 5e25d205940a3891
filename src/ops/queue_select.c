/* queue_select.c - which messages of the queue a command is about */
#include "ops/queue_select.h"

#include <errno.h>

bool queue_select_is_empty(const struct queue_select *s)
{
        return !s->sender.len && !s->recipient.len && !s->destination.len && !s->reason.len &&
               !s->queue.len && !s->older_s;
}

bool queue_select_is_nexthop(const struct queue_select *s)
{
        return s->destination.len &&
               (s->destination.ptr[0] == '[' || str_find(s->destination, ':') >= 0);
}

static struct str domain_of(struct str address)
{
        ptrdiff_t at = str_find_last(address, '@');
        return at < 0 ? STR("") : str_tail(address, (size_t)at + 1);
}

static bool is_address(struct str wanted, struct str address)
{
        if (str_eq(wanted, STR("<>")))
                return address.len == 0;
        if (wanted.ptr[0] == '@')
                return str_eq_nocase(str_tail(wanted, 1), domain_of(address));
        return str_eq_nocase(wanted, address);
}

static bool holds_words(struct str text, struct str words)
{
        for (size_t i = 0; i + words.len <= text.len; i++)
                if (str_eq_nocase(str_part(text, i, words.len), words))
                        return true;
        return false;
}

static bool recipient_matches(const struct queue_select *s, const struct spool_info *info, size_t i)
{
        const struct recipient *r = &info->envelope.recipients[i];
        if (spool_message_state(info->message, i) != SPOOL_WAITING)
                return false;
        if (s->recipient.len && !is_address(s->recipient, r->address) &&
            !(r->original.len && is_address(s->recipient, r->original)))
                return false;
        if (s->destination.len && !queue_select_is_nexthop(s) &&
            !str_eq_nocase(s->destination, domain_of(r->address)))
                return false;
        return !s->reason.len || holds_words(spool_message_reason(info->message, i), s->reason);
}

static const char *const queue_names[] = {"active", "deferred", "hold"};

bool queue_select_matches(const struct queue_select *s, const struct spool_info *info,
                          int64_t now_us)
{
        if (s->queue.len && !str_eq(s->queue, str_from(queue_names[info->queue])))
                return false;
        if (s->older_s && now_us - info->arrival_us < s->older_s * 1000000)
                return false;
        if (s->sender.len && !is_address(s->sender, info->envelope.sender))
                return false;
        if (!s->recipient.len && !s->destination.len && !s->reason.len)
                return true;
        for (size_t i = 0; i < info->envelope.recipient_count; i++)
                if (recipient_matches(s, info, i))
                        return true;
        return false;
}

static bool is_clean(struct str text)
{
        for (size_t i = 0; i < text.len; i++)
                if ((unsigned char)text.ptr[i] < ' ' || text.ptr[i] == 0x7f)
                        return false;
        return true;
}

int queue_select_check(const struct queue_select *s, struct why *why)
{
        if (!is_clean(s->sender) || !is_clean(s->recipient) || !is_clean(s->destination) ||
            !is_clean(s->reason))
                return why_set(why, -EINVAL, "a control character in what is to be selected");
        for (size_t i = 0; i < sizeof(queue_names) / sizeof(*queue_names); i++)
                if (!s->queue.len || str_eq(s->queue, str_from(queue_names[i])))
                        return 0;
        return why_set(why, -EINVAL, "\"%.*s\" is no queue: active, deferred or hold",
                       s->queue.len > 40 ? 40 : (int)s->queue.len, s->queue.ptr);
}
