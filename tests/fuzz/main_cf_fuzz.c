/*
 * main_cf_fuzz.c - main.cf, and after a form feed master.cf: read, expanded, typed and linted
 *
 * Whatever stands there, numbers are in their range, findings and places name lines that exist, and
 * lists end.
 */
#include "fuzz.h"

#include "config/config_private.h"

static int count_lines(struct str text)
{
        int lines = 1;
        for (size_t i = 0; i < text.len; i++)
                lines += text.ptr[i] == '\n';
        return lines;
}

static void check_place(struct place at, int main_lines, int master_lines)
{
        bool is_master = str_ends(at.file, STR("/master.cf"));
        check(at.line >= 0 && at.line <= (is_master ? master_lines : main_lines));
}

static void check_list(const struct config *c, struct str list, int main_lines, int master_lines)
{
        struct str rest = list, item;
        for (size_t count = 0; config_list_next(&rest, &item); count++) {
                check(count <= list.len);
                check(item.ptr >= list.ptr && item.ptr + item.len <= list.ptr + list.len);
                check_place(config_place_of(c, item), main_lines, master_lines);
        }
}

static void check_params(const struct config *c, const struct params *params, int main_lines,
                         int master_lines)
{
        const struct declaration *d;
        for (size_t i = 0; (d = declaration_at(i)); i++) {
                if (d->fate != CONFIG_HONOURED)
                        continue;
                const void *field = (const char *)params + d->offset;
                if (d->kind == KIND_INT || d->kind == KIND_SIZE) {
                        int64_t n = *(const int64_t *)field;
                        check(n >= d->min && n <= d->max);
                } else if (d->kind == KIND_TIME) {
                        int64_t ms = *(const int64_t *)field;
                        check(ms >= d->min * 1000 && ms <= d->max * 1000);
                } else if (d->kind == KIND_ENUM) {
                        int word = *(const int *)field;
                        check(word >= 0 && word < 32);
                } else if (d->kind == KIND_STR) {
                        check_list(c, *(const struct str *)field, main_lines, master_lines);
                }
        }
}

struct asked {
        const struct config *config;
        struct arena arena;
        unsigned left;
};

static void ask(void *context, struct str name)
{
        struct asked *a = context;
        struct str value;
        if (a->left == 0)
                return;
        a->left--;
        check(config_text(a->config, name, CONFIG_EFFECTIVE_RAW, &a->arena, &value));
        check(config_text(a->config, name, CONFIG_EFFECTIVE_EXPANDED, &a->arena, &value));
        check(value.len <= VALUE_BYTES_MAX);
        config_text(a->config, name, CONFIG_DEFAULT, &a->arena, &value);
        arena_clear(&a->arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str rest = fuzz_str(data, size);
        bool has_master = str_find(rest, '\f') >= 0;
        struct config_source source = {.dir = STR("dir"), .has_fixed_machine = true};
        source.main_text = str_cut(&rest, '\f');
        source.has_master = has_master;
        source.master_text = rest;
        int main_lines = count_lines(source.main_text);
        int master_lines = count_lines(source.master_text);

        struct findings findings;
        findings_init(&findings);
        struct config *c = config_read(&source, &findings);
        check(c->service_count <= SERVICES_MAX + 8);
        config_lint(c, &findings);
        check_params(c, &c->params, main_lines, master_lines);
        for (size_t i = 0; i < c->service_count && i < 3; i++)
                check_params(c, &c->services[i].params, main_lines, master_lines);

        for (const struct finding *f = findings.first; f; f = f->next) {
                char line[4096];
                size_t len = finding_format(f, line, sizeof(line));
                check(len && line[len - 1] == '\n' && !fuzz_has_control(str_make(line, len - 1)));
                check_place((struct place){f->file, f->line}, main_lines, master_lines);
        }
        struct asked asked = {.config = c, .left = 20};
        arena_init(&asked.arena, 0);
        config_each(c, true, ask, &asked);
        arena_done(&asked.arena);
        config_unref(&c);
        findings_done(&findings);
        return 0;
}
