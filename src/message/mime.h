/*
 * mime.h - a message's text as header fields and lines of bodies, part by part (RFC 2045, RFC 2046)
 *
 * A pure machine, fed pieces of any size: it takes one unit after the other off the front of the
 * text. All units in a row are the text, byte for byte. What it keeps is bounded by the limits
 * given, whatever the message says of itself. Text is cleaned: lines end in CR LF.
 */
#ifndef MESSAGE_MIME_H
#define MESSAGE_MIME_H

#include "message/header.h"

enum mime_kind {
        MIME_PRIMARY_FIELD, /* of the message's own header */
        MIME_PART_FIELD,    /* of a part of a multipart */
        MIME_NESTED_FIELD,  /* of a message inside the message */
        MIME_FIELD_REST,    /* goes on with a field that is over field_bytes_max */
        MIME_HEADER_END,    /* the blank line behind a header; empty when there is none */
        MIME_BODY_LINE,     /* all else: text, boundaries, what stands before and behind parts */
};

/* What strict rules may refuse. */
enum mime_fault {
        MIME_FAULT_NESTING = 1,         /* over nesting_max */
        MIME_FAULT_8BIT_HEADER = 2,     /* a byte over 127 in a header */
        MIME_FAULT_8BIT_BODY = 4,       /* the same in a body of seven bits, that is not encoded */
        MIME_FAULT_ENCODING_DOMAIN = 8, /* an encoded multipart or message (RFC 2045 6.4) */
};

struct mime_limits {
        size_t field_bytes_max;    /* of a header field with its folds: header_size_limit */
        size_t line_bytes_max;     /* longer lines of bodies come in pieces: line_length_limit */
        size_t boundary_bytes_max; /* mime_boundary_length_limit: what is longer is not told apart */
        size_t nesting_max;        /* multiparts in multiparts: mime_nesting_limit */
        bool is_one_body;          /* all behind the first header is body: disable_mime_input_... */
};

struct mime_unit {
        enum mime_kind kind;
        struct str raw;            /* with its line end, if it has one */
        struct header_field field; /* of the three kinds of field */
        bool is_cut;               /* a field that goes on in MIME_FIELD_REST */
        bool begins_line;          /* MIME_BODY_LINE: not the rest of a line that was too long */
        uint64_t offset;           /* MIME_BODY_LINE: bytes of this part's body before it */
        unsigned faults;           /* enum mime_fault */
};

enum mime_domain { MIME_7BIT, MIME_8BIT, MIME_BINARY, MIME_ENCODED };
enum mime_type {
        MIME_TYPE_OTHER,
        MIME_TYPE_MULTIPART,
        MIME_TYPE_RFC822,
        MIME_TYPE_PARTIAL,
        MIME_TYPE_MESSAGE,
};

struct mime {
        struct mime_limits limits;
        enum mime_kind place; /* the kind of field in a header, else MIME_BODY_LINE */
        bool is_first;        /* no field of this header has come yet */
        bool is_in_field;     /* behind the first part of a long one */
        bool is_in_line;
        bool is_in_boundary; /* a boundary's line goes on */
        uint64_t offset;

        /* of the header that is being read; then of its body */
        enum mime_type type;
        enum mime_domain encoding;
        bool is_digest;
        struct mime_level *candidate; /* the boundary that its Content-Type names */
        struct mime_level *inmost;    /* multiparts that are open */
        size_t depth;
};

void mime_init(struct mime *m, const struct mime_limits *limits);
void mime_done(struct mime *m);

/*
 * Takes the next unit off the front of *text. False: more text is needed; never so when *text has
 * over field_bytes_max and line_bytes_max bytes. With `is_all` nothing follows this text: false
 * then means that it is used up, and each header that was begun has had its MIME_HEADER_END.
 */
bool mime_next(struct mime *m, struct str *text, bool is_all, struct mime_unit *out);

/* Is this a field of MIME's own: MIME-Version, Content-Type and its kin? */
bool mime_is_own_field(struct str name);

#endif
