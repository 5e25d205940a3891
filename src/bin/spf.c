/*
 * spf.c - forepost spf: what SPF says of a client, step by step
 *
 * The check that a session makes, with the DNS or with answers from a file. With --batch the questions come from
 * standard input, one JSON object a line, and each has its answer on one line, so that many can be compared.
 */
#include "policy/spf/spf.h"
#include "base/buf.h"
#include "base/clock.h"
#include "bin/command.h"
#include "bin/dns_open.h"
#include "ops/json.h"
#include "ops/json_line.h"
#include "table/table.h"

#include <errno.h>
#include <unistd.h>

enum {
        AS_JSON = 1,
        BATCH = 2,
        VALUE_IP = 4,
        VALUE_HELO = 8,
        VALUE_FROM = 16,
        VALUE_DNS = 32,
        LINE_BYTES_MAX = 64 * 1024,
        OUT_BYTES_MAX = 1024 * 1024,
        /* without a configuration */
        VOID_LIMIT = 2,
        TIME_LIMIT_MS = 20000,
};

struct asked {
        struct str ip, helo, from;
};

struct job {
        const struct args *args;
        const struct config *config; /* NULL: there is none, and none is needed */
        struct dns *dns;
        int code;
};

/* ---- printing ---- */

static void put_json(struct json *j, const struct asked *a, const struct spf_outcome *o)
{
        json_open(j, NULL, '{');
        json_str(j, "result", str_from(spf_result_name(o->result)));
        json_str(j, "explanation", o->explanation);
        json_str(j, "ip", a->ip);
        json_str(j, "helo", a->helo);
        json_str(j, "from", a->from);
        json_str(j, "identity", o->is_helo ? STR("helo") : STR("mailfrom"));
        json_str(j, "domain", o->domain);
        json_str(j, "mechanism", o->mechanism);
        json_str(j, "problem", o->problem);
        json_int(j, "lookups", o->term_count);
        json_int(j, "void_lookups", o->void_count);
        json_open(j, "steps", '[');
        for (size_t i = 0; i < o->step_count; i++) {
                const struct spf_step *s = &o->steps[i];
                json_open(j, NULL, '{');
                json_int(j, "depth", s->depth);
                json_str(j, "domain", s->domain);
                json_str(j, "term", s->term);
                json_str(j, "target", s->target);
                json_str(j, "outcome", s->outcome);
                json_str(j, "detail", s->detail);
                json_int(j, "us", s->took_us);
                json_close(j, '}');
        }
        json_close(j, ']');
        if (o->steps_dropped)
                json_int(j, "steps_dropped", (int64_t)o->steps_dropped);
        json_close(j, '}');
        json_end(j);
}

static void print_json(const struct asked *a, const struct spf_outcome *o)
{
        struct buf out;
        struct json j;
        buf_init(&out, OUT_BYTES_MAX);
        json_init(&j, &out);
        put_json(&j, a, o);
        fwrite(out.ptr, 1, out.len, stdout);
        buf_done(&out);
}

static void print_text(const struct spf_outcome *o)
{
        for (size_t i = 0; i < o->step_count; i++) {
                const struct spf_step *s = &o->steps[i];
                printf("%*s%.*s: %.*s%s", 2 * s->depth, "", STR_ARG(s->domain), STR_ARG(s->term),
                       s->term.len ? ": " : "");
                printf("%.*s", STR_ARG(s->outcome));
                if (s->term.len && s->target.len && !str_eq(s->target, s->domain))
                        printf(" (%.*s)", STR_ARG(s->target));
                if (s->detail.len)
                        printf(" - %.*s", STR_ARG(s->detail));
                printf("\n");
        }
        if (o->steps_dropped)
                printf("... and %zu more\n", o->steps_dropped);
        printf("%s", spf_result_name(o->result));
        if (o->mechanism.len)
                printf(" by %.*s", STR_ARG(o->mechanism));
        if (o->problem.len)
                printf(": %.*s", STR_ARG(o->problem));
        printf("\n");
        if (o->explanation.len)
                printf("explanation: %.*s\n", STR_ARG(o->explanation));
}

/* ---- asking ---- */

