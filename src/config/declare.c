/*
 * declare.c - the tables of params.def and params_noted.def, and finding a name in them
 *
 * The rows stand as in the .def files, headings between them; an index sorted by name is made once.
 */
#include "config/config_private.h"

#include <pthread.h>

/* clang-format off */
static const struct declaration rows[] = {
#define ROW_AS(field, n, d, h, ...) \
        {.name = #n, .initial = d, .help = h, .offset = offsetof(struct params, field), __VA_ARGS__},
#define ROW(n, ...)                      ROW_AS(n, n, __VA_ARGS__)
#define PARAM_SECTION(room, title)       {.name = room, .help = title, .kind = KIND_SECTION},
#define PARAM_STR(n, d, h)               ROW(n, d, h, .kind = KIND_STR)
#define PARAM_STR_AS(field, n, d, h)     ROW_AS(field, n, d, h, .kind = KIND_STR)
#define PARAM_RAW(n, d, h)               ROW(n, d, h, .kind = KIND_RAW)
#define PARAM_INT(n, d, low, high, h)    ROW(n, d, h, .kind = KIND_INT, .min = low, .max = high)
#define PARAM_SIZE(n, d, low, high, h)   ROW(n, d, h, .kind = KIND_SIZE, .min = low, .max = high)
#define PARAM_BOOL(n, d, h)              ROW(n, d, h, .kind = KIND_BOOL)
#define PARAM_ENUM(n, d, w, h)           ROW(n, d, h, .kind = KIND_ENUM, .words = w)
#define PARAM_TIME(n, d, u, low, high, h) \
        ROW(n, d, h, .kind = KIND_TIME, .unit = u, .min = low, .max = high)
#include "config/params.def"
#define NOTED_GROUP(f, h)                {.name = "", .help = h, .kind = KIND_SECTION, .fate = f},
#define PARAM_NOTED(n, d)                {.name = #n, .initial = d, .kind = KIND_RAW},
#include "config/params_noted.def"
};
/* clang-format on */

enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

static const struct declaration *by_name[ROWS];
static struct declaration noted[ROWS];
static size_t known_count;
static pthread_once_t index_once = PTHREAD_ONCE_INIT;

static int compare_names(const void *a, const void *b)
{
        const struct declaration *const *one = a, *const *two = b;
        return strcmp((*one)->name, (*two)->name);
}

/* Rows of params_noted.def get fate and help from the heading above them. */
static void index_make(void)
{
        const struct declaration *heading = NULL;
        for (size_t i = 0; i < ROWS; i++) {
                if (rows[i].kind == KIND_SECTION) {
                        heading = &rows[i];
                        continue;
                }
                by_name[known_count] = &rows[i];
                if (heading && heading->fate != CONFIG_HONOURED) {
                        noted[i] = rows[i];
                        noted[i].fate = heading->fate;
                        noted[i].help = heading->help;
                        by_name[known_count] = &noted[i];
                }
                known_count++;
        }
        qsort(by_name, known_count, sizeof(by_name[0]), compare_names);
}

const struct declaration *declaration_at(size_t i)
{
        pthread_once(&index_once, index_make);
        return i < known_count ? by_name[i] : NULL;
}

const struct declaration *declaration_row(size_t i)
{
        pthread_once(&index_once, index_make);
        for (size_t at = 0; at < ROWS; at++)
                if (rows[at].kind != KIND_SECTION && i-- == 0)
                        return noted[at].name ? &noted[at] : &rows[at];
        return NULL;
}

const struct declaration *declaration_find(struct str name)
{
        pthread_once(&index_once, index_make);
        size_t low = 0, high = known_count;
        while (low < high) {
                size_t middle = low + (high - low) / 2;
                int order = str_cmp(name, str_from(by_name[middle]->name));
                if (order == 0)
                        return by_name[middle];
                if (order < 0)
                        high = middle;
                else
                        low = middle + 1;
        }
        return NULL;
}

const struct declaration *declaration_section(const struct declaration *d)
{
        if (d->fate != CONFIG_HONOURED)
                return NULL;
        while (d->kind != KIND_SECTION)
                d--;
        return d;
}

/* qmgr(8), spawn(8) and pipe(8): TRANSPORT_x stands in for the second name */
static const char *const service_suffixes[][2] = {
        {"_destination_concurrency_limit", "$default_destination_concurrency_limit"},
        {"_destination_recipient_limit", "$default_destination_recipient_limit"},
        {"_initial_destination_concurrency", "$initial_destination_concurrency"},
        {"_destination_concurrency_positive_feedback",
         "$default_destination_concurrency_positive_feedback"},
        {"_destination_concurrency_negative_feedback",
         "$default_destination_concurrency_negative_feedback"},
        {"_destination_concurrency_failed_cohort_limit",
         "$default_destination_concurrency_failed_cohort_limit"},
        {"_destination_rate_delay", "$default_destination_rate_delay"},
        {"_transport_rate_delay", "$default_transport_rate_delay"},
        {"_delivery_slot_cost", "$default_delivery_slot_cost"},
        {"_delivery_slot_loan", "$default_delivery_slot_loan"},
        {"_delivery_slot_discount", "$default_delivery_slot_discount"},
        {"_minimum_delivery_slots", "$default_minimum_delivery_slots"},
        {"_recipient_limit", "$default_recipient_limit"},
        {"_extra_recipient_limit", "$default_extra_recipient_limit"},
        {"_recipient_refill_limit", "$default_recipient_refill_limit"},
        {"_recipient_refill_delay", "$default_recipient_refill_delay"},
        {"_time_limit", "$command_time_limit"},
};

const char *service_suffix(size_t i)
{
        return i < sizeof(service_suffixes) / sizeof(service_suffixes[0]) ? service_suffixes[i][0]
                                                                          : NULL;
}

const char *service_reference(struct str name, struct str service)
{
        if (str_is_empty(service) || !str_starts(name, service))
                return NULL;
        struct str suffix = str_tail(name, service.len);
        for (size_t i = 0; i < sizeof(service_suffixes) / sizeof(service_suffixes[0]); i++)
                if (str_eq(suffix, str_from(service_suffixes[i][0])))
                        return service_suffixes[i][1];
        return NULL;
}

const struct declaration *declaration_find_service(struct str name, struct str service)
{
        const char *reference = service_reference(name, service);
        return reference ? declaration_find(str_from(reference + 1)) : NULL;
}

/* The same the other way: how main.cf names `d` for one service. */
bool declaration_service_name(const struct declaration *d, struct str service, char *out,
                              size_t room)
{
        struct str name = str_from(d->name);
        if (str_starts(name, STR("default_")))
                name = str_tail(name, strlen("default_"));
        int len = snprintf(out, room, "%.*s_%.*s", STR_ARG(service), STR_ARG(name));
        return len > 0 && (size_t)len < room &&
               declaration_find_service(str_from(out), service) == d;
}

static unsigned least(unsigned a, unsigned b)
{
        return a < b ? a : b;
}

/* Damerau and Levenshtein, with each swap only once (optimal string alignment). */
unsigned text_distance(struct str a, struct str b, unsigned max)
{
        enum { LEN_MAX = 80 };
        size_t gap = a.len > b.len ? a.len - b.len : b.len - a.len;
        if (gap > max || a.len > LEN_MAX || b.len > LEN_MAX)
                return max + 1;
        unsigned rings[3][LEN_MAX + 1];
        unsigned *before = rings[0], *last = rings[1], *now = rings[2];
        for (size_t j = 0; j <= b.len; j++)
                last[j] = before[j] = (unsigned)j;
        for (size_t i = 1; i <= a.len; i++) {
                now[0] = (unsigned)i;
                unsigned smallest = now[0];
                for (size_t j = 1; j <= b.len; j++) {
                        char x = char_lower(a.ptr[i - 1]), y = char_lower(b.ptr[j - 1]);
                        now[j] = least(least(last[j], now[j - 1]) + 1, last[j - 1] + (x != y));
                        if (i > 1 && j > 1 && x == char_lower(b.ptr[j - 2]) &&
                            y == char_lower(a.ptr[i - 2]))
                                now[j] = least(now[j], before[j - 2] + 1);
                        smallest = least(smallest, now[j]);
                }
                if (smallest > max)
                        return max + 1;
                unsigned *spare = before;
                before = last;
                last = now;
                now = spare;
        }
        return least(last[b.len], max + 1);
}

const char *declaration_nearest(struct str name)
{
        unsigned best = name.len < 6 ? 2 : name.len < 16 ? 3 : 4;
        const char *nearest = NULL;
        const struct declaration *d;
        for (size_t i = 0; (d = declaration_at(i)); i++) {
                unsigned distance = text_distance(name, str_from(d->name), best - 1);
                if (distance < best) {
                        best = distance;
                        nearest = d->name;
                }
        }
        return nearest;
}
