/* fixture.h - configurations from text, for the tests of this room */
#ifndef CONFIG_FIXTURE_H
#define CONFIG_FIXTURE_H

#include "base/unit.h"
#include "config/config_private.h"

/* Reads both texts (NULL: no master.cf) as dir/main.cf and dir/master.cf on a made-up machine. */
static inline struct config *fixture_read(const char *main_text, const char *master_text,
                                          struct findings *findings)
{
        struct config_source source = {
                .dir = STR("dir"),
                .main_text = str_from(main_text),
                .master_text = str_from(master_text),
                .has_master = master_text != NULL,
                .has_fixed_machine = true,
        };
        findings_init(findings);
        return config_read(&source, findings);
}

static inline void fixture_done(struct config **c, struct findings *findings)
{
        config_unref(c);
        findings_done(findings);
}

/* Does a finding print as this? Prints all of them when none does. */
static inline bool fixture_has(const struct findings *findings, const char *line)
{
        static char text[4096];
        for (const struct finding *i = findings->first; i; i = i->next) {
                size_t len = finding_format(i, text, sizeof(text));
                text[len - 1] = 0;
                if (strcmp(text, line) == 0)
                        return true;
        }
        for (const struct finding *i = findings->first; i; i = i->next) {
                finding_format(i, text, sizeof(text));
                print_message("found: %s", text);
        }
        print_message("wanted: %s\n", line);
        return false;
}

static inline const struct finding *fixture_find(const struct findings *findings, const char *code)
{
        const struct finding *i = findings->first;
        while (i && strcmp(i->code, code) != 0)
                i = i->next;
        return i;
}

#endif