static int await_ask(const struct job *job, const struct asked *a, bool wants_json)
{
        const struct params *params = job->config ? &job->config->params : NULL;
        struct spf_query query = {
                .helo = a->helo,
                .sender = a->from,
                .receiver = params ? params->outside_name : STR(""),
                .now_s = clock_wall_us() / 1000000,
                .void_max = params ? params->spf_void_lookup_limit : VOID_LIMIT,
                .deadline_ms = clock_mono_ms() + (params ? params->spf_time_limit : TIME_LIMIT_MS),
        };
        if (!network_address_parse(a->ip, query.address)) {
                command_error("\"%.*s\" is not an address",
                              (int)(a->ip.len > 100 ? 100 : a->ip.len), a->ip.ptr);
                return EXIT_USAGE;
        }
        struct spf_check *check = spf_check_new(job->dns, &query);
        const struct spf_outcome *outcome = await_spf(check);
        if (wants_json)
                print_json(a, outcome);
        else
                print_text(outcome);
        spf_check_free(&check);
        return EXIT_DONE;
}

static int await_line(const struct job *job, struct str line, unsigned number)
{
        struct arena arena;
        struct why why;
        struct asked a = {STR(""), STR(""), STR("")};
        arena_init(&arena, 0);
        struct json_line *json = arena_new(&arena, struct json_line);
        int code = EXIT_FAILED;
        if (json_line_read(line, &arena, json, &why) < 0) {
                command_error("line %u: %s", number, why.text);
        } else if (!json_line_text(json, "ip", &a.ip)) {
                command_error("line %u: \"ip\" is missing", number);
        } else {
                json_line_text(json, "helo", &a.helo);
                json_line_text(json, "from", &a.from);
                code = await_ask(job, &a, true);
        }
        if (code != EXIT_DONE) /* one line out for each line in */
                printf("{\"result\": \"\", \"explanation\": \"\", \"steps\": []}\n");
        arena_done(&arena);
        return code;
}

static int await_batch(const struct job *job)
{
        static char line[LINE_BYTES_MAX];
        int code = EXIT_DONE;
        for (unsigned number = 1; fgets(line, sizeof(line), stdin); number++) {
                struct str text = str_trim(str_from(line));
                if (text.len && await_line(job, text, number) != EXIT_DONE)
                        code = EXIT_FAILED;
                fflush(stdout);
        }
        return code;
}

static void await_job(void *arg)
{
        struct job *job = arg;
        const struct args *args = job->args;
        if (args->flags & BATCH) {
                job->code = await_batch(job);
        } else {
                struct asked a = {str_from(args_value(args, VALUE_IP)),
                                  str_from(args_value(args, VALUE_HELO)),
                                  str_from(args_value(args, VALUE_FROM))};
                job->code = await_ask(job, &a, args->flags & AS_JSON);
        }
}

/* With a file of answers the command also works where no mail server is set up. */
static bool has_configuration(const struct args *args)
{
        static char path[4096];
        int len = snprintf(path, sizeof(path), "%s/main.cf", args->dir);
        return len >= (int)sizeof(path) || access(path, F_OK) == 0;
}

static int run(const struct args *args)
{
        if (!(args->flags & BATCH) && !args_value(args, VALUE_IP)) {
                command_error("whose address? write --ip ADDRESS, or --batch");
                return EXIT_USAGE;
        }
        const char *file = args_value(args, VALUE_DNS);
        struct config *config = NULL;
        if ((!file || has_configuration(args)) && !(config = command_config_load(args)))
                return EXIT_FAILED;
        struct job job = {.args = args, .config = config, .code = EXIT_FAILED};
        job.dns = command_dns_open(config, file);
        if (job.dns)
                command_run_task(await_job, &job);
        dns_unref(&job.dns);
        config_unref(&config);
        return job.code;
}

static const struct args_flag flags[] = {
        {"--ip", VALUE_IP, "the client's address", "ADDRESS"},
        {"--helo", VALUE_HELO, "its name in HELO", "NAME"},
        {"--from", VALUE_FROM, "the sender in MAIL; without one: the null sender", "SENDER"},
        {"--dns", VALUE_DNS, "answers come from this file, and from nowhere else", "FILE"},
        {"--json", AS_JSON, "one JSON object", NULL},
        {"--batch", BATCH, "questions from standard input, one JSON object a line", NULL},
        {NULL, 0, NULL, NULL},
};

const struct command command_spf = {
        .name = "spf",
        .operands = "",
        .summary = "Asks SPF (RFC 7208) about a client and prints each step",
        .help = "Results: none, neutral, pass, fail, softfail, temperror, permerror. Without a sender the HELO\n"
                "name is asked about. --batch reads lines like {\"ip\": \"192.0.2.1\", \"helo\": \"mx.example\",\n"
                "\"from\": \"a@b.example\"} and prints one JSON object for each: \"result\", \"explanation\"\n"
                "(the domain's own, empty when it gives none), \"steps\" and more. The file of --dns has one\n"
                "record a line, as a zone has: example.com TXT \"v=spf1 mx -all\".\n",
        .flags = flags,
        .words_min = 0,
        .words_max = 0,
        .run = run,
};
