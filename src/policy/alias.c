/*
 * alias.c - virtual_alias_maps (virtual(5)) and the aliases of local users (aliases(5)), to the end
 *
 * Addresses are worked off in order, in one growing list: the first result of a look-up takes the
 * place of what was asked, further ones go to the end. An address that names itself among its
 * results stays and is not asked again. Ceilings: how many there are, how deep one nests, how long
 * each is.
 *
 * Postfix asks alias_maps when local(8) delivers; here nothing does, so they are asked with the
 * others, for addresses that would go to local(8), and so is luser_relay (local.c). An alias for a command, a file or a list in a
 * file cannot be followed: its mail is refused for now, and its name is in the log.
 */
#include "base/check.h"
#include "policy/policy_private.h"

#include <errno.h>

struct expansion {
        struct policy *p;
        struct arena *arena;
        struct smtp_address *list;
        size_t count;
        size_t room;
        struct map settled; /* addresses that stand for themselves */
        const char *maps;   /* the parameter whose value is looked at */
        struct why *why;
};

static size_t count_max(const struct expansion *e)
{
        return (size_t)e->p->params->virtual_alias_expansion_limit;
}

static int add(struct expansion *e, const struct smtp_address *address)
{
        if (e->count >= count_max(e))
                return why_set(e->why, -ELOOP,
                               "%s: more than %zu addresses (virtual_alias_expansion_limit)",
                               e->maps, count_max(e));
        if (e->count == e->room) {
                size_t room = e->room ? e->room * 4 : 4;
                struct smtp_address *list = arena_array(e->arena, struct smtp_address, room);
                if (e->count)
                        memcpy(list, e->list, e->count * sizeof(*list));
                e->list = list;
                e->room = room;
        }
        e->list[e->count++] = *address;
        return 0;
}

/* The next address of a value: separated by comma and white space, but not inside quotes. */
static bool next_target(struct str *rest, struct str *target)
{
        size_t start = 0;
        while (start < rest->len && strchr(", \t\r\n", rest->ptr[start]))
                start++;
        size_t end = start;
        bool is_quoted = false;
        for (; end < rest->len; end++) {
                char c = rest->ptr[end];
                if (c == '\\' && is_quoted && end + 1 < rest->len)
                        end++;
                else if (c == '"')
                        is_quoted = !is_quoted;
                else if (!is_quoted && strchr(", \t\r\n", c))
                        break;
        }
        *target = str_part(*rest, start, end - start);
        *rest = str_tail(*rest, end);
        return target->len > 0;
}

/*
 * What one word of a value means for `from`: "@domain" keeps the user, without the extension that
 * the look-up left out; that extension is then put on again; a bare user is at myorigin.
 */
static int read_target(struct expansion *e, const struct smtp_address *from, struct str word,
                       struct str extension, struct smtp_address *out)
{
        const struct params *params = e->p->params;
        struct smtp_address address;
        if (word.len > (size_t)params->virtual_alias_address_length_limit)
                return why_set(e->why, -ELOOP,
                               "%s: an address of %zu bytes for <%.*s> "
                               "(virtual_alias_address_length_limit)",
                               e->maps, word.len, STR_ARG(from->text));
        if (word.ptr[0] == '@') {
                struct str local = from->local;
                if (extension.len && str_ends(local, extension))
                        local = str_part(local, 0, local.len - extension.len);
                address = smtp_address_make(local, str_tail(word, 1), e->arena);
        } else if (smtp_address_parse(word, e->arena, &address)) {
                return why_set(e->why, -EAGAIN, "%s: \"%.*s\" for <%.*s> is no address", e->maps,
                               STR_ARG(word), STR_ARG(from->text));
        }
        bool wants_extension = extension.len && e->p->propagates_extensions;
        if (wants_extension || str_is_empty(address.domain)) {
                struct str local = address.local;
                if (wants_extension)
                        local = arena_printf(e->arena, "%.*s%.*s", STR_ARG(local),
                                             STR_ARG(extension));
                address = smtp_address_make(local, policy_domain(e->p, &address), e->arena);
        }
        if (address.text.len > (size_t)params->virtual_alias_address_length_limit)
                return why_set(e->why, -ELOOP,
                               "%s: <%.*s> grows to %zu bytes (virtual_alias_address_length_limit)",
                               e->maps, STR_ARG(from->text), address.text.len);
        *out = address;
        return 0;
}

