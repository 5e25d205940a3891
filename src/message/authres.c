/*
 * authres.c - Authentication-Results (RFC 8601 2.2)
 *
 *      authres-payload = [CFWS] authserv-id [ CFWS authres-version ] ( no-result / 1*resinfo ) [CFWS]
 *      authserv-id     = value                 value = token / quoted-string (RFC 2045 5.1)
 */
#include "message/authres.h"

/* Skips blanks, folds and comments (RFC 5322 3.2.2); a comment without end takes all. */
static struct str skip_cfws(struct str s)
{
        int depth = 0;
        size_t i = 0;
        for (; i < s.len; i++) {
                char c = s.ptr[i];
                if (depth && c == '\\')
                        i++;
                else if (c == '(')
                        depth++;
                else if (depth && c == ')')
                        depth--;
                else if (!depth && c != ' ' && c != '\t' && c != '\r' && c != '\n')
                        break;
        }
        return str_tail(s, i);
}

static struct str take_quoted(struct str s, struct arena *arena)
{
        char *out = arena_array(arena, char, s.len + 1);
        size_t len = 0;
        for (size_t i = 1; i < s.len && s.ptr[i] != '"'; i++) {
                if (s.ptr[i] == '\\' && i + 1 < s.len)
                        i++;
                if (s.ptr[i] != '\r' && s.ptr[i] != '\n')
                        out[len++] = s.ptr[i];
        }
        return str_make(out, len);
}

struct str authres_id(struct str value, struct arena *arena)
{
        struct str s = skip_cfws(value);
        if (s.len && s.ptr[0] == '"')
                return str_trim(take_quoted(s, arena));
        size_t len = 0;
        while (len < s.len && s.ptr[len] && !strchr(" \t\r\n;(\"", s.ptr[len]))
                len++;
        return arena_str(arena, str_part(s, 0, len));
}

static struct str without_final_dot(struct str s)
{
        return s.len && s.ptr[s.len - 1] == '.' ? str_part(s, 0, s.len - 1) : s;
}

bool authres_is_of(struct str name, struct str value, struct str id, struct arena *arena)
{
        return str_eq_nocase(str_trim(name), STR("Authentication-Results")) &&
               str_eq_nocase(without_final_dot(authres_id(value, arena)), without_final_dot(id));
}

/* RFC 2045 5.1: any character but blanks, controls and tspecials; what is not ASCII is quoted */
static bool is_token(struct str s)
{
        for (size_t i = 0; i < s.len; i++)
                if (s.ptr[i] <= ' ' || s.ptr[i] > '~' || strchr("()<>@,;:\\\"/[]?=", s.ptr[i]))
                        return false;
        return s.len > 0;
}

int authres_put_value(struct buf *out, struct str value, size_t bytes_max)
{
        value = str_part(value, 0, bytes_max);
        if (is_token(value))
                return buf_append_str(out, value);
        int rc = buf_append_char(out, '"');
        for (size_t i = 0; i < value.len && !rc; i++) {
                char c = value.ptr[i];
                if (c == '"' || c == '\\')
                        rc = buf_append_char(out, '\\');
                if (!rc)
                        rc = buf_append_char(out, (unsigned char)c < ' ' || c == 0x7f ? '?' : c);
        }
        return rc ? rc : buf_append_char(out, '"');
}
