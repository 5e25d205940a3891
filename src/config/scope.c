/*
 * scope.c - what a name stands for: in a service, on the command line, in main.cf, by default
 */
#include "config/config_private.h"

bool settings_copy(const struct settings *settings, struct str name, struct setting *out)
{
        const struct setting *s = settings ? settings_find(settings, name) : NULL;
        if (s)
                *out = *s;
        return s != NULL;
}

/* In a service's scope, NAME_destination_... stands in for default_destination_... */
bool scope_find_own(const struct scope *scope, struct str name, struct setting *found)
{
        if (str_is_empty(scope->service))
                return false;
        if (str_eq(name, STR("service_name"))) {
                *found = (struct setting){.name = name, .raw = scope->service};
                return true;
        }
        if (!str_starts(name, STR("default_")) && !str_starts(name, STR("initial_")))
                return false;
        const struct declaration *d = declaration_find(name);
        char own[256];
        if (!d || !declaration_service_name(d, scope->service, own, sizeof(own)))
                return false;
        return settings_copy(&scope->private->commands, str_from(own), found) ||
               settings_copy(&scope->private->main, str_from(own), found);
}

bool scope_find(const struct scope *scope, struct str name, struct setting *found)
{
        const struct config_private *p = scope->private;
        if (settings_copy(scope->overrides, name, found) || scope_find_own(scope, name, found) ||
            settings_copy(&p->commands, name, found) || settings_copy(&p->main, name, found) ||
            settings_copy(&p->found, name, found))
                return true;
        if (scope->is_stressed && str_eq(name, STR("stress"))) {
                *found = (struct setting){.name = name, .raw = STR("yes")};
                return true;
        }
        const struct declaration *d = declaration_find(name);
        const char *initial = d ? d->initial : names_service_reference(p, name);
        *found = (struct setting){.name = name, .raw = str_from(initial)};
        return initial != NULL;
}