static struct str settled_key(struct expansion *e, const struct smtp_address *address)
{
        return arena_str_lower(e->arena, address->text);
}

/* Puts the addresses of `value` where the one at `at` stands. */
static int replace(struct expansion *e, size_t at, struct str value, struct str extension)
{
        struct smtp_address from = e->list[at];
        struct str word;
        size_t i = 0;
        for (; next_target(&value, &word); i++) {
                struct smtp_address target;
                int rc = read_target(e, &from, word, extension, &target);
                if (rc)
                        return rc;
                if (str_eq_nocase(from.text, target.text))
                        map_put(&e->settled, settled_key(e, &from), e);
                if (i == 0)
                        e->list[at] = target;
                else if ((rc = add(e, &target)))
                        return rc;
        }
        if (i == 0)
                return why_set(e->why, -EAGAIN, "%s: nothing stands for <%.*s>", e->maps,
                               STR_ARG(from.text));
        return 0;
}

/* ---- the two kinds of maps ---- */

static enum table_result await_find_virtual(struct expansion *e, const struct smtp_address *now,
                                            enum address_class class, struct str *value,
                                            struct str *extension)
{
        const struct params *params = e->p->params;
        struct table_address address = {
                .local = now->local,
                .domain = now->domain,
                .is_local = class == CLASS_LOCAL || str_eq_nocase(now->domain, params->myorigin),
                .delimiters = params->recipient_delimiter,
        };
        e->maps = "virtual_alias_maps";
        return await_table_list_find_address(e->p->virtual_alias_maps, &address, e->arena, value,
                                             extension, e->why);
}

static bool is_local_transport(struct str transport)
{
        return str_eq(str_trim(str_cut(&transport, ':')), STR("local"));
}

/* Would local(8) deliver it? By the class's transport, or by what transport_maps has instead. */
static enum table_result await_goes_to_local(struct expansion *e, const struct smtp_address *now,
                                             bool *is_so)
{
        struct table_address address = {
                .local = now->local,
                .domain = now->domain,
                .is_local = true,
                .delimiters = e->p->params->recipient_delimiter,
        };
        struct str value;
        enum table_result result = await_table_list_find_transport(e->p->transport_maps, &address,
                                                                   e->p->transport_has_parents,
                                                                   e->arena, &value, e->why);
        bool keeps_class = result == TABLE_NOT_FOUND || str_starts(str_trim(value), STR(":"));
        *is_so = is_local_transport(keeps_class ? e->p->params->local_transport : value);
        return result;
}

/* What local(8) would do with this target, but nobody does here: run a command, write a file, read a list. */
static const char *foreign_target(struct str word)
{
        if (word.len && word.ptr[0] == '"')
                word = str_tail(word, 1);
        if (str_starts(word, STR("|")))
                return "a command";
        if (str_starts(word, STR("/")))
                return "a file";
        return str_starts_nocase(word, STR(":include:")) ? "a list in a file" : NULL;
}

bool policy_alias_is_foreign(struct str value, const char **what)
{
        struct str word;
        while (next_target(&value, &word))
                if ((*what = foreign_target(word)))
                        return true;
        return false;
}

/* luser_relay, for who is nobody here. */
static enum table_result await_find_luser(struct expansion *e, const struct smtp_address *now,
                                          struct str *value)
{
        struct policy_local local;
        if (str_is_empty(e->p->params->luser_relay))
                return TABLE_NOT_FOUND;
        e->maps = "luser_relay";
        if (await_policy_local(e->p, now, e->arena, &local, e->why) < 0)
                return TABLE_ERROR;
        *value = local.value;
        return local.end == LOCAL_BY_ADDRESS ? TABLE_FOUND : TABLE_NOT_FOUND;
}

static bool has_local_maps(const struct policy *p)
{
        return !table_list_is_empty(p->alias_maps) || !str_is_empty(p->params->luser_relay);
}

