/* check.c - what is wrong with a configuration */
#include "ops/check.h"

#include "base/clock.h"
#include "base/why.h"
#include "ops/identity.h"
#include "ops/listen.h"
#include "ops/queue_directory.h"
#include "ops/site.h"

void check_configuration(const char *dir, const struct config_override *overrides,
                         struct findings *findings)
{
        struct config *c = config_load(dir, overrides, findings);
        if (!c)
                return;
        struct listen_set listen;
        listen_plan(c, 1, &listen, findings);
        listen_done(&listen);
        queue_directory_lint(c, findings);

        struct keys keys;
        keys_begin(c, findings);
        keys_make(&keys, c, NULL, findings);
        keys_lint(&keys, c, clock_wall_us() / 1000000, findings);

        /* so that a table which only root can read is found now; the keys are read by root */
        struct identity identity;
        struct why why;
        if (identity_find(c, &identity, findings) == 0 && identity_become(&identity, &why) < 0)
                findings_add(findings, SEVERITY_ERROR, "cannot-become",
                             config_place(c, "mail_owner"), NULL, "%s", why.text);
        struct site *s = site_new(c, &keys, findings);
        site_unref(&s);
        config_unref(&c);
}
