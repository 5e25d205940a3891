/* domains.c - the setting `domain`: only addresses of these domains are asked */
#include "table/domains.h"

#include <errno.h>

int domains_open(const struct table_settings *s, struct match_list **list)
{
        struct str text = table_settings_get(s, "domain", "");
        *list = NULL;
        if (text.len == 0)
                return 0;
        struct findings findings;
        findings_init(&findings);
        *list = match_list_open(s->text->set, text, MATCH_STRING, false, s->text->at, &findings);
        int error = 0;
        if (!*list)
                error = table_settings_fault(s, "domain", NULL, "%.*s",
                                             findings.first ? (int)findings.first->text.len : 0,
                                             findings.first ? findings.first->text.ptr : "");
        findings_done(&findings);
        return error;
}

bool await_domains_want(struct match_list *list, struct str key)
{
        if (!list)
                return true;
        ptrdiff_t at = str_find_last(key, '@');
        if (at <= 0)
                return false;
        struct arena arena;
        struct why why;
        arena_init(&arena, 0);
        enum table_result result =
                await_match_list_find(list, str_tail(key, (size_t)at + 1), &arena, NULL, &why);
        arena_done(&arena);
        return result != TABLE_NOT_FOUND;
}