/* By the name, with its extension and then without (local(8)). */
static enum table_result await_find_local(struct expansion *e, const struct smtp_address *now,
                                          struct str *value)
{
        bool is_so;
        const char *what;
        e->maps = "alias_maps";
        if (!has_local_maps(e->p))
                return TABLE_NOT_FOUND;
        if (await_goes_to_local(e, now, &is_so) == TABLE_ERROR)
                return TABLE_ERROR;
        if (!is_so)
                return TABLE_NOT_FOUND;
        struct str name = now->local;
        enum table_result result =
                await_table_list_find(e->p->alias_maps, name, e->arena, value, e->why);
        if (result == TABLE_NOT_FOUND &&
            extension_split(name, e->p->params->recipient_delimiter, &name))
                result = await_table_list_find(e->p->alias_maps, name, e->arena, value, e->why);
        if (result == TABLE_FOUND && policy_alias_is_foreign(*value, &what)) {
                why_set(e->why, -EAGAIN, "%.*s stands for %s, which is not used here",
                        STR_ARG(name), what);
                return TABLE_ERROR;
        }
        return result == TABLE_NOT_FOUND ? await_find_luser(e, now, value) : result;
}

/* Asks for what stands at `at`, again and again, until no map names it. */
static int await_expand_at(struct expansion *e, size_t at)
{
        const struct params *params = e->p->params;
        for (int64_t depth = 0;; depth++) {
                const struct smtp_address *now = &e->list[at];
                if (map_find(&e->settled, settled_key(e, now)))
                        return 0;
                if (depth >= params->virtual_alias_recursion_limit)
                        return why_set(e->why, -ELOOP,
                                       "%s: <%.*s> nests deeper than %lld "
                                       "(virtual_alias_recursion_limit); is it a loop?",
                                       e->maps, STR_ARG(now->text),
                                       (long long)params->virtual_alias_recursion_limit);
                enum address_class class;
                int rc = await_policy_class(e->p, now->domain, e->arena, &class, e->why);
                if (rc)
                        return rc;
                struct str value = {0};
                struct str extension = {0};
                enum table_result found = await_find_virtual(e, now, class, &value, &extension);
                if (found == TABLE_NOT_FOUND && class == CLASS_LOCAL)
                        found = await_find_local(e, now, &value);
                if (found == TABLE_ERROR)
                        return why_prefix(e->why, -EAGAIN, "%s", e->maps);
                if (found == TABLE_NOT_FOUND)
                        return 0;
                rc = replace(e, at, value, extension);
                if (rc)
                        return rc;
        }
}

/* No address twice: letters folded, the first one stays. */
static void drop_doubles(struct expansion *e)
{
        struct map seen;
        map_init(&seen);
        size_t kept = 0;
        for (size_t i = 0; i < e->count; i++)
                if (!map_put(&seen, settled_key(e, &e->list[i]), e))
                        e->list[kept++] = e->list[i];
        e->count = kept;
        map_done(&seen);
}

int await_policy_expand(struct policy *p, const struct smtp_address *recipient, struct arena *arena,
                        struct policy_expansion *out, struct why *why)
{
        struct expansion e = {.p = p, .arena = arena, .maps = "virtual_alias_maps", .why = why};
        struct smtp_address first = *recipient;
        if (str_is_empty(first.domain) && first.local.len)
                first = smtp_address_make(first.local, p->params->myorigin, arena);
        int rc = add(&e, &first);
        check(rc == 0);
        if (!p->virtual_alias_maps || !p->alias_maps || !p->transport_maps)
                return why_set(why, -EAGAIN, "%s could not be opened",
                               !p->virtual_alias_maps ? "virtual_alias_maps"
                               : !p->alias_maps       ? "alias_maps"
                                                      : "transport_maps");
        if (!table_list_is_empty(p->virtual_alias_maps) || has_local_maps(p)) {
                map_init(&e.settled);
                for (size_t i = 0; rc == 0 && i < e.count; i++)
                        rc = await_expand_at(&e, i);
                map_done(&e.settled);
                if (rc)
                        return rc;
                if (e.count > 1)
                        drop_doubles(&e);
        }
        out->addresses = e.list;
        out->count = e.count;
        return 0;
}
