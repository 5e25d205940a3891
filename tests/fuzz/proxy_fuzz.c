/* proxy_fuzz.c - a PROXY header, whole and in pieces: the first byte is how large these are */
#include "fuzz.h"

#include "wire/proxy_header.h"

#include <arpa/inet.h>
#include <errno.h>

static int feed(struct str bytes, size_t step, struct proxy_header *out, size_t *left)
{
        struct proxy_reader r;
        struct why why;
        int rc = 0;
        proxy_reader_init(&r);
        while (rc == 0 && bytes.len) {
                struct str piece = str_part(bytes, 0, step);
                size_t len = piece.len;
                rc = proxy_reader_feed(&r, &piece, out, &why);
                check(rc == 0 || rc == 1 || rc == -EBADMSG);
                check(piece.len <= len && (rc || piece.len == 0));
                bytes = str_tail(bytes, len - piece.len);
        }
        proxy_reader_done(&r);
        *left = bytes.len;
        return rc;
}

static void check_end(const struct proxy_end *end)
{
        unsigned char bits[16];
        check(end->family == AF_INET || end->family == AF_INET6);
        check(inet_pton(end->family, end->text, bits) == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str in = fuzz_str(data, size);
        size_t step = fuzz_byte(&in) + 1;
        struct proxy_header whole = {0};
        struct proxy_header pieces = {0};
        size_t left, left_of_pieces;
        int rc = feed(in, in.len ? in.len : 1, &whole, &left);
        check(feed(in, step, &pieces, &left_of_pieces) == rc);
        if (rc != 1)
                return 0;
        check(left == left_of_pieces);
        check(memcmp(&whole, &pieces, sizeof(whole)) == 0);
        check(whole.version == 1 || whole.version == 2);
        if (whole.version == 1)
                check(in.len - left <= PROXY_V1_BYTES_MAX);
        check(in.len - left <= PROXY_HEADER_BYTES_MAX);
        if (whole.origin == PROXY_FROM_CLIENT) {
                check_end(&whole.source);
                check_end(&whole.destination);
        } else {
                check(whole.source.text[0] == 0);
        }
        return 0;
}
