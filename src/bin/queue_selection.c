/* queue_selection.c - which messages the options of a queue command select */
#include "bin/queue.h"

static struct str value(const struct args *args, unsigned bit)
{
        const char *text = args_value(args, bit);
        return text ? str_from(text) : STR("");
}

/* "90", "90s", "30m", "12h", "3d", "1w" */
static int parse_age(struct str text, int64_t *seconds)
{
        static const struct {
                char unit;
                int64_t seconds;
        } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 604800}};
        int64_t factor = 1;
        for (size_t i = 0; text.len && i < sizeof(units) / sizeof(*units); i++) {
                if (text.ptr[text.len - 1] != units[i].unit)
                        continue;
                factor = units[i].seconds;
                text.len--;
                break;
        }
        int64_t number;
        if (str_to_int64(text, 1, 1000000000 / factor, &number) < 0)
                return -EINVAL;
        *seconds = number * factor;
        return 0;
}

int queue_selection(const struct args *args, struct queue_select *out, struct why *why)
{
        *out = (struct queue_select){
                .sender = value(args, BY_SENDER),
                .recipient = value(args, BY_RECIPIENT),
                .destination = value(args, BY_DESTINATION),
                .reason = value(args, BY_REASON),
                .queue = value(args, BY_QUEUE),
        };
        /* an option without words is a script's mistake, and must not select everything */
        static const unsigned bits[] = {BY_SENDER, BY_RECIPIENT, BY_DESTINATION, BY_REASON,
                                        BY_QUEUE};
        for (size_t i = 0; i < sizeof(bits) / sizeof(*bits); i++)
                if (args_value(args, bits[i]) && !value(args, bits[i]).len)
                        return why_set(why, -EINVAL,
                                       "an option that selects messages has an empty value; for "
                                       "the null sender say --sender '<>'");
        struct str age = value(args, BY_AGE);
        if (args_value(args, BY_AGE) && parse_age(age, &out->older_s) < 0)
                return why_set(why, -EINVAL,
                               "--older wants a time (90s, 30m, 12h, 3d, 1w), not \"%.*s\"",
                               age.len > 40 ? 40 : (int)age.len, age.ptr);
        return queue_select_check(out, why);
}
